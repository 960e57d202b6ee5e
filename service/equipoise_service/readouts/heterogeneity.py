"""Whether effects differ between the values of segments: tested first, corrected, and once.

"Significant here and not there" is no finding. So Cochran's Q asks of each metric and treatment whether there
is anything to find, corrected for how often it is asked; only where there is may a value be called different.
It is asked at the planned end: asked at every look it would find something sooner or later.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise_service.analysis.segments import OTHER, segment_value
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.differing import MetricHeterogeneity, PartEffect
from equipoise_service.readouts.numerals import p_value
from equipoise_service.readouts.pairs import Pair
from equipoise_service.readouts.progress import Moment
from equipoise_service.texts.saying import listing, say
from equipoise_stats import Heterogeneity, SegmentEffect, Status, heterogeneity, holm

Pairs = Mapping[str, Mapping[str, Sequence[Pair]]]
"""For each value's label and each metric, each treatment and the control."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: does a treatment's effect on a metric differ between the values of a segment?"""

    segment: str
    metric: str
    variant: str


def heterogeneity_of(
    plan: Plan, moment: Moment, segments: Mapping[str, Pairs]
) -> dict[str, list[MetricHeterogeneity]]:
    """Asks of every segment, metric and treatment whether the effects differ.

    Args:
        plan: The plan.
        moment: Where it stands; before the end nothing is concluded.
        segments: The pairs of arms of each segment.

    Returns:
        For each segment the answers, in the order of the plan's metrics and treatments.
    """
    found = {
        Asked(segment, metric.key, variant): heterogeneity(
            {label: pairs[metric.key][i].found for label, pairs in values.items()}, alpha=plan.alpha
        )
        for segment, values in segments.items()
        for metric in plan.metrics
        if metric.role is not Role.QUALITY
        for i, variant in enumerate(plan.treatments)
    }
    why_not = _why_not(plan, moment)
    corrected = {} if why_not else _corrected(found)
    return {
        segment: [
            _answer(plan, asked, each, corrected.get(asked), why_not)
            for asked, each in found.items()
            if asked.segment == segment
        ]
        for segment in segments
    }


def said(segment: str, answers: Sequence[MetricHeterogeneity], *, declared: bool) -> str:
    """Whether any effect differs between the values of a segment, in words."""
    differing = [each for each in answers if each.detected]
    exploratory = "" if declared else f" {say('segments.exploratory', segment=segment)}"
    if differing:
        return " ".join(_differs(segment, each) for each in differing) + exploratory
    tested = any(each.detected is not None for each in answers)
    if tested:
        return say("segments.alike", segment=segment) + exploratory
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


def _why_not(plan: Plan, moment: Moment) -> str | None:
    """Why nothing is tested at this moment; None where it is."""
    if plan.method is Method.BAYESIAN:
        return say("no_p_value.bayesian")
    return None if moment.complete else say("segments.at_the_end")


def _corrected(found: Mapping[Asked, Heterogeneity]) -> dict[Asked, float]:
    logs = {asked: each.log_p_value for asked, each in found.items() if each.log_p_value is not None}
    adjusted = holm(list(logs.values()), log=True).tolist() if logs else []
    return {asked: math.exp(log_p) for asked, log_p in zip(logs, adjusted, strict=True)}


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
