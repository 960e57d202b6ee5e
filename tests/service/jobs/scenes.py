"""Experiments that run, with units in both arms, and workers that compute their readouts."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, select, update
from tests.service.conftest import Service
from tests.service.readouts.test_endpoint import event, exposure, send

from equipoise_service.analysis.sources import Limits
from equipoise_service.app import create_app
from equipoise_service.database import Database
from equipoise_service.events.stores.store import EventStore, open_event_store
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import ENDED
from equipoise_service.jobs.worker import Work, Worker
from equipoise_service.readouts.scheduling import Scheduler
from equipoise_service.readouts.working import Workplace
from equipoise_service.resources import open_database
from equipoise_service.settings import Settings

HOUR = timedelta(hours=1)


@contextmanager
def scene(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    units: int,
    *definitions: dict[str, Any],
    minute: int = 0,
) -> Iterator[tuple[Database, EventStore]]:
    """What a service leaves behind that computed nothing: experiments that run, with units in both arms."""

    async def nothing(*_: object) -> None:
        """No worker."""

    monkeypatch.setattr("equipoise_service.app.compute_readouts", nothing)
    with TestClient(create_app(settings)) as client:
        client.headers.update(Service(client, settings).key())
        for definition in definitions:
            assert client.post("/v1/experiments", json=definition).status_code == 201
            assert client.post(f"/v1/experiments/{definition['key']}/start").status_code == 200
            come(client, definition["key"], units, minute)
    with open_event_store(settings) as store, open_database(settings) as database:
        yield database, store


def come(client: TestClient, key: str, units: int, minute: int) -> None:
    arms = ("control", "treatment")
    shown = [exposure(f"u{i}", arms[i % 2], minute, experiment=key) for i in range(units)]
    send(client, shown, [event(f"u{i}", minute=minute + 1) for i in range(0, units, 3)])


def rows(database: Database, table: Any) -> list[Any]:
    with Session(database.engine, expire_on_commit=False) as session:
        return list(session.exec(select(table)).all())


def change(database: Database, table: Any, **values: Any) -> None:
    with Session(database.engine) as session:
        session.connection().execute(update(table).values(**values))
        session.commit()


def at_once(*schedulers: Scheduler) -> int:
    """How many jobs some schedulers add that look at the same time."""
    with ThreadPoolExecutor(len(schedulers)) as pool:
        return sum(pool.map(Scheduler.tick, schedulers))


def work_off(database: Database, *works: Work) -> list[Job]:
    """Let workers do all that waits; the jobs, oldest first."""

    async def main() -> None:
        wake, ended = asyncio.Event(), asyncio.Event()
        workers = [Worker(database, work, anyio.CapacityLimiter(1)) for work in works]
        tasks = [asyncio.create_task(each.run(wake, ended)) for each in workers]
        deadline = time.monotonic() + 60
        while any(job.status not in ENDED for job in rows(database, Job)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        ended.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    return sorted(rows(database, Job), key=lambda job: job.id)


def works(database: Database, store: EventStore, every: timedelta = HOUR) -> Work:
    return Workplace(database, store, Limits(60, 1000), every).work
