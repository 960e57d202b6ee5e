"""The results of segments: whether effects differ between their values, and each part of the units by itself.

The comparisons within a part are by the plan's inference; what they detect is corrected for all that the
segment shows. Whether they differ is asked in `heterogeneity`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from equipoise_service.analysis.segments import OTHER, segment_label, segment_value
from equipoise_service.analysis.statistics import ArmStatistics, SegmentStatistics, Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.arms import arms_of, pairs_of
from equipoise_service.readouts.comparisons import describe
from equipoise_service.readouts.heterogeneity import heterogeneity_of, said, test_of
from equipoise_service.readouts.inference import Corrected
from equipoise_service.readouts.many import Asking, corrected_for_all, inferences_of
from equipoise_service.readouts.pairs import Pair
from equipoise_service.readouts.progress import Moment
from equipoise_service.readouts.recorded import Deviation, Locked
from equipoise_service.readouts.results import no_p_value
from equipoise_service.readouts.schemas import (
    Comparison,
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
    deviations: Sequence[Deviation],
    locked: Locked | None = None,
    *,
    as_before: bool = False,
) -> list[SegmentResult]:
    """Compares the arms within each part of each segment.

    Args:
        plan: The plan, with its segments.
        moment: Where it stands.
        statistics: The statistics, those of the segments with them.
        deviations: What was changed of the plan since it was locked, or with its lock.
        locked: The lock: segments that came with it were there before any unit.
        as_before: Whether they are of a readout from before parts were corrected, and any test but
            Cochran's Q.
    """
    declared = _declared(plan, deviations, locked)
    pairs = {
        segment.key: {
            part.label: pairs_of(plan, replace(statistics, arms=part.arms, crossovers=part.crossovers))
            for part in statistics.segments.get(segment.key, ())
        }
        for segment in plan.segments
    }
    test = None if as_before else test_of(plan)
    answers = heterogeneity_of(plan, moment, pairs, declared=declared, test=test)
    return [
        SegmentResult(
            segment=key,
            declared=key in declared,
            test=test,
            text=said(plan, key, answers[key], declared=key in declared),
            heterogeneity=answers[key],
            parts=_parts(plan, moment, statistics.segments.get(key, ()), values, as_before=as_before),
        )
        for key, values in pairs.items()
    ]


def changes_of_segments(deviations: Sequence[Deviation], locked: Locked | None) -> bool:
    """Whether a deviation changed the segments that were locked; what came with the lock did not."""
    lock = None if locked is None else locked.digest
    later = [each for i, each in enumerate(deviations) if i > 0 or each.digest != lock]
    return any(place.startswith("/segments") for each in later for place in each.changed)


def _declared(plan: Plan, deviations: Sequence[Deviation], locked: Locked | None) -> set[str]:
    """The segments that are as they were locked; none where nobody knows what was."""
    if not changes_of_segments(deviations, locked):
        return {each.key for each in plan.segments}
    if locked is None or locked.plan is None:
        return set()
    then = Plan.model_validate(locked.plan).segments
    return {each.key for each in plan.segments if each in then}


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


def _parts(
    plan: Plan,
    moment: Moment,
    parts: Iterable[SegmentStatistics],
    values: Mapping[str, Mapping[str, Sequence[Pair]]],
    *,
    as_before: bool,
) -> list[SegmentPart]:
    asking = inferences_of(plan, moment, values)
    corrected = {} if as_before else corrected_for_all(plan, moment, asking)
    return [_part(plan, moment, part, values[part.label], asking, corrected) for part in parts]


def _part(
    plan: Plan,
    moment: Moment,
    part: SegmentStatistics,
    pairs: Mapping[str, Sequence[Pair]],
    asking: Asking,
    corrected: Mapping[tuple[str, str, int], Corrected],
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
                comparisons=[
                    describe(
                        pair,
                        asking[part.label, metric, i],
                        alpha=plan.alpha,
                        valid=moment.valid,
                        no_p_value=no_p_value(plan, moment),
                        corrected=corrected.get((part.label, metric, i)),
                    )
                    for i, pair in enumerate(found[: len(plan.treatments)])
                ],
            )
            for metric, found in pairs.items()
        ],
    )
