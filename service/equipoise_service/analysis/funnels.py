"""Funnels: how far each unit came through steps in their order."""

from collections.abc import Iterator, Sequence

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.facts import Facts
from equipoise_service.analysis.units import any_of
from equipoise_service.analysis.value_columns import Ingredient, value_columns
from equipoise_service.metrics.measures import Measure


def funnel_ingredients(measures: Sequence[Measure]) -> list[Ingredient]:
    """The events that funnels are made of."""
    return [each for measure in measures for each in _steps(measure)]


def funnel_values(values: ir.Table, facts: Facts, measures: Sequence[Measure]) -> ir.Table:
    """Adds the columns of funnels.

    A unit enters a funnel by its earliest event of the first step, and reaches each further step by the
    earliest event of that step that is later than the one it reached the step before by, at an earlier moment
    than so many hours after it entered, where that is asked for.

    Args:
        values: One row a unit that has facts.
        facts: The events that the values are made of.
        measures: What is measured.

    Returns:
        The values, and for each funnel its columns `m0_s1`, …: 1 where the unit reached the step, else 0.
    """
    for i, measure in enumerate(measures):
        if measure.is_funnel:
            reached = _reached(facts, i, measure).rename(funnel_unit="unit")
            names = [name for name in reached.columns if name != "funnel_unit"]
            joined = values.left_join(reached, values.unit == reached.funnel_unit)
            values = joined.select(
                *values.columns, **{name: ibis.coalesce(joined[name], 0.0) for name in names}
            )
    return values


def _steps(measure: Measure) -> Iterator[Ingredient]:
    if not measure.is_funnel:
        return
    span = (measure.delay_hours, measure.window_hours)
    yield Ingredient(measure.name, measure.filters, None, None, *span)
    for step in measure.steps:
        yield Ingredient(step.event, step.filters, None, None, *span)


def _reached(facts: Facts, index: int, measure: Measure) -> ir.Table:
    """One row a unit that has any of the steps' events: unit, and the columns of the steps."""
    steps = list(_steps(measure))
    table = facts.table.filter(any_of([facts.counted(step) for step in steps]))
    table = table.select("unit", "time", **{f"at{i}": facts.counted(s, table) for i, s in enumerate(steps)})
    for i in range(len(steps)):
        counts = table[f"at{i}"]
        if i:
            counts &= table.time > table[f"reached{i - 1}"]
            if measure.within_hours is not None:
                counts &= table.time < table.reached0 + ibis.interval(hours=measure.within_hours)
        moment = ibis.ifelse(counts, table.time, ibis.null(table.time.type()))
        table = table.mutate(**{f"reached{i}": moment.min().over(ibis.window(group_by=table.unit))})
    return table.group_by("unit").agg(
        **{
            name: ibis.ifelse(table[f"reached{i}"].notnull(), 1, 0).max().cast("float64")
            for i, name in enumerate(value_columns(index, measure))
        }
    )
