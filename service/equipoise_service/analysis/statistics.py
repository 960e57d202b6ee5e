"""The result of an analysis: the sufficient statistics of each arm."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import combinations_with_replacement
from typing import Any

from equipoise_service.analysis import distributions
from equipoise_service.analysis.cuts import cut_column, over_column
from equipoise_service.analysis.moments import NEAR
from equipoise_service.analysis.quantiles import Cell
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.spreading import Distribution, spread
from equipoise_service.analysis.value_columns import value_column, value_columns
from equipoise_service.metrics.measures import Measure
from equipoise_stats import ArmQuantile, Counts, Moments


@dataclass(frozen=True, slots=True)
class NotFinite:
    """Values so large that their sum or the sum of their squares is no finite number.

    Attributes:
        n: Number of units.
        columns: Names of the numbers that each unit has.
    """

    n: int
    columns: tuple[str, ...] = ("y",)


@dataclass(frozen=True, slots=True)
class StepCounts:
    """How far the units came through a funnel.

    Attributes:
        n: Number of units.
        reached: How many of them reached each step, the first one first.
    """

    n: int
    reached: tuple[int, ...]

    @property
    def completed(self) -> Counts:
        """The units, and those that reached the last step."""
        return Counts(self.n, self.reached[-1])


@dataclass(frozen=True, slots=True)
class QuantileValues:
    """A quantile of one arm.

    Attributes:
        n: Number of units.
        q: Which quantile.
        found: What is known of it; None where there are no values, or it or an end of its interval is no
            finite number.
    """

    n: int
    q: float
    found: ArmQuantile | None


QuantilesByDay = Mapping[str, Mapping[date, ArmQuantile | None]]
"""A quantile by variant and day; None where it, or an end of its interval, is no finite number."""

ArmValues = Counts | StepCounts | QuantileValues | Moments | NotFinite


@dataclass(frozen=True, slots=True)
class ArmStatistics:
    """One arm.

    Attributes:
        units: Units of the arm, crossovers left out.
        values: For each metric, by key, the statistics of the units that are mature for it.
        immature: For each metric, by key, how many of the units are not; 0 for those that are not named.
        winsorized: For each winsorized metric, by key, of how many units the value was cut.
    """

    units: int
    values: Mapping[str, ArmValues]
    immature: Mapping[str, int] = field(default_factory=dict)
    winsorized: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DayStatistics:
    """The units that were first exposed on one day, with their values as they are at the analysis.

    Attributes:
        day: The day, in UTC; the first one holds who was exposed before the start.
        arms: The arms with such units, by variant; of quantiles only the number of units is known.
    """

    day: date
    arms: Mapping[str, ArmStatistics]


@dataclass(frozen=True, slots=True)
class SegmentStatistics:
    """The units with one value of a segment.

    Attributes:
        label: The value, see `segments.segment_value`.
        arms: The arms with such units, by variant.
        crossovers: Such units that met several variants.
    """

    label: str
    arms: Mapping[str, ArmStatistics]
    crossovers: int


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of joining anonymous units with known ones, among the exposed ones.

    Attributes:
        anonymous: Anonymous units that were exposed.
        joined: Those of them that are taken for a known one.
        conflicts: Those of them with links to several known ones.
        left_out: Those of them that are left out, as it cannot be told who they are.
        crossovers: Crossovers of which every unit that was joined met one variant only.
    """

    anonymous: int
    joined: int
    conflicts: int
    left_out: int
    crossovers: int

    @property
    def share(self) -> float | None:
        """The share of the anonymous units that was joined; None without any."""
        return self.joined / self.anonymous if self.anonymous else None


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything that a readout is computed from.

    Attributes:
        arms: The arms with units, by variant.
        crossovers: Units that met several variants; they are in no arm.
        watermark: When the newest fact that was considered was received; None where there is none.
        cuts: For each winsorized metric, by key, and each of its numbers, where values were cut; None where
            nothing was.
        incomplete_rows: Rows of a file that lack unit, variant or time and were left out; None for the event
            store.
        segments: For each segment, by key, its values, the most frequent first.
        overridden: Exposed units that are left out by their id.
        bots: Exposed units that are left out as bots; None where nobody asked.
        bots_by_arm: How many of them met each variant and no other; None where that is not known.
        joined: What came of joining units; None where nobody asked.
        days: The days on which units of the arms were first exposed, in order; the arms are their sums. None
            are known where a file has no times.
        quantiles_by_day: Of quantiles, by metric, variant and day, what is known of all units that had been
            exposed by the end of it; of days that are taken together, of the last of them. None at all from a
            source whose values are kept in no table.
        early: Units, crossovers among them, that were exposed before the revision began, by more than clocks
            differ; None where nobody asked.
        distributions: For the metrics with one number a unit, by key, how it is spread; none from a source,
            whose facts would have to be read once more.
        ages: For metrics, by key, and the arms, by variant, the values at each age of the units that have
            reached them all, see `ages`; None where nobody looked.
    """

    arms: Mapping[str, ArmStatistics]
    crossovers: int
    watermark: datetime | None
    incomplete_rows: int | None = None
    cuts: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    segments: Mapping[str, Sequence[SegmentStatistics]] = field(default_factory=dict)
    overridden: int = 0
    bots: int | None = None
    bots_by_arm: Mapping[str, int] | None = None
    joined: Joined | None = None
    days: Sequence[DayStatistics] = ()
    quantiles_by_day: Mapping[str, QuantilesByDay] = field(default_factory=dict)
    early: int | None = None
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    ages: Mapping[str, Mapping[str, ArmValues]] | None = None


def read_arms(
    rows: Iterable[Mapping[str, Any]],
    measures: Sequence[Measure],
    quantiles: Mapping[Cell, ArmQuantile] | None = None,
) -> tuple[dict[str, ArmStatistics], int]:
    """Reads the rows of all units that `arms.arm_statistics` gives.

    Args:
        rows: The rows; those of segments are passed over.
        measures: What is measured.
        quantiles: What was found of quantiles.

    Returns:
        The arms by variant, in the order of their names, and the number of crossovers.
    """
    return _read(rows, measures, quantiles or {}, 0, "")


def read_segments(
    rows: Iterable[Mapping[str, Any]], request: StoreRequest, quantiles: Mapping[Cell, ArmQuantile]
) -> dict[str, list[SegmentStatistics]]:
    """Reads the rows of segments that `arms.arm_statistics` gives; the values with the most units first."""
    found = list(rows)
    segments: dict[str, list[SegmentStatistics]] = {}
    for number, segment in enumerate(request.segments, start=1):
        labels = sorted({row["segment_value"] for row in found if row["segment"] == number})
        parts = [
            SegmentStatistics(label, *_read(found, request.measures, quantiles, number, label))
            for label in labels
        ]
        segments[segment.key] = sorted(parts, key=lambda part: -sum(arm.units for arm in part.arms.values()))
    return segments


def _read(
    rows: Iterable[Mapping[str, Any]],
    measures: Sequence[Measure],
    quantiles: Mapping[Cell, ArmQuantile],
    segment: int,
    label: str,
) -> tuple[dict[str, ArmStatistics], int]:
    arms: dict[str, ArmStatistics] = {}
    crossovers = 0
    for row in rows:
        if (row.get("segment", 0), row.get("segment_value", "")) != (segment, label):
            continue
        if row["variant"] is None:
            crossovers += int(row["units"])
        else:
            theirs = {i: quantiles.get((i, row["variant"], segment, label)) for i in range(len(measures))}
            arms[row["variant"]] = _arm(row, measures, theirs)
    return dict(sorted(arms.items())), crossovers


def read_cuts(
    rows: Iterable[Mapping[str, Any]], measures: Sequence[Measure]
) -> dict[str, dict[str, float | None]]:
    """Reads the cuts from the rows that `arms.arm_statistics` gives; they are the same in every arm."""
    found = list(rows)
    return {
        measure.metric: {
            column: next((cut for row in found if (cut := row[cut_column(value_column(i, column))])), None)
            for column in measure.cut_columns
        }
        for i, measure in enumerate(measures)
        if measure.cut_columns
    }


def read_distributions(
    rows: Iterable[Mapping[str, Any]],
    request: StoreRequest,
    halvings: int,
    arms: Mapping[str, ArmStatistics],
) -> dict[str, Distribution]:
    """Reads the rows that `distributions.counts` gives.

    Args:
        rows: The rows.
        request: What is measured.
        halvings: How often the units were halved.
        arms: What is known of the arms: what is no finite number has no distribution.
    """
    found = distributions.read_counts(rows, request, halvings)
    return {
        metric: spread(counts)
        for metric, counts in found.items()
        if not any(isinstance(arm.values[metric], NotFinite) for arm in arms.values())
    }


def no_values(measure: Measure, units: int) -> ArmValues:
    """The statistics of units without any fact: all of them have the value zero."""
    if measure.is_funnel:
        return StepCounts(units, (0,) * (1 + len(measure.steps)))
    if measure.quantile is not None:
        return QuantileValues(units, measure.quantile, None)
    if measure.is_count:
        return Counts(units, 0)
    return _zeros(measure, units)


def _arm(
    row: Mapping[str, Any], measures: Sequence[Measure], quantiles: Mapping[int, ArmQuantile | None]
) -> ArmStatistics:
    units = int(row["units"])
    values: dict[str, ArmValues] = {}
    immature: dict[str, int] = {}
    for i, measure in enumerate(measures):
        mature = int(row[f"m{i}_units"]) if measure.matures_after else units
        if measure.quantile is not None:
            values[measure.metric] = QuantileValues(mature, measure.quantile, quantiles.get(i))
        else:
            active = int(row[f"m{i}_active" if measure.matures_after else "active"] or 0)
            values[measure.metric] = _values(row, i, measure, active, mature)
        immature[measure.metric] = units - mature
    winsorized = {
        measure.metric: int(row.get(over_column(i)) or 0)
        for i, measure in enumerate(measures)
        if measure.cut_columns
    }
    return ArmStatistics(units, values, immature, winsorized)


def _values(row: Mapping[str, Any], index: int, measure: Measure, active: int, units: int) -> ArmValues:
    if not active:
        return no_values(measure, units)
    if measure.is_count:
        reached = tuple(int(row[f"{name}_units"]) for name in value_columns(index, measure))
        return StepCounts(units, reached) if measure.is_funnel else Counts(units, reached[0])
    acting = _moments(row, index, measure.columns, active)
    if acting is None:
        return NotFinite(units, measure.columns)
    return acting if active == units else _merged(acting, _zeros(measure, units - active), units)


def _moments(row: Mapping[str, Any], index: int, columns: Sequence[str], n: int) -> Moments | None:
    """The moments about the means, from those about the first estimates; None where one is not finite."""
    names = [value_column(index, column) for column in columns]
    centres = [float(row[f"{name}_centre"]) for name in names]
    sums = [float(row[f"{name}_sum"]) for name in names]
    pairs = list(combinations_with_replacement(range(len(names)), 2))
    products = [float(row[f"{names[i]}_{columns[j]}"]) for i, j in pairs]
    if not all(map(math.isfinite, [*centres, *sums, *products])):
        return None
    comoments = [[0.0] * len(names) for _ in names]
    for (i, j), product in zip(pairs, products, strict=True):
        about = product - sums[i] * (sums[j] / n)
        comoments[i][j] = comoments[j][i] = max(0.0, about) if i == j else about
    means = tuple(centre + total / n for centre, total in zip(centres, sums, strict=True))
    third = _third(
        row, names, columns, [total / n for total in sums], dict(zip(pairs, products, strict=True)), n
    )
    return Moments(n, tuple(columns), means, tuple(map(tuple, comoments)), third)


def _zeros(measure: Measure, units: int) -> Moments:
    nothing = Moments.empty(measure.columns)
    return replace(nothing, n=units, third=nothing.third if measure.has_third else None)


def _third(
    row: Mapping[str, Any],
    names: Sequence[str],
    columns: Sequence[str],
    shifts: Sequence[float],
    products: Mapping[tuple[int, int], float],
    n: int,
) -> tuple[float, ...] | None:
    """The third moments about the means; None where they were not taken, or values are too large for them.

    Args:
        row: Of an arm.
        names: Of the columns of the values.
        columns: Of the measure.
        shifts: How far each mean is from its first estimate.
        products: The sums of products of deviations from the first estimates.
        n: Units with facts.
    """
    if any(products[i, i] >= NEAR**2 for i in range(len(names))):
        return None
    third = []
    for i, j, k in combinations_with_replacement(range(len(names)), 3):
        about = row.get(f"{names[i]}_{columns[j]}_{columns[k]}")
        if about is None:
            return None
        one, other, another = shifts[i], shifts[j], shifts[k]
        moved = one * products[j, k] + other * products[i, k] + another * products[i, j]
        third.append(float(about) - moved + 2 * n * one * other * another)
    return tuple(third) if all(map(math.isfinite, third)) else None


def _merged(acting: Moments, idle: Moments, units: int) -> Moments | NotFinite:
    """Both together; values near the largest double overflow when they are squared."""
    try:
        return acting.merge(idle)
    except (ValueError, OverflowError):
        return NotFinite(units, acting.columns)
