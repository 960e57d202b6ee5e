"""What happens when the queue is full, by each policy, and that a flush knows when it is over."""

import threading
import time
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.fake_service import KEY, FakeService, Reply
from tests.sdk.test_client import wait_until
from tests.sdk.test_faults import assert_account_is_whole

from equipoise import Client, _backoff
from equipoise._items import Item
from equipoise._queue import Queue

EVENTS = "/v1/events"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "FIRST_SECONDS", 0.05)


def item(n: int, size: int = 1) -> Item:
    return Item("events", str(n), b"x" * size)


def fill(client: Client, service: FakeService, count: int) -> None:
    """Log events while the service is away; the first batch is under way and the rest queued."""
    client.track("seen", "user-0")
    wait_until(lambda: service.count(EVENTS) >= 1)
    for n in range(1, count):
        client.track("seen", f"user-{n}")


@pytest.mark.parametrize(
    ("when_full", "kept"),
    [("drop_newest", range(21)), ("drop_oldest", [0, *range(30, 50)])],
)
def test_dropping(
    service: FakeService, when_full: Literal["drop_newest", "drop_oldest"], kept: list[int]
) -> None:
    service.always[EVENTS] = Reply(503)
    with Client(
        service.url, KEY, queue_size=20, batch_size=5, flush_interval=0.01, when_full=when_full
    ) as client:
        fill(client, service, 50)
        assert client.counters.dropped == {"queue_full": 29}
        assert client.counters.pending == 21
        service.always.clear()
        assert client.flush(10).pending == 0
        assert_account_is_whole(client)
    assert [event["unit"] for event in service.stored("events")] == [f"user-{n}" for n in kept]


def test_blocking_waits_for_room(service: FakeService) -> None:
    service.always[EVENTS] = Reply(503)
    with Client(
        service.url,
        KEY,
        queue_size=5,
        batch_size=5,
        flush_interval=0.01,
        when_full="block",
        block_seconds=20.0,
    ) as client:
        fill(client, service, 6)
        threading.Timer(0.3, service.always.clear).start()
        start = time.monotonic()
        for n in range(6, 40):
            client.track("seen", f"user-{n}")
        assert 0.2 < time.monotonic() - start < 10
        assert client.flush(10).pending == 0
        assert client.counters.dropped == {}
    assert [event["unit"] for event in service.stored("events")] == [f"user-{n}" for n in range(40)]


def test_blocking_has_a_bound(service: FakeService) -> None:
    service.always[EVENTS] = Reply(503)
    with Client(
        service.url, KEY, queue_size=5, flush_interval=0.01, when_full="block", block_seconds=0.2
    ) as client:
        fill(client, service, 6)
        start = time.monotonic()
        client.track("seen", "one too many")
        assert 0.15 < time.monotonic() - start < 1.0
        assert client.counters.dropped == {"queue_full": 1}
        service.always.clear()
        assert client.flush(10).accepted == 6


def test_whoever_is_blocked_when_the_client_closes_goes_on(service: FakeService) -> None:
    service.always[EVENTS] = Reply(503)
    client = Client(
        service.url, KEY, queue_size=5, flush_interval=0.01, when_full="block", block_seconds=30.0
    )
    fill(client, service, 6)
    blocked = threading.Thread(target=client.track, args=("seen", "blocked"))
    blocked.start()
    time.sleep(0.1)
    client.close(0.5)
    blocked.join(5)
    assert not blocked.is_alive()
    assert client.counters.dropped == {"closed": 7}
    assert_account_is_whole(client)


@given(
    st.lists(st.sampled_from(["offer", "take", "finish", "flush"]), max_size=60),
    st.sampled_from(["drop_newest", "drop_oldest"]),
)
def test_a_mark_is_passed_when_all_before_it_have_met_their_end(
    steps: list[str], when_full: Literal["drop_newest", "drop_oldest"]
) -> None:
    """Against a model that knows each item."""
    queue = Queue(4, 2, 60.0, when_full)
    waiting: list[int] = []
    taken: list[list[int]] = []
    entered = 0
    marks: list[int] = []
    for step in steps:
        if step == "offer":
            queued, evicted = queue.offer(item(entered + 1))
            assert queued == (when_full == "drop_oldest" or len(waiting) < 4)
            assert evicted == (len(waiting) == 4 and when_full == "drop_oldest")
            if queued:
                entered += 1
                waiting = [*waiting[evicted:], entered]
        elif step == "take":
            batch = [int(each.id) for each in queue.take()]
            assert batch == waiting[:2]
            waiting = waiting[2:]
            taken += [batch] if batch else []
        elif step == "finish" and taken:
            queue.finish(len(taken.pop(0)))
        elif step == "flush":
            marks.append(queue.request_flush())
            assert marks[-1] == entered
        outstanding = [n for batch in taken for n in batch] + waiting
        assert queue.count_outstanding() == len(outstanding)
        assert queue.outstanding(range(entered + 5)) == len(outstanding)
        for mark in marks:
            assert queue.wait_finished(mark, 0.0) == all(n > mark for n in outstanding)


def test_bytes_bound_the_queue_too() -> None:
    queue = Queue(10, 10, 60.0, "drop_oldest")
    big = 40 * 1024 * 1024
    assert queue.offer(item(1, big)) == (True, 0)
    assert queue.offer(item(2, big)) == (True, 1)
    newest: Any = Queue(10, 10, 60.0)
    assert newest.offer(item(1, big)) == (True, 0)
    assert newest.offer(item(2, big)) == (False, 0)
