"""The client with a service that is down, slow, overloaded or talks nonsense."""

import base64
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.sdk.fake_service import FLAG, KEY, FakeService, Reply, document
from tests.sdk.test_client import wait_until

from equipoise import Client, Reason, _backoff

EVENTS = "/v1/events"
CONFIG = "/v1/config"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "FIRST_SECONDS", 0.05)


def assert_account_is_whole(client: Client) -> None:
    """Every item handed in has exactly one end, or waits."""
    counters = client.counters
    assert counters.logged == counters.sent + sum(counters.dropped.values()) + counters.pending


def attempts(service: FakeService) -> list[list[str]]:
    """Return the ids of each batch that arrived."""
    return [[item["id"] for item in request.items] for request in service.requests if request.path == EVENTS]


@contextmanager
def quick() -> Iterator[None]:
    """Assert that the caller was not kept waiting."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 0.5


def test_a_service_that_is_down_at_first() -> None:
    service = FakeService()
    service.start()
    service.stop()
    with Client(service.url, KEY) as client:
        with quick():
            assert client.variant(FLAG, "user-1", default="mine").value == "mine"
            for n in range(100):
                client.track("seen", f"user-{n}")
        assert not client.wait_ready(0.3)
        report = client.flush(0.3)
        assert (report.accepted, report.pending) == (0, 100)
        service.start()
        try:
            assert client.wait_ready(10)
            assert client.variant(FLAG, "user-1").reason is Reason.SPLIT
            assert client.flush(10).pending == 0
            assert client.counters.accepted == len(service.items) == 101
            assert_account_is_whole(client)
        finally:
            service.stop()


def test_a_service_that_goes_down_later(service: FakeService) -> None:
    with Client(service.url, KEY, poll_interval=0.05) as client:
        assert client.wait_ready(10)
        service.stop()
        with quick():
            for n in range(100):
                assert client.variant(FLAG, f"user-{n}").reason is Reason.SPLIT
        assert client.flush(0.3).pending == 100
        service.start()
        assert client.flush(10).accepted == 100
    assert len(service.items) == 100


@pytest.mark.parametrize("status", [500, 502, 503, 429, 404, 301, 408])
def test_a_batch_is_sent_again_with_the_same_ids(service: FakeService, status: int) -> None:
    service.script(EVENTS, Reply(status), Reply(status, b"<html>"), Reply(status))
    with Client(service.url, KEY) as client:
        for n in range(10):
            client.track("seen", f"user-{n}")
        report = client.flush(10)
        assert (report.accepted, report.duplicate, report.pending) == (10, 0, 0)
    first, *again = attempts(service)
    assert len(again) == 3
    assert all(ids == first for ids in again)
    assert len(set(first)) == 10


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"", store=True),
        Reply(200, b"<html>welcome to the airport</html>", store=True),
        Reply(200, b'{"accepted": 10}', store=True),
        Reply(200, b'{"exposures": [], "events": [{"id": "x", "status": "accepted"}]}', store=True),
        Reply(200, b'{"exposures": [], "events": 7}', store=True),
        Reply(200, b"[" * 100_000, store=True),
        Reply(200, b"not gzip", {"Content-Encoding": "gzip"}, store=True),
        Reply(503, store=True),
        Reply(hang_up=True, store=True),
    ],
    ids=lambda reply: f"{reply.status} {reply.body[:20]!r}",
)
def test_a_lost_answer_costs_a_duplicate_and_no_loss(service: FakeService, reply: Reply) -> None:
    service.script(EVENTS, reply)
    with Client(service.url, KEY) as client:
        for n in range(10):
            client.track("seen", f"user-{n}")
        report = client.flush(10)
        assert (report.accepted, report.duplicate, report.pending) == (0, 10, 0)
        assert_account_is_whole(client)
    assert len(service.items) == 10


def test_a_stale_connection_is_opened_again(service: FakeService, caplog: pytest.LogCaptureFixture) -> None:
    with Client(service.url, KEY, stream=False) as client:
        assert client.wait_ready(10)
        service.script(EVENTS, Reply(hang_up=True))
        client.track("seen", "user-1")
        assert client.flush(10).accepted == 1
    assert service.connections == 2
    assert len(attempts(service)) == 2
    assert caplog.records == [], "a connection that was closed while idle is no fault"


def test_retry_after_is_honoured(service: FakeService) -> None:
    service.script(EVENTS, Reply(429, headers={"Retry-After": "1"}))
    with Client(service.url, KEY) as client:
        client.track("seen", "user-1")
        start = time.monotonic()
        client.flush(0.2)
        assert client.flush(0.2).pending == 1, "a flush must not override what the service asked for"
        assert client.flush(10).accepted == 1
        assert time.monotonic() - start >= 1.0
    assert len(attempts(service)) == 2


def test_retry_after_as_a_date_falls_back_to_backing_off(service: FakeService) -> None:
    service.script(EVENTS, Reply(503, headers={"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"}))
    with Client(service.url, KEY) as client:
        client.track("seen", "user-1")
        assert client.flush(10).accepted == 1


def test_an_outage_is_not_a_busy_loop(service: FakeService, caplog: pytest.LogCaptureFixture) -> None:
    service.always[EVENTS] = Reply(500)
    service.always[CONFIG] = Reply(500)
    with caplog.at_level(logging.INFO, "equipoise"):
        client = Client(service.url, KEY, poll_interval=0.05, flush_interval=0.01)
        client.track("seen", "user-1")
        time.sleep(1.5)
        # 0.05 s doubling, jittered to no less than half: at most seven waits fit into 1.5 s.
        assert 2 <= service.count(EVENTS) <= 8
        assert 2 <= service.count(CONFIG) <= 8
        assert len(caplog.records) == 2, "an outage is said once each"
        service.always.clear()
        wait_until(lambda: client.counters.accepted == 1)
        wait_until(lambda: len(caplog.records) == 4)
    client.close()


def test_a_batch_too_large_is_split(service: FakeService) -> None:
    service.max_items = 7
    with Client(service.url, KEY) as client:
        for n in range(100):
            client.track("seen", f"user-{n}")
        report = client.flush(10)
        assert (report.accepted, report.pending, dict(report.dropped)) == (100, 0, {})
    assert [event["unit"] for event in service.stored("events")] == [f"user-{n}" for n in range(100)]


def test_a_413_before_the_body_was_read(caplog: pytest.LogCaptureFixture) -> None:
    """The service answers a large body by its Content-Length and closes: sending fails and it is there."""
    service = FakeService(receive_buffer=4096)
    service.max_body = 100_000
    service.start()
    with Client(service.url, KEY) as client:
        for n in range(20):
            noise = base64.b64encode(os.urandom(30_000)).decode()  # 40 kB that gzip cannot make small
            client.track("seen", f"user-{n}", properties={"text": noise})
        assert client.flush(20).accepted == 20
    assert [event["unit"] for event in service.stored("events")] == [f"user-{n}" for n in range(20)]
    service.stop()
    assert caplog.records == [], "it was split, not retried"


def test_an_item_too_large_alone_is_dropped(service: FakeService) -> None:
    service.max_items = 0
    with Client(service.url, KEY) as client:
        for n in range(5):
            client.track("seen", f"user-{n}")
        report = client.flush(10)
        assert (report.accepted, dict(report.dropped), report.pending) == (0, {"too_large": 5}, 0)


def test_one_unreadable_item_does_not_cost_the_good_ones(service: FakeService) -> None:
    service.poison = lambda item: item["unit"] in ("user-13", "user-77")
    with Client(service.url, KEY) as client:
        for n in range(100):
            client.track("seen", f"user-{n}")
        report = client.flush(10)
        assert (report.accepted, dict(report.dropped), report.pending) == (98, {"rejected": 2}, 0)
        assert_account_is_whole(client)
    assert {"user-13", "user-77"}.isdisjoint(event["unit"] for event in service.stored("events"))


def test_refused_items_are_counted_and_said_once(
    service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    service.refuse = lambda item: "the time lies in the future" if item["unit"] == "user-3" else None
    with Client(service.url, KEY) as client:
        for n in range(10):
            client.track("seen", f"user-{n % 5}")
        report = client.flush(10)
        assert (report.accepted, report.refused, report.pending) == (8, 2, 0)
    messages = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(messages) == 1
    assert "the time lies in the future" in messages[0]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_the_retries(
    service: FakeService, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    service.always[EVENTS] = Reply(status)
    with Client(service.url, KEY, batch_size=5) as client:
        assert client.wait_ready(10)
        for n in range(20):
            client.track("seen", f"user-{n}")
        assert client.flush(10).pending == 0
        assert client.counters.dropped == {"unauthorized": 20}  # some perhaps before the flush
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 1
        assert "scope ingest" in errors[0].getMessage()
        assert KEY not in caplog.text
        service.always.clear()
        client.track("seen", "user-1")
        assert client.flush(10).accepted == 1, "a key that is mended works again"


def test_a_wrong_key_leaves_the_callers_default(service: FakeService) -> None:
    with Client(service.url, "eq_wrong") as client:
        assert not client.wait_ready(0.5)
        assert client.assign(FLAG, "user-1", default=1).reason is Reason.ERROR


def test_a_full_queue_drops_the_newest_and_counts_them(service: FakeService) -> None:
    service.always[EVENTS] = Reply(503)
    with Client(service.url, KEY, queue_size=20, batch_size=5) as client:
        for n in range(100):
            client.track("seen", f"user-{n}")
        counters = client.counters
        kept = counters.pending
        assert 20 <= kept <= 25, "the queue, and the batch that is under way"
        assert counters.dropped == {"queue_full": 100 - kept}
        service.always.clear()
        assert client.flush(10).accepted == kept
    assert [event["unit"] for event in service.stored("events")][:20] == [f"user-{n}" for n in range(20)]


def test_an_exposure_that_found_no_room_is_logged_later(service: FakeService) -> None:
    with Client(service.url, KEY, queue_size=1, flush_interval=60) as client:
        assert client.wait_ready(10)
        client.track("fills", "the-queue")
        client.variant(FLAG, "user-1")
        assert client.counters.dropped == {"queue_full": 1}
        client.flush(10)
        client.variant(FLAG, "user-1")
        client.flush(10)
    assert [exposure["unit"] for exposure in service.stored("exposures")] == ["user-1"]


def test_a_slow_service_never_slows_the_caller(service: FakeService) -> None:
    with Client(service.url, KEY, timeout=0.3, flush_interval=0.01) as client:
        assert client.wait_ready(10)
        service.script(EVENTS, Reply(seconds=2.0), Reply(seconds=2.0))
        with quick():
            for n in range(1000):
                client.variant(FLAG, f"user-{n}")
                client.track("seen", f"user-{n}")
        assert client.flush(0.1).pending > 0
        report = client.flush(20)
        assert report.pending == 0
        assert client.counters.accepted == 2000


def test_an_answer_that_trickles_is_given_up() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stopping.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    gave_up.set()
                    return

    gave_up = threading.Event()
    thread = threading.Thread(target=trickle)
    thread.start()
    client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", KEY, timeout=0.5)
    try:
        assert not client.wait_ready(0.1)
        assert gave_up.wait(5), "each byte came in time, the whole answer did not"
    finally:
        stopping.set()
        thread.join()
        listener.close()
        client.close(0.1)


def test_close_keeps_its_time(service: FakeService) -> None:
    service.always[EVENTS] = Reply(503)
    client = Client(service.url, KEY)
    for n in range(10):
        client.track("seen", f"user-{n}")
    start = time.monotonic()
    report = client.close(0.5)
    assert time.monotonic() - start < 0.7
    assert (dict(report.dropped), report.pending) == ({"closed": 10}, 0)
    assert_account_is_whole(client)


def test_close_gives_a_request_no_more_time_than_it_has(service: FakeService) -> None:
    service.always[EVENTS] = Reply(seconds=3.0)
    client = Client(service.url, KEY, flush_interval=60)
    client.track("seen", "user-1")
    start = time.monotonic()
    report = client.close(0.5)
    assert time.monotonic() - start < 0.7
    assert (dict(report.dropped), report.pending) == ({"closed": 1}, 0)


def test_close_keeps_its_time_while_a_request_hangs(service: FakeService) -> None:
    service.always[EVENTS] = Reply(seconds=3.0)
    client = Client(service.url, KEY, flush_interval=0.01)
    client.track("seen", "user-1")
    wait_until(lambda: service.count(EVENTS) == 1)
    start = time.monotonic()
    client.close(0.3)
    assert time.monotonic() - start < 0.5
    assert_account_is_whole(client)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>"),
        Reply(200, b"{}"),
        Reply(200, b'{"schema": "equipoise.config/3"}'),
        Reply(200, b"\xff\xfe\x00"),
        Reply(200, b""),
        Reply(200, b"[" * 200_000),
        Reply(304),
        Reply(500),
        Reply(401),
        Reply(204),
        Reply(hang_up=True),
        Reply(200, b"garbage", {"Content-Encoding": "gzip"}),
        Reply(200, b"\x1f\x8b\x08\x00", {"Content-Encoding": "gzip"}),
    ],
    ids=lambda reply: f"{reply.status} {reply.body[:20]!r}",
)
def test_a_configuration_that_cannot_be_read_changes_nothing(service: FakeService, reply: Reply) -> None:
    service.script(CONFIG, reply)
    with Client(service.url, KEY, poll_interval=0.05) as client:
        assert client.wait_ready(10), "the second answer is good"
        service.always[CONFIG] = reply
        seen = service.count(CONFIG)
        wait_until(lambda: service.count(CONFIG) >= seen + 2)
        assert client.assign(FLAG, "user-1").reason is Reason.SPLIT
        service.always.clear()
        service.publish(document(version=2, status="stopped"))
        wait_until(lambda: client.assign(FLAG, "user-1").reason is Reason.DISABLED)


def test_a_fault_in_the_thread_does_not_end_it(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(service.url, KEY) as client:
        with monkeypatch.context() as patch:
            patch.setattr("equipoise._delivery.timestamp", lambda _: 1 / 0)
            client.track("seen", "user-1")
            client.flush(0.2)
        assert "ZeroDivisionError" in caplog.text
        assert client.flush(10).accepted == 1
