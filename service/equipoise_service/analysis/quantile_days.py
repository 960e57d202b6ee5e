"""Quantiles among all units that had been exposed by the end of a day, for every day.

The quantile of two days does not follow from theirs, and to ask for each day by itself would sort the values
as often as there are days. So the values of an arm are put in order once and split into buckets. How many of
each day lie in each tells, for every day, in which bucket the value of a rank lies and how many come before.
Only the values of those few buckets are read, and that of the rank is picked among them: exactly.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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

Columns = Mapping[str, NDArray[Any]]
Ask = Callable[[ir.Table], pa.Table]
"""Asks what a query gives: tens of thousands of rows, which would hold the interpreter up one by one."""

_BUCKETS = 512
# Of an arm; where there would be more, what lies between two of them is read as well.
_MOST_RANGES = 8
# In a statement: each is a number of every unit on the way.
_DAYS_AT_ONCE = 16
_UNIX_DAY = date(1970, 1, 1)
_LARGEST = np.finfo(np.float64).max


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

    @property
    def totals(self) -> list[int]:
        """How many values there are by the end of each day."""
        return [int(total) for total in self.upto[-1]]

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
        values: The values, ascending; equal ones of several days follow each other.
        places: The place of the day of each.
        counts: How often the units of that day have it.
    """

    buckets: _Buckets
    values: NDArray[np.float64]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]

    def at(self, rank: int, place: int) -> _Point | None:
        """The value of a rank; None where there is none, or not all of its bucket are finite numbers."""
        bucket = self.buckets.of_rank(rank, place)
        if bucket is None:
            return None
        before = int(self.buckets.upto[bucket - 1, place]) if bucket else 0
        least, largest = self.buckets.ends[bucket]
        part = slice(np.searchsorted(self.values, least), np.searchsorted(self.values, largest, side="right"))
        by_then = self.places[part] <= place
        values, upto = self.values[part][by_then], before + np.cumsum(self.counts[part][by_then])
        if not len(upto) or upto[-1] != self.buckets.upto[bucket, place]:
            return None
        value = values[np.searchsorted(upto, rank)]
        return _Point(float(value), int(upto[np.searchsorted(values, value, side="right") - 1]))


@dataclass(frozen=True, slots=True)
class _Placed:
    """The values of one metric.

    Attributes:
        ask: Asks the engine.
        rows: Columns variant, unit, value, and block, the number of the days that are one.
        blocks: Those numbers, ascending: a place is one among them.
    """

    ask: Ask
    rows: ir.Table
    blocks: NDArray[np.int64]

    def of_arms(self, query: ir.Table) -> dict[str, Columns]:
        """The columns of each arm's rows, and the place of each row."""
        table = self.ask(query)
        columns = {name: table[name].to_numpy() for name in table.column_names if name != "variant"}
        columns["place"] = np.searchsorted(self.blocks, columns["block"])
        # A table that others write to may have got a day since the days were looked at.
        known = np.isin(columns["block"], self.blocks)
        variant = table["variant"].combine_chunks().dictionary_encode()
        codes = variant.indices.to_numpy(zero_copy_only=False)
        arms = enumerate(variant.dictionary.to_pylist())
        return {
            name: {each: column[known & (codes == code)] for each, column in columns.items()}
            for code, name in arms
        }

    def near(
        self, buckets: Mapping[str, _Buckets], ranks: Mapping[str, Iterable[tuple[int, int]]]
    ) -> dict[str, _Values]:
        """The values of the buckets in which ranks lie.

        Args:
            buckets: Those of each arm.
            ranks: For each arm the places and ranks that are looked for there.
        """
        conditions = []
        for variant, wanted in ranks.items():
            hit = {buckets[variant].of_rank(rank, place) for place, rank in wanted}
            ranges = buckets[variant].ranges([each for each in hit if each is not None])
            if ranges:
                value = self.rows.value
                conditions.append(
                    (self.rows.variant == variant) & any_of([value.between(*each) for each in ranges])
                )
        parts: dict[str, Columns] = {}
        if conditions:
            near = self.rows.filter(any_of(conditions))
            parts = self.of_arms(near.group_by(["variant", "value", "block"]).agg(values=near.count()))
        return {variant: _values(of, parts.get(variant)) for variant, of in buckets.items()}


