"""What was refused is listed, what came is counted, what comes is told: over HTTP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service
from tests.service.events.items import body, event
from tests.service.running import RunningService, running_service

from equipoise_service.accounts.principals import Scope
from equipoise_service.errors import BadRequest
from equipoise_service.events.tail import start_after


def send(client: TestClient, *events: Any, **headers: str) -> Any:
    answer = client.post("/v1/events", content=body([], list(events)), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(client: TestClient, **query: Any) -> list[dict[str, Any]]:
    """All pages of the refused items."""
    found: list[dict[str, Any]] = []
    while True:
        answer = client.get("/v1/events/rejected", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        assert len(page["items"]) == query["limit"]
        query["cursor"] = page["next_cursor"]


def test_what_was_refused_is_listed_with_its_reason_and_as_it_came(client: TestClient) -> None:
    before = datetime.now(UTC)
    bad = event(name="'; DROP TABLE rejected; --", time="yesterday")
    send(client, event(), bad)
    (found,) = listed(client)
    assert (found["kind"], found["id"], found["pointer"]) == ("event", bad["id"], "/events/1/time")
    assert "RFC3339" in found["reason"]
    assert json.loads(found["item"]) == bad
    assert before <= datetime.fromisoformat(found["received_at"]) <= datetime.now(UTC)


def test_an_id_reused_with_other_content_is_refused_and_listed(client: TestClient) -> None:
    first = event(value=1)
    assert send(client, first)["accepted"] == 1
    answer = send(client, event(), {**first, "value": 2}, {**first, "time": "2026-03-01T13:00:00Z"})
    assert [each["status"] for each in answer["events"]] == ["accepted", "refused", "duplicate"]
    assert answer["events"][1]["pointer"] == "/events/1/id"
    (found,) = listed(client)
    assert (found["id"], found["pointer"]) == (first["id"], "/events/1/id")
    assert found["reason"] == answer["events"][1]["reason"]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_miss_nothing_and_repeat_nothing(client: TestClient, limit: int) -> None:
    """Within a commit and across commits, also of items that are the same to the last letter."""
    for count in (3, 1, 4):
        send(client, *[event(id="same", unit="")] * count, *[event(name=n) for n in range(count)])
    found = listed(client, limit=limit)
    assert len(found) == 16
    assert sorted(each["pointer"] for each in found if each["id"] == "same") == sorted(
        f"/events/{n}/id" for count in (3, 1, 4) for n in range(count)
    )
    times = [each["received_at"] for each in found]
    assert times == sorted(times)


def test_filters_and_the_place(service: Service, client: TestClient) -> None:
    other = service.key(Scope.INGEST)
    staging = service.key(environment="staging")
    send(client, event(name=""))
    send(client, event(unit=7), **other)
    send(client, event(time="x"), **staging)
    here = listed(client)
    assert len(here) == 2
    one, two = here
    assert one["key"] != two["key"]
    assert listed(client, key=two["key"]) == [two]
    assert listed(client, reason="length") == [one]
    assert listed(client, kind="exposure") == []
    assert listed(client, since=two["received_at"]) == [two]
    later = datetime.fromisoformat(two["received_at"]) + timedelta(microseconds=1)
    assert listed(client, since=later.isoformat()) == []
    assert len(listed(client, since="0001-01-01T00:00:00+14:00")) == 2
    assert client.get("/v1/events/rejected", headers=other).status_code == 403
    assert len(client.get("/v1/events/rejected", headers=staging).json()["items"]) == 1


@pytest.mark.parametrize("path", ["rejected", "counters", "tail"])
def test_reading_needs_the_scope(service: Service, path: str) -> None:
    get = service.client.get
    assert get(f"/v1/events/{path}").status_code == 401
    assert get(f"/v1/events/{path}", headers=service.key(Scope.INGEST)).status_code == 403


@pytest.mark.parametrize("cursor", ["x", "MS4w", "eA==", "LTEuMQ==", "OTk5OTk5OTk5OTk5OTk5OTk5LjE="])
def test_a_cursor_of_another_origin_is_refused(client: TestClient, cursor: str) -> None:
    answer = client.get("/v1/events/rejected", params={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("bad-cursor")


def test_counters_are_by_key_day_and_kind(service: Service, client: TestClient) -> None:
    other = service.key(Scope.INGEST)
    again = event()
    send(client, again, event(name=""), event(unit=1))
    send(client, again, {**again, "name": "other"})
    send(client, event(), event(), **other)
    lines = b'{"kind": "click"}\n' + json.dumps({"kind": "event", **event()}).encode()
    client.post("/v1/events", content=lines, headers={"Content-Type": "application/x-ndjson", **other})
    found = client.get("/v1/events/counters").json()["items"]
    today = datetime.now(UTC).date().isoformat()
    assert {each["day"] for each in found} <= {today, (datetime.now(UTC).date()).isoformat()}
    counts = sorted((each["kind"], each["accepted"], each["duplicate"], each["refused"]) for each in found)
    assert counts == [("event", 1, 1, 3), ("event", 3, 0, 0), ("line", 0, 0, 1)]
    assert len({each["key"] for each in found}) == 2
    first = client.get("/v1/events/counters", params={"limit": 2}).json()
    rest = client.get("/v1/events/counters", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [*first["items"], *rest["items"]] == found
    assert rest["next_cursor"] is None


def test_a_store_that_is_away_is_unavailable(service: Service, client: TestClient) -> None:
    client.app.state.event_store.close()  # type: ignore[attr-defined]
    for path in ("rejected", "counters"):
        answer = client.get(f"/v1/events/{path}")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("tail"), EQUIPOISE_TAIL_SUBSCRIBERS="2") as service:
        yield service


class Reader:
    """One reader of the live tail, over a socket."""

    def __init__(self, service: RunningService, **query: str) -> None:
        self._client = httpx2.Client(
            base_url=service.url,
            headers={"Authorization": f"Bearer {service.key}"},
            timeout=20,
            trust_env=False,
        )
        self._stream = self._client.stream("GET", "/v1/events/tail", params=query)
        self.response = self._stream.__enter__()
        self._lines = self.response.iter_lines()

    def next(self) -> tuple[str, dict[str, Any]]:
        """The next event's name and data."""
        name = ""
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                return name, json.loads(value)
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self._stream.__exit__(None, None, None)
        self._client.close()


