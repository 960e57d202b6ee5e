"""The memory of exposures: once, bounded, forgetting with time, one winner among threads."""

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
        assert len(exposures._recent) + len(exposures._older) <= 101


def test_time_is_limited_however_often_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(_exposures, "monotonic", lambda: now)
    exposures = Exposures(capacity=4, lifetime=10.0)
    first = []
    for _ in range(25):
        if exposures.is_first(key(1)):
            first.append(now)
        exposures.is_first(key(int(now) + 100))
        now += 1.0
    assert first == [0.0, 10.0, 20.0]


def test_time_is_limited_while_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(_exposures, "monotonic", lambda: now)
    exposures = Exposures(lifetime=10.0)
    assert exposures.is_first(key(1))
    now = 9.9
    assert not exposures.is_first(key(1))
    now = 10.0
    assert exposures.is_first(key(1))
    now = 19.9
    assert not exposures.is_first(key(1))


def test_one_thread_wins() -> None:
    exposures = Exposures()
    start = threading.Barrier(8)
    wins: list[int] = []

    def work() -> None:
        start.wait()
        wins.extend(n for n in range(2000) if exposures.is_first(key(n)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == list(range(2000))
