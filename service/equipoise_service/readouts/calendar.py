"""The days of an experiment as a readout shows them: few of them, the days of a long one taken together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce

from equipoise_service.analysis.days import MOST_DAYS, days_together
from equipoise_service.analysis.statistics import (
    ArmStatistics,
    ArmValues,
    DayStatistics,
    NotFinite,
    QuantileValues,
    StepCounts,
)
from equipoise_service.plans.documents import Plan
from equipoise_stats import Counts, Moments

MOST_RESULTS = 2400
"""Of all metrics and treatments together; each costs a fraction of a millisecond and some hundred bytes."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some days that are shown as one.

    Attributes:
        number: 1 for those of the start; the same at every later moment with as many days a block.
        first: The first of them with units.
        last: The last of them with units.
        arms: The units of all of them together, by variant.
    """

    number: int
    first: date
    last: date
    arms: Mapping[str, ArmStatistics]


def blocks_of(plan: Plan, days: Sequence[DayStatistics], started: date | None) -> list[Block]:
    """The days with units, oldest first; where there are too many, 2, 4, 8, … calendar days are one block.

    Args:
        plan: What is measured: many metrics and treatments leave room for fewer blocks.
        days: The days, in order.
        started: When the revision began; None where that is not known: with the first day.
    """
    if not days:
        return []
    begin = min(days[0].day, started or days[0].day)
    step = days_together(begin, days[-1].day, _most(plan))
    parts: dict[int, list[DayStatistics]] = {}
    for day in days:
        parts.setdefault(day.day.toordinal() // step - begin.toordinal() // step + 1, []).append(day)
    return [_block(number, part) for number, part in parts.items()]


def together(arms: Iterable[Mapping[str, ArmStatistics]]) -> dict[str, ArmStatistics]:
    """The arms of several groups of different units as those of one."""
    parts: dict[str, list[ArmStatistics]] = {}
    for each in arms:
        for variant, arm in each.items():
            parts.setdefault(variant, []).append(arm)
    return {variant: reduce(_both, part) for variant, part in sorted(parts.items())}


def _most(plan: Plan) -> int:
    results = len(plan.metrics) * len(plan.treatments)
    return max(1, min(MOST_DAYS, MOST_RESULTS // max(1, results)))


def _block(number: int, days: Sequence[DayStatistics]) -> Block:
    return Block(number, days[0].day, days[-1].day, together(day.arms for day in days))


def _both(one: ArmStatistics, other: ArmStatistics) -> ArmStatistics:
    values = dict(one.values)
    for metric, value in other.values.items():
        before = values.get(metric)
        values[metric] = value if before is None else _merged(before, value)
    immature = {
        metric: one.immature.get(metric, 0) + other.immature.get(metric, 0)
        for metric in {**one.immature, **other.immature}
    }
    return replace(one, units=one.units + other.units, values=values, immature=immature)


def _merged(one: ArmValues, other: ArmValues) -> ArmValues:
    units = one.n + other.n
    if isinstance(one, Counts) and isinstance(other, Counts):
        return Counts(units, one.successes + other.successes)
    if isinstance(one, StepCounts) and isinstance(other, StepCounts):
        return StepCounts(units, tuple(map(sum, zip(one.reached, other.reached, strict=True))))
    if isinstance(one, QuantileValues) and isinstance(other, QuantileValues):
        # A quantile of both does not follow from theirs.
        return QuantileValues(units, one.q, None)
    if isinstance(one, Moments) and isinstance(other, Moments):
        try:
            return one.merge(other)
        except (ValueError, OverflowError):
            return NotFinite(units, one.columns)
    if isinstance(one, NotFinite) or isinstance(other, NotFinite):
        columns = one.columns if isinstance(one, NotFinite | Moments) else ("y",)
        return NotFinite(units, columns)
    raise ValueError("the statistics of two days are of different kinds")
