"""`POST /v1/events` of the whole service: real keys, a real experiment, a real file."""

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.conftest import Service, experiment
from tests.service.events.items import body, event, exposure, rows

from equipoise_service.accounts.principals import Scope
from equipoise_service.app import create_app
from equipoise_service.settings import Settings

KEY = "new-landing-page"


@pytest.fixture
def started(client: TestClient) -> TestClient:
    """A client of a service in which `new-landing-page` runs and `idea` does not."""
    for key in (KEY, "idea"):
        client.post("/v1/experiments", json=experiment(key)).raise_for_status()
    client.post(f"/v1/experiments/{KEY}/start").raise_for_status()
    return client


def exposed(**changes: Any) -> dict[str, Any]:
    return exposure(**{"experiment": KEY, **changes})


def send(client: TestClient, content: bytes, **headers: str) -> Any:
    answer = client.post("/v1/events", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def stored(client: TestClient, table: str) -> list[dict[str, Any]]:
    return rows(client.app.state.event_store, table)  # type: ignore[attr-defined]


def test_a_batch_without_revisions_is_the_same_after_a_restart(started: TestClient) -> None:
    content = body([exposed()], [])
    assert send(started, content)["accepted"] == 1
    for action in ("stop", "start"):
        started.post(f"/v1/experiments/{KEY}/{action}").raise_for_status()
    assert send(started, content)["duplicate"] == 1
    assert [row["revision"] for row in stored(started, "exposures")] == [1]


def test_a_batch_is_the_same_after_a_restart_without_its_variant(started: TestClient) -> None:
    sent = exposed(variant="treatment")
    assert send(started, body([sent], []))["accepted"] == 1
    url = f"/v1/experiments/{KEY}"
    started.post(f"{url}/stop").raise_for_status()
    shown = started.get(url)
    variants = [
        {**each, "key": "bold"} if each["key"] == "treatment" else each for each in shown.json()["variants"]
    ]
    headers = {"If-Match": shown.headers["ETag"]}
    started.patch(url, json={"variants": variants}, headers=headers).raise_for_status()
    started.post(f"{url}/start").raise_for_status()
    assert send(started, body([sent], []))["duplicate"] == 1
    assert [row["revision"] for row in stored(started, "exposures")] == [1]


def test_each_item_has_its_answer_in_order(started: TestClient) -> None:
    one, same = exposed(), event()
    content = body(
        [one, exposed(variant="blue"), one],
        [event(id=1), same, event(time="yesterday"), same],
        sent_at="2026-03-01T12:00:05Z",
    )
    answer = send(started, content)
    assert {name: answer[name] for name in ("accepted", "duplicate", "refused")} == {
        "accepted": 2,
        "duplicate": 2,
        "refused": 3,
    }
    first, refused, again = answer["exposures"]
    assert first == {"id": one["id"], "status": "accepted"}
    assert refused["status"] == "refused"
    assert refused["pointer"] == "/exposures/1/variant"
    assert "control, treatment" in refused["reason"]
    assert again == {"id": one["id"], "status": "duplicate"}
    assert [each["status"] for each in answer["events"]] == ["refused", "accepted", "refused", "duplicate"]
    assert [each.get("pointer") for each in answer["events"]] == [
        "/events/0/id",
        None,
        "/events/2/time",
        None,
    ]
    assert answer["events"][0]["id"] is None
    (row,) = stored(started, "exposures")
    assert (row["place"], row["revision"]) == ("default/production", 1)
    assert len(stored(started, "events")) == 1


def test_nothing_at_all_is_fine(started: TestClient) -> None:
    empty = {"accepted": 0, "duplicate": 0, "refused": 0, "exposures": [], "events": []}
    assert send(started, b"{}") == send(started, b'{"later": [1]}') == empty


def test_gzip_is_read(started: TestClient) -> None:
    assert send(started, gzip.compress(body([exposed()])), **{"Content-Encoding": "gzip"})["accepted"] == 1


def test_an_experiment_takes_exposures_from_its_start_on(started: TestClient) -> None:
    assert send(started, body([exposed(experiment="idea")]))["refused"] == 1
    started.post("/v1/experiments/idea/start").raise_for_status()
    assert send(started, body([exposed(experiment="idea")]))["accepted"] == 1
    started.post("/v1/experiments/idea/pause").raise_for_status()
    started.post("/v1/experiments/idea/stop").raise_for_status()
    assert send(started, body([exposed(experiment="idea")]))["accepted"] == 1


def test_a_time_may_lie_ahead_by_the_setting(started: TestClient) -> None:
    now = datetime.now(UTC)
    times = [now + timedelta(hours=23), now + timedelta(hours=25)]
    answer = send(started, body([], [event(time=each.isoformat()) for each in times]))
    assert [each["status"] for each in answer["events"]] == ["accepted", "refused"]


@pytest.mark.parametrize(
    ("content", "status", "type"),
    [
        (b"", 400, "malformed-body"),
        (b'{"events": [', 400, "malformed-body"),
        (b'{"events": [{"value": NaN}]}', 400, "malformed-body"),
        (b"\xff\xfe", 400, "malformed-body"),
        (b"[]", 422, "invalid-payload"),
        (b'{"events": 1}', 422, "invalid-payload"),
        (b'{"exposures": {"a": 1}}', 422, "invalid-payload"),
        (b'{"sent_at": "now"}', 422, "invalid-payload"),
        (b'{"events": [' + b"1," * 10_000 + b"1]}", 422, "invalid-payload"),
        (b" " * 200_001, 413, "body-too-large"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_body_that_is_no_batch_has_its_problem(
    started: TestClient, content: bytes, status: int, type: str
) -> None:
    answer = started.post("/v1/events", content=content)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"urn:equipoise:problem:{type}"


def test_the_limits_are_named(started: TestClient) -> None:
    many = started.post("/v1/events", content=b'{"events": [' + b"1," * 10_000 + b"1]}")
    assert many.json()["limit_items"] == 10_000
    bomb = gzip.compress(b" " * 50_000_000)
    large = started.post("/v1/events", content=bomb, headers={"Content-Encoding": "gzip"})
    assert (large.status_code, large.json()["limit_bytes"]) == (413, 200_000)


def test_keys_need_the_scope_and_keep_to_their_environment(service: Service, started: TestClient) -> None:
    def status(headers: dict[str, str]) -> int:
        return started.post("/v1/events", content=body(), headers=headers).status_code

    assert status({"Authorization": ""}) == 401
    assert status({"Authorization": "Bearer eq_wrong"}) == 401
    assert status(service.key(Scope.READ, Scope.WRITE, Scope.EVALUATE)) == 403
    assert status(service.key(Scope.INGEST)) == 200
    staging = service.key(Scope.INGEST, environment="staging")
    answer = send(started, body([exposed()], [event()]), **staging)
    assert [answer["exposures"][0]["status"], answer["events"][0]["status"]] == ["refused", "accepted"]
    assert [row["place"] for row in stored(started, "events")] == ["default/staging"]


def test_a_full_queue_is_busy_and_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    crowded = Settings(data_dir=tmp_path, event_queue_items=10, event_commit_milliseconds=300)
    with TestClient(create_app(crowded)) as client:
        client.headers.update(Service(client, crowded).key(Scope.INGEST))
        sent = [[event() for _ in range(5)] for _ in range(8)]
        with ThreadPoolExecutor(8) as senders:
            answers = list(senders.map(lambda each: client.post("/v1/events", content=body([], each)), sent))
        assert {answer.status_code for answer in answers} == {200, 503}
        assert all(
            answer.headers["Retry-After"] == "1" and answer.json()["type"].endswith(":busy")
            for answer in answers
            if answer.status_code == 503
        )
        acknowledged = {
            each["id"] for answer in answers if answer.status_code == 200 for each in answer.json()["events"]
        }
        assert {row["id"] for row in stored(client, "events")} == acknowledged


def test_readiness_follows_the_store(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(data_dir=tmp_path))) as client:
        assert client.get("/readyz").status_code == 200
        client.app.state.event_store.close()  # type: ignore[attr-defined]
        assert client.get("/readyz").status_code == 503
        headers = Service(client, Settings(data_dir=tmp_path)).key(Scope.INGEST)
        assert client.post("/v1/events", content=body([], [event()]), headers=headers).status_code == 503


def test_the_document_describes_the_route(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    route = document["paths"]["/v1/events"]["post"]
    assert set(route["responses"]) == {"200", "400", "401", "403", "408", "413", "415", "422", "503"}
    assert route["security"]
    schemas = document["components"]["schemas"]
    assert set(schemas["ExposureIn"]["required"]) == {"id", "time", "experiment", "variant"}
    assert set(schemas["EventIn"]["required"]) == {"id", "time", "name"}
    assert schemas["EventIn"]["properties"]["id"]["format"] == "uuid"
    assert "RawBatchIn" not in schemas


def test_the_documents_example_gets_the_documents_answer(service: Service, started: TestClient) -> None:
    route = service.client.get("/openapi.json").json()["paths"]["/v1/events"]["post"]
    asked = route["requestBody"]["content"]["application/json"]["example"]
    said = route["responses"]["200"]["content"]["application/json"]["example"]
    send(started, body(asked["exposures"]))
    assert send(started, json.dumps(asked).encode()) == said


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One service for many examples: ids are new in each."""
    own = Settings(data_dir=tmp_path_factory.mktemp("running"), event_commit_milliseconds=0)
    with TestClient(create_app(own)) as client:
        client.headers.update(Service(client, own).key())
        client.post("/v1/experiments", json=experiment(KEY)).raise_for_status()
        client.post(f"/v1/experiments/{KEY}/start").raise_for_status()
        yield client


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
GOOD = st.builds(
    lambda unit, value, properties: event(unit=unit, value=value, properties=properties),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=512),
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70),
    st.none() | st.dictionaries(st.sampled_from("abc"), st.integers() | st.text("xé\"\\'", max_size=20)),
)
BAD = st.one_of(
    ANYTHING.filter(lambda value: not isinstance(value, dict) or "id" not in value),
    st.builds(
        lambda field, value: event(**{field: value}),
        st.sampled_from(["id", "time", "unit", "name", "unit_type"]),
        st.sampled_from([None, 1, "", [], {}, "\0"]),
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["good", "bad", "again"]), GOOD, BAD), max_size=15))
def test_of_any_mix_exactly_the_good_items_are_stored_once(
    running: TestClient, mix: list[tuple[str, dict[str, Any], Any]]
) -> None:
    items: list[Any] = []
    expected: list[str] = []
    seen: dict[str, dict[str, Any]] = {}
    for kind, good, bad in mix:
        if kind == "bad":
            items.append(bad)
            expected.append("refused")
            continue
        item = good if kind == "good" or not seen else next(iter(seen.values()))
        items.append(item)
        expected.append("duplicate" if item["id"] in seen else "accepted")
        seen.setdefault(item["id"], item)
    content = json.dumps({"events": items}).encode()
    answer = send(running, content)
    assert [each["status"] for each in answer["events"]] == expected
    with running.app.state.event_store.ibis() as backend:  # type: ignore[attr-defined]
        table = backend.table("events")
        found = table.filter(table.id.cast("string").isin(list(seen))) if seen else table.limit(0)
        stored_rows = {row["id"]: row for row in found.to_pyarrow().to_pylist()}
        assert len(stored_rows) == found.count().to_pyarrow().as_py() == len(seen)
    for id, item in seen.items():
        row = stored_rows[id]
        assert row["unit"] == item["unit"]
        assert row["value"] == (None if item["value"] is None else float(item["value"]))
        assert (row["properties"] and json.loads(row["properties"])) == item["properties"]
    again = send(running, content)
    assert [each["status"] for each in again["events"]] == [
        "refused" if each == "refused" else "duplicate" for each in expected
    ]
