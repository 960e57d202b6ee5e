"""Deleting facts, and what readouts kept of them, wherever the process that does it may end."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from equipoise_service.aggregates.bases import forget_all, forget_outdated
from equipoise_service.database import Database
from equipoise_service.events.stores.deletions import FACTS
from equipoise_service.events.stores.store import EventStore
from equipoise_service.privacy.deletions import begin_deletion, begun_before, end_deletion, ended_deletions

# Far longer than any goes on.
_LONGEST = timedelta(hours=6)


@contextmanager
def deleting(database: Database, store: EventStore) -> Iterator[dict[str, int]]:
    """Have facts deleted in the block.

    From before its beginning to after its end no readout keeps or reads what was made of facts. What one
    keeps that began before, in whatever process, has a name that nobody asks for any more.

    Args:
        database: Where the deletion is marked.
        store: Where the facts are.

    Yields:
        How many rows of each table went, which the block fills in. Where it ends in order and no facts went,
        what was kept of them stays.
    """
    with database.write(publishes=False) as session:
        mark = begin_deletion(session)
    rows: dict[str, int] = {}
    changed = True
    try:
        yield rows
        changed = any(rows.get(table) for table in FACTS)
    finally:
        with database.write(publishes=False) as session:
            end_deletion(session, mark, counts=changed)
        if changed:
            forget_kept(store)


def forget_kept(store: EventStore) -> None:
    """Forget all that readouts kept of facts."""
    with store.workspace() as workspace:
        forget_all(workspace)


def finish_deletions(database: Database, store: EventStore, *, alone: bool) -> None:
    """End the deletions whose processes ended in the middle, and forget what was kept before any deletion.

    Args:
        database: Where deletions are marked.
        store: Where the facts are.
        alone: Whether nothing else deletes, here or in another process: then all marks are of such ones.
    """
    now = datetime.now(UTC)
    with database.read() as session:
        dead = begun_before(session, now if alone else now - _LONGEST)
    if dead:
        with database.write(publishes=False) as session:
            for mark in dead:
                end_deletion(session, mark)
    with database.read() as session:
        ended = ended_deletions(session)
    with store.workspace() as workspace:
        forget_outdated(workspace, ended)
