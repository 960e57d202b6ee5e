"""Exposures that stop while people go on are found, and nothing else is taken for that."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.aggregates.test_refresh import opened, send
from tests.service.readouts.documents import gap_readout

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.events.schemas import EventIn, ExposureIn
from equipoise_service.readouts.checks import ExposureDay
from equipoise_service.readouts.losses import Arrivals, arrivals_of
from equipoise_service.readouts.missing import few_on, missing_exposures, with_events
from equipoise_service.readouts.pauses import Stretch
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import CheckStatus

BEGIN = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)


def day(number: int) -> str:
    return (BEGIN + timedelta(days=number)).date().isoformat()


def days(exposures: Sequence[float], events: Sequence[float] | None = None) -> list[ExposureDay]:
    return [
        ExposureDay(
            day=day(i + 1), exposures=round(each), events=None if events is None else round(events[i])
        )
        for i, each in enumerate(exposures)
    ]


def week(i: int) -> float:
    """A season of ±40 %."""
    return (1.4, 1.3, 1.2, 1.1, 1.0, 0.6, 0.6)[i % 7]


def test_two_days_without_exposures_are_named() -> None:
    shown = [1_000 * week(i) * (i not in (9, 10)) for i in range(20)]
    events = [9_000 * week(i) for i in range(20)]
    assert few_on(days(shown, events), repeated=False) == [day(10), day(11)]


QUIET: dict[str, Callable[[int], tuple[float, float]]] = {
    "a season": lambda i: (1_000 * week(i), 9_000 * week(i)),
    # Of one that nearly nobody comes on at weekends, also the first one.
    "empty weekends": lambda i: (1_000 * (0.05 if i % 7 > 4 else 1), 9_000 * (0.05 if i % 7 > 4 else 1)),
    "a ramp": lambda i: (50.0 if i < 7 else 5_000, 9_000),
    "a bang, and three days of rest": lambda i: (300 if i % 4 else 5_000, 9_000),
    "an outage of everything": lambda i: (1_000 * (i != 9), 9_000 * (i != 9) + 5 * (i == 9)),
    "everybody has come": lambda i: (5_000 * 0.5**i, 9_000),
    "hardly any": lambda i: (20 * (i != 9), 9_000),
    "a mailing, and nobody new": lambda i: (5_000 * (i < 4), 9_000),
}


@pytest.mark.parametrize("kind", QUIET)
def test_nothing_is_missing(kind: str) -> None:
    shown, events = zip(*(QUIET[kind](i) for i in range(21)), strict=True)
    assert few_on(days(shown, events), repeated=False) == []


def test_an_end_of_exposures_is_missing_where_units_are_exposed_again_and_again() -> None:
    shown = days([1_000 * (i < 8) for i in range(11)], [9_000] * 11)
    assert few_on(shown, repeated=True) == [day(9), day(10), day(11)]
    assert few_on(shown, repeated=False) == []
    found = missing_exposures(Arrivals(8_000, 0, shown), 4_000)
    assert found is not None
    assert found.missing == [day(9), day(10), day(11)]
    found = missing_exposures(Arrivals(8_000, 0, shown), 8_000)
    assert found is not None
    assert found.status is CheckStatus.OK


@given(st.lists(st.floats(0.15, 5.0), min_size=5, max_size=40), st.floats(1_000, 1e6))
def test_what_falls_to_a_seventh_from_day_to_day_is_no_alarm(factors: list[float], usual: float) -> None:
    shown = [usual]
    for factor in factors:
        shown.append(max(1.0, shown[-1] * factor))
    assert few_on(days(shown), repeated=True) == []


@given(st.lists(st.tuples(st.floats(0.4, 2.0), st.booleans()), min_size=5, max_size=40), st.booleans())
def test_a_pause_is_no_alarm_whenever_it_is(course: list[tuple[float, bool]], repeated: bool) -> None:
    shown = days([1_000 * factor * (not paused) for factor, paused in course], [9_000] * len(course))
    paused = [day(i + 1) for i, (_, paused) in enumerate(course) if paused]
    assert few_on(shown, paused, repeated=repeated) == []


def test_a_pause_hides_no_other_day() -> None:
    shown = days([1_000 * (i not in (5, 6, 9)) for i in range(12)])
    assert few_on(shown, [day(6), day(7)], repeated=False) == [day(10)]
    assert few_on(shown, [day(6)], repeated=False) == [day(7), day(10)]
    # Few exposures of a paused day are not what the days after it are held against.
    shown = days([1_000, 1_000, 1_000, 200, 200, 200, 50, 1_000])
    assert few_on(shown, [day(4), day(5), day(6)], repeated=False) == [day(7)]


def item(kind: Any, unit: str, time: datetime, **more: Any) -> Any:
    return kind(id=str(uuid4()), time=time, unit=unit, unit_type="user", **more)


@pytest.mark.parametrize("ended", [False, True])
def test_from_the_store_a_stop_of_two_days_warns_with_the_days(tmp_path: Path, ended: bool) -> None:
    """The day of the start and the one of the readout, or of the end, are not whole."""
    now = datetime.now(UTC)
    begin = now.replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=12)
    shown: list[ExposureIn] = []
    happened: list[tuple[EventIn, str | None]] = []
    for i in range(13 if not ended else 10):
        for k in range(80 if i else 3):
            time = min(begin + timedelta(days=i, minutes=k), now)
            happened.append((item(EventIn, f"u{i}-{k}", time, name="view", value=None), None))
            if i not in (5, 6):
                shown.append(
                    item(
                        ExposureIn,
                        f"u{i}-{k}",
                        time,
                        experiment="exp",
                        variant=("control", "treatment")[k % 2],
                        revision=1,
                    )
                )
    request = StoreRequest("default/a", "exp", 1, "user", (), now, since=begin)
    if ended:
        request = replace(request, until=begin + timedelta(days=9, minutes=5))
    with opened(tmp_path) as store:
        send(store, shown, happened)
        arrivals = with_events(store, request, arrivals_of(store, request))
        found = missing_exposures(arrivals, arrivals.exposures or 0)
        assert found is not None
        gap = [(begin + timedelta(days=i)).date().isoformat() for i in (5, 6)]
        assert (found.status, found.missing) == (CheckStatus.WARNING, gap)
        assert gap[0] in (found.reason or "")
        assert [each.exposures for each in found.days] == [
            80 * (i not in (5, 6)) for i in range(1, 9 if ended else 12)
        ]
        assert {each.events for each in found.days} == {80}
        assert found.paused == []
        midnight = (begin + timedelta(days=6)).replace(hour=0)
        for pause, few in (
            (Stretch(midnight - timedelta(days=1), midnight + timedelta(days=1)), []),
            (Stretch(midnight - timedelta(minutes=1), midnight), gap[1:]),
            (Stretch(midnight - timedelta(minutes=1), midnight + timedelta(seconds=1)), []),
            (Stretch(midnight, midnight + timedelta(days=1)), gap[:1]),
        ):
            arrivals = with_events(store, request, arrivals_of(store, request), [pause])
            found = missing_exposures(arrivals, arrivals.exposures or 0)
            assert found is not None
            assert found.missing == few
            assert set(gap) - set(found.paused or ()) == set(few)


def test_the_check_is_part_of_a_readout_that_verifies() -> None:
    document = gap_readout()
    check = document["health"]["missing_exposures"]
    assert (check["status"], check["missing"], check["number"]) == ("warning", [day(6)], "1 day")
    assert verify_readout(document) == []
    check["missing"] = []
    assert {each.pointer for each in verify_readout(document)} >= {"/health/missing_exposures/missing"}
