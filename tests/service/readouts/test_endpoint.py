"""The readout over HTTP: from registering to reading, in the running application."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from equipoise_service.accounts.principals import Scope
from equipoise_service.readouts.verification import verify_readout

URL = "/v1/experiments/new-landing-page"


def at(minute: int) -> str:
    return (datetime.now(UTC) - timedelta(hours=1) + timedelta(minutes=minute)).isoformat()


def exposure(unit: str, variant: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "time": at(minute),
        "unit": unit,
        "experiment": "new-landing-page",
        "variant": variant,
        **more,
    }


def event(unit: str, name: str = "converted", minute: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "time": at(minute), "unit": unit, "name": name, **more}


def send(client: TestClient, exposures: list[Any] = [], events: list[Any] = []) -> None:  # noqa: B006
    answer = client.post("/v1/events", json={"exposures": exposures, "events": events})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def running(client: TestClient, payload: Any) -> TestClient:
    metrics = [
        {"key": "converted", "type": "proportion", "event": "converted"},
        {"key": "revenue", "type": "mean", "event": "purchase", "role": "guardrail"},
    ]
    assert client.post("/v1/experiments", json=payload(metrics=metrics)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    return client


def test_from_exposures_and_events_to_the_readout(running: TestClient) -> None:
    exposures = [exposure(f"c{i}", "control") for i in range(10)] + [
        exposure(f"t{i}", "treatment") for i in range(10)
    ]
    exposures += [exposure("both", "control"), exposure("both", "treatment")]
    events = (
        [event(f"c{i}") for i in range(4)]
        + [event(f"t{i}") for i in range(6)]
        + [event("both"), event("c9", minute=-1)]
    )
    events += [
        event("t0", "purchase", value=20.0),
        event("t0", "purchase", value=2.5),
        event("t1", "purchase"),
    ]
    before = datetime.now(UTC)
    send(running, exposures, events)
    answer = running.get(f"{URL}/readout?wait=60")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    readout = answer.json()
    assert verify_readout(readout) == []
    assert (readout["experiment"], readout["revision"]) == ("new-landing-page", 1)
    assert (
        before
        <= datetime.fromisoformat(readout["watermark"])
        <= datetime.fromisoformat(readout["generated_at"])
    )
    assert readout["arms"] == [
        {"variant": "control", "units": 10, "expected_share": 0.5},
        {"variant": "treatment", "units": 10, "expected_share": 0.5},
    ]
    assert readout["health"]["crossovers"]["units"] == 1
    assert readout["health"]["incomplete_rows"] is None
    found = {metric["metric"]: metric["comparisons"][0]["statistics"] for metric in readout["metrics"]}
    assert found["converted"]["baseline"] == {"n": 10, "immature": 0, "successes": 4}
    assert found["converted"]["variant"] == {"n": 10, "immature": 0, "successes": 6}
    away = [20.25, *[-2.25] * 9]
    assert found["revenue"]["variant"] == {
        "n": 10,
        "immature": 0,
        "mean": 2.25,
        "m2": pytest.approx(sum(each**2 for each in away)),
        "m3": pytest.approx(sum(each**3 for each in away)),
    }
    assert readout["plan"]["variants"][0] == {"key": "control", "weight": 5000, "control": True}


def test_an_acknowledged_event_is_in_the_next_readout(running: TestClient) -> None:
    send(running, [exposure("c", "control"), exposure("t", "treatment")])
    first = running.get(f"{URL}/readout?wait=60").json()
    send(running, events=[event("t")])
    second = running.get(f"{URL}/readout?wait=60").json()
    assert first["metrics"][0]["comparisons"][0]["statistics"]["variant"]["successes"] == 0
    assert second["metrics"][0]["comparisons"][0]["statistics"]["variant"]["successes"] == 1
    assert second["watermark"] > first["watermark"]


def test_before_any_exposure_it_is_empty_and_says_so(running: TestClient) -> None:
    readout = running.get(f"{URL}/readout?wait=60").json()
    assert readout["watermark"] is None
    assert [arm["units"] for arm in readout["arms"]] == [0, 0]
    assert readout["summary"] == "No unit is in any arm yet, so there is nothing to read."
    assert verify_readout(readout) == []


def test_each_revision_has_its_readout(running: TestClient) -> None:
    send(running, [exposure("a", "control"), exposure("b", "treatment")])
    assert running.post(f"{URL}/stop").status_code == 200
    assert running.post(f"{URL}/start").status_code == 200
    send(running, [exposure("c", "control", revision=2)])
    units = {
        number: [
            arm["units"] for arm in running.get(f"{URL}/readout?wait=60&revision={number}").json()["arms"]
        ]
        for number in (1, 2)
    }
    assert units == {1: [1, 1], 2: [1, 0]}
    latest = running.get(f"{URL}/readout?wait=60").json()
    assert (latest["revision"], [arm["units"] for arm in latest["arms"]]) == (2, [1, 0])


def test_an_older_revision_keeps_its_arms_and_its_control(running: TestClient) -> None:
    send(running, [exposure("a", "control"), exposure("b", "treatment")])
    etag = running.get(URL).headers["ETag"]
    variants = [{"key": "treatment", "value": "new", "control": True}, {"key": "bold", "value": "bold"}]
    assert running.patch(URL, json={"variants": variants}, headers={"If-Match": etag}).status_code == 200
    first = running.get(f"{URL}/readout?wait=60&revision=1").json()
    assert [(v["key"], v["control"]) for v in first["plan"]["variants"]] == [
        ("control", True),
        ("treatment", False),
    ]
    second = running.get(f"{URL}/readout?wait=60").json()
    assert [(v["key"], v["control"]) for v in second["plan"]["variants"]] == [
        ("treatment", True),
        ("bold", False),
    ]


def test_an_unknown_experiment_is_404(client: TestClient) -> None:
    answer = client.get("/v1/experiments/nowhere/readout")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:equipoise:problem:not-found")


def test_an_unknown_revision_is_404_and_says_the_latest(running: TestClient) -> None:
    answer = running.get(f"{URL}/readout", params={"revision": 7})
    assert answer.status_code == 404
    assert "no revision 7 in production; the latest is 1" in answer.json()["detail"]


@pytest.mark.parametrize("revision", ["0", "-1", "x", "99999999999999999999"])
def test_what_is_no_revision_is_422(running: TestClient, revision: str) -> None:
    assert running.get(f"{URL}/readout", params={"revision": revision}).status_code == 422


def test_a_draft_is_409_and_says_to_start_it(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    answer = client.get(f"{URL}/readout")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:equipoise:problem:illegal-transition")
    assert "Start it first" in answer.json()["detail"]


def test_it_needs_the_scope_read(service: Any, running: TestClient) -> None:
    assert running.get(f"{URL}/readout?wait=60", headers=service.key(Scope.READ)).status_code == 200
    assert running.get(f"{URL}/readout", headers=service.key(Scope.INGEST, Scope.EVALUATE)).status_code == 403
    assert running.get(f"{URL}/readout", headers={"Authorization": "Bearer eq_wrong"}).status_code == 401


def test_another_environment_sees_nothing_of_it(service: Any, running: TestClient) -> None:
    send(running, [exposure("a", "control")])
    staging = service.key(environment="staging")
    assert running.get(f"{URL}/readout", headers=staging).status_code == 409
    running.post(f"{URL}/start", headers=staging)
    readout = running.get(f"{URL}/readout?wait=60", headers=staging).json()
    assert [arm["units"] for arm in readout["arms"]] == [0, 0]
    assert readout["watermark"] is None


def test_reading_does_not_hold_up_ingestion_and_sees_one_snapshot(running: TestClient) -> None:
    send(running, [exposure("a", "control")])
    store = running.app.state.event_store  # type: ignore[attr-defined]
    opened, sent = threading.Event(), threading.Event()

    def read() -> int:
        with store.ibis() as backend:
            opened.set()
            assert sent.wait(30)
            return int(backend.to_pyarrow(backend.table("exposures").count()).as_py())

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        assert opened.wait(30)
        send(running, [exposure("b", "control")])
        sent.set()
        assert reading.result(30) == 1
    assert running.get(f"{URL}/readout?wait=60").json()["arms"][0]["units"] == 2


def test_many_readers_at_once_all_get_an_answer(running: TestClient) -> None:
    send(running, [exposure("a", "control"), exposure("b", "treatment")])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: running.get(f"{URL}/readout?wait=60"), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8


def test_the_openapi_document_describes_the_readout(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/experiments/{key}/readout"]["get"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Readout")
    assert "schema" in document["components"]["schemas"]["Readout"]["properties"]
    assert {"401", "403", "404", "409", "422"} <= operation["responses"].keys()


def report(client: TestClient, sender: str, **counts: int) -> None:
    answer = client.post("/v1/events", json={"dropped": {"client": sender, "counts": counts}})
    assert answer.status_code == 200, answer.text


def test_what_senders_dropped_is_in_the_readout(service: Any, running: TestClient) -> None:
    first, second, early = (str(uuid.uuid4()) for _ in range(3))
    check = running.get(f"{URL}/readout?wait=60").json()["health"]["dropped_items"]
    assert (check["status"], check["items"], check["reasons"], check["action"]) == ("ok", 0, {}, None)
    report(running, first, queue_full=100, closed=2)
    report(running, first, queue_full=120, closed=2)
    report(running, second, queue_full=7)
    staging = service.key(environment="staging")
    elsewhere = {"dropped": {"client": early, "counts": {"invalid": 99}}}
    assert running.post("/v1/events", json=elsewhere, headers=staging).status_code == 200
    readout = running.get(f"{URL}/readout?wait=60").json()
    check = readout["health"]["dropped_items"]
    assert (check["status"], check["items"], check["received"]) == ("failed", 129, 0)
    assert check["reasons"] == {"closed": 2, "queue_full": 127}
    assert check["number"] == (
        "129 exposures and events (closed 2, queue_full 127), 100.00 % of what was logged"
    )
    assert "queue" in check["action"]
    assert verify_readout(readout) == []
    readout["health"]["dropped_items"]["items"] = 0
    assert {each.pointer for each in verify_readout(readout)} >= {"/health/dropped_items/items", "/digest"}


def test_what_was_dropped_before_or_after_a_revision_is_not_in_its_readout(running: TestClient) -> None:
    report(running, str(uuid.uuid4()), queue_full=3)
    for move in ("stop", "start"):
        assert running.post(f"{URL}/{move}").status_code == 200
    report(running, str(uuid.uuid4()), queue_full=5)
    items = [
        running.get(f"{URL}/readout?wait=60&revision={revision}").json()["health"]["dropped_items"]["items"]
        for revision in (1, 2)
    ]
    assert items == [3, 5]
