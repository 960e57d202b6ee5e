"""What senders say that they gave up, before it reached the service."""

from collections.abc import Mapping
from datetime import UTC, datetime

from equipoise_service.events.stores.store import EventStore


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
