"""What the events of one ingredient come to for each unit."""

import operator
from functools import reduce

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.facts import distinct_columns
from equipoise_service.analysis.value_columns import Ingredient
from equipoise_service.metrics.schemas import Aggregation

ADDED = (None, Aggregation.COUNT, Aggregation.SUM, Aggregation.MAXIMUM)
"""How events are aggregated whose parts can be aggregated by themselves and then together."""


def aggregate(table: ir.Table, counted: ir.BooleanValue, asked: Ingredient) -> ir.Scalar:
    """Aggregates the events that count; null for none, but 0 where things are counted.

    Args:
        table: The events: columns value, and those of a property whose values are counted.
        counted: Which of them count; of a last value those with the latest time only.
        asked: What is made of them.
    """
    if asked.distinct is not None:
        kinds = [table[column].nunique(where=counted) for column in distinct_columns(asked.distinct)]
        return reduce(operator.add, kinds)
    one = ibis.literal(1, type="int8")
    if asked.aggregation is None:
        return where(counted, one).max()
    if asked.aggregation is Aggregation.COUNT:
        return where(counted, one).count()
    # Of several at the last moment the largest, the same whatever order they came in.
    values = where(counted, table.value)
    return values.sum() if asked.aggregation is Aggregation.SUM else values.max()


def value_of(aggregated: ir.Value, asked: Ingredient) -> ir.Value:
    """The value of a unit: what `aggregate` gives as a number, null for a maximum of no values only."""
    if asked.aggregation is Aggregation.MAXIMUM and asked.distinct is None:
        return aggregated
    return ibis.coalesce(aggregated.cast("float64"), 0.0)


def where(condition: ir.BooleanValue, value: ir.Value) -> ir.Value:
    """The value, null elsewhere: for DuckDB much cheaper than an aggregate with a filter of its own."""
    return ibis.ifelse(condition, value, ibis.null(value.type()))
