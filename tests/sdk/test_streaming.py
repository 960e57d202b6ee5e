"""Changes of the configuration arrive at once where the service offers a stream, and by polling elsewhere."""

import logging
import os
import statistics
import threading
import time

import pytest
from tests.sdk.fake_service import FLAG, KEY, FakeService, Reply, document
from tests.sdk.test_client import wait_until

from equipoise import Client, Reason, _backoff, _streaming

STREAM = "/v1/config/stream"
CONFIG = "/v1/config"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "FIRST_SECONDS", 0.05)


@pytest.fixture
def streaming(service: FakeService) -> FakeService:
    service.streams = True
    return service


def test_a_change_arrives_at_once(streaming: FakeService) -> None:
    with Client(streaming.url, KEY, poll_interval=600) as client:
        assert client.wait_ready(10)
        wait_until(lambda: streaming.listening == 1)
        seconds = []
        for version in range(2, 42):
            start = time.monotonic()
            streaming.publish(document(version=version, revision=version))
            while client.assign(FLAG, "user-1").revision != version:
                assert time.monotonic() - start < 10
                time.sleep(0.001)
            seconds.append(time.monotonic() - start)
        assert statistics.quantiles(seconds, n=100)[98] < 1.0
        assert streaming.listening == 1
    wait_until(lambda: streaming.listening == 0)


def test_a_change_while_the_configuration_is_fetched_is_fetched_after(streaming: FakeService) -> None:
    with Client(streaming.url, KEY, poll_interval=600) as client:
        assert client.wait_ready(10)
        wait_until(lambda: streaming.listening == 1 and streaming.count(CONFIG) == 2)
        time.sleep(0.1)
        streaming.script(CONFIG, Reply(304, seconds=0.6))
        streaming.publish(document(version=2, revision=2))
        wait_until(lambda: streaming.count(CONFIG) == 3)
        streaming.publish(document(version=3, revision=3))
        wait_until(lambda: client.assign(FLAG, "user-1").revision == 3)


def test_a_stream_that_breaks_is_opened_again(streaming: FakeService) -> None:
    with Client(streaming.url, KEY, poll_interval=600) as client:
        assert client.wait_ready(10)
        for version in range(2, 5):
            wait_until(lambda: streaming.listening == 1)
            streaming.stop()
            wait_until(lambda: streaming.listening == 0)
            # What changes while nobody listens is fetched when the stream is open again.
            streaming.publish(document(version=version, revision=version))
            streaming.start()
            wait_until(lambda version=version: client.assign(FLAG, "user-1").revision == version)  # type: ignore[misc]


def test_without_a_stream_polling_does(service: FakeService, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Client(service.url, KEY, poll_interval=0.05) as client:
        assert client.wait_ready(10)
        service.publish(document(version=2, status="stopped"))
        wait_until(lambda: client.assign(FLAG, "user-1").reason is Reason.DISABLED)
        time.sleep(0.3)
        assert service.count(STREAM) == 1, "it is not asked for again soon"
    assert caplog.records == []


def test_a_stream_that_always_fails_is_no_busy_loop(
    service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    service.always[STREAM] = Reply(503)
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        time.sleep(1.0)
        assert 2 <= service.count(STREAM) <= 7
    assert caplog.records == []


def test_a_stream_that_ends_at_once_is_no_busy_loop(service: FakeService) -> None:
    service.always[STREAM] = Reply(200, b"event: other\n\n")
    with Client(service.url, KEY, poll_interval=600) as client:
        assert client.wait_ready(10)
        time.sleep(1.0)
        assert 2 <= service.count(STREAM) <= 7
        assert service.count(CONFIG) == 1


def test_retry_after_is_honoured(service: FakeService) -> None:
    service.always[STREAM] = Reply(429, headers={"Retry-After": "30"})
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        time.sleep(0.6)
        assert service.count(STREAM) == 1


def test_a_silent_stream_is_given_up(streaming: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_streaming, "_SILENCE_SECONDS", 0.05)  # the service says something every 0.1 s
    with Client(streaming.url, KEY, poll_interval=600) as client:
        assert client.wait_ready(10)
        wait_until(lambda: streaming.connections >= 4)


@pytest.mark.parametrize("body", [b"\xff" * 200_000, b"data: " + b"x" * 100_000, b"event: config\ndata"])
def test_nonsense_is_no_event(service: FakeService, body: bytes) -> None:
    service.always[STREAM] = Reply(200, body)
    with Client(service.url, KEY, poll_interval=600) as client:
        assert client.wait_ready(10)
        wait_until(lambda: service.count(STREAM) >= 2)
        assert service.count(CONFIG) == 1
        assert client.assign(FLAG, "user-1").reason is Reason.SPLIT


def test_it_can_be_turned_off(streaming: FakeService) -> None:
    with Client(streaming.url, KEY, stream=False) as client:
        assert client.wait_ready(10)
        time.sleep(0.2)
        assert streaming.listening == 0


def test_close_ends_the_thread(streaming: FakeService) -> None:
    client = Client(streaming.url, KEY)
    assert client.wait_ready(10)
    wait_until(lambda: streaming.listening == 1)
    start = time.monotonic()
    client.close()
    assert time.monotonic() - start < 1.0
    wait_until(lambda: not [each for each in threading.enumerate() if each.name == "equipoise-stream"])


def test_a_client_nobody_holds_ends_its_stream(streaming: FakeService) -> None:
    client = Client(streaming.url, KEY)
    assert client.wait_ready(10)
    wait_until(lambda: streaming.listening == 1)
    del client
    wait_until(lambda: streaming.listening == 0)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_stream_alone_and_has_its_own(streaming: FakeService) -> None:
    with Client(streaming.url, KEY, poll_interval=600) as client:
        assert client.wait_ready(10)
        wait_until(lambda: streaming.listening == 1)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                client.assign(FLAG, "user-1")
                os.write(writer, b"1")
                wait_until(lambda: client.assign(FLAG, "user-1").revision == 7)
                client.close(5)
                status = 0
            finally:
                os._exit(status)
        os.read(reader, 1)
        wait_until(lambda: streaming.listening == 2)
        streaming.publish(document(version=2, revision=7))
        assert os.waitpid(child, 0)[1] == 0
        wait_until(lambda: client.assign(FLAG, "user-1").revision == 7)
        wait_until(lambda: streaming.listening == 1)
        os.close(reader)
        os.close(writer)
