"""Sources that locked plans name: what they read changes with a reason, and every readout says so."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service
from tests.service.sources.warehouses import Warehouse, source

from equipoise_service.canonical import digest
from equipoise_service.readouts.verification import verify_readout

NOW = datetime.now(UTC).replace(microsecond=0)
URL = "/v1/sources/warehouse"
PAID = "SELECT user_id, at_zone, amount FROM shop.orders WHERE paid"
METRIC = {"key": "sum", "type": "mean", "event": "order", "source": "warehouse"}
OF_PAID = {
    "query": PAID,
    "columns": {"unit": "user_id", "time": "at_zone", "value": "amount"},
    "name": "order",
}


def begin(client: TestClient, payload: Any, key: str = "page", **changes: Any) -> None:
    """An experiment that reads the source, started."""
    if client.get(URL).status_code == 404:
        assert client.post("/v1/sources", json=source()).status_code == 201
    answer = client.post("/v1/experiments", json=payload(key, metrics=[METRIC], **changes))
    assert answer.status_code == 201, answer.text
    move(client, key, "start")


def move(client: TestClient, key: str, name: str, body: Any = None, headers: Any = None) -> None:
    answer = client.post(f"/v1/experiments/{key}/{name}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


def change(client: TestClient, **body: Any) -> Any:
    return client.patch(URL, json=body, headers={"If-Match": client.get(URL).headers["ETag"]})


def readout_of(client: TestClient, key: str = "page", *, revision: int | None = None) -> dict[str, Any]:
    asked = "" if revision is None else f"&revision={revision}"
    answer = client.get(f"/v1/experiments/{key}/readout?wait=60{asked}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert verify_readout(found) == []
    return found


def recorded(client: TestClient, key: str = "page", headers: Any = None) -> list[tuple[str | None, str]]:
    history = client.get(f"/v1/experiments/{key}/history", headers=headers).json()
    return [(each["by"], each["text"]) for each in history if each["kind"] == "deviated"]


def met(client: TestClient, *units: str, key: str = "page") -> None:
    exposures = [
        {
            "id": str(uuid.uuid4()),
            "time": (NOW - timedelta(hours=1)).isoformat(),
            "unit": unit,
            "experiment": key,
            "variant": variant,
        }
        for unit in units
        for variant in ["control" if unit < "c" else "treatment"]
    ]
    assert client.post("/v1/events", json={"exposures": exposures, "events": []}).status_code == 200


def test_another_query_under_a_locked_plan_needs_a_reason_and_every_readout_says_so(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    begin(client, payload)
    met(client, "a", "b", "c", "d")
    at = NOW - timedelta(minutes=30)
    warehouse.add_orders(("a", at, 5), ("b", at, 7), ("c", at, 30))
    warehouse.execute("UPDATE shop.orders SET paid = (user_id = 'c')")
    before = readout_of(client)
    assert before["metrics"][0]["comparisons"][0]["statistics"]["baseline"]["mean"] == 6
    refused = change(client, events=OF_PAID)
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["type"] == "urn:equipoise:problem:frozen-field"
    assert problem["used_by"] == ["the experiment page in production"]
    assert "page in production" in problem["detail"]
    assert "`reason`" in problem["detail"]
    assert (
        "query" not in client.get(URL).json()["events"] or client.get(URL).json()["events"]["query"] is None
    )
    assert readout_of(client)["deviations"] == []
    assert change(client, events=OF_PAID, reason="Refunds were in it.").status_code == 200
    after = readout_of(client)
    assert after["metrics"][0]["comparisons"][0]["statistics"]["baseline"]["mean"] == 0
    (deviation,) = after["deviations"]
    assert deviation["reason"] == "Refunds were in it."
    assert deviation["changed"] == ["/sources/warehouse/events/table", "/sources/warehouse/events/query"]
    # The plan is what was locked: what it names reads something else.
    assert deviation["digest"] == after["locked"]["digest"] == after["plan_digest"] == before["plan_digest"]
    assert "What is read from warehouse was changed after the start." in after["summary"]
    assert "The plan was changed" not in after["summary"]
    assert recorded(client) == [
        (
            deviation["by"],
            "/sources/warehouse/events/table, /sources/warehouse/events/query: Refunds were in it.",
        )
    ]


def test_a_readout_says_which_definition_it_read(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    begin(client, payload)
    first = readout_of(client)
    # By hand, as the reference says: what is the default anyway is left out, and who calls it what.
    definition = {
        "connection": "SHOP",
        "events": {
            "table": "shop.orders",
            "columns": {"unit": "user_id", "time": "at_zone", "value": "amount"},
            "name": "order",
        },
    }
    assert first["sources"] == [{"key": "warehouse", "digest": digest(definition)}]
    assert change(client, events=OF_PAID, reason="Why").status_code == 200
    second = readout_of(client)
    assert second["sources"] == [{"key": "warehouse", "digest": digest({**definition, "events": OF_PAID})}]
    # Without a source there is no such member, as in readouts from before.
    assert client.post("/v1/experiments", json=payload("own")).status_code == 201
    move(client, "own", "start")
    assert "sources" not in readout_of(client, "own")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Other"},
        {"description": "Of the shop in Vienna"},
        {"connection": "SHOP"},
        {"events": {**source()["events"], "time_zone": "UTC", "unit_type": "user"}},
        {"exposures": None},
    ],
)
def test_what_reads_the_same_needs_no_reason_and_is_no_deviation(
    client: TestClient, warehouse: Warehouse, payload: Any, body: dict[str, Any]
) -> None:
    begin(client, payload)
    assert change(client, **body).status_code == 200
    assert change(client, **body, reason="Not needed").status_code == 200
    assert recorded(client) == []


def test_before_a_start_and_after_an_archive_nothing_is_asked(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    assert client.post("/v1/sources", json=source()).status_code == 201
    assert client.post("/v1/experiments", json=payload("page", metrics=[METRIC])).status_code == 201
    assert change(client, events=OF_PAID).status_code == 200
    move(client, "page", "start")
    move(client, "page", "stop")
    assert change(client, events=source()["events"]).status_code == 409
    move(client, "page", "archive")
    assert change(client, events=source()["events"]).status_code == 200
    assert recorded(client) == []


def test_every_revision_that_reads_it_says_so_in_every_environment(
    service: Service, client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    begin(client, payload)
    weights = [{**each, "weight": 9000 - each["weight"]} for each in payload()["variants"]]
    weights[0]["weight"] = 6000
    etag = {"If-Match": client.get("/v1/experiments/page").headers["ETag"]}
    answer = client.patch("/v1/experiments/page", json={"variants": weights}, headers=etag)
    assert answer.status_code == 200, answer.text
    move(client, "page", "pause")
    there = service.key(environment="staging")
    move(client, "page", "start", headers=there)
    move(client, "page", "stop", headers=there)
    begin(client, payload, "other")
    assert client.post("/v1/experiments", json=payload("own")).status_code == 201
    move(client, "own", "start")
    used = [
        {"experiment": "page", "environment": "production", "revision": 1, "status": "paused"},
        {"experiment": "page", "environment": "production", "revision": 2, "status": "paused"},
        {"experiment": "page", "environment": "staging", "revision": 1, "status": "stopped"},
        {"experiment": "other", "environment": "production", "revision": 1, "status": "running"},
    ]
    assert client.get(f"{URL}/experiments").json() == {"items": used, "next_cursor": None}
    first = client.get(f"{URL}/experiments?limit=3").json()
    assert first["items"] == used[:3]
    rest = client.get(f"{URL}/experiments", params={"cursor": first["next_cursor"]}).json()
    assert rest["items"] == used[3:]
    nobody = service.key(project="elsewhere")
    assert client.get(f"{URL}/experiments", headers=nobody).status_code == 404
    refused = change(client, events=OF_PAID)
    assert refused.json()["used_by"] == [
        "the experiment page in production",
        "the experiment page in staging",
        "the experiment other in production",
    ]
    assert change(client, events=OF_PAID, reason="Why").status_code == 200
    assert len(recorded(client)) == 2
    assert len(recorded(client, headers=there)) == len(recorded(client, "other")) == 1
    assert recorded(client, "own") == []
    for revision in (1, 2):
        assert [each["reason"] for each in readout_of(client, revision=revision)["deviations"]] == ["Why"]


def test_a_source_that_a_locked_plan_names_is_not_deleted(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    begin(client, payload)
    move(client, "page", "stop")
    # The definition names it no longer; what was locked does.
    etag = {"If-Match": client.get("/v1/experiments/page").headers["ETag"]}
    assert client.patch("/v1/experiments/page", json={"metrics": []}, headers=etag).status_code == 200
    refused = client.delete(URL)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:equipoise:problem:in-use"
    assert refused.json()["used_by"] == ["the locked plan of the experiment page in production"]
    move(client, "page", "archive")
    assert client.delete(URL).status_code == 409, "its readout could be computed no more"


def test_a_conclusion_from_another_definition_does_not_stand(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    begin(client, payload, plan={"method": "confidence-sequence", "tuning_units": 200})
    units = {"control": [f"a{i}" for i in range(300)], "treatment": [f"d{i}" for i in range(300)]}
    met(client, *units["control"], *units["treatment"])
    at = NOW - timedelta(minutes=30)
    warehouse.add_orders(
        *((unit, at, i % 3) for i, unit in enumerate(units["control"])),
        *((unit, at, i % 3 + 5) for i, unit in enumerate(units["treatment"])),
    )
    assert readout_of(client)["recommendation"]["outcome"] == "ship"
    of_nothing = {**OF_PAID, "query": "SELECT user_id, at_zone, amount * 0 AS amount FROM shop.orders"}
    assert change(client, events=of_nothing, reason="The amounts were wrong.").status_code == 200
    after = readout_of(client)
    assert after["stands_on"] is None
    assert after["recommendation"]["outcome"] != "ship"


def test_a_reason_of_nothing_is_refused(client: TestClient, warehouse: Warehouse, payload: Any) -> None:
    begin(client, payload)
    for reason in ("", None, "x" * 2001):
        assert change(client, events=OF_PAID, reason=reason).status_code == 422


def test_a_changed_readout_is_told(client: TestClient, warehouse: Warehouse, payload: Any) -> None:
    begin(client, payload)
    readout = readout_of(client)
    readout["sources"][0]["key"] = "elsewhere"
    pointers = [each.pointer for each in verify_readout(readout)]
    assert "/sources/0/key" in pointers
