"""Analyses of the event store, or of tables like it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from equipoise_service.analysis import distributions, quantiles
from equipoise_service.analysis.arms import reduce_to_arms
from equipoise_service.analysis.asking import Asked, Query, rows_of
from equipoise_service.analysis.days import over_days, read_days, read_early
from equipoise_service.analysis.expression import analysed_units, newest_receipt
from equipoise_service.analysis.identity import joined_counts, joined_facts
from equipoise_service.analysis.quantile_days import quantiles_by_day
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.spreading import Distribution
from equipoise_service.analysis.statistics import (
    ArmStatistics,
    DayStatistics,
    Joined,
    QuantilesByDay,
    Statistics,
    read_arms,
    read_cuts,
    read_distributions,
    read_segments,
)
from equipoise_service.analysis.unit_values import unit_values
from equipoise_service.analysis.units import bots, exposures_of, first_exposures
from equipoise_service.metrics.schemas import Level
from equipoise_stats import ArmQuantile

Keep = Callable[[str, ir.Table], ir.Table]
"""Makes a table of what a query gives, by a name, so that it is worked out once."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """The facts of an analysis."""

    exposures: Query
    events: Query


@dataclass(frozen=True, slots=True)
class _Values:
    """The units of an analysis, their values (None where no metric has any), and all events."""

    units: Query
    values: Query | None
    events: Query


def named_units(request: StoreRequest) -> pa.Table:
    """Column unit: those that are left out by their id."""
    return pa.table({"unit": pa.array(request.left_out, pa.string())})


def analyse_store(
    backend: Any, request: StoreRequest, left_out: ir.Table | None = None, keep: Keep | None = None
) -> Statistics:
    """Computes the statistics of one revision of an experiment.

    Args:
        backend: An Ibis backend with the tables `exposures` and `events`, on one consistent snapshot.
        request: Which experiment, and what is measured.
        left_out: `named_units` as a table of the backend, always of one name, for engines whose snapshots
            take no tables; None: Ibis brings them there where it is needed.
        keep: As for `analyse_tables`.
    """
    # What Ibis has to bring comes with a query, and other engines have drivers of other kinds.
    known = backend.name == "duckdb" and (left_out is not None or not request.left_out)
    exposures, events = backend.table("exposures"), backend.table("events")
    of = (_described(request), exposures.schema(), events.schema(), keep is not None)
    asked = Asked(backend, of if known else None)
    return _analyse(asked, _Facts(lambda: exposures, lambda: events), request, left_out, keep)


def analyse_tables(
    backend: Any,
    exposures: ir.Table,
    events: ir.Table,
    request: StoreRequest,
    left_out: ir.Table | None = None,
    *,
    keep: Keep | None = None,
) -> Statistics:
    """Computes the statistics of one revision of an experiment from tables with the store's columns.

    Args:
        backend: The Ibis backend that they belong to.
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time, received_at.
        events: Columns place, unit_type, unit, name, value, properties, time, received_at.
        request: Which experiment, and what is measured.
        left_out: As for `analyse_store`.
        keep: Makes a table of the values, which several statements read. None: each works them out, and there
            are no distributions and no quantiles by day, for which all facts would have to be read again.
    """
    return _analyse(Asked(backend), _Facts(lambda: exposures, lambda: events), request, left_out, keep)


def statistics_of(
    backend: Any,
    units: ir.Table,
    values: ir.Table | None,
    events: ir.Table,
    request: StoreRequest,
    keep: Keep | None = None,
) -> Statistics:
    """Computes the statistics that units and their values give.

    Args:
        backend: The Ibis backend that the tables belong to.
        units: What `expression.analysed_units` gives.
        values: What `unit_values.unit_values` gives; None where no metric has any.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: What is measured.
        keep: As for `analyse_tables`.

    Returns:
        The statistics, without what only exposures tell: the watermark and who was left out.
    """
    of = _Values(lambda: units, None if values is None else lambda: values, lambda: events)
    return _statistics(Asked(backend), of, request, keep)


def overridden_units(backend: Any, exposures: ir.Table, request: StoreRequest, left_out: ir.Table) -> int:
    """How many units were exposed that are left out because people chose their variant."""
    return _overridden(Asked(backend), lambda: exposures, request, left_out)


def exposed_bots(exposures: ir.Table, left_out: ir.Table, request: StoreRequest) -> ir.Table:
    """How many units are left out as bots, by the first and the last variant, by name, that they met.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        left_out: Column unit: the bots, exposed or not.
        request: Which experiment.
    """
    theirs = first_exposures(exposures, request).semi_join(left_out, "unit")
    return theirs.group_by("first", "last").agg(units=theirs.count())


def with_bots(found: Statistics, left_out: Sequence[Mapping[str, Any]]) -> Statistics:
    """Statistics that say how many bots were left out, see `exposed_bots`."""
    by_arm = {row["first"]: int(row["units"]) for row in left_out if row["first"] == row["last"]}
    number = sum(int(row["units"]) for row in left_out)
    return replace(found, bots=number, bots_by_arm=dict(sorted(by_arm.items())))


def halvings_of_arms(arms: Mapping[str, ArmStatistics]) -> int:
    """How often the units of arms are halved for distributions."""
    return distributions.halvings_of(sum(arm.units for arm in arms.values()))


def _described(request: StoreRequest) -> str:
    """What tells statements apart: when it is analysed where units mature, and not who is left out."""
    as_of = request.as_of if any(measure.matures_after for measure in request.measures) else None
    said = replace(request, as_of=datetime.min, left_out=())
    # As a text, because to Python 1.0 and True are equal.
    return repr((said, as_of, bool(request.left_out)))


def _analyse(
    asked: Asked, given: _Facts, request: StoreRequest, left_out: ir.Table | None, keep: Keep | None
) -> Statistics:
    newest = asked.rows("newest", lambda: newest_receipt(given.exposures(), given.events(), request.place))
    joined, facts = None, given
    if request.identity is not None:
        counts = asked.rows("joined", lambda: joined_counts(given.exposures(), given.events(), request))
        joined = Joined(**counts[0])
        both = cache(lambda: joined_facts(given.exposures(), given.events(), request))
        facts = _Facts(lambda: both()[0], lambda: both()[1])
    overridden = 0
    if request.left_out:
        without = ibis.memtable(named_units(request)) if left_out is None else left_out
        shown = facts.exposures
        overridden = _overridden(asked, shown, request, without)
        facts = replace(facts, exposures=cache(lambda: shown().anti_join(without, "unit")))
    facts, left_out_bots = _without_bots(asked, facts, request, keep)
    found = replace(
        _statistics(asked, _values(facts, replace(request, bots=None), keep), request, keep),
        watermark=newest[0]["watermark"],
        overridden=overridden,
        joined=joined,
    )
    return found if left_out_bots is None else with_bots(found, left_out_bots)


def _without_bots(
    asked: Asked, facts: _Facts, request: StoreRequest, keep: Keep | None
) -> tuple[_Facts, Sequence[Mapping[str, Any]] | None]:
    """The facts without the exposures of bots, and how many are left out; None where nobody asks."""
    if request.bots is None:
        return facts, None
    kept = None if keep is None else keep("bots", bots(facts.events(), request))

    def left_out() -> ir.Table:
        return bots(facts.events(), request) if kept is None else kept

    def exposures() -> ir.Table:
        return facts.exposures().anti_join(left_out(), "unit")

    found = asked.rows("bots", lambda: exposed_bots(facts.exposures(), left_out(), request))
    return replace(facts, exposures=cache(exposures)), found


def _values(facts: _Facts, request: StoreRequest, keep: Keep | None) -> _Values:
    units = cache(lambda: analysed_units(facts.exposures(), facts.events(), request))
    if not any(measure.is_aggregate or measure.is_funnel for measure in request.measures):
        if keep is None or not request.measures:
            return _Values(units, None, facts.events)
        # What is left are quantiles of events: whose events they are is asked several times.
        alone = keep("analysed_units", units())
        return _Values(lambda: alone, None, facts.events)
    values = cache(lambda: unit_values(units(), facts.events(), request))
    if keep is None:
        return _Values(units, values, facts.events)
    known, valued = keep("analysed_units", units()), keep("analysed_values", values())
    return _Values(lambda: known, lambda: valued, facts.events)


def _statistics(asked: Asked, of: _Values, request: StoreRequest, keep: Keep | None) -> Statistics:
    def arms_by_day() -> ir.Table:
        return reduce_to_arms(of.units(), of.values and of.values(), request)

    by_day = asked.rows("arms", arms_by_day)
    rows = over_days(by_day)
    days = read_days(by_day, request.measures)
    quantile_rows = _quantile_rows(of, request, keep)
    quantiles_of_days: dict[str, QuantilesByDay] = {}
    if keep is not None and days:
        quantiles_of_days = _quantiles_by_day(asked.backend, quantile_rows, request, days)
    # The last day has all units; of segments it knows nothing.
    found: Mapping[quantiles.Cell, ArmQuantile]
    if quantiles_of_days and not request.segments:
        found = _of_last_day(quantiles_of_days, request)
    else:
        found = _quantiles(asked.backend, quantile_rows, request)
    arms, crossovers = read_arms(rows, request.measures, found)
    return Statistics(
        arms,
        crossovers,
        None,
        days=days,
        quantiles_by_day=quantiles_of_days,
        early=read_early(rows, request),
        cuts=read_cuts(rows, request.measures),
        segments=read_segments(rows, request, found),
        distributions={} if keep is None else _distributions(asked, of, request, arms),
    )


def _overridden(asked: Asked, exposures: Query, request: StoreRequest, left_out: ir.Table) -> int:
    def query() -> ir.Table:
        theirs = exposures_of(exposures(), request).semi_join(left_out, "unit")
        return theirs.agg(units=theirs.unit.nunique())

    return int(asked.rows("overridden", query)[0]["units"])


def _distributions(
    asked: Asked, of: _Values, request: StoreRequest, arms: Mapping[str, ArmStatistics]
) -> dict[str, Distribution]:
    """The distributions; of units without a hash all are looked at, however many."""
    if of.values is None or not any(map(distributions.is_spread, request.measures)):
        return {}
    units, values = of.units(), of.values()
    halvings = halvings_of_arms(arms) if "unit_hash" in units.columns else 0
    counts = asked.rows(f"counts_{halvings}", lambda: distributions.counts(units, values, request, halvings))
    return read_distributions(counts, request, halvings, arms)


def _quantile_rows(of: _Values, request: StoreRequest, keep: Keep | None) -> dict[Level, ir.Table]:
    """The rows that quantiles are found in, by whether they are those of units or of events."""
    if all(measure.quantile is None for measure in request.measures):
        return {}
    units, rows = of.units(), {}
    of_units = None if of.values is None else quantiles.unit_rows(units, of.values(), request)
    if of_units is not None:
        rows[Level.UNIT] = of_units
    of_events = quantiles.event_rows(units, of.events(), request)
    if of_events is not None:
        # They are read six times or more.
        rows[Level.EVENT] = of_events if keep is None else keep("quantile_events", of_events)
    return rows


def _quantiles(
    backend: Any, rows_of_levels: Mapping[Level, ir.Table], request: StoreRequest
) -> Mapping[quantiles.Cell, ArmQuantile]:
    """The quantiles that are asked for, found in two passes over the values."""
    found: dict[quantiles.Cell, ArmQuantile] = {}
    for rows in rows_of_levels.values():
        counted = quantiles.read_counts(rows_of(backend, quantiles.quantile_counts(rows, request)), request)
        if counted:
            ranks = {cell: each.ranks for cell, each in counted.items()}
            at = rows_of(backend, quantiles.values_at(rows, request, ranks))
            found |= quantiles.read_values(at, counted)
    return found


def _quantiles_by_day(
    backend: Any,
    rows_of_levels: Mapping[Level, ir.Table],
    request: StoreRequest,
    days: Sequence[DayStatistics],
) -> dict[str, QuantilesByDay]:
    """The quantiles by the end of each day, by metric."""
    found: dict[str, QuantilesByDay] = {}
    for i, measure in enumerate(request.measures):
        if measure.quantile is not None and measure.level is not None:
            # One by one: the statements of many would be long, and parsed while nobody is answered.
            rows = rows_of_levels[measure.level]
            found[measure.metric] = quantiles_by_day(
                backend.to_pyarrow,
                rows.filter(rows.measure == i),
                measure.quantile,
                [day.day for day in days],
                one_each=measure.level is Level.UNIT,
            )
    return found


def _of_last_day(
    by_day: Mapping[str, QuantilesByDay], request: StoreRequest
) -> dict[quantiles.Cell, ArmQuantile]:
    """What the last day says of all units."""
    found = {}
    for i, measure in enumerate(request.measures):
        for variant, of_days in by_day.get(measure.metric, {}).items():
            known = of_days[max(of_days)]
            if known is not None:
                found[i, variant, 0, ""] = known
    return found
