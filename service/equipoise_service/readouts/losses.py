"""What senders say that they gave up, before it reached the service, and what arrived late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import ibis

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import exposures_of
from equipoise_service.events.stores.store import EventStore
from equipoise_service.readouts.checks import ExposureDay

LATE_AFTER = timedelta(days=1)
"""An exposure that arrives later than this after it happened misses the readouts of its day."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How the exposures of a revision arrived.

    Attributes:
        exposures: How many there are.
        late: How many of them arrived more than `LATE_AFTER` after they happened.
        days: How many there are of each day (UTC), in order; none where that is not known.
        paused: Those of the days on which the experiment was paused; None where that is not known.
    """

    exposures: int
    late: int
    days: Sequence[ExposureDay] = ()
    paused: Sequence[str] | None = None


def arrivals_of(store: EventStore, request: StoreRequest) -> Arrivals:
    """How the exposures of a revision arrived.

    Args:
        store: Where they are.
        request: Which revision.
    """
    with store.ibis() as backend:
        shown = exposures_of(backend.table("exposures"), request)
        late = shown.received_at > shown.time + ibis.interval(hours=LATE_AFTER // timedelta(hours=1))
        asked = shown.group_by(day=shown.time.date()).agg(
            exposures=shown.count(), late=ibis.ifelse(late, 1, 0).sum()
        )
        found = backend.to_pyarrow(asked).to_pylist()
    days = sorted((row["day"].isoformat()[:10], int(row["exposures"])) for row in found)
    return Arrivals(
        sum(exposures for _, exposures in days),
        sum(int(row["late"]) for row in found),
        [ExposureDay(day=day, exposures=exposures) for day, exposures in days],
    )


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
