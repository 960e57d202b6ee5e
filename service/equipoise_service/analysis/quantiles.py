"""Quantiles, found by the ranks of values: engines have quantiles of several kinds, some of them approximate.

Two passes over rows of values. The first finds the quantile of each arm and counts each unit's values at or
below it; from these counts `equipoise_stats.order_ranks` says which two ranks bound the quantile, and the
second pass finds the values of these ranks.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.facts import facts_of, segment_columns
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.segments import fanned
from equipoise_service.analysis.units import any_of, exposure_day, is_mature, one_variant
from equipoise_service.analysis.value_columns import Ingredient, value_column
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Level
from equipoise_stats import ArmQuantile, Moments, order_ranks

_MILLION = 1_000_000
_SUMS = ("units", "below", "events", "below_below", "below_events", "events_events")

Cell = tuple[int, str, int, str]
"""An arm of a metric: number of the metric, variant, number of the segment, label of its value."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the first pass finds of an arm.

    Attributes:
        q: Which quantile.
        value: The quantile.
        counts: Moments over units of `below` and `events`, see `equipoise_stats.ArmQuantile`.
    """

    q: float
    value: float
    counts: Moments

    @property
    def ranks(self) -> tuple[int, int]:
        """Ranks of the values that bound the quantile."""
        return order_ranks(self.counts, self.q)


def unit_rows(units: ir.Table, values: ir.Table, request: StoreRequest) -> ir.Table | None:
    """The rows of quantiles of units: one for each mature unit, those without facts included.

    Args:
        units: Columns unit, first, last, first_time, and the segments'.
        values: What `unit_values.unit_values` gives.
        request: What is measured.

    Returns:
        Columns measure (its number), variant, unit, day (see `units.exposure_day`), value, and the segments';
        None without such metrics.
    """
    asked = _asked(request.measures, Level.UNIT)
    if not asked:
        return None
    names = {i: value_column(i) for i, _ in asked}
    valued = values.select(valued_unit="unit", **{name: values[name] for name in names.values()})
    stayed = units.filter(units["first"] == units["last"])
    joined = stayed.left_join(valued, stayed.unit == valued.valued_unit)
    filled = {name: ibis.coalesce(joined[name], 0.0) for name in names.values()}
    segments = segment_columns(request)
    whole = joined.select("unit", "first_time", *segments, variant=one_variant(joined), **filled)
    return _union([(i, measure, whole, whole[names[i]], ibis.literal(True)) for i, measure in asked], request)


def event_rows(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table | None:
    """The rows of quantiles of events: one for each event with a value that counts, of mature units.

    Args:
        units: Columns unit, first, last, first_time, and the segments'.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: What is measured.

    Returns:
        Columns measure (its number), variant, unit, day (see `units.exposure_day`), value, and the segments';
        None without such metrics.
    """
    asked = _asked(request.measures, Level.EVENT)
    if not asked:
        return None
    made = {i: Ingredient(m.name, m.filters, None, None, m.delay_hours, m.window_hours) for i, m in asked}
    facts = facts_of(units, events, request, list(made.values()))
    table = facts.table
    return _union(
        [(i, m, table, table.value, facts.counted(made[i]) & table.value.notnull()) for i, m in asked],
        request,
    )


def quantile_counts(rows: ir.Table, request: StoreRequest) -> ir.Table:
    """The first pass.

    Args:
        rows: What `unit_rows` or `event_rows` gives.
        request: What is measured.

    Returns:
        One row an arm of a metric (measure, variant, and where there are segments theirs): found (the
        quantile: of n values the ⌈qn⌉-th smallest), units, and the sums over units of below (number of values
        at or below it), of events (number of values), and of their squares and product.
    """
    table, keys = _cells(rows, request)
    wanted = ibis.cases(
        *(
            (table.measure == i, _millionths(measure.quantile or 0.0))
            for i, measure in enumerate(request.measures)
        ),
        else_=ibis.literal(0),
    )
    arm = ibis.window(group_by=keys)
    ranked = table.mutate(
        wanted=wanted,
        total=table.count().over(arm),
        rank=ibis.row_number().over(ibis.window(group_by=keys, order_by="value")) + 1,
    )
    reached = ibis.ifelse(
        ranked.rank * _MILLION >= ranked.total * ranked.wanted, ranked.value, ibis.null("float64")
    )
    found = ranked.mutate(found=reached.min().over(arm))
    units = found.group_by([*keys, "unit"]).agg(
        found=found.found.max(),
        below=ibis.ifelse(found.value <= found.found, 1, 0).sum(),
        events=found.count(),
    )
    return units.group_by(keys).agg(
        found=units.found.max(),
        units=units.count(),
        below=units.below.sum(),
        events=units.events.sum(),
        below_below=(units.below * units.below).sum(),
        below_events=(units.below * units.events).sum(),
        events_events=(units.events * units.events).sum(),
    )


def values_at(rows: ir.Table, request: StoreRequest, ranks: Mapping[Cell, Iterable[int]]) -> ir.Table:
    """The second pass.

    Args:
        rows: What `unit_rows` or `event_rows` gives.
        request: What is measured.
        ranks: Which ranks of which arms, at least one.

    Returns:
        One row for each of them that there is: the arm's columns, rank, and value.
    """
    table, keys = _cells(rows, request)
    ranked = table.mutate(rank=ibis.row_number().over(ibis.window(group_by=keys, order_by="value")) + 1)
    return ranked.filter(any_of([_is_cell(ranked, cell, of) for cell, of in ranks.items()])).select(
        *keys, "rank", "value"
    )


def read_counts(rows: Iterable[Mapping[str, Any]], request: StoreRequest) -> dict[Cell, Found]:
    """Reads the rows that `quantile_counts` gives."""
    return {cell_of(row): _found(row, request.measures[int(row["measure"])].quantile or 0.0) for row in rows}


def read_values(rows: Iterable[Mapping[str, Any]], found: Mapping[Cell, Found]) -> dict[Cell, ArmQuantile]:
    """Joins what `read_counts` gives with the rows of `values_at`, but for what is no finite number."""
    values = {(cell_of(row), int(row["rank"])): float(row["value"]) for row in rows}
    quantiles = {}
    for cell, each in found.items():
        lower, upper = (values.get((cell, rank)) for rank in each.ranks)
        if all(math.isfinite(end) for end in (lower, each.value, upper) if end is not None):
            quantiles[cell] = ArmQuantile(each.q, each.counts, each.value, lower, upper)
    return quantiles


def counted(units: int, below: int, events: int, squares: int, products: int, events_squares: int) -> Moments:
    """Moments over units of `below` and `events`, see `equipoise_stats.ArmQuantile`, exactly from plain sums.

    Args:
        units: Number of units.
        below: Sum of their numbers of values at or below a quantile.
        events: Sum of their numbers of values.
        squares: Sum of the squares of the former.
        products: Sum of the products of both.
        events_squares: Sum of the squares of the latter.
    """
    crossed = _about(products, below, events, units)
    comoments = (
        (_about(squares, below, below, units), crossed),
        (crossed, _about(events_squares, events, events, units)),
    )
    return Moments(units, ("below", "events"), (below / units, events / units), comoments)


def rank_of(q: float, values: int) -> int:
    """The rank from 1, ⌈qn⌉, of a quantile in millionths among n values.

    Example:
        >>> rank_of(0.07, 100), rank_of(0.5, 3)
        (7, 2)
    """
    return -(-values * _millionths(q) // _MILLION)


def cell_of(row: Mapping[str, Any]) -> Cell:
    """Which arm of which metric a row is of."""
    return int(row["measure"]), row["variant"], int(row.get("segment", 0)), row.get("segment_value", "")


def _asked(measures: Sequence[Measure], level: Level) -> list[tuple[int, Measure]]:
    return [(i, measure) for i, measure in enumerate(measures) if measure.level is level]


def _union(
    parts: list[tuple[int, Measure, ir.Table, ir.Value, ir.BooleanValue]], request: StoreRequest
) -> ir.Table:
    """The rows of several metrics: for each the table, the values in it, and which rows count."""
    rows = []
    for i, measure, table, value, counts in parts:
        if measure.matures_after:
            counts &= is_mature(table, measure, request)
        columns = {name: table[name] for name in ("variant", "unit", *segment_columns(request))}
        columns["day"] = exposure_day(table, request)
        number = ibis.literal(i, type="int64")
        rows.append(table.filter(counts).select(measure=number, value=value, **columns))
    return ibis.union(*rows) if len(rows) > 1 else rows[0]


def _millionths(q: float) -> int:
    return round(q * _MILLION)


def _cells(rows: ir.Table, request: StoreRequest) -> tuple[ir.Table, list[str]]:
    table, keys = fanned(rows.drop("day"), len(request.segments))
    return table, ["measure", *keys]


def _is_cell(rows: ir.Table, cell: Cell, ranks: Iterable[int]) -> ir.BooleanValue:
    measure, variant, segment, label = cell
    found = (rows.measure == measure) & (rows.variant == variant) & rows["rank"].isin(list(ranks))
    if "segment" in rows.columns:
        found &= (rows.segment == segment) & (rows.segment_value == label)
    return found


def _found(row: Mapping[str, Any], q: float) -> Found:
    counts = counted(*(int(row[name]) for name in _SUMS))
    return Found(q, float(row["found"]), counts)


def _about(product: int, one: int, other: int, n: int) -> float:
    """The sum of products of deviations, exactly, from plain sums of whole numbers."""
    return float(product - Fraction(one * other, n))
