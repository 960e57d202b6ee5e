"""Quantiles day by day in a readout: what is shown so far, and what holds it to the whole."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from tests.service.readouts.documents import START, plan, seal
from tests.service.readouts.test_held import MEDIAN

from equipoise_service.analysis.days import MOST_DAYS
from equipoise_service.analysis.statistics import (
    ArmStatistics,
    DayStatistics,
    QuantileValues,
    Statistics,
)
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.calendar import together
from equipoise_service.readouts.held import statistics_in
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.reading import NotAReadout, readout_of
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import ArmQuantile, arm_quantile, confidence_sequence, quantile_difference

PLAN = plan(MEDIAN, method=Method.CONFIDENCE_SEQUENCE)
FIRST = START.date()
IMMATURE = 2
"""Units of each arm and day whose window has not passed."""

Values = Mapping[str, Mapping[int, np.ndarray[Any, np.dtype[np.float64]]]]


def values(days: list[int], units: int = 300, **shift: float) -> Values:
    """The mature units' values of each arm by the number of their day."""
    chance = np.random.default_rng(7)
    return {
        variant: {day: chance.lognormal(3 + shift.get(variant, 0.0), 1, units + day) for day in days}
        for variant in ("control", "treatment")
    }


def so_far(given: Values, variant: str, day: int) -> ArmQuantile:
    there = [of_day for number, of_day in given[variant].items() if number <= day]
    return arm_quantile(np.concatenate(there), q=0.5)


def statistics_of(given: Values) -> Statistics:
    numbers = sorted({day for of_days in given.values() for day in of_days})
    days = [
        DayStatistics(
            FIRST + timedelta(days=number),
            {
                variant: ArmStatistics(
                    len(of_days[number]) + IMMATURE,
                    {"median": QuantileValues(len(of_days[number]), 0.5, None)},
                    {"median": IMMATURE},
                )
                for variant, of_days in given.items()
                if number in of_days
            },
        )
        for number in numbers
    ]
    arms = {
        variant: ArmStatistics(
            arm.units,
            {"median": QuantileValues(arm.values["median"].n, 0.5, so_far(given, variant, numbers[-1]))},
            arm.immature,
        )
        for variant, arm in together(day.arms for day in days).items()
    }
    by_day = {
        variant: {FIRST + timedelta(days=day): so_far(given, variant, day) for day in of_days}
        for variant, of_days in given.items()
    }
    watermark = datetime(2026, 6, 8, tzinfo=UTC)
    return Statistics(arms, 0, watermark, days=days, quantiles_by_day={"median": by_day}, early=0)


def readout(given: Values) -> dict[str, Any]:
    now = datetime(2026, 6, 8, tzinfo=UTC)
    return build_readout(PLAN, statistics_of(given), Provenance("page", 1, now, started_at=START))


def quantile_readout() -> dict[str, Any]:
    """A readout of three days with a median."""
    return readout(values([0, 1, 4]))


def test_each_day_is_the_effect_among_all_units_so_far() -> None:
    given = values([0, 1, 4], treatment=0.3)
    found = readout(given)
    metric = found["by_day"]["metrics"][0]
    shown = metric["effects"][0]["so_far"]
    for day, of_day in zip((0, 1, 4), shown, strict=True):
        treatment, control = (so_far(given, variant, day) for variant in ("treatment", "control"))
        expected = confidence_sequence(
            quantile_difference(treatment=treatment, control=control),
            tuning_units=PLAN.tuning_units,
            tuning_alpha=PLAN.alpha,
            alpha=PLAN.alpha,
        ).difference
        assert expected.interval is not None
        assert of_day["difference"] == expected.estimate == treatment.value - control.value
        ends = (expected.interval.lower, expected.interval.upper)
        assert of_day["interval"] == pytest.approx(ends, rel=1e-12)
    last = found["metrics"][0]["comparisons"][0]
    assert shown[-1]["difference"] == last["difference"]["estimate"]
    assert shown[-1]["interval"] == last["difference"]["interval"]
    held = [(each["n"], each["immature"]) for each in metric["arms"][0]["statistics"]]
    assert held == [(300, 2), (601, 4), (905, 6)]
    assert metric["arms"][0]["statistics"][-1] == last["statistics"]["baseline"]


def test_it_is_read_back_and_verified() -> None:
    given = statistics_of(values([0, 1, 4]))
    found = quantile_readout()
    held = statistics_in(readout_of(found))
    assert held.days == given.days
    assert held.quantiles_by_day == given.quantiles_by_day
    assert verify_readout(found) == []


