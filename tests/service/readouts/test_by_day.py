"""The readout day by day: sample ratio of every day, effects so far, and what holds them to the totals."""

import copy
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.readouts.by_day import FIRST, PLAN, arm, day, readout, three_days
from tests.service.readouts.documents import START, WATERMARK, seal

from equipoise_service.analysis.days import MOST_DAYS
from equipoise_service.analysis.statistics import DayStatistics, Statistics
from equipoise_service.canonical import digest
from equipoise_service.readouts import calendar
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.calendar import together
from equipoise_service.readouts.losses import Arrivals
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.verification import verify_readout


def test_the_last_day_is_the_readout() -> None:
    found = three_days()
    assert [each["first"] for each in found["by_day"]["days"]] == ["2026-02-22", "2026-02-23", "2026-02-26"]
    for metric, result in zip(found["by_day"]["metrics"], found["metrics"], strict=True):
        last = metric["effects"][0]["so_far"][-1]
        comparison = result["comparisons"][0]
        assert last["difference"] == pytest.approx(comparison["difference"]["estimate"], rel=1e-9)
        assert last["lift_interval"] == pytest.approx(comparison["lift"]["interval"], rel=1e-9)
    first = found["by_day"]["metrics"][0]["effects"][0]["so_far"][0]
    assert first["difference"] == pytest.approx(57 / 520 - 50 / 500)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=9)
)
def test_days_hold_every_unit_once(given: list[tuple[int, int, int]]) -> None:
    numbers = {number: arms for number, *arms in given}
    found = readout([day(number, *numbers[number]) for number in sorted(numbers)])
    days = found["by_day"]["days"]
    assert len(days) <= MOST_DAYS
    for each in found["arms"]:
        assert sum(day["units"].get(each["variant"], 0) for day in days) == each["units"]
    assert all(one["last"] < other["first"] for one, other in pairwise(days))
    assert verify_readout(found) == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_day_whose_shares_are_broken_is_named(number: int) -> None:
    days = [day(i, 1000, 1010) for i in range(12)]
    broken = list(range(5, 5 + number))
    for i in broken:
        days[i] = day(i, 1400, 1000)
    # The other days make up for it, so that all units together are as planned.
    days[11] = day(11, 1000, 1000 + 400 * number)
    found = readout(days)["health"]
    check = found["daily_sample_ratio"]
    assert found["sequential_sample_ratio"]["status"] == "ok"
    assert check["status"] == "failed"
    names = [f"2026-02-{22 + i}" if i < 7 else f"2026-03-{i - 6:02}" for i in (*broken, 11)]
    assert check["days"] == names
    assert all(name in check["reason"] for name in names)


def test_the_parts_of_the_level_of_all_days_add_up_to_it() -> None:
    """The same units on a later day count for less, so that many days are no more than one test."""
    days = readout([day(i, 1000, 1300) for i in range(20)])["by_day"]["days"]
    parts = [days[0]["p_value"] / each["p_value"] / 2 for each in days if each["p_value"] < 1]
    assert parts == pytest.approx([1 / k / (k + 1) for k in range(1, len(parts) + 1)])
    assert len(parts) == 20
    assert sum(parts) < 1


def test_a_readout_with_a_broken_day_never_ships() -> None:
    found = readout([day(0, 1000, 1010), day(3, 1400, 1000), day(5, 1000, 1390)])
    assert found["recommendation"]["outcome"] == "investigate"
    assert "2026-02-25" in found["summary"]


def test_planned_shares_are_exact_on_every_day() -> None:
    """A ramp brings ten times as many units a day, in the same shares: no alarm, however many days."""
    days = [day(i, n, n + i % 3) for i, n in enumerate([100] * 10 + [1000] * 30)]
    check = readout(days)["health"]["daily_sample_ratio"]
    assert (check["status"], check["days"]) == ("ok", [])


