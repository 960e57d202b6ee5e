"""Looks of a horizon in days: alpha is spent by the calendar, and the units are what they are."""

from datetime import timedelta
from typing import Any

import pytest
from tests.service.readouts.documents import CONVERTED, START, daily_readout, plan

from equipoise_service.plans.looks import Look, NotDue, next_look, next_look_at, passed
from equipoise_service.plans.schemas import Design, Horizon, Looks, Method
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Spending, plan_looks

EVENLY = plan(CONVERTED, method=Method.GROUP_SEQUENTIAL, horizon=Horizon(days=12), looks=Looks(count=4))


def look(units: int, day: float, earlier: tuple[Look, ...] = (), *, ended: float | None = None) -> Look:
    return next_look(
        EVENLY,
        {"converted": units},
        earlier,
        statistics_digest=f"sha256:{units:064d}",
        taken_at=START + timedelta(days=day),
        started_at=START,
        ended_at=None if ended is None else START + timedelta(days=ended),
    )


def ends(readout: dict[str, Any]) -> tuple[float, float]:
    found = readout["metrics"][0]["comparisons"][0]["difference"]
    return found["estimate"], found["interval"][1]


def test_it_is_the_method_of_every_horizon() -> None:
    assert Design(horizon=Horizon(days=14)).inference is Method.GROUP_SEQUENTIAL
    assert Design(horizon=Horizon(units=14)).inference is Method.GROUP_SEQUENTIAL
    assert Design().inference is Method.CONFIDENCE_SEQUENCE


def test_alpha_is_spent_by_time_and_the_bounds_follow_from_the_units() -> None:
    found = daily_readout()
    times, units = [3 / 14, 0.5, 1.0], [1_600, 6_400, 14_400]
    assert [each["fractions"]["converted"] for each in found["looks"]] == pytest.approx(times)
    assert [each["units"]["converted"] for each in found["looks"]] == units
    spent = [2 * Spending("obrien_fleming").spent(each, alpha=0.025) for each in times]
    assert [each["spent"] for each in found["looks"]] == pytest.approx(spent)
    assert found["progress"]["fraction"] == found["progress"]["look"] / 3 == 1
    assert found["progress"]["complete"]
    # 10 % and 12 % of 7,200 units each, at the bound of units of which four in nine came in the second half.
    critical = plan_looks([1 / 9, 4 / 9, 1], spending_times=times).current.critical
    error = ((0.1 * 0.9 + 0.12 * 0.88) / 7_200) ** 0.5
    estimate, upper = ends(found)
    assert upper - estimate == pytest.approx(critical * error, rel=1e-9)
    assert verify_readout(found) == []


def test_steps_are_of_the_days_and_a_step_that_was_passed_over_is_not_made_up_for() -> None:
    with pytest.raises(NotDue, match=r"0\.25 of the horizon; it is now at 0\.2417"):
        look(500, 2.9)
    first = look(500, 7)
    assert next_look_at(EVENLY, (), START) == START + timedelta(days=3)
    assert next_look_at(EVENLY, (first,), START) == START + timedelta(days=9)
    with pytest.raises(NotDue, match=r"No unit .* mature"):
        look(500, 9.5, (first,))
    second = look(501, 9.5, (first,))
    assert (second.units, second.final) == ({"converted": 501}, False)
    last = look(502, 12, (first, second))
    assert (last.fractions, last.final) == ({"converted": 1.0}, False)
    assert last.spent == pytest.approx(0.05)


def planned_until(fraction: float) -> float:
    """What O'Brien-Fleming's spending function has of 0.05 until then, both sides together."""
    return 2 * Spending("obrien_fleming").spent(fraction, alpha=0.025)


def test_what_stops_early_spends_at_its_final_look_what_was_planned_until_then() -> None:
    final = look(500, 20, ended=6)
    assert (final.fractions, final.final, final.stopped) == ({"converted": 0.5}, True, True)
    assert final.spent == pytest.approx(planned_until(0.5))
    with pytest.raises(NotDue, match="the last look was the final one"):
        look(501, 21, (final,), ended=6)
    found = daily_readout(days=(3.0, 9.0), ended_at=START + timedelta(days=8))
    assert [each["final"] for each in found["looks"]] == [False, True]
    assert found["looks"][1]["fractions"]["converted"] == pytest.approx(8 / 14)
    assert found["looks"][1]["spent"] == pytest.approx(planned_until(8 / 14))
    assert "stopped at 57.1 % of its horizon" in found["summary"]
    assert verify_readout(found) == []


def test_the_end_spends_the_rest_on_the_same_units_where_no_more_came() -> None:
    first = look(500, 7)
    last = look(500, 12, (first,))
    assert (last.units, last.final, last.spent) == ({"converted": 500}, False, 0.05)
    looked = passed((first, last), "converted")
    assert looked is not None
    # What the first look could have crossed lies beyond this bound: together they are one test.
    assert looked.history(EVENLY).current.critical == pytest.approx(1.959964, abs=1e-6)
    stopped = look(500, 8, (first,), ended=8)
    assert stopped.final
    assert stopped.spent == pytest.approx(planned_until(8 / 12))
    with pytest.raises(NotDue, match="All of alpha is spent"):
        look(501, 13, (first, last))
    by_units = plan(CONVERTED, method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=1_000, days=12))
    asked = {"statistics_digest": "sha256:" + "0" * 64, "started_at": START, "ended_at": None}
    one = next_look(by_units, {"converted": 500}, (), taken_at=START + timedelta(days=3), **asked)  # type: ignore[arg-type]
    two = next_look(by_units, {"converted": 500}, (one,), taken_at=START + timedelta(days=12), **asked)  # type: ignore[arg-type]
    assert (two.fractions, two.final, two.spent) == ({"converted": 0.5}, True, 0.05)


def test_a_look_that_claims_another_day_or_other_units_is_found() -> None:
    for name, value in (("fractions", 0.9), ("units", 14_401)):
        found = daily_readout()
        found["looks"][-1][name]["converted"] = value
        assert f"/looks/2/{name}/converted" in [each.pointer for each in verify_readout(found)]
