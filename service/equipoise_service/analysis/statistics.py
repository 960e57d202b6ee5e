"""The result of an analysis: the sufficient statistics of each arm."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations_with_replacement
from typing import Any

from equipoise_service.analysis.cuts import cut_column
from equipoise_service.analysis.unit_values import value_column
from equipoise_service.metrics.measures import Measure
from equipoise_stats import Counts, Moments


@dataclass(frozen=True, slots=True)
class NotFinite:
    """Values so large that their sum or the sum of their squares is no finite number.

    Attributes:
        n: Number of units.
        columns: Names of the numbers that each unit has.
    """

    n: int
    columns: tuple[str, ...] = ("y",)


ArmValues = Counts | Moments | NotFinite


@dataclass(frozen=True, slots=True)
class ArmStatistics:
    """One arm.

    Attributes:
        units: Units of the arm, crossovers left out.
        values: For each metric, by key, the statistics of the units that are mature for it.
        immature: For each metric, by key, how many of the units are not; 0 for those that are not named.
    """

    units: int
    values: Mapping[str, ArmValues]
    immature: Mapping[str, int] = field(default_factory=dict)


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
    """

    arms: Mapping[str, ArmStatistics]
    crossovers: int
    watermark: datetime | None
    incomplete_rows: int | None = None
    cuts: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)


def read_arms(
    rows: Iterable[Mapping[str, Any]], measures: Sequence[Measure]
) -> tuple[dict[str, ArmStatistics], int]:
    """Reads the rows that `expression.arm_statistics` gives.

    Returns:
        The arms by variant, in the order of their names, and the number of crossovers.
    """
    arms: dict[str, ArmStatistics] = {}
    crossovers = 0
    for row in rows:
        if row["variant"] is None:
            crossovers += int(row["units"])
        else:
            arms[row["variant"]] = _arm(row, measures)
    return dict(sorted(arms.items())), crossovers


def read_cuts(
    rows: Iterable[Mapping[str, Any]], measures: Sequence[Measure]
) -> dict[str, dict[str, float | None]]:
    """Reads the cuts from the rows that `expression.arm_statistics` gives; they are the same in every arm."""
    found = list(rows)
    return {
        measure.metric: {
            column: next((cut for row in found if (cut := row[cut_column(value_column(i, column))])), None)
            for column in measure.cut_columns
        }
        for i, measure in enumerate(measures)
        if measure.cut_columns
    }


def no_values(measure: Measure, units: int) -> ArmValues:
    """The statistics of units without any fact: all of them have the value zero."""
    if measure.is_count:
        return Counts(units, 0)
    zeros = (0.0,) * len(measure.columns)
    return Moments(units, measure.columns, zeros, (zeros,) * len(zeros))


def _arm(row: Mapping[str, Any], measures: Sequence[Measure]) -> ArmStatistics:
    units = int(row["units"])
    values: dict[str, ArmValues] = {}
    immature: dict[str, int] = {}
    for i, measure in enumerate(measures):
        mature = int(row[f"m{i}_units"]) if measure.matures_after else units
        active = int(row[f"m{i}_active" if measure.matures_after else "active"] or 0)
        values[measure.metric] = _values(row, i, measure, active, mature)
        immature[measure.metric] = units - mature
    return ArmStatistics(units, values, immature)


def _values(row: Mapping[str, Any], index: int, measure: Measure, active: int, units: int) -> ArmValues:
    if not active:
        return no_values(measure, units)
    if measure.is_count:
        return Counts(units, int(row[f"m{index}_successes"]))
    acting = _moments(row, index, measure.columns, active)
    idle = no_values(measure, units - active)
    if acting is None or not isinstance(idle, Moments):
        return NotFinite(units, measure.columns)
    return _merged(acting, idle, units)


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
    return Moments(n, tuple(columns), means, tuple(map(tuple, comoments)))


def _merged(acting: Moments, idle: Moments, units: int) -> Moments | NotFinite:
    """Both together; values near the largest double overflow when they are squared."""
    try:
        return acting.merge(idle)
    except (ValueError, OverflowError):
        return NotFinite(units, acting.columns)
