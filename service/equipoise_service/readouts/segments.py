"""The results of segments: whether effects differ between their values, and each part of the units by itself.

The comparisons within a part are by the plan's inference and not corrected; what may be concluded from them
together is in `heterogeneity`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from equipoise_service.analysis.segments import OTHER, segment_label, segment_value
from equipoise_service.analysis.statistics import ArmStatistics, SegmentStatistics, Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts import inference
from equipoise_service.readouts.arms import arms_of, pairs_of
from equipoise_service.readouts.comparisons import describe
from equipoise_service.readouts.heterogeneity import heterogeneity_of, said
from equipoise_service.readouts.pairs import Pair
from equipoise_service.readouts.progress import Moment
from equipoise_service.readouts.results import no_p_value
from equipoise_service.readouts.schemas import (
    Comparison,
    Deviation,
    Locked,
    MetricResult,
    SegmentMetric,
    SegmentPart,
    SegmentResult,
)
from equipoise_service.readouts.sides import values_in


def segment_results(
    plan: Plan,
    moment: Moment,
    statistics: Statistics,
    deviations: Iterable[Deviation],
    locked: Locked | None = None,
) -> list[SegmentResult]:
    """Compares the arms within each part of each segment.

    Args:
        plan: The plan, with its segments.
        moment: Where it stands.
        statistics: The statistics, those of the segments with them.
        deviations: What was changed of the plan since it was locked, or with its lock.
        locked: The lock: segments that came with it were there before any unit.
    """
    lock = None if locked is None else locked.digest
    later = [each for i, each in enumerate(deviations) if i > 0 or each.digest != lock]
    changed = [place for each in later for place in each.changed]
    declared = not any(place.startswith("/segments") for place in changed)
    pairs = {
        segment.key: {
            part.label: pairs_of(plan, replace(statistics, arms=part.arms, crossovers=part.crossovers))
            for part in statistics.segments.get(segment.key, ())
        }
        for segment in plan.segments
    }
    answers = heterogeneity_of(plan, moment, pairs)
    return [
        SegmentResult(
            segment=key,
            declared=declared,
            text=said(key, answers[key], declared=declared),
            heterogeneity=answers[key],
            parts=[
                _part(plan, moment, part, values[part.label]) for part in statistics.segments.get(key, ())
            ],
        )
        for key, values in pairs.items()
    ]


def segments_in(results: Iterable[SegmentResult]) -> dict[str, Sequence[SegmentStatistics]]:
    """Reads the statistics that the results of segments hold."""
    return {
        result.segment: [
            SegmentStatistics(
                segment_label(part.value, others=part.others),
                arms_in({arm.variant: arm.units for arm in part.arms}, part.metrics),
                part.crossovers,
            )
            for part in result.parts
        ]
        for result in results
    }


def arms_in(
    units: dict[str, int], metrics: Iterable[MetricResult | SegmentMetric]
) -> dict[str, ArmStatistics]:
    """Reads the statistics that comparisons hold.

    Args:
        units: The units of each arm.
        metrics: The comparisons, metric by metric.
    """
    arms = {variant: ArmStatistics(number, {}) for variant, number in units.items()}
    for metric in metrics:
        cut = metric.winsorized or () if isinstance(metric, MetricResult) else ()
        winsorized = {each.variant: each.units for each in cut}
        for comparison in _comparisons(metric):
            sides = comparison.statistics
            for variant, each in ((comparison.baseline, sides.baseline), (comparison.variant, sides.variant)):
                before = arms.get(variant, ArmStatistics(0, {}))
                arms[variant] = replace(
                    before,
                    values={**before.values, metric.metric: values_in(each)},
                    immature={**before.immature, metric.metric: each.immature},
                    winsorized={**before.winsorized, metric.metric: winsorized.get(variant, 0)},
                )
    return arms


def _comparisons(metric: MetricResult | SegmentMetric) -> list[Comparison]:
    if isinstance(metric, SegmentMetric):
        return metric.comparisons
    return [*metric.comparisons, *metric.between_treatments]


def _part(
    plan: Plan, moment: Moment, part: SegmentStatistics, pairs: Mapping[str, Sequence[Pair]]
) -> SegmentPart:
    others = part.label == OTHER
    return SegmentPart(
        value=None if others else segment_value(part.label),
        others=others,
        arms=arms_of(plan, part.arms),
        crossovers=part.crossovers,
        metrics=[
            SegmentMetric(
                metric=metric,
                comparisons=[_compared(plan, moment, metric, pair) for pair in found[: len(plan.treatments)]],
            )
            for metric, found in pairs.items()
        ],
    )


def _compared(plan: Plan, moment: Moment, metric: str, pair: Pair) -> Comparison:
    compare = inference.remembered(inference.planned(plan, metric, pair.found, moment))
    return describe(pair, compare, alpha=plan.alpha, valid=moment.valid, no_p_value=no_p_value(plan, moment))
