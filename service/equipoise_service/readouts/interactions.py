"""Whether effects depend on other experiments that ran at the same time on the same units.

Which variant of another experiment a unit met was decided by chance, so Cochran's Q between these variants
asks whether the two experiments interact. It is asked once, at the planned end; beside confidence sequences
a test that holds at any moment is, once a day. Either is corrected over all overlaps, metrics and treatments.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise_service.analysis.overlaps import Overlap
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts import checks
from equipoise_service.readouts.arms import side_of
from equipoise_service.readouts.checks import Interactions, NotAsked, OverlapEffect, OverlapTest
from equipoise_service.readouts.corrections import by_holm
from equipoise_service.readouts.found import CHECK_ALPHA, about
from equipoise_service.readouts.numerals import decimals_for, number, p_value, percent
from equipoise_service.readouts.overlaps import (
    Overlaps,
    asked_metrics,
    decisive_metrics,
    measured_metrics,
    parts_out,
)
from equipoise_service.readouts.pairs import pair_of
from equipoise_service.readouts.sides import Cuts
from equipoise_service.texts.saying import counted, listing, say
from equipoise_stats import (
    CheckStatus,
    Estimate,
    NoEstimate,
    anytime_heterogeneity,
    anytime_independence,
    heterogeneity,
    independence,
)

FEWEST_SHARED = 100
"""Overlaps of fewer units are not looked at."""

FEWEST_IN_ARM = 50
"""In a part with fewer units in an arm the standard error of the effect is too uncertain to be compared."""

FEWEST_IN_ARM_SO_FAR = 100
"""The same where one may look at any moment, the burn-in of `anytime_heterogeneity`."""

# The chi-square distribution holds where so many units are expected in a cell.
_FEWEST_EXPECTED = 5


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: does a treatment's effect on a metric differ between the variants of an experiment?"""

    experiment: str
    metric: str
    variant: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """The effect among the units of each variant, and the logarithm of Q's p-value, where it is tested."""

    effects: Mapping[str, Estimate | NoEstimate]
    log_p: float | None


def interactions(
    plan: Plan,
    overlaps: Overlaps | None,
    *,
    units: int,
    cuts: Mapping[str, Mapping[str, float | None]],
    asked: bool,
    always_valid: bool | None,
) -> Interactions | None:
    """The check; None where nothing ran at the same time.

    Args:
        plan: The plan.
        overlaps: What is known of other experiments.
        units: How many units this one has in its arms.
        cuts: Where the values of winsorized metrics were cut, see `Statistics`.
        asked: Whether it may be asked at this moment: before, nothing is tested.
        always_valid: Whether the tests hold at any moment; None as in readouts from before there were any.
    """
    if overlaps is None:
        return None
    found = overlaps.found or ()
    tested = asked and overlaps.found is not None
    counted_units = units if overlaps.units is None else overlaps.units
    dependence = _dependence_so_far if always_valid else _dependence
    assigned = by_holm({each.experiment: dependence(plan, each) for each in found} if tested else {})
    dependent = [key for key, p in assigned.items() if p <= CHECK_ALPHA]
    answers = {
        question: answer
        for each in found
        for question, answer in _answers(plan, each, cuts, always_valid=bool(always_valid)).items()
    }
    compared = {
        question: answer.log_p
        for question, answer in answers.items()
        if tested and question.experiment not in dependent
    }
    if always_valid:
        # What cannot be tested yet has its share of the level, or it would be taken from what was before.
        compared = {question: log_p or 0.0 for question, log_p in compared.items()}
    corrected = {
        question: p for question, p in by_holm(compared).items() if answers[question].log_p is not None
    }
    fewest = _fewest_in_arm(always_valid=bool(always_valid))
    tests = [
        _test(question, answer, corrected.get(question), _why_not(question, tested, dependent, fewest))
        for question, answer in answers.items()
    ]
    shown = [
        checks.Overlap(
            experiment=each.experiment,
            units=each.units,
            share=_share(each, counted_units),
            assignment_p_value=assigned.get(each.experiment),
            tests=[
                test
                for question, test in zip(answers, tests, strict=True)
                if question.experiment == each.experiment
            ],
            parts=parts_out(plan, each),
        )
        for each in found
    ]
    reasons = [
        say("found.interactions.dependent", experiment=key, p=_relation(assigned[key])) for key in dependent
    ]
    reasons += [
        _differs(plan, question, p, answers[question])
        for question, p in corrected.items()
        if p <= CHECK_ALPHA
    ]
    status = CheckStatus.WARNING if reasons else CheckStatus.OK
    if not tested:
        metrics = asked_metrics(plan)
        waits = any(metric.source is None for metric in metrics) or bool(metrics and not asked)
        reasons = [_waits(always_valid=bool(always_valid)) if waits else say("found.interactions.not_asked")]
        status = CheckStatus.UNAVAILABLE
    number_of = _number(overlaps, counted_units, corrected)
    return Interactions(
        **about("interactions", status, number_of, " ".join(reasons) or None),
        experiments=overlaps.experiments,
        units=None if overlaps.found is None else counted_units,
        always_valid=always_valid,
        p_value=min(corrected.values(), default=None),
        overlaps=None if overlaps.found is None else shown,
        not_asked=_not_asked(plan, found),
    )


def _table(plan: Plan, overlap: Overlap) -> NDArray[np.int64]:
    """The units of each variant of the other experiment, by row, and of each planned arm of this one."""
    rows = [
        [part.arms[variant].units if variant in part.arms else 0 for variant in plan.weights]
        for part in overlap.parts
    ]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(plan.weights))


