"""The result of an analysis: the sufficient statistics of each arm."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from equipoise_service.analysis.expression import value_column
from equipoise_service.analysis.requests import Measure
from equipoise_service.metrics.schemas import MetricType
from equipoise_stats import Counts, Moments


@dataclass(frozen=True, slots=True)
class NotFinite:
    """Values so large that their sum or the sum of their squares is no finite number.

    Attributes:
        n: Number of units.
    """

    n: int


ArmValues = Counts | Moments | NotFinite


@dataclass(frozen=True, slots=True)
class ArmStatistics:
    """One arm.

    Attributes:
        units: Units of the arm, crossovers left out.
        values: For each metric, by key, the statistics of all these units.
    """

    units: int
    values: Mapping[str, ArmValues]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything that a readout is computed from.

    Attributes:
        arms: The arms with units, by variant.
        crossovers: Units that met several variants; they are in no arm.
        watermark: When the newest fact that was considered was received; None where there is none.
        incomplete_rows: Rows of a file that lack unit, variant or time and were left out; None for the event
            store.
    """

    arms: Mapping[str, ArmStatistics]
    crossovers: int
    watermark: datetime | None
    incomplete_rows: int | None = None


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


def no_values(type: MetricType, units: int) -> ArmValues:
    """The statistics of units without any fact: all of them have the value zero."""
    if type is MetricType.PROPORTION:
        return Counts(units, 0)
    return Moments(units, ("y",), (0.0,), ((0.0,),))


def _arm(row: Mapping[str, Any], measures: Sequence[Measure]) -> ArmStatistics:
    units = int(row["units"])
    active = int(row["active"] or 0)
    values = {
        measure.metric: _values(row, value_column(i), measure.type, active, units)
        if active
        else no_values(measure.type, units)
        for i, measure in enumerate(measures)
    }
    return ArmStatistics(units, values)


def _values(row: Mapping[str, Any], name: str, type: MetricType, active: int, units: int) -> ArmValues:
    if type is MetricType.PROPORTION:
        return Counts(units, int(row[f"{name}_successes"]))
    centre, total, squares = (float(row[f"{name}_{part}"]) for part in ("centre", "sum", "squares"))
    if not (math.isfinite(centre) and math.isfinite(total) and math.isfinite(squares)):
        return NotFinite(units)
    shift = total / active
    mean, centred = centre + shift, max(0.0, squares - total * shift)
    acting = Moments(active, ("y",), (mean,), ((centred,),))
    return _merged(acting, Moments(units - active, ("y",), (0.0,), ((0.0,),)), units)


def _merged(acting: Moments, idle: Moments, units: int) -> Moments | NotFinite:
    """Both together; values near the largest double overflow when they are squared."""
    try:
        return acting.merge(idle)
    except (ValueError, OverflowError):
        return NotFinite(units)
