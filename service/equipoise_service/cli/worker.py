"""`equipoise worker`."""

from typing import TYPE_CHECKING

import typer

from equipoise_service.cli.failures import Failure

if TYPE_CHECKING:
    from equipoise_service.database import Database
    from equipoise_service.events.stores.store import EventStore
    from equipoise_service.settings import Settings


def worker() -> None:
    """Compute readouts, for services whose event store is PostgreSQL or ClickHouse.

    Start as many as you like, on any machine, with the settings of the services. With the embedded event
    store `equipoise serve` does this itself.
    """
    import asyncio
    import logging

    from equipoise_service.events.stores.store import open_event_store
    from equipoise_service.privacy.keeping import settle_keeping
    from equipoise_service.resources import open_database
    from equipoise_service.settings import load_settings

    settings = load_settings()
    if settings.is_worker:
        raise Failure(
            "The embedded event store belongs to `equipoise serve`, which computes readouts itself. Workers "
            "of their own are for services with EQUIPOISE_EVENT_STORE_URL; set it as they have it."
        )
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel("WARNING")
    with open_event_store(settings) as store, open_database(settings) as database:
        settle_keeping(database, store.has_facts, settings.unit_key)
        typer.echo("Equipoise computes readouts.", err=True)
        asyncio.run(_work(database, store, settings))


async def _work(database: "Database", store: "EventStore", settings: "Settings") -> None:
    """Work until a signal ends it; the job that runs then is given back."""
    import asyncio
    import signal

    import anyio

    from equipoise_service.readouts.background import compute_readouts

    wake, ended = asyncio.Event(), asyncio.Event()

    def end() -> None:
        ended.set()
        wake.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    await compute_readouts(database, store, settings, anyio.CapacityLimiter(1), wake, ended)
