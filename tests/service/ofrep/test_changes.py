"""Streams of changes, over the socket of a service of its own."""

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.service.conftest import experiment
from tests.service.running import RunningService, running_service

from equipoise_service.accounts.principals import Scope

FLAGS = "/ofrep/v1/evaluate/flags"


@dataclass(frozen=True)
class Event:
    id: str
    name: str
    data: dict[str, Any]
    at: float


class Reader:
    """Reads a stream in a thread: events into a queue, None at its end."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.events: queue.Queue[Event | None] = queue.Queue()
        self.opened = threading.Event()
        self.status = 0
        self._client = httpx2.Client(trust_env=False, timeout=30)
        self._thread = threading.Thread(target=self._read, args=(url, headers), daemon=True)
        self._thread.start()
        assert self.opened.wait(10)

    def _read(self, url: str, headers: dict[str, str]) -> None:
        try:
            with self._client.stream("GET", url, headers=headers) as answer:
                self.status = answer.status_code
                self.content_type = answer.headers["Content-Type"]
                fields: dict[str, str] = {}
                for line in answer.iter_lines():
                    self.opened.set()
                    if not line and "data" in fields:
                        data = json.loads(fields["data"])
                        self.events.put(Event(fields["id"], fields["event"], data, time.perf_counter()))
                    if not line:
                        fields = {}
                        continue
                    name, _, value = line.partition(": ")
                    fields[name] = value
        except httpx2.TransportError:
            pass  # closed by the test
        finally:
            self.opened.set()
            self.events.put(None)

    def next(self, seconds: float = 10.0) -> Event:
        event = self.events.get(timeout=seconds)
        assert event is not None, "the stream ended"
        return event

    def ended(self, seconds: float = 10.0) -> bool:
        return self.events.get(timeout=seconds) is None

    def silent(self, seconds: float = 0.3) -> bool:
        try:
            self.events.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def close(self) -> None:
        self._client.close()
        self._thread.join(10)


@contextmanager
def reading(url: str, **headers: str) -> Iterator[Reader]:
    reader = Reader(url, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with an experiment that runs; five streams at most."""
    with running_service(tmp_path_factory.mktemp("service"), EQUIPOISE_STREAM_SUBSCRIBERS="10") as running:
        running.start_experiment(experiment())
        yield running


def evaluated(service: RunningService, **headers: str) -> Any:
    body = {"context": {"targetingKey": "u1"}}
    return service.request("POST", FLAGS, json=body, headers=headers)


def stream_url(service: RunningService, **headers: str) -> str:
    (stream,) = evaluated(service, **headers).json()["eventStreams"]
    return service.url + str(stream["endpoint"]["requestUri"])


def authorized(service: RunningService) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.key}"}


