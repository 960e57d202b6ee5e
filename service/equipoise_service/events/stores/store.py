"""The event store, whatever engine keeps it: exposures and events go in once, and are read through Ibis."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.deletions import FACTS, Old, StoredUnit
from equipoise_service.events.stores.hashing import hashed
from equipoise_service.events.stores.workspace import Workspace
from equipoise_service.events.writer import Writer
from equipoise_service.interruption import interruptible
from equipoise_service.settings import Settings

if TYPE_CHECKING:
    from ibis.backends.sql import SQLBackend

_log = logging.getLogger(__name__)


class EventStoreError(Exception):
    """The event store cannot be used; the message says why and what to do."""


class EventStoreLocked(EventStoreError):
    """Another event store has the file open; only one may write to it."""


class Engine(Protocol):
    """What an engine has to do; everything above knows no more of it.

    The tables are the same on every engine: `exposures`, `events`, `dropped`, `rejected`, `intake`.
    """

    def commit(self, batches: Sequence[Batch]) -> Sequence[Receipt]:
        """Store what is not stored yet of some batches; called from one thread only.

        Returns:
            What became of each batch. All of it is durable, marked with a `received_at` that is later than
            that of every earlier commit.

        Raises:
            Exception: It could not be stored. The next call tries afresh.
        """

    def between_commits(self, waiting: int) -> None:
        """Do what would hold a commit up; called after each one, with the number of items that wait."""

    def check(self) -> None:
        """Raise when what keeps the items is away; cheap, and from any thread."""

    def ibis(self) -> "AbstractContextManager[SQLBackend]":
        """Read the tables in one consistent snapshot, where the engine has one."""

    def workspace(self) -> AbstractContextManager[Workspace]:
        """Work with the tables and keep some; what lasts is there when the context ended without an error."""

    def delete_unit(self, unit: StoredUnit) -> Mapping[str, int]:
        """Delete a unit's exposures and events; how many of each table."""

    def delete_rejected(self, places: Sequence[str], items: Sequence[str]) -> int:
        """Delete the refused items of some places whose text is exactly one of these; how many."""

    def delete_old(self, old: Old, most: int) -> int:
        """Delete some of what is old, in a step that holds no commit up; how many, 0 when none is left.

        About `most` rows, or more where the engine can drop many at once.
        """

    def copy_to(self, directory: Path) -> Path | None:
        """Copy everything, as it is at one moment, into a file; None where the engine has its own tools."""

    def close(self) -> None:
        """Let go of everything; nothing is called afterwards."""


class EventStore:
    """The event store of one process, open from construction until `close`.

    Args:
        engine: What keeps the items; closed with the store.
        settings: How batches are gathered and how many may wait.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._unit_key = settings.unit_key
        self._writer = Writer(
            engine.commit,
            engine.between_commits,
            settings.event_commit_milliseconds / 1000,
            settings.event_queue_items,
        )

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    async def append(self, batch: Batch) -> Receipt:
        """Store what is not stored yet of a batch.

        Returns:
            What became of it. Everything in it is durable.

        Raises:
            Unavailable: Not now: the queue is full, the store is closed, or the commit failed.
        """
        if not batch.exposures and not batch.events and not batch.rejected and batch.dropped is None:
            return Receipt()
        return await self._writer.submit(hashed(batch, self._unit_key) if self._unit_key else batch)

    @property
    def unit_key(self) -> str:
        """What unit ids are hashed with before they are stored; empty where they are stored as they come."""
        return self._unit_key

    @contextmanager
    def ibis(self) -> "Iterator[SQLBackend]":
        """Read the tables `exposures`, `events`, `dropped`, `rejected` and `intake` through Ibis.

        One consistent snapshot where the engine has one. The backend belongs to the thread that opened it,
        and blocks no writer. Columns of type UUID leave the engines in different forms: cast them to string.
        """
        with self._engine.ibis() as backend, interruptible(backend):
            yield backend

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """Read the tables as `ibis` does, and keep tables of what was found.

        What lasts is there for others when the context ended without an error, whole or not at all.
        """
        with self._engine.workspace() as workspace, interruptible(workspace.backend):
            yield workspace

    def delete_unit(self, unit: StoredUnit) -> Mapping[str, int]:
        """Delete a unit's exposures and events; how many of each table.

        Tables that were kept of them are forgotten by who calls this.
        """
        return self._engine.delete_unit(unit)

    def delete_rejected(self, places: Sequence[str], items: Sequence[str]) -> int:
        """Delete the refused items of some places whose text is exactly one of these; how many."""
        return self._engine.delete_rejected(places, items) if items else 0

    def delete_old(self, old: Old, most: int) -> int:
        """Delete some of what is old, in a step that holds no commit up; how many, 0 when none is left."""
        return self._engine.delete_old(old, most) if old.before else 0

    def copy_to(self, directory: Path) -> Path | None:
        """Copy everything, as it is at one moment, into a file; None where the engine has its own tools."""
        return self._engine.copy_to(directory)

    def has_facts(self) -> bool:
        """Whether it holds any exposure or event."""
        with self.ibis() as backend:
            found = (backend.table(name).limit(1).count().to_pyarrow().as_py() for name in FACTS)
            return any(found)

    def healthy(self) -> bool:
        """Whether it can take batches: the writer runs, no commit failed lately, and its server is there."""
        if not self._writer.healthy():
            return False
        try:
            self._engine.check()
        except Exception as error:
            _log.warning("the event store is away: %s", error)
            return False
        return True

    def close(self) -> None:
        """Take no more, commit what waits, let go of the engine."""
        self._writer.close()
        self._engine.close()


def open_event_store(settings: Settings) -> EventStore:
    """The event store that the settings name, at this release's schema.

    Raises:
        EventStoreError: It cannot be used, or its driver is not installed.
        EventStoreLocked: It is a file that another event store has open.
    """
    return EventStore(_open_engine(settings), settings)


def _open_engine(settings: Settings) -> Engine:
    scheme = settings.event_store_url.partition(":")[0].partition("+")[0]
    if not scheme:
        from equipoise_service.events.stores.duckdb.engine import DuckdbEngine

        return DuckdbEngine(settings)
    try:
        if scheme == "postgresql":
            from equipoise_service.events.stores.postgres.engine import PostgresEngine

            return PostgresEngine(settings.event_store_url.replace("+psycopg://", "://", 1))
        from equipoise_service.events.stores.clickhouse.engine import open_clickhouse

        return open_clickhouse(settings.event_store_url)
    except ModuleNotFoundError as error:
        extra = {"psycopg": "postgres", "clickhouse_connect": "clickhouse"}.get(str(error.name))
        if extra is None:
            raise
        raise EventStoreError(
            f"EQUIPOISE_EVENT_STORE_URL names an event store whose driver is not installed. Install it: "
            f"pip install 'equipoise-service[{extra}]'"
        ) from error
