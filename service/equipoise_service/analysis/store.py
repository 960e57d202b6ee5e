"""Analyses of the event store."""

from typing import Any

import ibis.expr.types as ir

from equipoise_service.analysis import expression
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import Statistics, read_arms, read_cuts


def analyse_store(backend: Any, request: StoreRequest) -> Statistics:
    """Computes the statistics of one revision of an experiment.

    Args:
        backend: An Ibis backend with the tables `exposures` and `events`, on one consistent snapshot.
        request: Which experiment, and what is measured.
    """
    return analyse_tables(backend, backend.table("exposures"), backend.table("events"), request)


def analyse_tables(
    backend: Any, exposures: ir.Table, events: ir.Table, request: StoreRequest
) -> Statistics:
    """Computes the statistics of one revision of an experiment from tables with the store's columns.

    Args:
        backend: The Ibis backend that they belong to.
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time, received_at.
        events: Columns place, unit_type, unit, name, value, properties, time, received_at.
        request: Which experiment, and what is measured.
    """
    rows = backend.to_pyarrow(expression.store_statistics(exposures, events, request)).to_pylist()
    arms, crossovers = read_arms(rows, request.measures)
    newest = backend.to_pyarrow(expression.newest_receipt(exposures, events, request.place)).to_pylist()
    cuts = read_cuts(rows, request.measures)
    return Statistics(arms, crossovers, newest[0]["watermark"], cuts=cuts)
