"""The third step: from units and their values to one row an arm."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.facts import segment_columns
from equipoise_service.analysis.moments import moments
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.segments import fanned
from equipoise_service.analysis.units import exposure_day, is_mature, look_columns, one_variant, was_early
from equipoise_service.analysis.value_columns import ingredients, value_columns
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation


def reduce_to_arms(
    units: ir.Table, values: ir.Table | None, request: StoreRequest, centres: ir.Table | None = None
) -> ir.Table:
    """Reduces units to arms, as of the moment of the analysis.

    Args:
        units: One row a unit: unit, first, last, first_time, and the segments'; see `units.first_exposures`.
            With `units.look_columns`, one row a unit and look.
        values: Their values, see `unit_values.unit_values`; None where no metric has any.
        request: What is measured, and when it is analysed.
        centres: See `moments.moments`.

    Returns:
        What `arm_statistics` returns.
    """
    maturing = {i: m for i, m in enumerate(request.measures) if m.matures_after}
    segments = segment_columns(request)
    counted = units.select(
        *segments,
        *look_columns(units),
        variant=one_variant(units),
        day=exposure_day(units, request),
        early=was_early(units, request),
        **{_mature(i): is_mature(units, measure, request) for i, measure in maturing.items()},
    )
    if values is not None:
        values = mature_values(values, request).mutate(day=exposure_day(values, request))
    return arm_statistics(counted, values, request.measures, len(segments), centres)


def mature_values(values: ir.Table, request: StoreRequest) -> ir.Table:
    """The values, null where the unit is immature for the measure; a maximum of no values is 0.

    Args:
        values: Column first_time, and those of `value_columns`.
        request: What is measured, and when it is analysed.
    """
    made = ingredients(request.measures)
    columns: dict[str, ir.Value] = {
        name: ibis.coalesce(values[name], 0.0)
        for name, each in made.items()
        if each.aggregation is Aggregation.MAXIMUM
    }
    for i, measure in enumerate(request.measures):
        if measure.matures_after:
            mature = is_mature(values, measure, request)
            for name in value_columns(i, measure):
                columns[name] = ibis.ifelse(mature, columns.get(name, values[name]), ibis.null("float64"))
    return values.mutate(**columns) if columns else values


def arm_statistics(
    units: ir.Table,
    values: ir.Table | None,
    measures: Sequence[Measure],
    segments: int = 0,
    centres: ir.Table | None = None,
) -> ir.Table:
    """Counts the units of each arm, by the day of their first exposure, and adds what `moments` gives.

    Units without facts are not among the values: they are known to be zero, so only their number is counted,
    and `analysis.statistics` merges them in. That halves the work where most units do nothing.

    Args:
        units: Columns variant (null for crossovers), `m{i}_mature` for every measure that takes time to
            mature, those of the segments, and where they are known day and early (see `units`); one row a
            unit.
        values: Columns variant, `m0_y`, …, those of the segments, and day where the units have it; one row a
            unit that has facts and is no crossover; none where nothing is measured.
        measures: What is measured, in the order of those columns.
        segments: How many segments there are.
        centres: See `moments.moments`.

    Returns:
        One row an arm and day, and those with a null variant for the crossovers where there are any; with
        segments, one for each arm and each of the labels, see `segments.fanned`. Columns: the arm's, units
        (all of them), early (how many of them are), for every measure that takes time `m{i}_units` (the
        mature ones), active (those with facts, null for none), and what `moments` gives.
    """
    table, keys = fanned(units, segments)
    counted = {
        f"m{i}_units": ibis.ifelse(table[_mature(i)], 1, 0).sum()
        for i, measure in enumerate(measures)
        if measure.matures_after
    }
    if "early" in table.columns:
        counted["early"] = table.early.sum()
    counts = table.group_by(keys).agg(units=table.count(), **counted)
    if values is None:
        return counts.mutate(active=ibis.null("int64"))
    found = moments(values, measures, segments, centres)
    return counts.left_join(found, keys).drop(*(f"{key}_right" for key in keys))


def _mature(index: int) -> str:
    return f"m{index}_mature"
