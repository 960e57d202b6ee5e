"""What senders say that they gave up, before it reached the service, and what arrived late."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import ibis

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import exposures_of
from equipoise_service.events.stores.store import EventStore

LATE_AFTER = timedelta(days=1)
"""An exposure that arrives later than this after it happened misses the readouts of its day."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How the exposures of a revision arrived.

    Attributes:
        exposures: How many there are.
        late: How many of them arrived more than `LATE_AFTER` after they happened.
    """

    exposures: int
    late: int


def arrivals_of(store: EventStore, request: StoreRequest) -> Arrivals:
    """How the exposures of a revision arrived.

    Args:
        store: Where they are.
        request: Which revision.
    """
    with store.ibis() as backend:
        shown = exposures_of(backend.table("exposures"), request)
        late = shown.received_at > shown.time + ibis.interval(hours=LATE_AFTER // timedelta(hours=1))
        asked = shown.agg(exposures=shown.count(), late=ibis.coalesce(ibis.ifelse(late, 1, 0).sum(), 0))
        found = backend.to_pyarrow(asked).to_pylist()[0]
    return Arrivals(int(found["exposures"]), int(found["late"]))


def dropped_between(
    store: EventStore, place: str, start: datetime, end: datetime | None
) -> Mapping[str, int]:
    """How many exposures and events the senders of an environment gave up.

    A sender counts from its own beginning on, so that one that already ran at the start counts in full: it
    may be fewer that are missing, not more.

    Args:
        store: Where the reports are.
        place: The environment.
        start: Only senders that reported more since then.
        end: Only what a sender first reported before then; without end when absent.

    Returns:
        The numbers by reason, in the reasons' order.
    """
    with store.ibis() as backend:
        dropped = backend.table("dropped")
        chosen = dropped.filter(dropped.place == place, dropped.last_at >= _stored(start))
        if end is not None:
            chosen = chosen.filter(chosen.first_at <= _stored(end))
        rows = chosen.group_by("reason").aggregate(total=chosen["count"].sum()).to_pyarrow().to_pylist()
    return {row["reason"]: int(row["total"]) for row in sorted(rows, key=lambda row: str(row["reason"]))}


def _stored(moment: datetime) -> datetime:
    """A time as the event store has it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
