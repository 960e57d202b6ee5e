"""A fixed-horizon plan of a live experiment is asked once, at its planned end; that stands in newer data."""

import math
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from scipy import stats
from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, plan, seal, statistics

from equipoise_service.analysis.statistics import ArmValues, Statistics
from equipoise_service.canonical import digest
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import Look, NotDue, next_look, next_look_at
from equipoise_service.plans.schemas import Horizon, Method, Multiplicity
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.recorded import Locked
from equipoise_service.readouts.standing import concluded_by
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, dunnett, proportion_difference

BY_UNITS, BY_DAYS = Horizon(units=4_000), Horizon(days=10)


def fixed(horizon: Horizon = BY_UNITS, arms: int = 2, **more: Any) -> Plan:
    """A fixed-horizon plan of one proportion."""
    variants = ("control", "one", "two")[:arms]
    return plan(CONVERTED, variants=variants, method=Method.FIXED_HORIZON, horizon=horizon, **more)


def data(units: int, *successes: int) -> Statistics:
    """So many units in each arm, and of them those that converted."""
    arms: dict[str, dict[str, ArmValues]] = {
        arm: {"converted": Counts(units, hits)}
        for arm, hits in zip(("control", "one", "two"), successes, strict=False)
    }
    return statistics(0, **arms)


def live(planned: Plan, day: float, ended: float | None = None, **more: Any) -> Provenance:
    """Where the facts of a live experiment come from, so many days after its start."""
    return replace(
        PROVENANCE,
        started_at=START,
        generated_at=START + timedelta(days=day),
        ended_at=None if ended is None else START + timedelta(days=ended),
        locked=Locked(at="2026-02-22T12:30:00Z", digest=digest(planned.document)),
        **more,
    )


def look(
    planned: Plan, found: Statistics, day: float, ended: float | None = None, earlier: tuple[Look, ...] = ()
) -> Look:
    """The look that is due."""
    return next_look(
        planned,
        mature_units(planned, found),
        earlier,
        statistics_digest=statistics_digest(planned, found),
        taken_at=START + timedelta(days=day),
        started_at=START,
        ended_at=None if ended is None else START + timedelta(days=ended),
    )


def verified(planned: Plan, found: Statistics, provenance: Provenance, *looks: Look) -> dict[str, Any]:
    """A readout that verifies."""
    readout = build_readout(planned, found, provenance, looks)
    assert verify_readout(readout) == []
    return readout


def p_value(readout: dict[str, Any]) -> Any:
    return readout["metrics"][0]["comparisons"][0]["difference"]["p_value"]


@pytest.mark.parametrize(("horizon", "day"), [(BY_UNITS, 3.0), (BY_DAYS, 10.5)], ids=["units", "days"])
def test_the_end_is_asked_once_and_what_it_found_stands(horizon: Horizon, day: float) -> None:
    planned = fixed(horizon)
    # Before the end nothing is tested, and no look is due.
    early = verified(planned, data(1_500, 150, 200), live(planned, 2))
    assert (p_value(early), early["recommendation"]["outcome"]) == (None, "keep_running")
    with pytest.raises(NotDue, match="one look, at its end"):
        look(planned, data(1_500, 150, 200), 2)
    # At the end it waits for the one analysis.
    found = data(2_000, 200, 270)
    waiting = verified(planned, found, live(planned, day))
    assert p_value(waiting) is None
    assert waiting["recommendation"]["text"] == "Keep running: the planned analysis is due."
    assert waiting["progress"]["reason"].startswith("The planned end is reached.")
    assert not waiting["progress"]["complete"]
    # That analysis has all of alpha, and is the plain test.
    taken = look(planned, found, day)
    assert (taken.number, taken.spent, taken.alpha["converted"].left) == (1, 0.05, 0.0)
    asked = verified(planned, found, live(planned, day), taken)
    z = 0.035 / math.hypot(*(math.sqrt(share * (1 - share) / 2_000) for share in (0.135, 0.1)))
    assert p_value(asked) == pytest.approx(2 * stats.norm.sf(z), rel=0.05)
    assert (asked["recommendation"]["outcome"], asked["progress"]["complete"]) == ("ship", True)
    # What newer data would say of it is not asked, and nothing is left to ask it with.
    newer = data(2_400, 270, 280)
    with pytest.raises(NotDue, match="All of alpha is spent"):
        look(planned, newer, day + 1, earlier=(taken,))
    after = verified(planned, newer, live(planned, day + 1, concluded=concluded_by(asked)), taken)
    assert p_value(after) is None
    assert after["progress"]["reason"].startswith("The data are newer than the plan's one analysis")
    assert after["recommendation"]["outcome"] == "ship"
    at = asked["generated_at"][:16].replace("T", " ")
    text = f"Ship one. This is the result of the planned analysis of {at} UTC, which stands: these data are"
    assert after["summary"].startswith(f"{text} newer.")
    assert "look" not in after["summary"].lower()
    assert after["stands_on"] == asked


