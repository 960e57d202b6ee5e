"""Previews are computed by the analysis itself: as if all units had been exposed at the beginning."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.accounts.principals import Principal
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import reading, source_events
from equipoise_service.analysis.store import analyse_tables
from equipoise_service.database import Database
from equipoise_service.errors import Conflict
from equipoise_service.events.stores.store import EventStore
from equipoise_service.metrics import service as metrics
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.previews.findings import look, summary, warnings
from equipoise_service.previews.schemas import PreviewIn, PreviewOut
from equipoise_service.sources import service as sources
from equipoise_service.sources.deadlines import TooSlow, deadline
from equipoise_service.sources.schemas import SourceIn

_EXPERIMENT = "-"
_ARM = "all"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A metric, the units, and the time that are looked at."""

    metric: PinnedMetric
    measure: Measure
    source: SourceIn | None
    place: str
    unit_type: str
    begin: datetime
    end: datetime


def preview(
    database: Database, store: EventStore, principal: Principal, payload: PreviewIn, seconds: float
) -> PreviewOut:
    """Try a metric on the facts that are there. It changes nothing.

    Args:
        database: Where stored metrics and sources are defined.
        store: The service's own store.
        principal: Who asks.
        payload: The metric, and what it is tried on.
        seconds: How long it may take.

    Raises:
        InvalidPayload: The metric or its source does not exist.
        Conflict: The source cannot be read, or time was over.
    """
    started = monotonic()
    asked = _asked(database, principal, payload)
    with _tables(store, asked, seconds) as (backend, events):
        request = StoreRequest(asked.place, _EXPERIMENT, 1, asked.unit_type, (asked.measure,), asked.end)
        before = timedelta(days=asked.measure.days_before or 0)
        events = _between(events, asked, asked.begin - before)
        statistics = analyse_tables(backend, _as_if_exposed(events, asked), events, request)
        found = look(backend, _between(events, asked, asked.begin), asked.metric)
    arm = statistics.arms.get(_ARM)
    value, deviation = summary(arm.values[asked.measure.metric]) if arm else (None, None)
    return PreviewOut(
        source=asked.metric.source,
        begin=asked.begin,
        end=asked.end,
        units=arm.units if arm else 0,
        active_units=found.units,
        events=found.events,
        value=value,
        standard_deviation=deviation,
        distribution=found.distribution,
        days=found.days,
        warnings=warnings(asked.metric, found),
        seconds=round(monotonic() - started, 3),
    )


def _asked(database: Database, principal: Principal, payload: PreviewIn) -> _Asked:
    with database.read() as session:
        metric = metrics.pin(session, principal.project_id, [payload.metric])[0]
        source = (
            None
            if metric.source is None
            else sources.definition(sources.find(session, principal, metric.source))
        )
    planned = PlannedMetric.model_validate(metric.model_dump())
    # A metric's window must have passed for every unit, or there would be nothing to see.
    hours = max(24 * payload.days, planned.measure.matures_after)
    end = datetime.now(UTC)
    return _Asked(
        metric, planned.measure, source, principal.place, payload.unit_type, end - timedelta(hours=hours), end
    )


@contextmanager
def _tables(store: EventStore, asked: _Asked, seconds: float) -> Iterator[tuple[Any, ir.Table]]:
    """A backend and its events, for as long as the time allows."""
    if asked.source is not None:
        with reading(asked.source, seconds) as warehouse:
            yield warehouse.backend, source_events(warehouse, asked.source, asked.place)
        return
    with store.ibis() as backend:
        try:
            with deadline(backend, seconds):
                yield backend, backend.table("events")
        except TooSlow as error:
            raise Conflict(
                f"The preview was ended: {error}. Ask for fewer days, or raise EQUIPOISE_PREVIEW_SECONDS.",
                type="source-too-slow",
            ) from None


def _between(events: ir.Table, asked: _Asked, begin: datetime) -> ir.Table:
    return events.filter(
        events.place == asked.place,
        events.unit_type == asked.unit_type,
        events.time >= begin.replace(tzinfo=None),
        events.time < asked.end.replace(tzinfo=None),
    )


def _as_if_exposed(events: ir.Table, asked: _Asked) -> ir.Table:
    begin = asked.begin.replace(tzinfo=None)
    units = events.filter(events.time >= begin).select("place", "unit_type", "unit", "received_at")
    exposed = units.group_by("place", "unit_type", "unit").agg(received_at=units.received_at.max())
    return exposed.mutate(
        experiment=ibis.literal(_EXPERIMENT),
        variant=ibis.literal(_ARM),
        revision=ibis.literal(1),
        time=ibis.literal(begin),
    )