def quantiles_by_day(
    ask: Ask, rows: ir.Table, q: float, days: Sequence[date], *, one_each: bool
) -> dict[str, dict[date, ArmQuantile | None]]:
    """Finds the quantile of each arm among the units that had been exposed by the end of each day.

    Args:
        ask: Asks the engine, three times, or more where units have several rows.
        rows: Of one metric, what `quantiles.unit_rows` or `event_rows` gives.
        q: Which quantile.
        days: The days on which units were first exposed, ascending; where there are too many, 2, 4, 8, …
            calendar days are one, see `days_together`.
        one_each: Whether each unit has one row.

    Returns:
        For each arm, by variant, the days by which it had values; of days that are one, the last. None where
        the quantile, or an end of its interval, is no finite number.
    """
    step = days_together(days[0], days[-1])
    last_days = {day.toordinal() // step: day for day in days}
    blocks = np.array(list(last_days), np.int64)
    placed = _Placed(ask, rows.select("variant", "unit", "value", block=_block(rows, step)), blocks)
    buckets = _buckets(placed)
    points = _points(placed, buckets, q)
    if one_each:
        counts = {variant: _one_each(buckets[variant], of) for variant, of in points.items()}
    else:
        counts = _of_units(placed, points)
    ends = {
        variant: [(place, rank) for place, each in of.items() for rank in order_ranks(each, q)]
        for variant, of in counts.items()
    }
    near = placed.near(buckets, ends)
    return {
        variant: {
            day: _quantile(q, near[variant], place, points[variant].get(place), counts[variant].get(place))
            for place, (day, total) in enumerate(zip(last_days.values(), of.totals, strict=True))
            if total
        }
        for variant, of in buckets.items()
    }


def _quantile(
    q: float, near: _Values, place: int, point: _Point | None, counts: Moments | None
) -> ArmQuantile | None:
    """What is known by a day; None where it, or an end of its interval, is no finite number."""
    if point is None or counts is None:
        return None
    total = near.buckets.totals[place]
    ends: list[float | None] = []
    for rank in order_ranks(counts, q):
        end = near.at(rank, place)
        if end is None and 1 <= rank <= total:
            return None
        ends.append(None if end is None else end.value)
    return ArmQuantile(q, counts, point.value, *ends)


def _points(placed: _Placed, buckets: Mapping[str, _Buckets], q: float) -> dict[str, dict[int, _Point]]:
    """The quantile of each arm by the place of the day, where there are values by then."""
    ranks = {
        variant: [(place, rank_of(q, total)) for place, total in enumerate(of.totals) if total]
        for variant, of in buckets.items()
    }
    near = placed.near(buckets, ranks)
    return {
        variant: {place: point for place, rank in of if (point := near[variant].at(rank, place))}
        for variant, of in ranks.items()
    }


def _block(rows: ir.Table, step: int) -> ir.IntegerValue:
    day = rows.day.delta(ibis.literal(_UNIX_DAY), unit="day") + _UNIX_DAY.toordinal()
    return day // step if step > 1 else day


def _buckets(placed: _Placed) -> dict[str, _Buckets]:
    """Where the values of each arm lie."""
    found = {}
    for variant, part in placed.of_arms(_bucket_counts(placed.rows)).items():
        bucket = part["bucket"].astype(np.int64)
        ends = np.tile([np.inf, -np.inf], (_BUCKETS, 1))
        # Engines have what is no number above all that are; neither is asked for again.
        for end, of, extreme in ((0, "least", np.minimum), (1, "largest", np.maximum)):
            finite = np.nan_to_num(part[of].astype(np.float64), nan=_LARGEST)
            extreme.at(ends[:, end], bucket, finite)
        counts = np.zeros((_BUCKETS, len(placed.blocks)), np.int64)
        counts[bucket, part["place"]] = part["values"]
        if counts.any():
            found[variant] = _apart(ends, counts)
    return found


def _bucket_counts(rows: ir.Table) -> ir.Table:
    """How many rows of each day lie in each bucket, and between which values it lies."""
    ranked = rows.mutate(
        rank=ibis.row_number().over(ibis.window(group_by="variant", order_by="value")),
        total=rows.count().over(ibis.window(group_by="variant")),
    )
    in_buckets = ranked.mutate(bucket=ranked["rank"] * _BUCKETS // ranked.total)
    return in_buckets.group_by(["variant", "bucket", "block"]).agg(
        values=in_buckets.count(), least=in_buckets.value.min(), largest=in_buckets.value.max()
    )


def _apart(ends: NDArray[np.float64], counts: NDArray[np.int64]) -> _Buckets:
    """The buckets that have values; those that share one, as equal values came in any order, are one."""
    there = counts.any(axis=1)
    ends, counts = ends[there], counts[there]
    begins = np.flatnonzero(np.append(True, ends[1:, 0] > ends[:-1, 1]))
    lasts = np.append(begins[1:], len(ends)) - 1
    counts = np.add.reduceat(counts, begins)
    both = np.column_stack([ends[begins, 0], ends[lasts, 1]])
    return _Buckets(both, counts.cumsum(axis=1).cumsum(axis=0))


def _values(buckets: _Buckets, part: Columns | None) -> _Values:
    if part is None:
        return _Values(buckets, np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    order = np.argsort(part["value"], kind="stable")
    counts = part["values"].astype(np.int64)
    return _Values(buckets, part["value"][order], part["place"][order], counts[order])


def _one_each(buckets: _Buckets, points: Mapping[int, _Point]) -> dict[int, Moments]:
    """The counts over units, see `equipoise_stats.ArmQuantile`, where each has one value."""
    totals = buckets.totals
    return {
        place: counted(totals[place], point.below, totals[place], point.below, point.below, totals[place])
        for place, point in points.items()
    }


def _of_units(placed: _Placed, points: Mapping[str, Mapping[int, _Point]]) -> dict[str, dict[int, Moments]]:
    """The counts over units, see `equipoise_stats.ArmQuantile`, by the place of the day."""
    found: dict[str, dict[int, Moments]] = {variant: {} for variant in points}
    for begin in range(0, len(placed.blocks), _DAYS_AT_ONCE):
        at_once = range(begin, begin + _DAYS_AT_ONCE)
        for variant, part in placed.of_arms(_unit_counts(placed.rows, points, at_once)).items():
            for place in (place for place in at_once if place in points.get(variant, ())):
                there = part["place"] <= place
                sums = [sum(map(int, part[name][there])) for name in _sums_of(place)]
                if sums[0]:
                    found[variant][place] = counted(*sums)
    return found


def _unit_counts(
    rows: ir.Table, points: Mapping[str, Mapping[int, _Point]], at_once: Iterable[int]
) -> ir.Table:
    """Sums over the units of each arm and block of what `counted` takes, for some places."""
    below = dict(_below(rows, points, at_once))
    units = rows.group_by(["variant", "block", "unit"]).agg(events=rows.count(), **below)
    sums = {"events": units.events.sum(), "squares": (units.events * units.events).sum()}
    for name in below:
        sums[name] = units[name].sum()
        sums[f"{name}_squares"] = (units[name] * units[name]).sum()
        sums[f"{name}_products"] = (units[name] * units.events).sum()
    return units.group_by(["variant", "block"]).agg(units=units.count(), **sums)


def _below(
    rows: ir.Table, points: Mapping[str, Mapping[int, _Point]], at_once: Iterable[int]
) -> Iterator[tuple[str, ir.IntegerScalar]]:
    """For each place the number of values at or below the quantile."""
    for place in at_once:
        limits = [(rows.variant == each, of[place].value) for each, of in points.items() if place in of]
        if limits:
            limit = ibis.cases(*limits, else_=ibis.null("float64"))
            yield f"below_{place}", ibis.ifelse(rows.value <= limit, 1, 0).sum()


def _sums_of(place: int) -> tuple[str, ...]:
    """The columns of `_unit_counts` that `counted` takes, in its order."""
    below = f"below_{place}"
    return "units", below, "events", f"{below}_squares", f"{below}_products", "squares"