@pytest.mark.parametrize("day", [0, 1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {"n": 1},
        {"immature": 1},
        {"n": -400, "immature": 400},
        {"value": 0.5},
        {"upper": 1.0},
        {"lower": None},
        {"upper": None},
        {"acting": 5},
    ],
    ids=str,
)
def test_a_day_that_was_edited_is_found(day: int, changes: dict[str, float | None]) -> None:
    """Also where somebody computed the digests anew."""
    forged = copy.deepcopy(quantile_readout())
    statistics = forged["by_day"]["metrics"][0]["arms"][1]["statistics"][day]
    for member, change in changes.items():
        statistics[member] = None if change is None else statistics[member] + change
    seal(forged)
    try:
        assert "by_day" in {each.pointer.split("/")[1] for each in verify_readout(forged)}
    except NotAReadout as problem:
        assert statistics["n"] < 0, problem  # noqa: PT017 # what is impossible is refused before


def test_a_day_whose_ends_are_not_where_its_counts_say_is_found() -> None:
    """Its effect is none either way."""
    forged = readout(values([0, 1], units=3))
    first = forged["by_day"]["metrics"][0]["arms"][1]["statistics"][0]
    assert first["lower"] is None
    first["comoments"][0][0] *= 0.01
    seal(forged)
    assert "by_day" in {each.pointer.split("/")[1] for each in verify_readout(forged)}


def test_the_last_day_is_held_to_the_whole() -> None:
    """The effects are of the days that are held; the readout is of others."""
    given = values([0, 1, 4])
    statistics = statistics_of(given)
    by_day = dict(statistics.quantiles_by_day["median"])
    of_another = arm_quantile(np.concatenate(list(given["treatment"].values())) + 1.0, q=0.5)
    by_day["treatment"] = {**by_day["treatment"], FIRST + timedelta(days=4): of_another}
    forged = replace(statistics, quantiles_by_day={"median": by_day})
    now = datetime(2026, 6, 8, tzinfo=UTC)
    found = build_readout(PLAN, forged, Provenance("page", 1, now, started_at=START))
    pointers = {each.pointer for each in verify_readout(found)}
    assert "/by_day/metrics/0/arms/1/statistics/2/value" in pointers


def test_days_of_one_arm_and_many_days() -> None:
    given = dict(values(list(range(MOST_DAYS + 9)), units=20))
    given["control"] = {day: of_day for day, of_day in given["control"].items() if day != 5}
    found = readout(given)
    days = [date.fromisoformat(each["last"]) for each in found["by_day"]["days"]]
    assert MOST_DAYS / 2 <= len(days) <= MOST_DAYS
    shown = found["by_day"]["metrics"][0]["arms"][0]["statistics"]
    assert [each["value"] for each in shown] == [
        so_far(given, "control", (day - FIRST).days).value for day in days
    ]
    assert verify_readout(found) == []


def test_a_day_whose_quantile_is_no_finite_number_shows_none() -> None:
    """And not that of the day before, which is of fewer units."""
    given = statistics_of(values([0, 1, 4]))
    by_day = dict(given.quantiles_by_day["median"])
    by_day["treatment"] = {**by_day["treatment"], FIRST + timedelta(days=1): None}
    now = datetime(2026, 6, 8, tzinfo=UTC)
    none = replace(given, quantiles_by_day={"median": by_day})
    found = build_readout(PLAN, none, Provenance("page", 1, now, started_at=START))
    metric = found["by_day"]["metrics"][0]
    arms = {arm["variant"]: [each["value"] is None for each in arm["statistics"]] for arm in metric["arms"]}
    assert arms == {"control": [False] * 3, "treatment": [False, True, False]}
    assert [each["difference"] is None for each in metric["effects"][0]["so_far"]] == [False, True, False]
    assert verify_readout(found) == []


@pytest.mark.parametrize("events", [0.0, 0.5])
def test_a_day_with_less_than_an_event_a_unit_is_found(events: float) -> None:
    forged = copy.deepcopy(quantile_readout())
    forged["by_day"]["metrics"][0]["arms"][1]["statistics"][1]["means"][1] = events
    seal(forged)
    assert "by_day" in {each.pointer.split("/")[1] for each in verify_readout(forged)}


def test_without_them_there_is_no_series() -> None:
    """As in readouts from before they were found by day, and of sources that keep no tables."""
    bare = replace(statistics_of(values([0, 1])), quantiles_by_day={})
    now = datetime(2026, 6, 8, tzinfo=UTC)
    found = build_readout(PLAN, bare, Provenance("page", 1, now, started_at=START))
    assert found["by_day"]["metrics"] == []
    assert verify_readout(found) == []


def test_without_values_there_are_days_without_a_quantile() -> None:
    """As of other metrics, whose days have zeros."""
    given = statistics_of(values([0, 1]))
    arms = {
        variant: replace(arm, values={"median": QuantileValues(arm.values["median"].n, 0.5, None)})
        for variant, arm in given.arms.items()
    }
    now = datetime(2026, 6, 8, tzinfo=UTC)
    none = replace(given, arms=arms, quantiles_by_day={"median": {}})
    found = build_readout(PLAN, none, Provenance("page", 1, now, started_at=START))
    statistics = found["by_day"]["metrics"][0]["arms"][0]["statistics"]
    assert [(each["n"], each["value"]) for each in statistics] == [(300, None), (601, None)]
    assert verify_readout(found) == []
