"""What a readout holds of the units that are in other experiments too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise_service.analysis.overlaps import Overlap
from equipoise_service.analysis.statistics import ArmStatistics, SegmentStatistics
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.readouts.arms import side_of
from equipoise_service.readouts.checks import Interactions, OverlapArm, OverlapMetric, OverlapPart
from equipoise_service.readouts.sides import statistics_out, values_in


@dataclass(frozen=True, slots=True)
class Overlaps:
    """What is known of other experiments that ran at the same time.

    Attributes:
        experiments: How many there are.
        found: The largest overlaps; None where nobody looked yet.
        units: How many units this experiment had then; None where they are counted with these data.
    """

    experiments: int
    found: tuple[Overlap, ...] | None
    units: int | None = None


def decisive_metrics(plan: Plan) -> list[PlannedMetric]:
    """The metrics whose effects decide: those of success, and the guardrails."""
    return [metric for metric in plan.metrics if metric.role in (Role.SUCCESS, Role.GUARDRAIL)]


def asked_metrics(plan: Plan) -> list[PlannedMetric]:
    """The metrics of which it is asked whether their effects depend on other experiments.

    They are those that decide, but for what lies in a file, which says nothing of other experiments. Of those
    of sources only the ones have answers whose exposures are brought from the event store.
    """
    return [metric for metric in decisive_metrics(plan) if metric.event is not None]


def measured_metrics(plan: Plan, overlap: Overlap) -> list[PlannedMetric]:
    """Those of the asked metrics that an overlap has values of: not of sources with exposures of their own.

    Readouts from before lack guardrails, and all sources.
    """
    held = {key for part in overlap.parts for arm in part.arms.values() for key in arm.values}
    return [metric for metric in asked_metrics(plan) if metric.key in held]


def overlaps_in(check: Interactions | None, *, earlier: bool) -> Overlaps | None:
    """Reads what the check of a readout was computed from.

    Args:
        check: The check.
        earlier: Whether it was asked of earlier data than all else.
    """
    if check is None:
        return None
    if check.overlaps is None:
        return Overlaps(check.experiments, None)
    found = (
        Overlap(
            each.experiment,
            [
                SegmentStatistics(part.variant, {arm.variant: _arm_in(arm) for arm in part.arms}, 0)
                for part in each.parts
            ],
        )
        for each in check.overlaps
    )
    return Overlaps(check.experiments, tuple(found), check.units if earlier else None)


def parts_out(plan: Plan, overlap: Overlap) -> list[OverlapPart]:
    """What the tests of an overlap are computed from: the planned arms among the units of each variant."""
    metrics = measured_metrics(plan, overlap)
    return [
        OverlapPart(
            variant=part.label,
            arms=[
                _arm_out(plan, metrics, part.arms, variant)
                for variant in plan.weights
                if variant in part.arms
            ],
        )
        for part in overlap.parts
    ]


def _arm_out(
    plan: Plan, metrics: Sequence[PlannedMetric], arms: Mapping[str, ArmStatistics], variant: str
) -> OverlapArm:
    return OverlapArm(
        variant=variant,
        units=arms[variant].units,
        metrics=[
            OverlapMetric(
                metric=metric.key,
                statistics=statistics_out(side_of(arms, variant, plan, metric.key), third=False),
            )
            for metric in metrics
        ],
    )


def _arm_in(arm: OverlapArm) -> ArmStatistics:
    return ArmStatistics(
        arm.units,
        {each.metric: values_in(each.statistics) for each in arm.metrics},
        {each.metric: each.statistics.immature for each in arm.metrics},
    )
