"""The Ibis expression of an analysis: tables in, one row of sufficient statistics an arm out.

Three steps, the same on every engine:

1. *units*: one row a unit, with the variants it met and when (`units`), and its segments (`segments`);
2. *values*: one row a unit that has facts, with the value of each measure (`unit_values`);
3. *arms*: one row an arm, about the arm's own mean (`arms`, `moments`).

Before them, anonymous units are joined with known ones where that is asked for (`identity`).
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.arms import arm_statistics
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.segments import with_segments
from equipoise_service.analysis.units import bots, first_exposures, one_variant
from equipoise_service.analysis.value_columns import value_column
from equipoise_service.events.queries import latest
from equipoise_service.metrics.measures import Measure


def analysed_units(exposures: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """The units that are analysed, bots left out, with their segments.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: Which experiment.
    """
    units = first_exposures(exposures, request)
    if request.bots is not None:
        units = units.anti_join(bots(events, request), "unit")
    return with_segments(units, events, request)


def row_statistics(rows: ir.Table, measures: Sequence[Measure]) -> ir.Table:
    """The statistics of rows that are exposures and facts at once.

    Args:
        rows: Columns unit, variant, and `m0_y`, `m1_y`, … (see `value_column`), without nulls.
        measures: What is measured, in the order of those columns.

    Returns:
        What `arms.arm_statistics` returns.
    """
    columns = {value_column(i): rows[value_column(i)] for i in range(len(measures))}
    sums = {
        name: column.max() if measures[i].type.is_share else column.sum()
        for i, (name, column) in enumerate(columns.items())
    }
    units = rows.group_by("unit").agg(first=rows.variant.min(), last=rows.variant.max(), **sums)
    units = units.select(*columns, variant=one_variant(units))
    values = units.filter(units.variant.notnull()) if measures else None
    return arm_statistics(units, values, measures)


def newest_receipt(exposures: ir.Table, events: ir.Table, place: str) -> ir.Table:
    """One row, column `watermark`: when the newest fact of a place was received; null for no facts."""
    # Of each table the last of an order: engines then pass over what they know to be older.
    received = [
        table.filter(table.place == place).select("received_at").order_by(ibis.desc("received_at")).limit(1)
        for table in (exposures, events)
    ]
    both = ibis.union(*received)
    return both.agg(watermark=latest(both.received_at))
