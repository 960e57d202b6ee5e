"""Stretches of time about a unit's first exposure, which the ends of all spans cut it into.

An event's name and stretch make a number, its *slot*, and what counts for a metric is one slot, or a few that
follow each other: names and moments are compared once for all metrics.

Metrics that differ in their delays and windows are made of the same events, and each of them adds an
aggregate that every event goes through. Where that pays, events are aggregated in two steps instead: the
first one aggregates the events of each stretch, once for all spans, the second one puts together the
stretches of each span, from the few rows that a unit then has.
"""

from bisect import bisect_right
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.facts import Facts, from_exposure
from equipoise_service.analysis.ingredient_values import ADDED, aggregate, where
from equipoise_service.analysis.units import naive
from equipoise_service.analysis.value_columns import Ingredient
from equipoise_service.metrics.schemas import Aggregation

# On DuckDB two steps were slower than one where the first has half of the aggregates, quicker with a fifth.
_FEWER = 2


def pays(asked: Mapping[str, Ingredient]) -> bool:
    """Whether values can be made so, and the first step then has less than half of the aggregates."""
    ingredients = asked.values()
    added = all(each.aggregation in ADDED and each.distinct is None for each in ingredients)
    return added and len(ingredients) > _FEWER * len({each.of_any_span for each in ingredients})


def aggregate_by_stretches(facts: Facts, asked: Mapping[str, Ingredient]) -> ir.Table:
    """Aggregates the events of each unit.

    Args:
        facts: The events.
        asked: What is made of them, by the column that it goes to; `pays` says yes.

    Returns:
        One row a unit: unit, and what is aggregated; null where no event counts.
    """
    kinds = {each.of_any_span: each for each in asked.values()}
    columns = {kind: f"a{i}" for i, kind in enumerate(kinds)}
    ends = _ends(facts, asked)
    stretches = _stretches(facts, ends)
    table = facts.table.mutate(**stretches)
    parts = table.group_by(["unit", *stretches]).agg(
        **{columns[kind]: aggregate(table, facts.named(each, table), each) for kind, each in kinds.items()}
    )
    return parts.group_by("unit").agg(
        **{
            name: _together(where(_within(parts, each, ends), parts[columns[each.of_any_span]]), each)
            for name, each in asked.items()
        }
    )


def with_slots(facts: Facts, asked: Mapping[str, Ingredient]) -> tuple[ir.Table, dict[str, ir.BooleanValue]]:
    """Numbers the events by their slots.

    Args:
        facts: The events.
        asked: What is made of them, by a name.

    Returns:
        The events with their slots, and for each name which of them count.
    """
    ends = _ends(facts, asked)
    table = facts.table.mutate(**_stretches(facts, ends))
    table = table.mutate(slot=(table.code * (len(ends) + 1) + table.passed).cast("int32"))
    return table, {name: _counted(facts, table, each, ends) for name, each in asked.items()}


def _counted(facts: Facts, table: ir.Table, asked: Ingredient, ends: list[int]) -> ir.BooleanValue:
    if asked.filters:
        return facts.named(asked, table) & _within(table, asked, ends)
    first = facts.codes[asked.name] * (len(ends) + 1)
    low, high = (first + stretch for stretch in _span(asked, ends))
    counted = table.slot == low if low == high else table.slot.between(low, high)
    return counted & ~table.late if _is_open(asked, table) else counted


def _ends(facts: Facts, asked: Mapping[str, Ingredient]) -> list[int]:
    """The ends of all spans, in hours from the first exposure; before the first one nothing more is cut."""
    spans = [end for each in asked.values() for end in (each.start, each.end)]
    return sorted({end for end in spans if end is not None and end > facts.begin})


def _stretches(facts: Facts, ends: list[int]) -> dict[str, ir.Value]:
    """For each event how many ends it is not before, and whether it is too late for what has no window."""
    time = facts.table.time
    # The latest end first: of most events nothing more is asked.
    cases = [
        (time >= from_exposure(facts.table, end), ibis.literal(number, type="int16"))
        for number, end in enumerate(ends, 1)
    ]
    none = ibis.literal(0, type="int16")
    passed = {"passed": ibis.cases(*reversed(cases), else_=none) if cases else none}
    return passed if facts.until is None else passed | {"late": time >= naive(facts.until)}


def _span(asked: Ingredient, ends: list[int]) -> tuple[int, int]:
    """The first and the last stretch of a span."""
    last = len(ends) if asked.end is None else bisect_right(ends, asked.end) - 1
    return bisect_right(ends, asked.start), last


def _within(rows: ir.Table, asked: Ingredient, ends: list[int]) -> ir.BooleanValue:
    within = rows.passed.between(*_span(asked, ends))
    return within & ~rows.late if _is_open(asked, rows) else within


def _is_open(asked: Ingredient, rows: ir.Table) -> bool:
    """Whether what is late does not count."""
    return asked.end is None and "late" in rows.columns


def _together(parts: ir.Value, asked: Ingredient) -> ir.Scalar:
    added = asked.aggregation in (Aggregation.COUNT, Aggregation.SUM)
    return parts.cast("float64").sum() if added else parts.max()
