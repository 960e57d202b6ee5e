"""The readout for every past day, recomputed from the data.

A day is that of a unit's first exposure, and its values are those of now: what is shown for a day is what
all units that had been exposed by then have done since. So the last day is the readout itself, and a day
differs from the next one by the units that came, not by what the same units did meanwhile.

What adds up is held day by day. Quantiles do not: of them what is known of all units so far is held.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import accumulate

from equipoise_service.analysis.statistics import (
    ArmStatistics,
    ArmValues,
    DayStatistics,
    QuantilesByDay,
    QuantileValues,
    Statistics,
)
from equipoise_service.metrics.schemas import MetricType
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.arms import side_of
from equipoise_service.readouts.by_day import ByDay, DayArm, DayEffect, DayMetric, DayUnits, SoFar
from equipoise_service.readouts.calendar import Block, together
from equipoise_service.readouts.daily_ratio import ratio_of
from equipoise_service.readouts.inference import monitoring
from equipoise_service.readouts.measured import ArmStatistics as StatisticsOut
from equipoise_service.readouts.measured import QuantileStatistics
from equipoise_service.readouts.pairs import pair_of
from equipoise_service.readouts.sides import Cuts, Side, has_third, moments_of, statistics_out, values_in
from equipoise_service.texts.saying import say
from equipoise_stats import ArmQuantile, Effect


def by_day(plan: Plan, statistics: Statistics, blocks: Sequence[Block]) -> ByDay | None:
    """The readout for every day; None where no day is known.

    Args:
        plan: The plan.
        statistics: What was found of all units.
        blocks: The days.
    """
    if not blocks:
        return None
    sums = list(accumulate((block.arms for block in blocks), lambda *arms: together(arms)))
    sums = [_with_quantiles(arms, statistics, block.last) for arms, block in zip(sums, blocks, strict=True)]
    return ByDay(
        days=[
            DayUnits(
                first=block.first.isoformat(),
                last=block.last.isoformat(),
                units={variant: arm.units for variant, arm in block.arms.items()},
                p_value=ratio_of(plan, block),
            )
            for block in blocks
        ],
        metrics=[
            _metric(plan, metric.key, statistics, blocks, sums)
            for metric in plan.metrics
            if metric.type is not MetricType.QUANTILE or metric.key in statistics.quantiles_by_day
        ],
    )


def why_no_days(plan: Plan, statistics: Statistics, metric: str) -> list[str]:
    """Why a quantile is not known day by day, where its source could have said it."""
    source = next(each.source for each in plan.metrics if each.key == metric)
    values = [arm.values.get(metric) for arm in statistics.arms.values()]
    known = any(isinstance(each, QuantileValues) and each.found is not None for each in values)
    if source is None or not known or not statistics.days or metric in statistics.quantiles_by_day:
        return []
    return [say("days.not_kept", source=source)]


def days_in(found: ByDay | None) -> list[DayStatistics]:
    """Reads the statistics that a readout holds of its days.

    Raises:
        ValueError: A metric has another number of days, or a day is none.
    """
    if found is None:
        return []
    days: list[DayStatistics] = []
    for i, day in enumerate(found.days):
        arms = {variant: ArmStatistics(units, {}) for variant, units in day.units.items()}
        for metric in found.metrics:
            for arm in metric.arms:
                if len(arm.statistics) != len(found.days):
                    raise ValueError(f"the metric {metric.metric} has not as many days as there are")
                if arm.variant in arms:
                    before, (value, immature) = arms[arm.variant], _of_day(arm.statistics, i)
                    arms[arm.variant] = ArmStatistics(
                        before.units,
                        {**before.values, metric.metric: value},
                        {**before.immature, metric.metric: immature},
                    )
        # The days of a block: its ends say where it lies.
        days += [DayStatistics(date.fromisoformat(end), {}) for end in {day.first} - {day.last}]
        days.append(DayStatistics(date.fromisoformat(day.last), arms))
    return days


def quantiles_in(found: ByDay | None) -> dict[str, QuantilesByDay]:
    """Reads what a readout holds of its quantiles by the end of each day, see `Statistics.quantiles_by_day`.

    Raises:
        ValueError: The numbers are impossible.
    """
    if found is None:
        return {}
    days = [date.fromisoformat(day.last) for day in found.days]
    return {
        metric.metric: {arm.variant: _quantiles(days, arm.statistics) for arm in metric.arms}
        for metric in found.metrics
        if any(isinstance(each, QuantileStatistics) for arm in metric.arms for each in arm.statistics)
    }


def _quantiles(days: Sequence[date], held: Sequence[StatisticsOut]) -> dict[date, ArmQuantile | None]:
    found = {day: values_in(each) for day, each in zip(days, held, strict=True)}
    return {day: values.found for day, values in found.items() if isinstance(values, QuantileValues)}


def _of_day(held: Sequence[StatisticsOut], i: int) -> tuple[ArmValues, int]:
    """The values of the units that came on a day, and how many of them are immature."""
    each = held[i]
    if not isinstance(each, QuantileStatistics):
        return values_in(each), each.immature
    n, immature = (held[i - 1].n, held[i - 1].immature) if i else (0, 0)
    return QuantileValues(each.n - n, each.quantile, None), each.immature - immature


def _with_quantiles(
    arms: Mapping[str, ArmStatistics], statistics: Statistics, last: date
) -> dict[str, ArmStatistics]:
    """Arms of all units so far with what is known of their quantiles by the end of a day."""
    quantiles = dict(arms)
    for metric, variants in statistics.quantiles_by_day.items():
        for variant, of_days in variants.items():
            arm = quantiles.get(variant)
            values = arm.values.get(metric) if arm else None
            # Since then nobody came for whom the metric is known.
            by_then = max((day for day in of_days if day <= last), default=None)
            if arm and isinstance(values, QuantileValues) and by_then is not None:
                known = replace(values, found=of_days[by_then])
                quantiles[variant] = replace(arm, values={**arm.values, metric: known})
    return quantiles


def _metric(
    plan: Plan,
    metric: str,
    statistics: Statistics,
    blocks: Sequence[Block],
    sums: Sequence[Mapping[str, ArmStatistics]],
) -> DayMetric:
    cuts = Cuts(statistics.cuts.get(metric, {}))
    held = sums if metric in statistics.quantiles_by_day else [block.arms for block in blocks]
    return DayMetric(
        metric=metric,
        arms=[
            DayArm(variant=variant, statistics=_days(side_of(arms, variant, plan, metric) for arms in held))
            for variant in plan.weights
        ],
        effects=[
            DayEffect(variant=variant, so_far=[_so_far(plan, metric, arms, variant, cuts) for arms in sums])
            for variant in plan.treatments
        ],
    )


def _days(sides: Iterable[Side]) -> list[StatisticsOut]:
    """The statistics of an arm day by day; third moments are those of means, which decide their intervals."""
    of_days = list(sides)
    several = any(len(found.columns) > 1 for side in of_days if (found := moments_of(side)) is not None)
    third = has_third(of_days) and not several
    return [statistics_out(side, third=third) for side in of_days]


def _so_far(plan: Plan, metric: str, arms: Mapping[str, ArmStatistics], variant: str, cuts: Cuts) -> SoFar:
    treatment, control = (side_of(arms, each, plan, metric) for each in (variant, plan.control))
    pair = pair_of(treatment, control, cuts)
    if not pair.finite:
        return SoFar(difference=None, interval=None, lift=None, lift_interval=None)
    found = monitoring(plan, pair.found)(alpha=plan.alpha)
    return SoFar(
        difference=found.difference.estimate,
        interval=_ends(found.difference),
        lift=found.lift.estimate,
        lift_interval=_ends(found.lift),
    )


def _ends(effect: Effect) -> list[float] | None:
    return None if effect.interval is None else [effect.interval.lower, effect.interval.upper]
