"""The Ibis expression of an analysis: tables in, one row of sufficient statistics an arm out.

Three steps, the same on every engine:

1. *units*: one row a unit, with the variant it met, or no variant when it met several (a crossover);
2. *values*: one row a unit that has facts, with the value of each measure (`unit_values`);
3. *moments*: one row an arm, about the arm's own mean (`moments`).

Units without facts never pass through steps 2 and 3: their values are known to be zero, so only their number
is counted, and `analysis.statistics` merges them in. That halves the work where most units do nothing.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from equipoise_service.analysis.moments import moments
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.unit_values import is_mature, value_column, values_after_exposure
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import MetricType


def store_statistics(exposures: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """The statistics of one revision of an experiment.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: Which experiment, and what is measured.

    Returns:
        What `arm_statistics` returns.
    """
    units = _first_exposures(exposures, request)
    if not request.measures:
        return arm_statistics(units, None, ())
    mature = {
        _mature(i): is_mature(units, measure, request)
        for i, measure in enumerate(request.measures)
        if measure.matures_after
    }
    values = values_after_exposure(units, events, request)
    return arm_statistics(units.mutate(**mature) if mature else units, values, request.measures)


def row_statistics(rows: ir.Table, measures: Sequence[Measure]) -> ir.Table:
    """The statistics of rows that are exposures and facts at once.

    Args:
        rows: Columns unit, variant, and `m0_y`, `m1_y`, … (see `value_column`): for a proportion a boolean,
            for a mean a float64, both without nulls.
        measures: What is measured, in the order of those columns.

    Returns:
        What `arm_statistics` returns.
    """
    columns = {value_column(i): rows[value_column(i)] for i in range(len(measures))}
    sums = {
        name: column.max() if measures[i].type is MetricType.PROPORTION else column.sum()
        for i, (name, column) in enumerate(columns.items())
    }
    units = _one_variant(rows, **sums).select("variant", *columns)
    values = units.filter(units.variant.notnull()) if measures else None
    return arm_statistics(units, values, measures)


def arm_statistics(units: ir.Table, values: ir.Table | None, measures: Sequence[Measure]) -> ir.Table:
    """Reduces units to arms.

    Args:
        units: Columns variant, and `m{i}_mature` for every measure that takes time to mature; one row a unit,
            the variant null for crossovers.
        values: Columns variant, `m0_y`, …, one row a unit that has facts and is no crossover; none where
            nothing is measured.
        measures: What is measured, in the order of those columns.

    Returns:
        One row an arm, and one with a null variant for the crossovers where there are any. Columns: variant,
        units (all of them), for every measure that takes time `m{i}_units` (the mature ones), active (those
        with facts, null for none), and what `moments` gives.
    """
    counted = {
        f"m{i}_units": units[_mature(i)].sum() for i, measure in enumerate(measures) if measure.matures_after
    }
    counts = units.group_by("variant").agg(units=units.count(), **counted)
    if values is None:
        return counts.mutate(active=ibis.null("int64"))
    return counts.left_join(moments(values, measures), "variant").drop("variant_right")


def _mature(index: int) -> str:
    return f"m{index}_mature"


def newest_receipt(exposures: ir.Table, events: ir.Table, place: str) -> ir.Table:
    """One row, column `watermark`: when the newest fact of a place was received; null for no facts."""
    received = [table.filter(table.place == place).select("received_at") for table in (exposures, events)]
    both = ibis.union(*received)
    return both.agg(watermark=both.received_at.max())


def _first_exposures(exposures: ir.Table, request: StoreRequest) -> ir.Table:
    shown = exposures.filter(
        exposures.place == request.place,
        exposures.experiment == request.experiment,
        exposures.revision == request.revision,
        exposures.unit_type == request.unit_type,
    )
    if request.left_out:
        left_out = ibis.memtable(pa.table({"unit": pa.array(request.left_out, pa.string())}))
        shown = shown.anti_join(left_out, "unit")
    return _one_variant(shown, first_time=shown.time.min()).select("unit", "variant", "first_time")


def _one_variant(rows: ir.Table, **aggregates: ir.Scalar) -> ir.Table:
    """One row a unit, with its variant (null when it has several) and the aggregates."""
    units = rows.group_by("unit").agg(first=rows.variant.min(), last=rows.variant.max(), **aggregates)
    return units.mutate(variant=ibis.ifelse(units.first == units.last, units.first, ibis.null("string")))
