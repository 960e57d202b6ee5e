"""Analyses of the event store, or of tables like it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from equipoise_service.analysis import distributions, expression, quantiles
from equipoise_service.analysis.arms import reduce_to_arms
from equipoise_service.analysis.days import over_days, read_days, read_early
from equipoise_service.analysis.identity import joined_counts, joined_facts
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.spreading import Distribution
from equipoise_service.analysis.statistics import (
    ArmStatistics,
    Joined,
    Statistics,
    read_arms,
    read_cuts,
    read_distributions,
    read_segments,
)
from equipoise_service.analysis.unit_values import unit_values
from equipoise_service.analysis.units import bots, exposures_of, first_exposures
from equipoise_stats import ArmQuantile

Keep = Callable[[str, ir.Table], ir.Table]
"""Makes a table of what a query gives, by a name, so that it is worked out once."""


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
        left_out: `named_units` as a table of the backend, for engines whose snapshots take no tables; None:
            Ibis brings them there where it is needed.
        keep: As for `analyse_tables`.
    """
    exposures, events = backend.table("exposures"), backend.table("events")
    return analyse_tables(backend, exposures, events, request, left_out, keep=keep)


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
            are no distributions, for which all facts would have to be read once more.
    """
    newest = _rows(backend, expression.newest_receipt(exposures, events, request.place))
    joined = None
    if request.identity is not None:
        joined = Joined(**_rows(backend, joined_counts(exposures, events, request))[0])
        exposures, events = joined_facts(exposures, events, request)
    overridden = 0
    if request.left_out:
        left_out = ibis.memtable(named_units(request)) if left_out is None else left_out
        overridden = overridden_units(backend, exposures, request, left_out)
        exposures = exposures.anti_join(left_out, "unit")
    units = expression.analysed_units(exposures, events, request)
    measured = any(measure.is_aggregate or measure.is_funnel for measure in request.measures)
    values = unit_values(units, events, request) if measured else None
    if keep is not None and values is not None:
        units, values = keep("analysed_units", units), keep("analysed_values", values)
    return replace(
        statistics_of(backend, units, values, events, request, distributed=keep is not None),
        watermark=newest[0]["watermark"],
        overridden=overridden,
        bots=_bots(backend, exposures, events, request),
        joined=joined,
    )


def statistics_of(
    backend: Any,
    units: ir.Table,
    values: ir.Table | None,
    events: ir.Table,
    request: StoreRequest,
    *,
    distributed: bool = True,
) -> Statistics:
    """Computes the statistics that units and their values give.

    Args:
        backend: The Ibis backend that the tables belong to.
        units: What `expression.analysed_units` gives.
        values: What `unit_values.unit_values` gives; None where no metric has any.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: What is measured.
        distributed: Whether distributions are among the statistics.

    Returns:
        The statistics, without what only exposures tell: the watermark and who was left out.
    """
    by_day = _rows(backend, reduce_to_arms(units, values, request))
    rows = over_days(by_day)
    found = _quantiles(backend, units, values, events, request)
    arms, crossovers = read_arms(rows, request.measures, found)
    return Statistics(
        arms,
        crossovers,
        None,
        days=read_days(by_day, request.measures),
        early=read_early(rows, request),
        cuts=read_cuts(rows, request.measures),
        segments=read_segments(rows, request, found),
        distributions=_distributions(backend, units, values, request, arms) if distributed else {},
    )


def overridden_units(backend: Any, exposures: ir.Table, request: StoreRequest, left_out: ir.Table) -> int:
    """How many units were exposed that are left out because people chose their variant."""
    theirs = exposures_of(exposures, request).semi_join(left_out, "unit")
    return int(_rows(backend, theirs.agg(units=theirs.unit.nunique()))[0]["units"])


def _distributions(
    backend: Any,
    units: ir.Table,
    values: ir.Table | None,
    request: StoreRequest,
    arms: Mapping[str, ArmStatistics],
) -> dict[str, Distribution]:
    """The distributions; of units without a hash all are looked at, however many."""
    halvings = halvings_of_arms(arms) if "unit_hash" in units.columns else 0
    counts = None if values is None else distributions.counts(units, values, request, halvings)
    return {} if counts is None else read_distributions(_rows(backend, counts), request, halvings, arms)


def halvings_of_arms(arms: Mapping[str, ArmStatistics]) -> int:
    """How often the units of arms are halved for distributions."""
    return distributions.halvings_of(sum(arm.units for arm in arms.values()))


def _quantiles(
    backend: Any, units: ir.Table, values: ir.Table | None, events: ir.Table, request: StoreRequest
) -> Mapping[quantiles.Cell, ArmQuantile]:
    """The quantiles that are asked for, found in two passes over the values."""
    found: dict[quantiles.Cell, ArmQuantile] = {}
    for rows in (
        None if values is None else quantiles.unit_rows(units, values, request),
        quantiles.event_rows(units, events, request),
    ):
        if rows is None:
            continue
        counted = quantiles.read_counts(_rows(backend, quantiles.quantile_counts(rows, request)), request)
        if counted:
            ranks = {cell: each.ranks for cell, each in counted.items()}
            at = _rows(backend, quantiles.values_at(rows, request, ranks))
            found |= quantiles.read_values(at, counted)
    return found


def _bots(backend: Any, exposures: ir.Table, events: ir.Table, request: StoreRequest) -> int | None:
    if request.bots is None:
        return None
    left_out = first_exposures(exposures, request).semi_join(bots(events, request), "unit")
    return int(_rows(backend, left_out.agg(units=left_out.count()))[0]["units"])


def _rows(backend: Any, expression: ir.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = backend.to_pyarrow(expression).to_pylist()
    return found
