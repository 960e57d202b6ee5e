"""Units whose variant people chose take no part in the comparison, from the first override on."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from equipoise_service.experiments import runs
from equipoise_service.readouts.verification import verify_readout

URL = "/v1/experiments/new-landing-page"


def item(unit: str, minute: int, **more: Any) -> dict[str, Any]:
    time = datetime.now(UTC) - timedelta(hours=1) + timedelta(minutes=minute)
    return {"id": str(uuid.uuid4()), "time": time.isoformat(), "unit": unit, **more}


def expose(client: TestClient, **variants: str) -> None:
    """Expose units, each to a variant, and let every one convert."""
    exposures = [
        item(unit, 0, experiment="new-landing-page", variant=variant) for unit, variant in variants.items()
    ]
    events = [item(unit, 1, name="converted") for unit in variants]
    answer = client.post("/v1/events", json={"exposures": exposures, "events": events})
    assert answer.json()["refused"] == 0


def override(client: TestClient, overrides: dict[str, str]) -> Any:
    etag = client.get(URL).headers["ETag"]
    return client.patch(URL, json={"overrides": overrides}, headers={"If-Match": etag})


def units(client: TestClient, **params: Any) -> dict[str, int]:
    readout = client.get(f"{URL}/readout", params={**params, "wait": 60}).json()
    assert verify_readout(readout) == []
    counted = readout["metrics"][0]["comparisons"][0]["statistics"]
    found = {arm["variant"]: arm["units"] for arm in readout["arms"]}
    assert found == {"control": counted["baseline"]["n"], "treatment": counted["variant"]["n"]}
    assert counted["baseline"]["successes"] == found["control"]
    return found


@pytest.fixture
def running(client: TestClient, payload: Any) -> TestClient:
    client.post("/v1/experiments", json=payload(overrides={"tester": "treatment"}))
    assert client.post(f"{URL}/start").status_code == 200
    return client


def test_the_readout_leaves_out_who_had_an_override(running: TestClient) -> None:
    expose(running, a="control", b="treatment", tester="treatment", later="control")
    assert units(running) == {"control": 2, "treatment": 1}
    assert override(running, {"later": "treatment", "it's": "control"}).status_code == 200
    assert units(running) == {"control": 1, "treatment": 1}
    override(running, {})
    expose(running, c="treatment")
    assert units(running) == {"control": 1, "treatment": 2}


def test_the_next_revision_leaves_out_only_who_still_has_one(running: TestClient) -> None:
    override(running, {"kept": "control"})
    running.post(f"{URL}/stop")
    running.post(f"{URL}/start")
    expose(running, tester="treatment", kept="control", a="control")
    assert units(running) == {"control": 1, "treatment": 1}
    assert units(running, revision=1) == {"control": 0, "treatment": 0}


def test_a_unit_of_another_unit_type_is_not_meant(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload(overrides={"x": "control"}, unit_type="device"))
    client.post(f"{URL}/start")
    shown = item("y", 0, experiment="new-landing-page", variant="control", unit_type="device")
    client.post("/v1/events", json={"exposures": [shown], "events": []})
    assert client.get(f"{URL}/readout?wait=60").json()["arms"][0]["units"] == 1


def test_so_many_units_can_be_left_out_and_no_more(
    running: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"unit-{index}": "control" for index in range(4_999)}
    assert override(running, many).status_code == 200
    expose(running, **{"unit-0": "control", "unit-4998": "control", "unit-4999": "control"})
    assert units(running) == {"control": 1, "treatment": 0}
    monkeypatch.setattr(runs, "MAX_OVERRIDDEN", 5_000)
    refused = override(running, {"one-more": "control"})
    assert refused.status_code == 409
    assert "5,001 units" in refused.json()["detail"]
    assert running.get(URL).json()["overrides"] == many
