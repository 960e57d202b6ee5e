"""A client whose wall clock is wrong, or is set while it runs: only the times that it writes follow it."""

import sys
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

import pytest
from tests.sdk.fake_service import FLAG, KEY, FakeService, Reply, document
from tests.sdk.test_client import wait_until

# Also those that the client imports when it needs them: they take the clock's functions with them.
from equipoise import (
    Client,
    _backoff,
    _delivery,
    _lifecycle,
    _losses,
    _spool,
    _streaming,
    _worker,
    identifiers,
)

EVENTS = "/v1/events"
HOUR = 3600.0


class Clock:
    """The wall clock as the SDK sees it, some seconds off the true one."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead
        self._true: Callable[[], int] = time.time_ns

    def time_ns(self) -> int:
        return self._true() + int(self.ahead * 1e9)

    def time(self) -> float:
        return self.time_ns() / 1e9

    def now(self, zone: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(self.time(), zone)

    def seconds_off(self, written: str) -> float:
        """How far ahead of the true clock a written time is."""
        return datetime.fromisoformat(written).timestamp() - self._true() / 1e9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Every look of the SDK at the wall clock, however it is imported, sees this one."""
    clock = Clock()

    class Shown(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return clock.now(tz)

    # What identifiers were made at another time must not hold back those of later tests.
    monkeypatch.setattr(identifiers, "_generator", identifiers._Generator())
    monkeypatch.setattr(_backoff, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(_delivery, "datetime", Shown)
    names: dict[str, Any] = {"time_ns": clock.time_ns, "time": clock.time}
    true = {name: getattr(time, name) for name in names}
    assert {_worker, _lifecycle, _losses, _spool, _streaming} <= set(sys.modules.values())
    for name, module in list(sys.modules.items()):
        if name.startswith("equipoise."):
            for attribute, instead in names.items():
                if vars(module).get(attribute) is true[attribute]:
                    monkeypatch.setattr(module, attribute, instead)
    for attribute, instead in names.items():
        monkeypatch.setattr(time, attribute, instead)
    return clock


@pytest.mark.parametrize("ahead", [-5 * HOUR, 5 * HOUR])
def test_a_clock_hours_off_changes_nothing_but_what_is_written(
    service: FakeService, clock: Clock, ahead: float
) -> None:
    clock.ahead = ahead
    service.script(EVENTS, Reply(503), Reply(429, headers={"Retry-After": "1"}))
    start = time.monotonic()
    with Client(service.url, KEY, poll_interval=0.05, flush_interval=0.05) as client:
        assert client.wait_ready(10)
        client.variant(FLAG, "user-1")
        client.track("seen", "user-1")
        assert client.flush(10).pending == 0
        assert 1.0 <= time.monotonic() - start < 5
        service.publish(document(version=2, status="stopped"))
        wait_until(lambda: client.assign(FLAG, "user-1").reason == "DISABLED")
    batch = [request.document for request in service.requests if request.path == EVENTS][-1]
    for written in (batch["sent_at"], batch["exposures"][0]["time"], batch["events"][0]["time"]):
        assert abs(clock.seconds_off(written) - ahead) < 5


@pytest.mark.parametrize("step", [-2 * HOUR, 2 * HOUR])
def test_a_clock_that_is_set_while_the_client_runs(service: FakeService, clock: Clock, step: float) -> None:
    with Client(service.url, KEY, poll_interval=HOUR, flush_interval=0.2) as client:
        assert client.wait_ready(10)
        for number in range(50):
            client.variant(FLAG, f"user-{number}")
            client.track("seen", f"user-{number}")
        clock.ahead = step
        for number in range(50):  # remembered: no exposure comes twice, and none is forgotten
            client.variant(FLAG, f"user-{number}")
            client.track("seen", f"user-{number}")
        # The queue is sent at its interval, not hours later.
        wait_until(lambda: client.counters.accepted == 150)
        start = time.monotonic()
        service.script(EVENTS, *[Reply(503)] * 200)
        client.track("seen", "late")
        clock.ahead = -step
        assert client.flush(0.5).pending == 1
        assert 0.4 < time.monotonic() - start < 2
        service.script(EVENTS)
        assert client.flush(10).pending == 0
        counters = client.counters
        assert counters.logged == counters.sent == 151
        assert not counters.dropped
    ids = [item["id"] for item in service.stored("events")]
    assert len(ids) == len(set(ids)) == 101
    assert ids == sorted(ids), "one process writes them in order, whatever its clock says"
