"""What is asked once a day beside confidence sequences: its tests, and what holds it to the readout."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, plan, seal, statistics
from tests.service.readouts.test_novelty import FADING, FALLING, WEEK, Rows, acts, effect_of, seen
from tests.service.readouts.test_verification import edited, is_refused, leaves, with_value

from equipoise_service.analysis.statistics import ArmValues, Statistics
from equipoise_service.metrics.schemas import MetricType, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.ages import FOLLOWED_DAYS
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.daily import asked_today
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, Moments, confidence_sequence, mean_difference, ratio_difference

DAYS = 14
TODAY = START + timedelta(days=DAYS, minutes=5)
NOW = START + timedelta(days=DAYS, hours=6)


def read(found: Statistics, metric: PlannedMetric = WEEK, **more: Any) -> dict[str, Any]:
    """The readout of a plan by confidence sequences that goes on."""
    times = {"started_at": START, "generated_at": NOW, "asked_at": TODAY}
    provenance = replace(PROVENANCE, **(times | more))
    asked = plan(metric, variants=("control", "treatment"), method=Method.CONFIDENCE_SEQUENCE)
    return build_readout(asked, found, provenance)


def fading() -> Statistics:
    random = np.random.default_rng(5)
    return seen(acts(random, FALLING, 9_000), acts(random, FALLING + FADING, 9_000))


def log_p_of(treatment: Rows, control: Rows) -> float:
    """By both measures, from the units' own numbers."""
    times = np.log1p(np.arange(treatment.shape[1]))
    units = 10_000
    slopes = [Moments.from_arrays({"y": np.polyfit(times, rows.T, 1)[0]}) for rows in (treatment, control)]
    shares = [
        Moments.from_arrays({"late": rows @ times, "done": rows.sum(axis=1)}) for rows in (treatment, control)
    ]
    tests = (
        confidence_sequence(estimate, tuning_units=units, alpha=0.01).test.log_p_value
        for estimate in (
            mean_difference(treatment=slopes[0], control=slopes[1], column="y"),
            ratio_difference(treatment=shares[0], control=shares[1], numerator="late", denominator="done"),
        )
    )
    return max(each for each in tests if each is not None)


def test_what_changes_is_told_while_it_goes_on_and_stays_verifiable() -> None:
    readout = read(fading())
    assert verify_readout(readout) == []
    assert readout["progress"]["complete"] is False
    effect = effect_of(readout)
    assert (effect["finding"], effect["detected"]) == ("fading", True)
    assert readout["by_age"]["text"].endswith(" (As of 2026-03-08 12:35 UTC.)")
    assert "fades with the days since exposure" in readout["summary"]


