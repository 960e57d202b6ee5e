"""The memory of exposures: once, bounded, forgetting with time, one winner among threads."""

import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.fake_service import FLAG, KEY, FakeService, document

from equipoise import Assignment, Client, Reason, _exposures
from equipoise._exposures import Arm, Exposures
from equipoise.testing import FakeClient


def one_arm(exposures: Exposures) -> Arm:
    return exposures.arm("user", "e", 1, "control")


def remembered(exposures: Exposures) -> int:
    """How many units there are, without the key of each generation that is none."""
    arms = exposures._arms.values()
    return sum(len(generation) - 1 for arm in arms for generation in (arm.recent, arm._older))


def test_once() -> None:
    exposures = Exposures(None)
    arm = one_arm(exposures)
    assert [arm.enter("user-1") for _ in range(3)] == [True, False, False]
    assert exposures.arm("user", "e", 2, "control").enter("user-1")
    assert exposures.arm("user", "e", 1, "treatment").enter("user-1")
    assert exposures.arm("user", "other", 1, "control").enter("user-1")
    assert exposures.arm("user", "e", 1, "control") is arm


def test_forgotten_ones_are_new() -> None:
    arm = one_arm(Exposures(None, capacity=4))
    for n in range(3):
        arm.enter(f"user-{n}")
    for n in range(3):
        arm.forget(f"user-{n}")
    assert all(arm.enter(f"user-{n}") for n in range(3))


def test_memory_is_bounded_and_keeps_the_recently_used() -> None:
    exposures = Exposures(None, capacity=100)
    arms = [exposures.arm("user", f"e{n}", 1, "control") for n in range(7)]
    arms[0].enter("steady")
    for n in range(1, 10_000):
        assert arms[n % 7].enter(f"user-{n}")
        assert not arms[0].enter("steady"), "in steady use, and never forgotten"
        assert remembered(exposures) <= 101


def test_arms_without_units_go_with_their_configuration() -> None:
    exposures = Exposures(None, capacity=4)
    for revision in range(1, 100):
        exposures.arm("user", "e", revision, "control").enter("user-1")
        exposures.prune()
    assert len(exposures._arms) <= 5


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands where its only element says."""
    now = [0.0]
    monkeypatch.setattr(_exposures, "monotonic", lambda: now[0])
    return now


def test_time_is_limited_however_often_it_is_used(clock: list[float]) -> None:
    exposures = Exposures(None, capacity=64, lifetime=10.0)
    arm = one_arm(exposures)
    first = []
    for _ in range(25):
        exposures.tidy()
        if arm.enter("user-1"):
            first.append(clock[0])
        arm.enter(f"at-{clock[0]}")
        clock[0] += 1.0
    # Looked at once a second, so up to a second late.
    assert first == [0.0, 11.0, 22.0]


def test_time_is_limited_while_nothing_else_happens(clock: list[float]) -> None:
    exposures = Exposures(None, lifetime=12.0)
    arm = one_arm(exposures)
    assert arm.enter("user-1")
    for clock[0], expected in ((1.0, False), (12.9, False), (13.0, True), (24.0, False)):
        exposures.tidy()
        assert arm.enter("user-1") is expected, clock[0]


def test_tidying_is_due_several_times_a_lifetime(clock: list[float]) -> None:
    exposures = Exposures(None, lifetime=12.0)
    assert exposures.tidy_at == 1.0
    clock[0] = 1.5
    exposures.tidy()
    assert exposures.tidy_at == 2.5


@pytest.mark.parametrize("capacity", [65_536, 2048])
def test_one_thread_wins(capacity: int) -> None:
    """Also while the generations turn and are tidied all the time."""
    exposures = Exposures(None, capacity)
    arm = one_arm(exposures)
    start = threading.Barrier(8)
    wins: list[int] = []
    done = threading.Event()

    def work() -> None:
        start.wait()
        for n in range(2000):
            if arm.enter(f"user-{n}"):
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


def test_what_is_counted_later_is_counted_once() -> None:
    """Units of many threads that are noted again before they are counted, and after they were."""
    configuration = document()
    configuration["flags"][FLAG]["rules"][0]["audience"] = {
        "attribute": "country",
        "operator": "in",
        "value": ["DE", "AT"],
    }
    attributes = {"country": "DE"}
    units = [f"user-{number}" for number in range(1_000)]
    client = Client.from_config(configuration)
    start = threading.Barrier(8)

    def work() -> None:
        for unit in units:
            if unit.endswith("00"):
                start.wait()
            client.variant(FLAG, unit, None, attributes)
            client.expose(client.assign(FLAG, unit, None, attributes), unit)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=work) for _ in range(8)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert client.counters.dropped == {"offline": len(units)}
    assert client.counters.logged == len(units)


@contextmanager
def interrupted(module: ModuleType, interrupt: Callable[[], object]) -> Iterator[None]:
    """Call something before each line of a module that runs, as a signal handler may be."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            interrupt()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_a_unit_that_comes_in_the_middle_of_another_hides_none() -> None:
    exposures = Exposures(lambda *_: None, capacity=64)
    arm = one_arm(exposures)
    numbers = itertools.count()
    refused = []

    def enter() -> None:
        unit = f"handler-{next(numbers)}"
        if not arm.enter(unit):
            refused.append(unit)

    with interrupted(_exposures, enter):
        refused += [f"user-{n}" for n in range(200) if not arm.enter(f"user-{n}")]
    assert next(numbers) > 1_000
    assert refused == []