def test_the_tail_tells_what_comes_within_seconds(running: RunningService) -> None:
    reader = Reader(running, name="wanted")
    try:
        assert reader.response.status_code == 200
        assert reader.response.headers["content-type"].startswith("text/event-stream")
        wanted = event(name="wanted", value=2, properties={"a": [1]}, units={"account": "acme"})
        begin = datetime.now(UTC)
        items = [event(name="other"), wanted]
        assert running.request("POST", "/v1/events", content=body([], items)).json()["accepted"] == 2
        found = [reader.next(), reader.next()]
        assert (datetime.now(UTC) - begin).total_seconds() < 5
        assert [name for name, _ in found] == ["event", "event"]
        assert {(each["id"], each["unit_type"], each["unit"]) for _, each in found} == {
            (wanted["id"], "account", "acme"),
            (wanted["id"], "user", "user-1"),
        }
        assert found[0][1]["properties"] == {"a": [1]}
        assert found[0][1]["time"] == "2026-03-01T12:00:00Z"
    finally:
        reader.close()


def test_the_tail_says_how_many_it_skips_and_has_few_readers(running: RunningService) -> None:
    readers = [Reader(running, unit="crowd"), Reader(running, name="nothing")]
    try:
        refused = running.request("GET", "/v1/events/tail")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        crowd = [event(unit="crowd") for _ in range(1000)]
        assert running.request("POST", "/v1/events", content=body([], crowd)).json()["accepted"] == 1000
        name, data = readers[0].next()
        assert (name, data) == ("skipped", {"count": 800})
        shown = [readers[0].next()[1]["id"] for _ in range(200)]
        assert len(set(shown)) == 200
        assert set(shown) <= {each["id"] for each in crowd}
    finally:
        for reader in readers:
            reader.close()


def test_the_service_stops_while_somebody_reads_the_tail(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        reader = Reader(service)
        begin = datetime.now(UTC)
        service.process.stop()
        assert (datetime.now(UTC) - begin).total_seconds() < 10
        reader.close()


def test_a_stream_goes_on_where_it_stopped_but_not_from_the_beginning_of_time() -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    recent = (now - timedelta(minutes=5) - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    assert start_after(str(recent)) == now - timedelta(minutes=5)
    assert now - timedelta(minutes=11) < start_after("0") < now - timedelta(minutes=9)
    with pytest.raises(BadRequest):
        start_after("yesterday")
