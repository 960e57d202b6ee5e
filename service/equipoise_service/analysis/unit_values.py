"""The second step: from events to one row a unit, with what each column of values holds.

The values are whole: that a unit is immature for a metric is applied afterwards, by `arms.reduce_to_arms`, so
that they can be kept and read again at a later moment.
"""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.facts import Facts, facts_of
from equipoise_service.analysis.funnels import funnel_ingredients, funnel_values
from equipoise_service.analysis.ingredient_values import aggregate, value_of, where
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.stretches import aggregate_by_stretches, pays
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
    asked = {names[identity]: each for identity, each in distinct.items()}
    aggregated = (aggregate_by_stretches if pays(asked) else _aggregate)(facts, asked)
    values = {name: value_of(aggregated[names[each.identity]], each) for name, each in made.items()}
    return funnel_values(_of_units(facts, aggregated, values), facts, request.measures)


def _of_units(facts: Facts, aggregated: ir.Table, values: Mapping[str, ir.Value]) -> ir.Table:
    """The values with what is known of their units; to group events by that as well takes longer."""
    known = facts.units.rename(known_unit="unit")
    joined = aggregated.select("unit", **values).inner_join(known, ibis._.unit == known.known_unit)
    columns = [name for name in known.columns if name != "known_unit"]
    return joined.select("unit", *columns, *values)


def _aggregate(facts: Facts, asked: Mapping[str, Ingredient]) -> ir.Table:
    """What `aggregate_by_stretches` gives, in one step."""
    table = _with_last_times(facts, asked)
    return table.group_by("unit").agg(
        **{name: aggregate(table, _counted(facts, table, name, each), each) for name, each in asked.items()}
    )


def _with_last_times(facts: Facts, asked: Mapping[str, Ingredient]) -> ir.Table:
    """The facts with, for each last value, the latest time of an event that counts and has a value."""
    table = facts.table
    last = {
        f"last_{name}": where(facts.counted(each) & table.value.notnull(), table.time)
        .max()
        .over(ibis.window(group_by=table.unit))
        for name, each in asked.items()
        if each.aggregation is Aggregation.LAST
    }
    return table.mutate(**last) if last else table


def _counted(facts: Facts, table: ir.Table, name: str, asked: Ingredient) -> ir.BooleanValue:
    counted = facts.counted(asked, table)
    if asked.aggregation is Aggregation.LAST:
        counted &= table.time == table[f"last_{name}"]
    return counted