def test_a_unit_that_comes_while_others_are_counted_is_counted() -> None:
    exposures = Exposures(None)
    arm = one_arm(exposures)
    numbers = itertools.count()

    def meet() -> None:
        arm.meet(f"handler-{next(numbers)}")
        exposures.settle(arm)
        arm.meet(f"handler-{next(numbers)}")

    with interrupted(_exposures, meet):
        for n in range(200):
            arm.meet(f"user-{n}")
            exposures.settle(arm)
    assert exposures.count() == 200 + next(numbers)


@pytest.mark.parametrize("more", [{}, {"when_full": "block"}, {"spool": True}], ids=str)
def test_a_signal_handler_exposes_while_its_thread_does(
    service: FakeService, tmp_path: Path, more: dict[str, Any]
) -> None:
    """No exposure is lost or sent twice, and nothing waits for itself."""
    settings = {**more, "spool": tmp_path} if "spool" in more else more
    handled = itertools.count()
    with Client(service.url, KEY, batch_size=200, **settings) as client:
        assert client.wait_ready(10)

        def handler(*_: object) -> None:
            client.variant(FLAG, f"handler-{next(handled)}")
            client.track("alarm", "user-1")

        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            for n in range(3_000):
                client.variant(FLAG, f"user-{n}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        report = client.flush(20)
        alarms = next(handled)
        assert alarms > 10
        assert (report.pending, report.dropped) == (0, {})
        assert client.counters.accepted == client.counters.logged == 3_000 + 2 * alarms
    units = [each["unit"] for each in service.stored("exposures")]
    assert sorted(units) == sorted(
        [f"user-{n}" for n in range(3_000)] + [f"handler-{n}" for n in range(alarms)]
    )


@pytest.mark.parametrize("made", [Client.from_config, FakeClient])
def test_a_unit_that_cannot_be_compared_harms_no_other(made: Callable[[Any], Client]) -> None:
    class Odd(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("odd")

    client = made(document())
    for unit, logged in ((Odd("user-1"), 1), ("user-1", 1), (Odd("user-1"), 1), ("user-2", 2)):
        assert client.variant(FLAG, unit) == client.assign(FLAG, unit)
        assert client.counters.logged == logged


@pytest.mark.parametrize(
    "made",
    [
        Assignment(FLAG, [], "control", "old", Reason.SPLIT, 1),  # type: ignore[arg-type]
        Assignment(FLAG, FLAG, 7, "old", Reason.SPLIT, 1),  # type: ignore[arg-type]
        Assignment(FLAG, FLAG, None, "old", Reason.SPLIT, 1),
        Assignment(FLAG, FLAG, ["control"], "old", Reason.SPLIT, 1),  # type: ignore[arg-type]
        Assignment(FLAG, FLAG, "control", "old", Reason.SPLIT, "1"),  # type: ignore[arg-type]
        Assignment(FLAG, FLAG, "control", "old", Reason.SPLIT, True),
    ],
    ids=str,
)
def test_what_no_experiment_assigned_harms_nothing_else(service: FakeService, made: Assignment[Any]) -> None:
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        client.expose(made, "user-1")
        client.track("seen", "user-1")
        client.variant(FLAG, "user-2")
        assert client.flush(10).accepted == 2
        assert client.counters.dropped == {"invalid": 1}


@pytest.mark.parametrize("split", [5_000, 10_000, 1])
def test_little_waits_where_a_draw_between_two_arms_is_read(split: int) -> None:
    """Where a flag has no more than that, reading it is written out and does not pass by `Arm.meet`."""
    configuration = document(ranges=[["control", 0, split], ["treatment", split, 10_000]])
    condition = {"attribute": "country", "operator": "equals", "value": "DE"}
    configuration["flags"][FLAG]["rules"][0]["audience"] = condition
    client = Client.from_config(configuration)
    for n in range(1_000):
        client.variant(FLAG, f"user-{n}", None, {"country": "DE"})
        waiting = [len(arm.pending) for arm in client._worker.exposures._arms.values()]
        assert max(waiting) <= _exposures.MOST_PENDING
    assert client.counters.logged == 1_000


def test_little_waits_to_be_counted() -> None:
    exposures = Exposures(None, capacity=64)
    arm = one_arm(exposures)
    for number in range(10_000):
        arm.meet(f"user-{number}")
        assert len(arm.pending) <= _exposures.MOST_PENDING
        assert remembered(exposures) <= 64 + _exposures.MOST_PENDING
    assert exposures.count() == 10_000


@pytest.mark.parametrize("queue_size", [100_000, 3])
def test_an_exposure_has_the_time_of_its_call(service: FakeService, queue_size: int) -> None:
    """Whenever it is queued: what a unit does after it must not look as if it came before."""
    with Client(service.url, KEY, flush_interval=0.4, queue_size=queue_size) as client:
        assert client.wait_ready(10)
        calls = {}
        for number in range(3):
            begin = datetime.now(UTC)
            unit = f"user-{number}"
            for _ in range(5):
                client.variant(FLAG, unit)
            calls[unit] = (begin, datetime.now(UTC))
            time.sleep(0.05)
        assert client.flush(10).pending == 0
        assert client.counters.logged == 3
    stored = {each["unit"]: datetime.fromisoformat(each["time"]) for each in service.stored("exposures")}
    assert set(stored) == set(calls)
    for unit, (begin, end) in calls.items():
        assert begin <= stored[unit] <= end


@given(
    attributes=st.one_of(
        st.none(),
        st.integers(),
        st.dictionaries(
            st.sampled_from(["country", "other"]),
            st.one_of(
                st.sampled_from(["DE", "AT", "US", ["DE"], ["US", 3], ("AT",), {"DE": 1}, [["DE"]], True]),
                st.none(),
                st.integers(),
            ),
        ),
    ),
    operator=st.sampled_from([("in", ["DE", "AT"]), ("equals", "DE"), ("in", ["DE", 3]), ("not_in", ["DE"])]),
    unit=st.one_of(st.text(max_size=3), st.none()),
)
def test_variant_serves_what_assign_does(attributes: Any, operator: tuple[str, Any], unit: Any) -> None:
    """And logs the exposure where, and only where, an experiment placed the unit."""
    configuration = document()
    condition = {"attribute": "country", "operator": operator[0], "value": operator[1]}
    configuration["flags"][FLAG]["rules"][0]["audience"] = condition
    client = Client.from_config(configuration)
    expected = client.assign(FLAG, unit, "-", attributes)
    assert client.counters.logged == 0
    for _ in range(2):
        assert client.variant(FLAG, unit, "-", attributes) == expected
    assert client.counters.logged == (expected.experiment is not None)
