"""The arms of a plan and their pairs, from the statistics."""

from collections.abc import Mapping

from equipoise_service.analysis.statistics import ArmStatistics, Statistics, no_values
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.pairs import Pair, pair_of
from equipoise_service.readouts.schemas import Arm
from equipoise_service.readouts.sides import Cuts, Side

_EMPTY = ArmStatistics(0, {})


def arms_of(plan: Plan, arms: Mapping[str, ArmStatistics]) -> list[Arm]:
    """The planned arms in the plan's order, then those that were not planned and have units."""
    whole = sum(plan.weights.values())
    unplanned = [variant for variant in arms if variant not in plan.weights]
    return [
        Arm(
            variant=variant,
            units=arms.get(variant, _EMPTY).units,
            expected_share=plan.weights.get(variant, 0) / whole,
        )
        for variant in [*plan.weights, *unplanned]
    ]


def pairs_of(plan: Plan, statistics: Statistics) -> dict[str, list[Pair]]:
    """For each metric the pairs of arms: each treatment and the control, then the treatments themselves."""
    treatments = plan.treatments
    between = [(later, earlier) for i, later in enumerate(treatments) for earlier in treatments[:i]]
    wanted = [*((variant, plan.control) for variant in treatments), *between]
    found = {}
    for metric in plan.metrics:
        cuts = Cuts(statistics.cuts.get(metric.key, {}))
        sides = {variant: side_of(statistics.arms, variant, plan, metric.key) for variant in plan.weights}
        found[metric.key] = [pair_of(sides[variant], sides[baseline], cuts) for variant, baseline in wanted]
    return found


def side_of(arms: Mapping[str, ArmStatistics], variant: str, plan: Plan, metric: str) -> Side:
    """One arm on one metric; without units where nothing is known of it."""
    arm = arms.get(variant, _EMPTY)
    values = arm.values.get(metric)
    if values is None:
        values = no_values(next(each.measure for each in plan.metrics if each.key == metric), 0)
    return Side(variant, values, arm.immature.get(metric, 0), arm.winsorized.get(metric, 0))
