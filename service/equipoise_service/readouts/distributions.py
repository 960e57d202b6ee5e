"""How the values of units are spread, as a readout shows it.

Nothing is concluded from it and it follows from nothing else in a readout. So it is no part of
`statistics_digest`, which a look is recognised by. The readout's own digest covers it, and `verify` checks
that it is about units that there are, that no more were drawn than a sample has, and, where all were looked
at, that values in these bins can have the mean and the variance that the comparisons rest on.
"""

import math
from typing import Any

from equipoise_service.analysis.distributions import is_spread
from equipoise_service.analysis.spreading import ArmSpread, Distribution
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.arms import side_of
from equipoise_service.readouts.binned import can_have
from equipoise_service.readouts.schemas import MetricResult
from equipoise_service.readouts.values import ArmValues, Values
from equipoise_service.texts.saying import say

# A sample that chance makes so large less often than this is none.
_CHANCE = 1e-9


def values_of(plan: Plan, statistics: Statistics, metric: str) -> Values | None:
    """How the values of a metric are spread; None where that is not known.

    Args:
        plan: The plan.
        statistics: The statistics.
        metric: The metric's key.
    """
    found = statistics.distributions.get(metric)
    if found is None:
        return None
    none = ArmSpread(0, (0,) * (1 + len(found.edges or ())))
    arms = [(variant, found.arms.get(variant, none)) for variant in [plan.control, *plan.treatments]]
    return Values(
        halvings=found.halvings,
        edges=None if found.edges is None else list(found.edges),
        arms=[
            ArmValues(
                variant=variant,
                units=side_of(statistics.arms, variant, plan, metric).values.n,
                drawn=arm.drawn,
                zero=arm.zero,
                counts=list(arm.counts),
            )
            for variant, arm in arms
        ],
    )


def why_no_values(plan: Plan, result: MetricResult) -> list[str]:
    """Why nothing is known of how the values of a metric are spread, where a source could have said it."""
    metric = next(each for each in plan.metrics if each.key == result.metric)
    if result.values is not None or metric.source is None or not is_spread(metric.measure):
        return []
    return [say("values.not_kept", source=metric.source)]


def distributions_in(metrics: list[MetricResult]) -> dict[str, Distribution]:
    """The distributions that the metrics of a readout have, by metric."""
    return {
        each.metric: Distribution(
            each.values.halvings,
            None if each.values.edges is None else tuple(each.values.edges),
            {arm.variant: ArmSpread(arm.drawn, tuple(arm.counts)) for arm in each.values.arms},
        )
        for each in metrics
        if each.values is not None
    }


def expect_halvings(expected: dict[str, Any]) -> None:
    """No unit of a file is left out, and more units than chance draws are no sample, but of fewer halvings.

    What is called a sample is not held against the mean, see `expect_counts`.
    """
    for values in (metric["values"] for metric in expected["metrics"] if metric["values"] is not None):
        if expected["revision"] is None:
            values["halvings"] = 0
            continue
        units = sum(arm["units"] for arm in values["arms"])
        drawn = sum(min(arm["drawn"], arm["units"]) for arm in values["arms"])
        if values["halvings"] and _log_chance(drawn, units, values["halvings"]) < math.log(_CHANCE):
            values["halvings"] = min(round(math.log2(units / drawn)), values["halvings"] - 1)


def _log_chance(drawn: int, units: int, halvings: int) -> float:
    """The logarithm of what the probability to draw so many units, or more, is at most (Chernoff's bound).

    Example:
        >>> _log_chance(250, 1_000, 2), round(_log_chance(30, 30, 1), 1), _log_chance(0, 0, 1)
        (0.0, -20.8, 0.0)
    """
    share = 0.5**halvings
    if drawn <= units * share:
        return 0.0
    left = units - drawn
    return drawn * math.log(units * share / drawn) + (
        left * math.log(units * (1 - share) / left) if left else 0.0
    )


def expect_drawn(expected: dict[str, Any]) -> None:
    """Without halving all units were drawn, and never more; edges are round, and each bin has its count."""
    for values in (metric["values"] for metric in expected["metrics"] if metric["values"] is not None):
        edges = values["edges"]
        if edges is not None:
            values["edges"] = sorted({float(f"{edge:.1e}") for edge in edges})
        for arm in values["arms"]:
            if not values["halvings"] or arm["drawn"] > arm["units"]:
                arm["drawn"] = arm["units"]
            arm["counts"] = (arm["counts"] + [0] * (1 + len(edges or ())))[: 1 + len(edges or ())]


def expect_counts(expected: dict[str, Any]) -> None:
    """Where all units were looked at, nothing is expected of counts that no values with their sums have.

    Numbers are needed that a comparison has: where there is none, or they are too large, counts are believed.
    """
    for metric in expected["metrics"]:
        values = metric["values"]
        if values is None or values["halvings"]:
            continue
        sums = _sums_of(metric)
        for arm in values["arms"]:
            if arm["variant"] in sums and not can_have(
                arm["counts"], values["edges"] or [], cut=metric["cut"], **sums[arm["variant"]]
            ):
                arm["counts"] = None


def _sums_of(metric: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The units, mean and squared deviations of each arm that has them."""
    found = {}
    for comparison in metric["comparisons"]:
        for side in ("variant", "baseline"):
            sums = comparison["statistics"][side]
            if sums.get("mean") is not None and sums["m2"] is not None:
                mean, m2 = sums["mean"], sums["m2"]
            elif sums.get("columns") and sums["means"] is not None and sums["comoments"] is not None:
                mean, m2 = sums["means"][0], sums["comoments"][0][0]
            else:
                continue
            found[comparison[side]] = {"units": sums["n"], "mean": mean, "m2": m2}
    return found
