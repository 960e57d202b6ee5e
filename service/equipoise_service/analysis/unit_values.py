"""The second step: from events to one row a unit, with what each column of values holds.

The values are whole: that a unit is immature for a metric is applied afterwards, by `arms.reduce_to_arms`, so
that they can be kept and read again at a later moment.
"""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.facts import Facts, facts_of, stayed_units
from equipoise_service.analysis.funnels import funnel_ingredients, funnel_values
from equipoise_service.analysis.ingredient_values import aggregate, value_of, where
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.stretches import aggregate_by_stretches, pays, with_slots
from equipoise_service.analysis.value_columns import Ingredient, ingredients
from equipoise_service.metrics.schemas import Aggregation


def unit_values(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """The values of the units that have facts, with what is known of these units.

    Args:
        units: Columns unit, first, last, first_time, and the segments'; see `units.first_exposures`.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: What is measured.

    Returns:
        One row a unit: unit, variant, first_time, the segments, and the columns of `bare_values`.
    """
    # To group events by what is known as well takes longer than to join it afterwards.
    known = stayed_units(units, request)
    known = known.rename(known_unit="unit")
    values = bare_values(units, events, request)
    joined = values.inner_join(known, values.unit == known.known_unit)
    kept = [name for name in known.columns if name != "known_unit"]
    return joined.select("unit", *kept, *(name for name in values.columns if name != "unit"))


def bare_values(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """The values of the units that have facts.

    Args:
        units: As for `unit_values`.
        events: As for `unit_values`.
        request: What is measured.

    Returns:
        One row a unit that met one variant and has facts: unit, and the columns of values `m0_y`, …, a
        maximum of no values null; of a funnel `m0_s1`, …, whether the unit reached that step.
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
    return funnel_values(aggregated.select("unit", **values), facts, request.measures)


def _aggregate(facts: Facts, asked: Mapping[str, Ingredient]) -> ir.Table:
    """What `aggregate_by_stretches` gives, in one step."""
    table, counted = with_slots(facts, asked)
    last = [name for name, each in asked.items() if each.aggregation is Aggregation.LAST]
    # Of a last value the events with the latest time that count and have a value.
    times = {
        f"last_{name}": where(counted[name] & table.value.notnull(), table.time)
        .max()
        .over(ibis.window(group_by=table.unit))
        for name in last
    }
    table = table.mutate(**times) if times else table
    counted |= {name: counted[name] & (table.time == table[f"last_{name}"]) for name in last}
    return table.group_by("unit").agg(
        **{name: aggregate(table, counted[name], each) for name, each in asked.items()}
    )
