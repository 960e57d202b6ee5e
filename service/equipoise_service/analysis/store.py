"""Analyses of the event store."""

from typing import Any

from equipoise_service.analysis import expression
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import Statistics, read_arms, read_cuts


def analyse_store(backend: Any, request: StoreRequest) -> Statistics:
    """Computes the statistics of one revision of an experiment.

    Args:
        backend: An Ibis backend with the tables `exposures` and `events`, on one consistent snapshot.
        request: Which experiment, and what is measured.
    """
    exposures, events = backend.table("exposures"), backend.table("events")
    rows = backend.to_pyarrow(expression.store_statistics(exposures, events, request)).to_pylist()
    arms, crossovers = read_arms(rows, request.measures)
    newest = backend.to_pyarrow(expression.newest_receipt(exposures, events, request.place)).to_pylist()
    cuts = read_cuts(rows, request.measures)
    return Statistics(arms, crossovers, newest[0]["watermark"], cuts=cuts)
