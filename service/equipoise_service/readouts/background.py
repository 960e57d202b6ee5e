"""What computes readouts in a process: its worker, and who adds the jobs that are due."""

import asyncio
from datetime import timedelta

import anyio

from equipoise_service.analysis.sources import Limits
from equipoise_service.database import Database
from equipoise_service.events.stores.store import EventStore
from equipoise_service.jobs.worker import Worker
from equipoise_service.readouts.scheduling import Scheduler, keep_schedule
from equipoise_service.readouts.working import Workplace
from equipoise_service.settings import Settings


async def compute_readouts(
    database: Database,
    store: EventStore,
    settings: Settings,
    limiter: anyio.CapacityLimiter,
    wake: asyncio.Event,
    ended: asyncio.Event,
) -> None:
    """Compute the readouts that are asked for and those that are due, until it ends.

    Args:
        database: Where the queue and the readouts are.
        store: Where exposures and events are.
        settings: What an analysis may take, and how often readouts are computed.
        limiter: Held by each analysis of this process.
        wake: Set when there may be a job.
        ended: Set when the process stops; then set `wake`, too.
    """
    every = timedelta(seconds=settings.readout_seconds)
    limits = Limits(settings.source_seconds, settings.source_exposures)
    worker = Worker(database, Workplace(database, store, limits, every).work, limiter)
    await asyncio.gather(
        worker.run(wake, ended), keep_schedule(Scheduler(database, store, every), wake, ended)
    )