@pytest.mark.parametrize("metric", [WEEK, CONVERTED], ids=["with a window", "without one"])
def test_both_measures_are_confidence_sequences(metric: PlannedMetric) -> None:
    random = np.random.default_rng(13)
    days = 7 if metric is WEEK else max(each for each in FOLLOWED_DAYS if each <= DAYS // 2)
    chances = FALLING[:days]
    control, treatment = acts(random, chances), acts(random, chances + np.array(FADING[:days]))
    effect = effect_of(read(seen(control, treatment), metric))
    sets = 1 if metric is WEEK else len(FOLLOWED_DAYS)
    expected = min(0.0, log_p_of(treatment, control) + math.log(sets))
    assert math.log(effect["p_value"]) == pytest.approx(expected, rel=1e-6)
    first = mean_difference(
        treatment=Moments.scalar(*_scalar(treatment[:, 0])), control=Moments.scalar(*_scalar(control[:, 0]))
    )
    interval = confidence_sequence(first, tuning_units=10_000, alpha=0.05).difference.interval
    assert interval is not None
    assert effect["at"][0]["interval"] == pytest.approx([interval.lower, interval.upper], rel=1e-9)


def _scalar(values: Rows) -> tuple[int, float, float]:
    return len(values), float(values.mean()), float(values.var(ddof=1))


SPENT = WEEK.model_copy(update={"key": "spent", "type": MetricType.MEAN, "window_hours": None})


def looks(random: np.random.Generator) -> Iterator[float]:
    """The p-values of every other day of 60, of a metric without a window and the same lift at all ages."""
    daily = 60
    arms = [acts(random, np.tile([0.4, 0.3, 0.2, 0.2], 7) * lift, 60 * daily) for lift in (1.0, 1.2)]
    for day in range(6, 61, 2):
        days = max(each for each in FOLLOWED_DAYS if each <= day // 2)
        count, each = (days, 1) if days <= 7 else (7, days // 7)
        ages = [rows[: (day - days) * daily, :days].reshape(-1, count, each).sum(axis=2) for rows in arms]
        until = START + timedelta(days=day)
        found = seen(*ages, metric="spent")
        p_value = effect_of(read(found, SPENT, generated_at=until, asked_at=until))["p_value"]
        yield 1.0 if p_value is None else p_value


def test_asked_again_and_again_it_is_wrong_no_more_often_than_its_level() -> None:
    """At the level 0.05, which says more in as few runs than 0.01. By tests of one moment 10 of 40 are."""
    random = np.random.default_rng(21)
    wrong = sum(min(looks(random)) <= 0.05 for _ in range(40))
    assert wrong <= 5


@pytest.mark.parametrize(
    "at",
    [START + timedelta(days=DAYS - 1), NOW + timedelta(seconds=1), START],
    ids=["the day before", "later than it was made", "the start"],
)
def test_it_can_have_been_asked_on_the_same_day_only(at: Any) -> None:
    readout = read(fading())
    readout["asked_at"] = at.isoformat().replace("+00:00", "Z")
    seal(readout)
    assert "/asked_at" in {each.pointer for each in verify_readout(readout)}


def test_other_plans_and_what_is_over_ask_themselves() -> None:
    over = read(fading(), ended_at=NOW, asked_at=None)
    assert verify_readout(over) == []
    forged = read(fading(), ended_at=NOW)
    assert "/asked_at" in {each.pointer for each in verify_readout(forged)}
    fixed = plan(WEEK, variants=("control", "treatment"), method=Method.FIXED_HORIZON)
    forged = build_readout(
        fixed, fading(), replace(PROVENANCE, started_at=START, generated_at=NOW, asked_at=TODAY)
    )
    assert "/asked_at" in {each.pointer for each in verify_readout(forged)}


def test_every_edited_leaf_is_found() -> None:
    readout = read(fading())
    for path, value in leaves(readout):
        if path[0] in ("by_age", "asked_at"):
            other = edited(value)[0]
            assert is_refused(with_value(readout, path, other, forged=True)), path


def test_readouts_from_before_are_recomputed_by_what_was_so_then() -> None:
    """They asked once the experiment was stopped, by tests of one moment."""
    older = read(fading(), ended_at=NOW, asked_at=None, asked_as_before=True)
    assert older["by_age"]["always_valid"] is None
    for part in (older["by_age"], older):
        part.pop("always_valid", None)
    older.pop("asked_at")
    # Tests of one moment are no way to say something else today.
    seal(older)
    assert "/by_age/always_valid" in {each.pointer for each in verify_readout(older)}
    older["wording"] = "sha256:" + "0" * 64
    seal(older)
    assert verify_readout(older) == []
    now = read(fading(), ended_at=NOW, asked_at=None)
    assert effect_of(older)["p_value"] < effect_of(now)["p_value"]


def test_what_has_no_ages_yet_has_its_share_of_the_level() -> None:
    """Else the answers on more and more questions would be wrong more and more often."""
    early = START + timedelta(days=5)
    alone = effect_of(read(fading(), generated_at=early, asked_at=early))
    asked = plan(WEEK, SPENT, variants=("control", "treatment"), method=Method.CONFIDENCE_SEQUENCE)
    found = fading()
    spent: dict[str, ArmValues] = {"spent": Moments.scalar(9_000, 1.0, 1.0)}
    arms = {variant: replace(each, values=dict(each.values) | spent) for variant, each in found.arms.items()}
    provenance = replace(PROVENANCE, started_at=START, generated_at=early, asked_at=early)
    readout = build_readout(asked, replace(found, arms=arms), provenance)
    assert [each["metric"] for each in readout["by_age"]["not_asked"]] == ["spent"]
    effect = effect_of(readout)
    assert effect["p_value"] == alone["p_value"] == alone["corrected_p_value"]
    assert effect["corrected_p_value"] == pytest.approx(2 * effect["p_value"])
    assert verify_readout(readout) == []


def test_what_another_release_asked_of_other_ages_is_asked_anew() -> None:
    asked = plan(WEEK, variants=("control", "treatment"), method=Method.CONFIDENCE_SEQUENCE)
    provenance = replace(PROVENANCE, started_at=START)
    before = read(fading())
    assert asked_today(before, asked, provenance, NOW) is not None
    for age in before["by_age"]["metrics"][0]["ages"]:
        age["first"], age["last"] = 2 * age["first"], 2 * age["first"] + 1
    assert asked_today(before, asked, provenance, NOW) is None


def test_units_that_left_an_arm_since_then_do_not_make_it_wrong() -> None:
    """They met the other variant, or are taken for bots now."""
    found = fading()
    left = Counts(8_990, 4_000)
    fewer = statistics(20, control={"converted": left}, treatment={"converted": left})
    readout = read(replace(fewer, ages=found.ages))
    assert readout["by_age"]["metrics"][0]["arms"][0]["n"] == 9_000
    assert verify_readout(readout) == []


def test_guardrails_alone_are_not_followed() -> None:
    guardrail = WEEK.model_copy(update={"role": Role.GUARDRAIL, "margin": 0.05})
    readout = read(replace(fading(), ages=None), guardrail)
    assert readout["by_age"] is None
    assert verify_readout(readout) == []


def test_the_readout_of_a_file_is_asked_with_it() -> None:
    provenance: Provenance = replace(PROVENANCE, revision=None, started_at=START)
    asked = plan(WEEK, variants=("control", "treatment"), method=Method.CONFIDENCE_SEQUENCE)
    readout = build_readout(asked, fading(), provenance)
    assert effect_of(readout)["detected"] is True
    assert "As of" not in readout["by_age"]["text"]
