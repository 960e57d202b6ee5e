"""Segments, bots and identity that a plan declares: from the plan over HTTP to the readout and its proof."""

import copy
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service
from tests.service.readouts.documents import seal, segmented_readout

from equipoise_service.app import create_app
from equipoise_service.readouts.verification import verify_readout
from equipoise_service.settings import Settings

URL = "/v1/experiments/new-landing-page"
DECLARED: dict[str, Any] = {
    "segments": [{"key": "country", "event": "signed_up", "property": "country"}],
    "bots": {"most_events": 3},
    "identity": {"anonymous": "device", "event": "login", "property": "user_id"},
}


def item(unit: str, minute: int, unit_type: str = "user", **more: Any) -> dict[str, Any]:
    time = datetime.now(UTC).replace(hour=0, minute=0) - timedelta(hours=12) + timedelta(minutes=minute)
    return {
        "id": str(uuid.uuid4()),
        "time": time.isoformat(),
        "unit": unit,
        "unit_type": unit_type,
        **more,
    }


def send(client: TestClient, exposures: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
    answer = client.post("/v1/events", json={"exposures": exposures, "events": events})
    assert answer.json()["refused"] == 0, answer.text


def shown(unit: str, variant: str) -> dict[str, Any]:
    return item(unit, 10, experiment="new-landing-page", variant=variant)


@pytest.fixture
def running(client: TestClient, payload: Any) -> TestClient:
    made = client.post("/v1/experiments", json=payload(plan=DECLARED, overrides={"tester": "treatment"}))
    assert made.status_code == 201, made.text
    assert client.post(f"{URL}/start").status_code == 200
    return client


def test_a_plan_says_who_is_counted(running: TestClient) -> None:
    countries = {"a": "DE", "b": "DE", "c": "FR"}
    send(
        running,
        [
            shown("a", "control"),
            shown("b", "treatment"),
            shown("tester", "treatment"),
            shown("crawler", "control"),
            shown("c", "treatment"),
            shown("d", "control"),
        ],
        [
            *(item(unit, 1, name="signed_up", properties={"country": at}) for unit, at in countries.items()),
            item("d-c", 20, "device", name="login", properties={"user_id": "c"}),
            *(item("crawler", minute, name="viewed") for minute in range(5)),
            item("d-c", 30, "device", name="converted"),
            item("d-lonely", 30, "device", name="converted"),
            item("a", 11, name="signed_up", properties={"country": "FR"}),
        ],
    )
    readout = running.get(f"{URL}/readout?wait=60").json()
    assert verify_readout(readout) == []
    assert {arm["variant"]: arm["units"] for arm in readout["arms"]} == {"control": 2, "treatment": 2}
    assert readout["population"] == {
        "overridden": 1,
        "bots": 1,
        "joined": {"anonymous": 0, "joined": 0, "conflicts": 0, "left_out": 0, "crossovers": 0},
    }
    (country,) = readout["segments"]
    assert (country["segment"], country["declared"]) == ("country", True)
    found = {
        (part["value"], part["others"]): (
            [arm["units"] for arm in part["arms"]],
            part["metrics"][0]["comparisons"][0]["statistics"]["variant"]["successes"],
        )
        for part in country["parts"]
    }
    assert found == {("DE", False): ([1, 1], 0), ("FR", False): ([0, 1], 1), (None, False): ([1, 0], 0)}


def test_an_item_that_names_both_units_counts_once(client: TestClient, payload: Any) -> None:
    """A purchase that names user and device is the user's already: joining the device adds nothing."""
    metrics = [
        {"key": "revenue", "type": "mean", "event": "bought"},
        {"key": "orders", "type": "mean", "event": "bought", "aggregation": "count"},
    ]
    made = payload(plan={"identity": DECLARED["identity"]}, metrics=metrics)
    assert client.post("/v1/experiments", json=made).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    both = [item("c", minute, name="bought", value=5.0, units={"device": "d-c"}) for minute in (31, 32)]
    linked = item("d-c", 20, "device", name="login", properties={"user_id": "c"}, units={"user": "c"})
    alone = item("d-c", 33, "device", name="bought", value=1.0)
    # Whose it is, the item says itself: the first to log in on a device that is shared has not bought this.
    others = item("a", 34, name="bought", value=7.0, units={"device": "d-c"})
    send(client, [shown("c", "treatment"), shown("a", "control")], [*both, linked, alone, others])
    readout = client.get(f"{URL}/readout?wait=60").json()
    found = {
        each["metric"]: [each["comparisons"][0]["statistics"][arm]["mean"] for arm in ("baseline", "variant")]
        for each in readout["metrics"]
    }
    assert found == {"revenue": [7, 11], "orders": [1, 3]}


@pytest.fixture
def hashed(settings: Settings, payload: Any) -> Iterator[TestClient]:
    """The experiment that joins devices, where unit ids are stored as keyed hashes."""
    with TestClient(create_app(settings.model_copy(update={"unit_key": "k" * 32}))) as client:
        client.headers.update(Service(client, settings).key())
        made = payload(plan={"identity": DECLARED["identity"]})
        assert client.post("/v1/experiments", json=made).status_code == 201
        assert client.post(f"{URL}/start").status_code == 200
        yield client


def test_links_to_hashed_ids_are_refused_rather_than_join_nobody(hashed: TestClient) -> None:
    linked = item("d-a", 20, "device", name="login", properties={"user_id": "a"})
    send(hashed, [shown("a", "control"), shown("b", "treatment")], [linked])
    answer = hashed.get(f"{URL}/readout?wait=60")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:equipoise:problem:unit-ids-hashed")
    assert "user_id" in answer.json()["detail"]


def test_a_segment_that_came_later_is_not_declared(running: TestClient) -> None:
    changed = {**DECLARED, "segments": [*DECLARED["segments"], {"key": "new", "event": "e", "property": "p"}]}
    etag = running.get(URL).headers["ETag"]
    answer = running.patch(URL, json={"plan": changed, "deviation": "one more"}, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text
    readout = running.get(f"{URL}/readout?wait=60").json()
    assert [each["declared"] for each in readout["segments"]] == [True, False]
    assert readout["locked"]["plan"]["segments"] == DECLARED["segments"]
    assert verify_readout(readout) == []


def test_a_segment_of_the_same_name_and_another_meaning_is_not_declared(running: TestClient) -> None:
    changed = {**DECLARED, "segments": [{"key": "country", "event": "viewed", "property": "country"}]}
    etag = running.get(URL).headers["ETag"]
    answer = running.patch(URL, json={"plan": changed, "deviation": "was wrong"}, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text
    readout = running.get(f"{URL}/readout?wait=60").json()
    assert [each["declared"] for each in readout["segments"]] == [False]
    assert verify_readout(readout) == []


def test_segments_that_came_with_a_new_revision_are_declared(running: TestClient) -> None:
    def patch(**changes: Any) -> None:
        etag = running.get(URL).headers["ETag"]
        assert running.patch(URL, json=changes, headers={"If-Match": etag}).status_code == 200

    new = {"key": "new", "event": "e", "property": "p"}
    weights = [
        {"key": "control", "weight": 3000, "control": True},
        {"key": "treatment", "weight": 7000},
    ]
    more = {**DECLARED, "segments": [*DECLARED["segments"], new]}
    patch(plan=more, variants=weights, deviation="one more")
    found = running.get(f"{URL}/readout?wait=60").json()
    assert [each["declared"] for each in found["segments"]] == [True, True]
    assert found["deviations"][0]["changed"] == ["/segments"]
    assert "plan" not in found["locked"]
    assert verify_readout(found) == []
    patch(plan=DECLARED, deviation="one less")
    # What is left is what was locked.
    found = running.get(f"{URL}/readout?wait=60").json()
    assert [each["declared"] for each in found["segments"]] == [True]
    assert verify_readout(found) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"segments": DECLARED["segments"] * 2}, "twice"),
        ({"bots": {}}, "most_events"),
        ({"bots": {"most_events": 3, "filters": [{"operator": "at_least", "value": 1}]}}, "name the event"),
        ({"identity": {"anonymous": "user", "event": "login", "property": "user_id"}}, "not the same"),
    ],
)
def test_what_cannot_be_meant_is_refused(client: TestClient, payload: Any, wrong: Any, said: str) -> None:
    answer = client.post("/v1/experiments", json=payload(plan=wrong))
    assert answer.status_code == 422
    assert said in answer.text


PART = ("segments", 0, "parts", 0)
STATISTICS = (*PART, "metrics", 0, "comparisons", 0, "statistics", "variant", "successes")


@pytest.mark.parametrize(
    "place",
    [
        STATISTICS,
        (*PART, "metrics", 0, "comparisons", 0, "difference", "estimate"),
        (*PART, "arms", 0, "units"),
        (*PART, "crossovers"),
        ("segments", 0, "declared"),
    ],
)
def test_an_edit_of_a_segment_is_found(place: tuple[Any, ...]) -> None:
    original = segmented_readout()
    assert verify_readout(original) == []
    edited = copy.deepcopy(original)
    target: Any = edited
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = not target[place[-1]] if place[-1] == "declared" else target[place[-1]] + 1
    seal(edited)
    assert verify_readout(edited)