def _dependence_so_far(plan: Plan, overlap: Overlap) -> float | None:
    """The same at any moment."""
    weights = np.array(list(plan.weights.values()))
    planned = weights > 0
    return anytime_independence(_table(plan, overlap)[:, planned], shares=weights[planned].tolist())


def _dependence(plan: Plan, overlap: Overlap) -> float | None:
    """The logarithm of the p-value of independent assignments; None where there is no test."""
    table = _table(plan, overlap)
    shares = table.sum(axis=0) / max(1, table.sum())
    smallest = shares[shares > 0].min(initial=1.0)
    large = table[table.sum(axis=1) * smallest >= _FEWEST_EXPECTED]
    found = independence(large) if len(large) else None
    return None if found is None else found.log_p_value


def _answers(
    plan: Plan, overlap: Overlap, cuts: Mapping[str, Mapping[str, float | None]], *, always_valid: bool
) -> dict[_Asked, _Answer]:
    found, fewest = {}, _fewest_in_arm(always_valid=always_valid)
    for metric in measured_metrics(plan, overlap):
        cut = Cuts(cuts.get(metric.key, {}))
        for variant in plan.treatments:
            effects: dict[str, Estimate | NoEstimate] = {}
            large: dict[str, Estimate | NoEstimate] = {}
            for part in overlap.parts:
                treatment = side_of(part.arms, variant, plan, metric.key)
                control = side_of(part.arms, plan.control, plan, metric.key)
                effects[part.label] = pair_of(treatment, control, cut, guarded=False).found
                if min(treatment.values.n, control.values.n) >= fewest:
                    large[part.label] = effects[part.label]
            tested = (
                anytime_heterogeneity(large, tuning_units=plan.tuning_units, alpha=CHECK_ALPHA)
                if always_valid
                else heterogeneity(large, alpha=CHECK_ALPHA)
            )
            found[_Asked(overlap.experiment, metric.key, variant)] = _Answer(effects, tested.log_p_value)
    return found


def _fewest_in_arm(*, always_valid: bool) -> int:
    return FEWEST_IN_ARM_SO_FAR if always_valid else FEWEST_IN_ARM


def _waits(*, always_valid: bool) -> str:
    return say("found.interactions.each_day" if always_valid else "found.interactions.at_the_end")


def _why_not(asked: _Asked, tested: bool, dependent: Sequence[str], fewest: int) -> str:
    if not tested:
        return say("found.interactions.at_the_end")
    if asked.experiment in dependent:
        return say("found.interactions.not_compared")
    return say("found.interactions.too_few", units=fewest)


def _test(asked: _Asked, answer: _Answer, corrected: float | None, why_not: str) -> OverlapTest:
    tested = corrected is not None
    return OverlapTest(
        metric=asked.metric,
        variant=asked.variant,
        p_value=math.exp(answer.log_p) if tested and answer.log_p is not None else None,
        corrected_p_value=corrected,
        detected=corrected <= CHECK_ALPHA if corrected is not None else None,
        reason=None if tested else why_not,
        effects=[
            OverlapEffect(variant=label, estimate=each.difference, standard_error=each.standard_error)
            if isinstance(each, Estimate)
            else OverlapEffect(variant=label, estimate=None, standard_error=None)
            for label, each in answer.effects.items()
        ],
    )


def _not_asked(plan: Plan, found: Sequence[Overlap]) -> list[NotAsked] | None:
    """What has no answer; where nothing is shared, or nobody looked yet, nobody asked a source."""
    asked = {metric.key for metric in asked_metrics(plan) if metric.source is None}
    asked |= {metric.key for overlap in found for metric in measured_metrics(plan, overlap)}
    others = [metric.key for metric in decisive_metrics(plan) if metric.key not in asked]
    reason = say("found.interactions.not_asked")
    return [NotAsked(metric=key, reason=reason) for key in others] or None


def _share(overlap: Overlap, units: int) -> float | None:
    # They are counted a moment later than all units, so it may be a few more.
    return min(1.0, overlap.units / units) if units else None


def _number(overlaps: Overlaps, units: int, corrected: Mapping[_Asked, float]) -> str:
    ran = counted("experiments", overlaps.experiments)
    if overlaps.found is None:
        return say("found.interactions.ran", experiments=ran)
    if not overlaps.found:
        return say("found.interactions.none_shared", experiments=ran, units=FEWEST_SHARED)
    shared = [
        say(
            "found.interactions.shared",
            experiment=each.experiment,
            units=counted("units", each.units),
            share=percent(_share(each, units) or 0.0, decimals=1),
        )
        for each in overlaps.found
    ]
    p = f"; {say('rests_on.p', p=p_value(min(corrected.values())))}" if corrected else ""
    return f"{listing(shared)}{p}"


def _differs(plan: Plan, asked: _Asked, p: float, answer: _Answer) -> str:
    metric = next(each for each in plan.metrics if each.key == asked.metric)
    scale, unit = (100.0, f" {say('percentage_points')}") if metric.type.is_share else (1.0, "")
    shown = {
        label: scale * each.difference for label, each in answer.effects.items() if isinstance(each, Estimate)
    }
    decimals = decimals_for(list(shown.values()), digits=3)
    effects = [
        say(
            "found.interactions.effect",
            effect=f"{number(value, decimals=decimals, signed=True)}{unit}",
            variant=label,
        )
        for label, value in shown.items()
    ]
    return say(
        "found.interactions.differ",
        variant=asked.variant,
        metric=asked.metric,
        experiment=asked.experiment,
        p=_relation(p),
        effects=listing(effects),
    )


def _relation(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else say("relation.equal", p=text)
