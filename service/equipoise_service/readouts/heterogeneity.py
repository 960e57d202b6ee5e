"""Whether effects differ between the values of segments: tested first, corrected, and once.

"Significant here and not there" is no finding. So a test asks of each metric and treatment whether there is
anything to find, corrected for how often it is asked; only where there is may a value be called different.
Beside confidence sequences it is valid at any moment, as they are. Otherwise it is Cochran's Q, at the
planned end: asked at every look it would find something sooner or later.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from equipoise_service.analysis.segments import OTHER, segment_value
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.corrections import by_holm
from equipoise_service.readouts.differing import MetricHeterogeneity, PartEffect
from equipoise_service.readouts.numerals import p_value
from equipoise_service.readouts.pairs import Pair
from equipoise_service.readouts.progress import Moment
from equipoise_service.texts.saying import listing, say
from equipoise_stats import (
    Estimate,
    Heterogeneity,
    NoEstimate,
    SegmentEffect,
    Status,
    anytime_heterogeneity,
    heterogeneity,
)

Test = Literal["cochran_q", "always_valid"]
"""What asks whether effects differ."""

Pairs = Mapping[str, Mapping[str, Sequence[Pair]]]
"""For each value's label and each metric, each treatment and the control."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: does a treatment's effect on a metric differ between the values of a segment?"""

    segment: str
    metric: str
    variant: str


def test_of(plan: Plan) -> Test:
    """What asks whether effects differ: a plan by confidence sequences may end whenever somebody likes."""
    return "always_valid" if plan.is_always_valid else "cochran_q"


def heterogeneity_of(
    plan: Plan, moment: Moment, segments: Mapping[str, Pairs], *, declared: Collection[str], test: Test | None
) -> dict[str, list[MetricHeterogeneity]]:
    """Asks of every segment, metric and treatment whether the effects differ.

    Args:
        plan: The plan.
        moment: Where it stands; before the end Cochran's Q concludes nothing.
        segments: The pairs of arms of each segment.
        declared: The segments that were declared, whose questions are corrected without those of others.
        test: What asks; None as in readouts from before there was a choice.

    Returns:
        For each segment the answers, in the order of the plan's metrics and treatments.
    """
    found = {
        Asked(segment, metric.key, variant): _found(
            plan, {label: pairs[metric.key][i].found for label, pairs in values.items()}, test
        )
        for segment, values in segments.items()
        for metric in plan.metrics
        if metric.role is not Role.QUALITY
        for i, variant in enumerate(plan.treatments)
    }
    why_not = _why_not(plan, moment, test)
    corrected = {} if why_not else _corrected(found, declared)
    return {
        segment: [
            _answer(plan, asked, each, corrected.get(asked), why_not)
            for asked, each in found.items()
            if asked.segment == segment
        ]
        for segment in segments
    }


def said(plan: Plan, segment: str, answers: Sequence[MetricHeterogeneity], *, declared: bool) -> str:
    """Whether any effect differs between the values of a segment, in words."""
    differing = [each for each in answers if each.detected]
    exploratory = "" if declared else f" {say('segments.exploratory', segment=segment)}"
    by = f" {say('segments.without_prior')}" if plan.method is Method.BAYESIAN else ""
    if differing:
        return " ".join(_differs(segment, each) for each in differing) + by + exploratory
    tested = any(each.detected is not None for each in answers)
    if tested:
        return say("segments.alike", segment=segment) + by + exploratory
    reasons = list(dict.fromkeys(each.reason for each in answers if each.reason is not None))
    return say("segments.unknown", segment=segment, reason=reasons[0] if reasons else "") + exploratory


def _differs(segment: str, found: MetricHeterogeneity) -> str:
    names = [part_name(part.value, others=part.others) for part in found.parts if part.differs]
    where = say("segments.where", names=listing(names)) if names else ""
    p = p_value(found.corrected_p_value or 0.0)
    relation = p if p.startswith("<") else say("relation.equal", p=p)
    return say(
        "segments.differ",
        variant=found.variant,
        metric=found.metric,
        segment=segment,
        p=relation,
        where=where,
    )


def part_name(value: str | None, *, others: bool) -> str:
    """How a part of a segment is called.

    Args:
        value: Its value, which may be an empty text; None for units without one.
        others: Whether it is that of other values.
    """
    if others:
        return say("segments.others")
    return say("segments.none") if value is None else value or '""'


def _found(plan: Plan, effects: Mapping[str, Estimate | NoEstimate], test: Test | None) -> Heterogeneity:
    if test == "always_valid":
        return anytime_heterogeneity(
            effects, tuning_units=plan.tuning_units, tuning_alpha=plan.alpha, alpha=plan.alpha
        )
    return heterogeneity(effects, alpha=plan.alpha)


def _why_not(plan: Plan, moment: Moment, test: Test | None) -> str | None:
    """Why nothing is tested at this moment; None where it is."""
    if test is None and plan.method is Method.BAYESIAN:
        return say("no_p_value.bayesian")
    return None if moment.complete or test == "always_valid" else say("segments.at_the_end")


def _corrected(found: Mapping[Asked, Heterogeneity], declared: Collection[str]) -> dict[Asked, float]:
    """P-values by Holm: of what was declared within that alone, of the rest within all that is asked."""
    logs = {asked: each.log_p_value for asked, each in found.items()}
    planned = {asked: log_p for asked, log_p in logs.items() if asked.segment in declared}
    return by_holm(logs) | by_holm(planned)


def _answer(
    plan: Plan, asked: Asked, found: Heterogeneity, corrected: float | None, why_not: str | None
) -> MetricHeterogeneity:
    tested = corrected is not None and found.p_value is not None
    detected = corrected <= plan.alpha if corrected is not None else None
    return MetricHeterogeneity(
        metric=asked.metric,
        variant=asked.variant,
        status=found.status,
        reason=why_not if found.status is Status.OK else say("segments.too_few"),
        p_value=found.p_value if tested else None,
        corrected_p_value=corrected,
        detected=detected,
        parts=[_part(plan, each, detected) for each in found.segments],
    )


def _part(plan: Plan, found: SegmentEffect, detected: bool | None) -> PartEffect:
    others = found.segment == OTHER
    differs = None
    if detected is not None and found.adjusted_p_value is not None:
        differs = detected and found.adjusted_p_value <= plan.alpha
    return PartEffect(
        value=None if others else segment_value(found.segment),
        others=others,
        deviation=found.deviation,
        p_value=None if detected is None else found.adjusted_p_value,
        differs=differs,
        best_guess=found.shrunken,
    )
