"""What is deleted by itself: every hour, a while after the start."""

import asyncio
import logging
import threading
from contextlib import suppress

from equipoise_service.database import Database
from equipoise_service.errors import Conflict
from equipoise_service.events.stores.store import EventStore
from equipoise_service.housekeeping.deleting import finish_deletions
from equipoise_service.housekeeping.retention import Deleted, delete_old
from equipoise_service.housekeeping.turn import Turn
from equipoise_service.settings import Settings

_log = logging.getLogger(__name__)

FIRST_SECONDS = 60.0
EVERY_SECONDS = 3600.0


async def keep_house(
    database: Database,
    store: EventStore,
    settings: Settings,
    turn: Turn,
    ended: asyncio.Event,
) -> None:
    """Delete what is old, every hour, until it ends.

    Args:
        database: Says what is needed still.
        store: Where it is deleted.
        settings: How long what is kept.
        turn: Other housekeeping.
        ended: Set when the service stops.
    """
    stopping = threading.Event()

    def once() -> Deleted:
        with turn.taken():
            # An embedded store is this process's alone, and its turn was taken.
            finish_deletions(database, store, alone=not settings.event_store_url)
            return delete_old(database, store, settings, seconds=EVERY_SECONDS / 2, ended=stopping.is_set)

    seconds = FIRST_SECONDS
    while not await _ended_within(ended, seconds):
        seconds = EVERY_SECONDS
        work = asyncio.create_task(asyncio.to_thread(once))
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ended.is_set():
            stopping.set()
        ending.cancel()
        try:
            deleted = await work
        except Conflict:
            _log.info("left old facts for the next hour: other housekeeping is going on")
        except Exception:
            # Each engine has errors of its own; the next hour may bring better luck.
            _log.exception("could not delete what is old; trying again in an hour")
        else:
            if any(deleted.rows.values()):
                _log.info("deleted what is old: %s", deleted.rows)


async def _ended_within(ended: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
    return ended.is_set()