def change(service: RunningService, traffic: int, key: str = "new-landing-page") -> None:
    path = f"/v1/experiments/{key}"
    etag = service.request("GET", path).headers["ETag"]
    answer = service.request("PATCH", path, json={"traffic": traffic}, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text


def test_a_ticket_opens_the_stream_and_a_change_arrives_within_100_ms(service: RunningService) -> None:
    latencies = []
    with reading(stream_url(service)) as reader:
        assert (reader.status, reader.content_type) == (200, "text/event-stream; charset=utf-8")
        assert reader.silent()
        for traffic in (9000, 8000, 7000, 6000, 5000):
            change(service, traffic)
            answered = time.perf_counter()
            event = reader.next()
            latencies.append(event.at - answered)
            present = service.request("GET", "/v1/config").headers["ETag"]
            assert (event.name, event.id) == ("message", present.strip('"'))
            assert event.data == {"type": "refetchEvaluation", "etag": present}
    assert sorted(latencies)[2] < 0.1


def test_the_sdks_stream_says_the_version_at_once(service: RunningService) -> None:
    url = f"{service.url}/v1/config/stream"
    with reading(url, **authorized(service)) as reader:
        config = service.request("GET", "/v1/config")
        first = reader.next()
        assert first.name == "config"
        assert first.data == {"version": config.json()["version"], "etag": config.headers["ETag"]}
        change(service, 9100)
        assert reader.next().data["version"] == first.data["version"] + 1


def test_a_reader_that_comes_back_hears_only_what_it_missed(service: RunningService) -> None:
    url = f"{service.url}/v1/config/stream"
    with reading(url, **authorized(service)) as reader:
        seen = reader.next().id
    with reading(url, Last_Event_ID=seen, **authorized(service)) as reader:
        assert reader.silent()
    change(service, 9200)
    with reading(url, Last_Event_ID=seen, **authorized(service)) as reader:
        assert reader.next().id != seen


def test_a_change_between_evaluation_and_stream_is_not_missed(service: RunningService) -> None:
    url = stream_url(service)
    change(service, 9300)
    with reading(url) as reader:
        missed = reader.next()
        assert missed.data["etag"] == service.request("GET", "/v1/config").headers["ETag"]
    # EventSource asks the same URL again: what it heard last goes before what the URL says.
    with reading(url, Last_Event_ID=missed.id) as reader:
        assert reader.silent()


def test_what_changes_nothing_is_not_told(service: RunningService) -> None:
    with reading(stream_url(service)) as reader:
        service.make_key(Scope.READ)
        path = "/v1/experiments/new-landing-page"
        etag = service.request("GET", path).headers["ETag"]
        service.request("PATCH", path, json={"hypothesis": "Other"}, headers={"If-Match": etag})
        assert reader.silent()


def test_an_environment_hears_nothing_of_another(service: RunningService) -> None:
    staging = {"Authorization": f"Bearer {service.make_key(Scope.EVALUATE, environment='staging')}"}
    with reading(stream_url(service, **staging)) as other, reading(stream_url(service)) as own:
        assert service.request("POST", "/v1/experiments/new-landing-page/pause").status_code == 200
        own.next()
        assert other.silent()
    assert service.request("POST", "/v1/experiments/new-landing-page/resume").status_code == 200


@pytest.mark.parametrize("ticket", ["", "x", "a.b.c", "0000000000000000.1.00", "ünï.1.2"])
def test_a_wrong_ticket_opens_nothing(service: RunningService, ticket: str) -> None:
    answer = service.request("GET", "/ofrep/v1/changes", params={"ticket": ticket})
    assert answer.status_code == 401
    assert answer.json()["errorCode"] == "GENERAL"


def test_a_ticket_opens_nothing_else(service: RunningService) -> None:
    ticket = httpx2.URL(stream_url(service)).params["ticket"]
    headers = {"Authorization": f"Bearer {ticket}"}
    for method, path in (("GET", "/v1/config"), ("GET", "/v1/config/stream"), ("POST", FLAGS)):
        assert service.request(method, path, headers=headers).status_code == 401


def test_a_key_without_the_scope_gets_no_stream(service: RunningService) -> None:
    headers = {"Authorization": f"Bearer {service.make_key(Scope.INGEST)}"}
    assert service.request("GET", "/v1/config/stream", headers=headers).status_code == 403
    bare = {"Authorization": ""}
    assert service.request("GET", "/v1/config/stream", headers=bare).status_code == 401


def test_streams_are_bounded_and_those_that_ended_make_room(service: RunningService) -> None:
    url = stream_url(service)
    with reading(url), reading(url), reading(url), reading(url):
        with reading(url), reading(url) as sixth:
            assert sixth.status == 429
            refused = service.request("GET", url.removeprefix(service.url))
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) > 0
            assert refused.json()["errorCode"] == "GENERAL"
            sdk = service.request("GET", "/v1/config/stream")
            assert (sdk.status_code, sdk.json()["type"]) == (429, "urn:equipoise:problem:too-many-requests")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with reading(url) as reader:
                if reader.status == 200:
                    break
            time.sleep(0.05)
        assert reader.status == 200


def test_a_stream_ends_with_its_key(service: RunningService) -> None:
    key = service.make_key(Scope.EVALUATE)
    headers = {"Authorization": f"Bearer {key}"}
    url = stream_url(service, **headers)
    with reading(url) as reader:
        assert service.request("POST", f"/v1/keys/{key.split('_')[1]}/revoke").status_code == 200
        assert service.request("GET", url.removeprefix(service.url)).status_code == 401
        # Noticed at the next change, or at the next heartbeat.
        change(service, 9400)
        assert reader.ended()


def test_the_service_stops_in_order_while_streams_are_open(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        service.start_experiment(experiment())
        with reading(stream_url(service)) as one, reading(stream_url(service)) as other:
            begin = time.monotonic()
            service.process.stop()
            assert time.monotonic() - begin < 30, "it waits for readers who never end"
            assert one.ended()
            assert other.ended()
        log = service.process.log_tail(200)
        assert "Traceback" not in log
        assert "ERROR" not in log
        assert "timeout" not in log.lower()


def test_the_access_log_shows_no_ticket(tmp_path: Path) -> None:
    with running_service(tmp_path, EQUIPOISE_ACCESS_LOG="true") as service:
        url = stream_url(service)
        ticket = httpx2.URL(url).params["ticket"]
        with reading(url):
            pass
        service.process.stop()
        log = service.process.log_tail(200)
        assert '"GET /ofrep/v1/changes HTTP/1.1" 200' in log
        assert ticket not in log
        assert ticket.rpartition(".")[2] not in log