def test_newer_data_that_show_harm_say_so() -> None:
    planned, found = fixed(), data(2_000, 200, 270)
    taken = look(planned, found, 3)
    asked = verified(planned, found, live(planned, 3), taken)
    worse = live(planned, 9, concluded=concluded_by(asked))
    assert (
        verified(planned, data(9_000, 2_000, 1_200), worse, taken)["recommendation"]["outcome"]
        == "do_not_ship"
    )


def test_who_stops_early_spends_what_the_function_has_for_it() -> None:
    planned, found = fixed(), data(1_000, 100, 132)
    plain = build_readout(planned, found, replace(PROVENANCE, started_at=START))
    taken = look(planned, found, 2, ended=1.5)
    assert (taken.stopped, taken.final) == (True, True)
    # O'Brien and Fleming's, half of alpha on each side, at half of the horizon.
    spent = 4 * stats.norm.sf(stats.norm.isf(0.05 / 4) / math.sqrt(0.5))
    assert taken.spent == pytest.approx(spent, rel=1e-9)
    asked = verified(planned, found, live(planned, 2, ended=1.5), taken)
    # On its own it would be shown.
    assert plain["recommendation"]["outcome"] == "keep_running"
    z = (0.132 - 0.1) / math.sqrt(0.132 * 0.868 / 1_000 + 0.1 * 0.9 / 1_000)
    assert 1.96 < z < stats.norm.isf(spent / 2)
    assert asked["recommendation"]["outcome"] == "do_not_ship"
    assert "stopped at 50.0 % of its horizon, so its analysis spent only" in asked["recommendation"]["text"]
    lower, upper = asked["metrics"][0]["comparisons"][0]["difference"]["interval"]
    assert lower < 0 < upper


def test_dunnett_of_one_that_was_stopped_tests_at_what_is_spent() -> None:
    planned = fixed(Horizon(units=6_000), arms=3, multiplicity=Multiplicity.DUNNETT)
    found = data(1_000, 100, 155, 128)
    taken = look(planned, found, 2, ended=1.5)
    asked = verified(planned, found, live(planned, 2, ended=1.5), taken)
    arms = {
        arm: proportion_difference(treatment=Counts(1_000, hits), control=Counts(1_000, 100))
        for arm, hits in (("one", 155), ("two", 128))
    }
    fitting = dunnett(arms, alpha=taken.spent)
    for each in asked["metrics"][0]["comparisons"]:
        answer = fitting[each["variant"]]
        assert each["detected"] == answer.test.rejected
        interval = answer.difference.interval
        assert interval is not None
        assert each["corrected"]["interval"] == pytest.approx([interval.lower, interval.upper], rel=1e-9)
        # The p-value is at most alpha where, and only where, it is rejected.
        assert (each["corrected"]["p_value"] <= 0.05) == answer.test.rejected
    assert [each["detected"] for each in asked["metrics"][0]["comparisons"]] == [True, False]


def test_a_file_is_asked_once_it_is_read_and_so_is_a_plan_that_nobody_locked() -> None:
    planned, found = fixed(), data(2_000, 200, 270)
    for provenance in (
        replace(PROVENANCE, revision=None, generated_at=START + timedelta(days=3)),
        replace(live(planned, 3), locked=None),
    ):
        assert p_value(verified(planned, found, provenance)) is not None


def test_one_with_the_newer_test_put_in_does_not_verify() -> None:
    planned, found = fixed(), data(2_000, 200, 270)
    taken = look(planned, found, 3)
    asked = verified(planned, found, live(planned, 3), taken)
    after = verified(planned, data(2_400, 270, 280), live(planned, 4, concluded=concluded_by(asked)), taken)
    edited = deepcopy(after)
    edited["metrics"][0]["comparisons"][0]["difference"]["p_value"] = 0.6
    edited["stands_on"] = None
    seal(edited)
    pointers = {each.pointer for each in verify_readout(edited)}
    assert {"/metrics/0/comparisons/0/difference/p_value", "/recommendation/outcome"} <= pointers


def test_one_of_an_earlier_release_that_asked_it_anew_is_for_that_release() -> None:
    planned, found = fixed(), data(2_000, 200, 270)
    locked = live(planned, 3).locked
    assert locked is not None
    asked_anew = build_readout(planned, found, replace(live(planned, 3), locked=None))
    asked_anew["locked"] = locked.model_dump(mode="json")
    seal(asked_anew)
    assert "/progress/valid" in {each.pointer for each in verify_readout(asked_anew)}
    asked_anew["wording"] = "0" * 64
    seal(asked_anew)
    with pytest.raises(NotAReadout, match="of an earlier release, which had other rules for /progress/valid"):
        verify_readout(asked_anew)


def test_its_look_is_due_when_its_days_are_over() -> None:
    planned = fixed(BY_DAYS)
    assert next_look_at(planned, (), START) == START + timedelta(days=10)
    assert next_look_at(fixed(BY_UNITS), (), START) is None
    taken = look(planned, data(2_000, 200, 270), 10.5)
    assert next_look_at(planned, (taken,), START) is None
    assert datetime.fromisoformat(taken.taken_at) == START + timedelta(days=10.5)
