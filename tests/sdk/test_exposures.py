"""The memory of exposures: once, bounded, forgetting with time, one winner among threads."""

import sys
import threading
from typing import Any

import pytest

from equipoise import _exposures
from equipoise._exposures import Arm, Exposures


def one_arm(exposures: Exposures) -> Arm:
    return exposures.arm("user", "e", 1, "control")


def remembered(exposures: Exposures) -> int:
    return sum(len(generation) for arm in exposures._arms.values() for generation in arm.generations)


def test_once() -> None:
    exposures = Exposures()
    arm = one_arm(exposures)
    assert [arm.is_first("user-1") for _ in range(3)] == [True, False, False]
    assert exposures.arm("user", "e", 2, "control").is_first("user-1")
    assert exposures.arm("user", "e", 1, "treatment").is_first("user-1")
    assert exposures.arm("user", "other", 1, "control").is_first("user-1")
    assert exposures.arm("user", "e", 1, "control") is arm


def test_forgotten_ones_are_new() -> None:
    arm = one_arm(Exposures(capacity=4))
    for n in range(3):
        arm.is_first(f"user-{n}")
    for n in range(3):
        arm.forget(f"user-{n}")
    assert all(arm.is_first(f"user-{n}") for n in range(3))


def test_memory_is_bounded_and_keeps_the_recently_used() -> None:
    exposures = Exposures(capacity=100)
    arms = [exposures.arm("user", f"e{n}", 1, "control") for n in range(7)]
    arms[0].is_first("steady")
    for n in range(1, 10_000):
        assert arms[n % 7].is_first(f"user-{n}")
        assert not arms[0].is_first("steady"), "in steady use, and never forgotten"
        assert remembered(exposures) <= 101


def test_shortcuts_are_emptied_with_the_generations() -> None:
    exposures = Exposures(capacity=4)
    arm, met = one_arm(exposures), exposures.met("flag")
    assert exposures.met("flag") is met
    for change in (
        lambda: [arm.is_first(f"user-{n}") for n in range(4)],
        exposures.tidy,
        exposures.prune,
        lambda: arm.forget("user-9"),
    ):
        met["user-1"] = "assignment"
        change()
        assert met == {}


def test_arms_without_units_go_with_their_configuration() -> None:
    exposures = Exposures(capacity=4)
    for revision in range(1, 100):
        exposures.arm("user", "e", revision, "control").is_first("user-1")
        exposures.prune()
    assert len(exposures._arms) <= 5


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands where its only element says."""
    now = [0.0]
    monkeypatch.setattr(_exposures, "monotonic", lambda: now[0])
    return now


def test_time_is_limited_however_often_it_is_used(clock: list[float]) -> None:
    exposures = Exposures(capacity=64, lifetime=10.0)
    arm = one_arm(exposures)
    first = []
    for _ in range(25):
        exposures.tidy()
        if arm.is_first("user-1"):
            first.append(clock[0])
        arm.is_first(f"at-{clock[0]}")
        clock[0] += 1.0
    # Looked at once a second, so up to a second late.
    assert first == [0.0, 11.0, 22.0]


def test_time_is_limited_while_nothing_else_happens(clock: list[float]) -> None:
    exposures = Exposures(lifetime=12.0)
    arm = one_arm(exposures)
    assert arm.is_first("user-1")
    for clock[0], expected in ((1.0, False), (12.9, False), (13.0, True), (24.0, False)):
        exposures.tidy()
        assert arm.is_first("user-1") is expected, clock[0]


def test_tidying_is_due_several_times_a_lifetime(clock: list[float]) -> None:
    exposures = Exposures(lifetime=12.0)
    assert exposures.tidy_at == 1.0
    clock[0] = 1.5
    exposures.tidy()
    assert exposures.tidy_at == 2.5


@pytest.mark.parametrize("capacity", [65_536, 2048])
def test_one_thread_wins(capacity: int) -> None:
    """Also while the generations turn and are tidied all the time."""
    exposures = Exposures(capacity)
    arm = one_arm(exposures)
    start = threading.Barrier(8)
    wins: list[int] = []
    done = threading.Event()

    def work() -> None:
        start.wait()
        for n in range(2000):
            if arm.is_first(f"user-{n}"):
                wins.append(n)
            if capacity == 2048 and n % 8 == 7:
                start.wait()  # together, or what one thread remembers is forgotten before the next comes

    def tidy() -> None:
        while not done.wait(0.0002):  # each takes a number, and many of them turn the generations
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


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_one_wins_however_often_the_generations_turn_meanwhile(turns: int) -> None:
    """Another caller and the turns come between what one caller has read and what it inserts."""
    exposures = Exposures()
    arm = one_arm(exposures)
    wins: list[bool] = []
    began: list[bool] = []

    class Interrupting(dict[str, int]):
        def get(self, *arguments: Any) -> Any:
            found = super().get(*arguments)
            if began:
                return found
            began.append(True)
            for number in range(turns + 1):
                if number == min(1, turns):
                    wins.append(arm.is_first("user-1"))
                if number < turns:
                    exposures.turn()
            return found

    arm.generations = ({}, Interrupting())
    wins.append(arm.is_first("user-1"))
    assert wins == [True, False]
