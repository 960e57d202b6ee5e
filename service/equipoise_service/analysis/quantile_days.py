"""Quantiles among all units that had been exposed by the end of a day, for every day.

The quantile of two days does not follow from theirs, and to ask for each day by itself would sort the values
as often as there are days. So the values of an arm are put in order once and split into buckets. How many of
each day lie in each tells, for every day, in which bucket the value of a rank lies and how many come before.
Only the values of those few buckets are read, and that of the rank is picked among them: exactly.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from equipoise_service.analysis.days import days_together
from equipoise_service.analysis.quantiles import counted, rank_of
from equipoise_service.analysis.units import any_of
from equipoise_stats import ArmQuantile, Moments, order_ranks

Arm = tuple[int, str]
"""A planned arm of a metric: number of the metric, variant."""

Column = NDArray[Any]
Ask = Callable[[ir.Table], pa.Table]
"""Asks what a query gives: ten thousands of rows, which would hold the interpreter up one by one."""

_BUCKETS = 512
# Of an arm; where there would be more, what lies between two of them is read as well.
_MOST_RANGES = 8
# In a statement: each is a number of every unit on the way.
_DAYS_AT_ONCE = 16
_UNIX_DAY = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class _Point:
    """A value of an arm.

    Attributes:
        value: The value.
        below: How many values are at or below it, of the units that had been exposed by a day.
    """

    value: float
    below: int


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Where the values of an arm lie; a place is that of a day among the days.

    Attributes:
        ends: The least and the largest value of each bucket, of shape (buckets, 2); no two overlap.
        upto: How many values are in each bucket and those before it, of the units that had been exposed by
            each day, of shape (buckets, places).
    """

    ends: NDArray[np.float64]
    upto: NDArray[np.int64]

    def of_rank(self, rank: int, place: int) -> int | None:
        """The bucket with the value of a rank, from 1; None where there is no such rank."""
        column = self.upto[:, place]
        return int(np.searchsorted(column, rank)) if 1 <= rank <= column[-1] else None

    def ranges(self, buckets: Collection[int]) -> list[tuple[float, float]]:
        """Some ranges of values that hold these buckets, and where there would be too many others between."""
        chosen = sorted(buckets)
        between = [self.upto[i - 1, -1] - self.upto[j, -1] for j, i in pairwise(chosen)]
        widest = sorted(range(len(between)), key=lambda i: -between[i])[: _MOST_RANGES - 1]
        cuts = sorted(i + 1 for i in widest if between[i])
        parts = [chosen[i:j] for i, j in zip([0, *cuts], [*cuts, len(chosen)], strict=True)]
        return [(float(self.ends[part[0], 0]), float(self.ends[part[-1], 1])) for part in parts if part]


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of an arm in some of its buckets.

    Attributes:
        buckets: Where all of them lie.
        values: The distinct ones, ascending.
        counts: How often each is there, of the units that had been exposed by each day, of shape (values,
            places).
    """

    buckets: _Buckets
    values: NDArray[np.float64]
    counts: NDArray[np.int64]

    def at(self, rank: int, place: int) -> _Point | None:
        """The value of a rank; None where there is none, or the facts changed since they were counted."""
        bucket = self.buckets.of_rank(rank, place)
        if bucket is None:
            return None
        before = int(self.buckets.upto[bucket - 1, place]) if bucket else 0
        first = np.searchsorted(self.values, self.buckets.ends[bucket, 0])
        end = np.searchsorted(self.values, self.buckets.ends[bucket, 1], side="right")
        upto = before + np.cumsum(self.counts[first:end, place])
        i = int(np.searchsorted(upto, rank))
        return _Point(float(self.values[first + i]), int(upto[i])) if i < len(upto) else None


@dataclass(frozen=True, slots=True)
class _Placed:
    """The values of all arms.

    Attributes:
        ask: Asks the engine.
        rows: Columns measure, variant, unit, value, and block, the number of the days that are one.
        blocks: Those numbers, ascending: a place is one among them.
        buckets: Where the values of each arm lie.
    """

    ask: Ask
    rows: ir.Table
    blocks: Sequence[int]
    buckets: Mapping[Arm, _Buckets]

    def near(self, ranks: Mapping[Arm, Iterable[tuple[int, int]]]) -> dict[Arm, _Values]:
        """The values of the buckets in which ranks lie.

        Args:
            ranks: For each arm the places and ranks that are looked for there.
        """
        conditions = []
        for arm, wanted in ranks.items():
            hit = {self.buckets[arm].of_rank(rank, place) for place, rank in wanted}
            for least, largest in self.buckets[arm].ranges([each for each in hit if each is not None]):
                conditions.append(_is_arm(self.rows, arm) & self.rows.value.between(least, largest))
        parts: dict[Arm, dict[str, Column]] = {}
        if conditions:
            near = self.rows.filter(any_of(conditions))
            counts = near.group_by(["measure", "variant", "value", "block"]).agg(values=near.count())
            parts = _by_arm(self.ask(counts))
        return {arm: _read_values(of, parts.get(arm), self.blocks) for arm, of in self.buckets.items()}


def quantiles_by_day(
    ask: Ask, rows: ir.Table, quantiles: Mapping[int, float], days: Sequence[date], *, one_each: bool
) -> dict[Arm, dict[date, ArmQuantile]]:
    """Finds the quantile of each arm among the units that had been exposed by the end of each day.

    Args:
        ask: Asks the engine, three times, or more where units have several rows.
        rows: What `quantiles.unit_rows` or `event_rows` gives.
        quantiles: Which quantile each metric is that has rows, by its number.
        days: The days on which units were first exposed, ascending; where there are too many, 2, 4, 8, …
            calendar days are one, see `days_together`.
        one_each: Whether each unit has one row of a metric.

    Returns:
        For each arm the days by which it had values; of days that are one, the last.
    """
    step = days_together(days[0], days[-1])
    last_days = {day.toordinal() // step: day for day in days}
    blocks = list(last_days)
    placed = rows.select("measure", "variant", "unit", "value", block=_block(rows, step))
    values = _Placed(ask, placed, blocks, _read_buckets(ask(_bucket_counts(placed)), blocks))
    points = _points(values, quantiles)
    if one_each:
        counts = {arm: _one_each(values.buckets[arm], of) for arm, of in points.items()}
    else:
        counts = _of_units(values, points)
    ranks = {
        arm: {place: order_ranks(each, quantiles[arm[0]]) for place, each in of.items()}
        for arm, of in counts.items()
    }
    near = values.near(
        {arm: [(place, rank) for place, both in of.items() for rank in both] for arm, of in ranks.items()}
    )
    of_places = list(last_days.values())
    found: dict[Arm, dict[date, ArmQuantile]] = {}
    for arm, of in ranks.items():
        for place, both in of.items():
            lower, upper = (near[arm].at(rank, place) for rank in both)
            found.setdefault(arm, {})[of_places[place]] = ArmQuantile(
                quantiles[arm[0]],
                counts[arm][place],
                points[arm][place].value,
                lower.value if lower else None,
                upper.value if upper else None,
            )
    return found


def _points(values: _Placed, quantiles: Mapping[int, float]) -> dict[Arm, dict[int, _Point]]:
    """The quantile of each arm by the place of the day, where there are values by then."""
    ranks = {
        arm: [
            (place, rank_of(quantiles[arm[0]], int(total)))
            for place, total in enumerate(of.upto[-1])
            if total
        ]
        for arm, of in values.buckets.items()
    }
    near = values.near(ranks)
    return {
        arm: {place: point for place, rank in of if (point := near[arm].at(rank, place))}
        for arm, of in ranks.items()
    }


def _block(rows: ir.Table, step: int) -> ir.IntegerValue:
    day = rows.day.delta(ibis.literal(_UNIX_DAY), unit="day") + _UNIX_DAY.toordinal()
    return day // step if step > 1 else day


def _bucket_counts(placed: ir.Table) -> ir.Table:
    """How many rows of each day lie in each bucket, and between which values it lies."""
    arm = ["measure", "variant"]
    ranked = placed.mutate(
        rank=ibis.row_number().over(ibis.window(group_by=arm, order_by="value")),
        total=placed.count().over(ibis.window(group_by=arm)),
    )
    in_buckets = ranked.mutate(bucket=ranked["rank"] * _BUCKETS // ranked.total)
    return in_buckets.group_by([*arm, "bucket", "block"]).agg(
        values=in_buckets.count(), least=in_buckets.value.min(), largest=in_buckets.value.max()
    )


def _read_buckets(rows: pa.Table, blocks: Sequence[int]) -> dict[Arm, _Buckets]:
    found: dict[Arm, _Buckets] = {}
    for arm, part in _by_arm(rows).items():
        bucket, at = part["bucket"].astype(np.int64), np.searchsorted(blocks, part["block"])
        ends = np.tile([np.inf, -np.inf], (_BUCKETS, 1))
        np.minimum.at(ends[:, 0], bucket, part["least"])
        np.maximum.at(ends[:, 1], bucket, part["largest"])
        counts = np.zeros((_BUCKETS, len(blocks)), np.int64)
        np.add.at(counts, (bucket, at), part["values"].astype(np.int64))
        found[arm] = _apart(ends, counts)
    return found


def _apart(ends: NDArray[np.float64], counts: NDArray[np.int64]) -> _Buckets:
    """The buckets that have values; those that share one, as equal values came in any order, are one."""
    there = counts.any(axis=1)
    ends, counts = ends[there], counts[there]
    begins = np.flatnonzero(np.append(True, ends[1:, 0] > ends[:-1, 1]))
    lasts = np.append(begins[1:], len(ends)) - 1
    counts = np.add.reduceat(counts, begins)
    both = np.column_stack([ends[begins, 0], ends[lasts, 1]])
    return _Buckets(both, counts.cumsum(axis=1).cumsum(axis=0))


def _read_values(buckets: _Buckets, part: Mapping[str, Column] | None, blocks: Sequence[int]) -> _Values:
    if part is None:
        return _Values(buckets, np.empty(0), np.zeros((0, len(blocks)), np.int64))
    values, which = np.unique(part["value"], return_inverse=True)
    counts = np.zeros((len(values), len(blocks)), np.int64)
    np.add.at(counts, (which, np.searchsorted(blocks, part["block"])), part["values"].astype(np.int64))
    return _Values(buckets, values, counts.cumsum(axis=1))


def _one_each(buckets: _Buckets, points: Mapping[int, _Point]) -> dict[int, Moments]:
    """The counts over units, see `equipoise_stats.ArmQuantile`, where each has one value."""
    totals = {place: int(buckets.upto[-1, place]) for place in points}
    return {
        place: counted(totals[place], point.below, totals[place], point.below, point.below, totals[place])
        for place, point in points.items()
    }


def _of_units(values: _Placed, points: Mapping[Arm, Mapping[int, _Point]]) -> dict[Arm, dict[int, Moments]]:
    """The counts over units, see `equipoise_stats.ArmQuantile`, by the place of the day."""
    found: dict[Arm, dict[int, Moments]] = {arm: {} for arm in points}
    blocks = values.blocks
    for begin in range(0, len(blocks), _DAYS_AT_ONCE):
        at_once = range(begin, min(begin + _DAYS_AT_ONCE, len(blocks)))
        parts = _by_arm(values.ask(_unit_counts(values.rows, points, at_once)))
        for arm, of in points.items():
            for place in (place for place in at_once if place in of):
                there = parts[arm]["block"] <= blocks[place]
                sums = (sum(map(int, parts[arm][name][there])) for name in _sums_of(place))
                found[arm][place] = counted(*sums)
    return found


def _unit_counts(
    placed: ir.Table, points: Mapping[Arm, Mapping[int, _Point]], at_once: Iterable[int]
) -> ir.Table:
    """Sums over the units of each arm and block of what `counted` takes, for some places."""
    keys = ["measure", "variant", "block"]
    below = {}
    for place in at_once:
        values = [(_is_arm(placed, arm), of[place].value) for arm, of in points.items() if place in of]
        if values:
            limit = ibis.cases(*values, else_=ibis.null("float64"))
            below[f"below_{place}"] = ibis.ifelse(placed.value <= limit, 1, 0).sum()
    units = placed.group_by([*keys, "unit"]).agg(events=placed.count(), **below)
    sums = {"events": units.events.sum(), "squares": (units.events * units.events).sum()}
    for name in below:
        sums[name] = units[name].sum()
        sums[f"{name}_squares"] = (units[name] * units[name]).sum()
        sums[f"{name}_products"] = (units[name] * units.events).sum()
    return units.group_by(keys).agg(units=units.count(), **sums)


def _sums_of(place: int) -> tuple[str, ...]:
    """The columns of `_unit_counts` that `counted` takes, in its order."""
    below = f"below_{place}"
    return "units", below, "events", f"{below}_squares", f"{below}_products", "squares"


def _is_arm(rows: ir.Table, arm: Arm) -> ir.BooleanValue:
    measure, variant = arm
    return (rows.measure == measure) & (rows.variant == variant)


def _by_arm(rows: pa.Table) -> dict[Arm, dict[str, Column]]:
    """The columns of each arm's rows."""
    columns = {name: rows[name].to_numpy() for name in rows.column_names if name != "variant"}
    variant = rows["variant"].combine_chunks().dictionary_encode()
    measures, codes = columns["measure"].astype(np.int64), variant.indices.to_numpy(zero_copy_only=False)
    found: dict[Arm, dict[str, Column]] = {}
    for code, name in enumerate(variant.dictionary.to_pylist()):
        for measure in np.unique(measures[codes == code]).tolist():
            theirs = (codes == code) & (measures == measure)
            found[measure, name] = {each: column[theirs] for each, column in columns.items()}
    return found
