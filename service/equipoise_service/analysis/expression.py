"""The Ibis expression of an analysis: tables in, one row of sufficient statistics an arm out.

Three steps, the same on every engine:

1. *units*: one row a unit, with the variant it met, or no variant when it met several (a crossover);
2. *values*: one row a unit that has facts, with the value of each measure;
3. *moments*: one row an arm, about the arm's own mean.

Units without facts never pass through steps 2 and 3: their values are known to be zero, so only their number
is counted, and `analysis.statistics` merges them in. That halves the work where most units do nothing.

The third step is the two-pass algorithm (Chan, Golub and LeVeque 1983): sums of deviations from a first
estimate of the mean. Plain sums lose the variance of values far from zero, and an engine's plain average of a
million values near 1e9 is off by a tenth of its standard error.
"""

from collections.abc import Iterable, Sequence

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from equipoise_service.analysis.requests import Measure, StoreRequest
from equipoise_service.metrics.schemas import MetricType


def store_statistics(exposures: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """The statistics of one revision of an experiment.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        events: Columns place, unit_type, unit, name, value, time.
        request: Which experiment, and what is measured.

    Returns:
        What `arm_statistics` returns.
    """
    units = _first_exposures(exposures, request)
    if not request.measures:
        return arm_statistics(units, None, ())
    return arm_statistics(units, _values_after_exposure(units, events, request), request.measures)


def row_statistics(rows: ir.Table, measures: Sequence[Measure]) -> ir.Table:
    """The statistics of rows that are exposures and facts at once.

    Args:
        rows: Columns unit, variant, and `m0`, `m1`, … (see `value_column`): for a proportion a boolean, for a
            mean a float64, both without nulls.
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
        units: Column variant, one row a unit, null for crossovers.
        values: Columns variant, `m0`, `m1`, …, one row a unit that has facts and is no crossover; none where
            nothing is measured.
        measures: What is measured, in the order of those columns.

    Returns:
        One row an arm, and one with a null variant for the crossovers where there are any. Columns: variant,
        units (all of them), active (those with facts, null for none), and for measure *i* over the active
        units `m{i}_successes` (a proportion), or `m{i}_centre`, `m{i}_sum`, `m{i}_squares` (a mean: a first
        estimate of the mean, and the sums of the deviations from it and of their squares).
    """
    counts = units.group_by("variant").agg(units=units.count())
    if values is None:
        return counts.mutate(active=ibis.null("int64"))
    moments = _moments(values, measures)
    return counts.left_join(moments, "variant").drop("variant_right")


def value_column(index: int) -> str:
    """The column with the values of the measure at an index."""
    return f"m{index}"


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


def _values_after_exposure(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    wanted = events.filter(
        events.place == request.place,
        events.unit_type == request.unit_type,
        events.name.isin(sorted({measure.name for measure in request.measures})),
    ).select("unit", "time", "name", "value")
    stayed = units.filter(units.variant.notnull())
    met = wanted.join(stayed, [wanted.unit == stayed.unit, wanted.time >= stayed.first_time])
    facts = met.select("unit", "variant", "name", "value")
    # The variant depends on the unit; grouping by it as well is cheaper than carrying any one value of it.
    values = {value_column(i): _unit_value(facts, measure) for i, measure in enumerate(request.measures)}
    return facts.group_by("unit", "variant").agg(**values).select("variant", *values)


def _unit_value(facts: ir.Table, measure: Measure) -> ir.Scalar:
    named = facts.name == measure.name
    if measure.type is MetricType.PROPORTION:
        return named.max()
    return ibis.coalesce(facts.value.sum(where=named), 0.0)


def _moments(values: ir.Table, measures: Sequence[Measure]) -> ir.Table:
    means = [i for i, measure in enumerate(measures) if measure.type is MetricType.MEAN]
    centred = _with_centres(values, means) if means else values
    aggregates: dict[str, ir.Scalar] = {"active": centred.count()}
    for i, measure in enumerate(measures):
        name = value_column(i)
        if measure.type is MetricType.PROPORTION:
            aggregates[f"{name}_successes"] = centred[name].cast("int64").sum()
        else:
            centre = centred[f"{name}_centre"]
            deviation = centred[name] - centre
            aggregates[f"{name}_centre"] = centre.max()
            aggregates[f"{name}_sum"] = deviation.sum()
            aggregates[f"{name}_squares"] = (deviation * deviation).sum()
    return centred.group_by("variant").agg(**aggregates)


def _with_centres(values: ir.Table, means: Iterable[int]) -> ir.Table:
    names = [value_column(i) for i in means]
    centres = values.group_by("variant").agg(**{f"{name}_centre": values[name].mean() for name in names})
    return values.join(centres, "variant")
