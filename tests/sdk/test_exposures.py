"""The memory of exposures: once, bounded, forgetting with time, one winner among threads."""

import sys
import threading

import pytest

from equipoise import _exposures
from equipoise._exposures import ExposureKey, Exposures


def key(n: int) -> ExposureKey:
    return (f"user-{n}", "e", 1, "control")


def test_once() -> None:
    exposures = Exposures()
    assert [exposures.is_first(key(1)) for _ in range(3)] == [True, False, False]
    assert exposures.is_first(("user-1", "e", 2, "control"))
    assert exposures.is_first(("user-1", "e", 1, "treatment"))
    assert exposures.is_first(("user-1", "other", 1, "control"))


def test_forgotten_ones_are_new() -> None:
    exposures = Exposures(capacity=4)
    for n in range(3):
        exposures.is_first(key(n))
    for n in range(3):
        exposures.forget(key(n))
    assert all(exposures.is_first(key(n)) for n in range(3))


def test_memory_is_bounded_and_keeps_the_recently_used() -> None:
    exposures = Exposures(capacity=100)
    exposures.is_first(key(0))
    for n in range(1, 10_000):
        assert exposures.is_first(key(n))
        assert not exposures.is_first(key(0)), "in steady use, and never forgotten"
        assert sum(map(len, exposures._generations)) <= 101


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands where its only element says."""
    now = [0.0]
    # `float(...)`, as a real clock returns a new object each time.
    monkeypatch.setattr(_exposures, "monotonic", lambda: float(str(now[0])))
    return now


def test_time_is_limited_however_often_it_is_used(clock: list[float]) -> None:
    exposures = Exposures(capacity=4, lifetime=10.0)
    first = []
    for _ in range(25):
        exposures.tidy()
        if exposures.is_first(key(1)):
            first.append(clock[0])
        exposures.is_first(key(int(clock[0]) + 100))
        clock[0] += 1.0
    assert first == [0.0, 10.0, 20.0]


def test_time_is_limited_while_nothing_else_happens(clock: list[float]) -> None:
    exposures = Exposures(lifetime=10.0)
    assert exposures.is_first(key(1))
    for clock[0], expected in ((9.9, False), (10.0, True), (19.9, False)):
        exposures.tidy()
        assert exposures.is_first(key(1)) is expected


def test_tidying_is_due_several_times_a_lifetime(clock: list[float]) -> None:
    exposures = Exposures(lifetime=12.0)
    assert exposures.tidy_at == 1.0
    clock[0] = 1.5
    exposures.tidy()
    assert exposures.tidy_at == 2.5


@pytest.mark.parametrize("capacity", [65_536, 64])
def test_one_thread_wins(capacity: int) -> None:
    """Also while the generations turn and are tidied all the time."""
    exposures = Exposures(capacity)
    start = threading.Barrier(8)
    wins: list[int] = []
    done = threading.Event()

    def work() -> None:
        start.wait()
        for n in range(2000):
            if exposures.is_first(key(n)):
                wins.append(n)
            if capacity == 64 and n % 16 == 15:
                start.wait()  # together, or what one thread remembers is forgotten before the next comes

    def tidy() -> None:
        while not done.is_set():
            exposures.tidy()

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    tidier = threading.Thread(target=tidy)
    threads = [threading.Thread(target=work) for _ in range(8)]
    try:
        for thread in (tidier, *threads):
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        done.set()
        tidier.join()
        sys.setswitchinterval(switch)
    assert sorted(wins) == list(range(2000))