def test_many_days_are_taken_together_and_verified() -> None:
    found = readout([day(i, 100 + i % 7, 101) for i in range(MOST_DAYS + 5)])
    days = found["by_day"]["days"]
    assert MOST_DAYS / 2 <= len(days) <= MOST_DAYS
    spans = {date.fromisoformat(each["last"]) - date.fromisoformat(each["first"]) for each in days}
    assert timedelta(days=1) in spans
    assert verify_readout(found) == []


@pytest.mark.parametrize("every", [1, 7])
def test_days_that_an_earlier_release_took_together_are_for_it(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """It took together what is shown by itself now; also where only one day of each two had units."""
    days = [day(i, 100 + i % 7, 101 + 90 * (i == 77)) for i in range(0, 90, every)]
    assert len(readout(days)["by_day"]["days"]) == len(days)
    with monkeypatch.context() as then:
        then.setattr(calendar, "MOST_DAYS", 60)
        found = readout(days)
        assert len(found["by_day"]["days"]) < 60
    assert {each.pointer.split("/")[1] for each in verify_readout(found)} >= {"by_day"}
    found["wording"] = digest({})
    with pytest.raises(NotAReadout, match="an earlier release, which had other rules for /"):
        verify_readout(found)


@pytest.mark.parametrize(
    "path",
    [
        ("days", 0, "units", "control"),
        ("metrics", 0, "arms", 1, "statistics", 1, "successes"),
        ("metrics", 1, "arms", 0, "statistics", 2, "mean"),
        ("metrics", 1, "arms", 0, "statistics", 0, "m2"),
        ("metrics", 2, "arms", 0, "statistics", 0, "immature"),
    ],
)
def test_days_that_were_edited_are_found(path: tuple[str | int, ...]) -> None:
    """Also where somebody computed everything anew that follows from the days."""
    found = three_days()
    forged = copy.deepcopy(found)
    node: Any = forged["by_day"]
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] += 1
    seal(forged)
    places = {each.pointer.split("/")[1] for each in verify_readout(forged)}
    assert "by_day" in places


def test_days_that_do_not_add_up_are_found() -> None:
    """The first day has another mean: the days agree with each other, and not with all units."""
    days = [day(0, 500, 520), day(1, 900, 880), day(4, 30, 33)]
    moved = {
        variant: arm(each.units, each.values["converted"].successes, 290.0)  # type: ignore[union-attr]
        for variant, each in days[0].arms.items()
    }
    statistics = Statistics(
        together(each.arms for each in days),
        3,
        WATERMARK,
        days=[DayStatistics(FIRST, moved), *days[1:]],
        early=0,
    )
    provenance = Provenance("page", 1, datetime(2026, 6, 8, tzinfo=UTC), started_at=START)
    pointers = [each.pointer for each in verify_readout(build_readout(PLAN, statistics, provenance))]
    assert "/by_day/metrics/1/arms/0/statistics/2/mean" in pointers


@pytest.mark.parametrize(("early", "status"), [(0, "ok"), (2, "ok"), (3, "warning")])
def test_units_from_before_the_start(early: int, status: str) -> None:
    check = readout([day(0, 1200, 1200)], early=early)["health"]["early_exposures"]
    assert (check["units"], check["status"]) == (early, status)


@pytest.mark.parametrize(("late", "status"), [(0, "ok"), (50, "ok"), (51, "warning")])
def test_exposures_that_arrived_late(late: int, status: str) -> None:
    provenance = Provenance(
        "page", 1, datetime(2026, 6, 8, tzinfo=UTC), started_at=START, arrivals=Arrivals(5000, late)
    )
    found = Statistics({"control": arm(5, 1, 2.0)}, 0, None)
    check = build_readout(PLAN, found, provenance)["health"]["late_exposures"]
    assert (check["late"], check["status"]) == (late, status)


def test_a_readout_from_before_there_were_days_is_verified() -> None:
    found = build_readout(
        PLAN, Statistics(day(0, 500, 500).arms, 0, WATERMARK), Provenance("page", 1, START, started_at=START)
    )
    del found["by_day"]
    for name in ("daily_sample_ratio", "early_exposures", "late_exposures"):
        del found["health"][name]
    seal(found)
    assert verify_readout(found) == []
