"""The second step: from events to one row a unit, with what each column of values holds.

The values are whole: that a unit is immature for a metric is applied afterwards, by `arms.reduce_to_arms`, so
that they can be kept and read again at a later moment.
"""

import operator
from functools import reduce

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.facts import Facts, distinct_columns, facts_of, segment_columns
from equipoise_service.analysis.funnels import funnel_ingredients, funnel_values
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.value_columns import Ingredient, ingredients
from equipoise_service.metrics.schemas import Aggregation


def unit_values(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """The values of the units that have facts.

    Args:
        units: Columns unit, first, last, first_time, and the segments'; see `units.first_exposures`.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: What is measured.

    Returns:
        One row a unit that met one variant and has facts: unit, variant, first_time, the segments, and the
        columns of values `m0_y`, …, a maximum of no values null; of a funnel `m0_s1`, …, whether the unit
        reached that step.
    """
    made = ingredients(request.measures)
    funnels = funnel_ingredients(request.measures)
    facts = facts_of(units, events, request, [*made.values(), *funnels])
    # What several metrics need, such as a pre-period's sum, is worked out once.
    distinct = {each.identity: each for each in made.values()}
    names = {identity: f"c{i}" for i, identity in enumerate(distinct)}
    table = _with_last_times(facts, distinct, names)
    # The variant depends on the unit; grouping by it as well is cheaper than carrying any one value of it.
    keys = ["unit", "variant", "first_time", *segment_columns(request)]
    grouped = table.group_by(keys).agg(
        **{
            names[identity]: _aggregate(facts, table, names[identity], each)
            for identity, each in distinct.items()
        }
    )
    values = grouped.select(*keys, **{name: grouped[names[each.identity]] for name, each in made.items()})
    return funnel_values(values, facts, request.measures)


def _with_last_times(
    facts: Facts, asked: dict[tuple[object, ...], Ingredient], names: dict[tuple[object, ...], str]
) -> ir.Table:
    """The facts with, for each last value, the latest time of an event that counts and has a value."""
    table = facts.table
    last = {
        f"last_{names[identity]}": ibis.ifelse(
            facts.counted(each) & table.value.notnull(), table.time, ibis.null(table.time.type())
        )
        .max()
        .over(ibis.window(group_by=table.unit))
        for identity, each in asked.items()
        if each.aggregation is Aggregation.LAST
    }
    return table.mutate(**last) if last else table


def _aggregate(facts: Facts, table: ir.Table, name: str, asked: Ingredient) -> ir.Scalar:
    counted = facts.counted(asked, table)
    if asked.distinct is not None:
        kinds = [table[column].nunique(where=counted) for column in distinct_columns(asked.distinct)]
        return reduce(operator.add, kinds).cast("float64")
    one = ibis.literal(1, type="int8")
    if asked.aggregation is None:
        return ibis.coalesce(_where(counted, one).max(), 0).cast("float64")
    if asked.aggregation is Aggregation.COUNT:
        return _where(counted, one).count().cast("float64")
    if asked.aggregation is Aggregation.LAST:
        # Of several at the last moment the largest, the same whatever order they came in.
        counted &= table.time == table[f"last_{name}"]
    values = _where(counted, table.value)
    if asked.aggregation is Aggregation.MAXIMUM:
        return values.max()
    return ibis.coalesce(values.sum() if asked.aggregation is Aggregation.SUM else values.max(), 0.0)


def _where(condition: ir.BooleanValue, value: ir.Value) -> ir.Value:
    """The value, null elsewhere: for DuckDB much cheaper than an aggregate with a filter of its own."""
    return ibis.ifelse(condition, value, ibis.null(value.type()))
