"""The event store: exposures and events in one DuckDB file, written by one thread, read through Ibis."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.commits import commit
from equipoise_service.events.duckdb_file import DuckdbFile, EventStoreError, EventStoreLocked
from equipoise_service.events.writer import Writer
from equipoise_service.settings import Settings

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

__all__ = ["EventStore", "EventStoreError", "EventStoreLocked"]


class EventStore:
    """The event store of one process, open from construction until `close`.

    Args:
        settings: Where its file is and how much memory, time and queue it may use.

    Raises:
        EventStoreLocked: Another event store has the file open.
        EventStoreError: The file cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._file = DuckdbFile(settings.event_store_path, settings)
        self._received_at = _latest_receipt(self._file.connection)
        self._log_size = 0
        # Arrow imports half of pandas at its first use: better now than while the first batch waits.
        commit(self._file.connection, [], self._received_at)
        self._writer = Writer(
            self._commit, settings.event_commit_milliseconds / 1000, settings.event_queue_items
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
            What became of it. Everything in it is on disk.

        Raises:
            Unavailable: Not now: the queue is full, the store is closed, or the commit failed.
        """
        if not batch.exposures and not batch.events and batch.dropped is None:
            return Receipt(frozenset(), frozenset())
        return await self._writer.submit(batch)

    @contextmanager
    def ibis(self) -> Iterator["Backend"]:
        """Read the tables `exposures`, `events` and `dropped` through Ibis, in one consistent snapshot.

        The backend belongs to the thread that opened it. It blocks no writer.
        """
        import ibis

        cursor = self._file.connection.cursor()
        try:
            cursor.begin()
            # DuckDB takes the snapshot at the first read.
            cursor.execute("SELECT version FROM schema_version").fetchall()
            yield ibis.duckdb.from_connection(cursor)
        finally:
            cursor.close()

    def healthy(self) -> bool:
        """Whether it can take batches: the writer runs and no commit failed in the last seconds."""
        return self._writer.healthy()

    def close(self) -> None:
        """Take no more, commit what waits, move the write-ahead log into the file, let go of it."""
        self._writer.close()
        self._file.close()

    def _commit(self, batches: Sequence[Batch]) -> Sequence[Receipt]:
        now = datetime.now(UTC).replace(tzinfo=None)
        # Later for every commit, whatever the clock does: who read up to one finds the next ones after it.
        self._received_at = max(now, self._received_at + timedelta(microseconds=1))
        try:
            receipts = commit(self._file.connection, batches, self._received_at)
        except (duckdb.FatalException, duckdb.ConnectionException):
            self._file.reopen()
            raise
        self._sync_new_log()
        return receipts

    def _sync_new_log(self) -> None:
        """Make a new write-ahead log's name in its directory durable; DuckDB syncs its content only."""
        with suppress(FileNotFoundError):
            size = self._file.log_path.stat().st_size
            # The log only grows until a checkpoint removes it.
            if size <= self._log_size or not self._log_size:
                _sync_directory(self._file.path.parent)
            self._log_size = size


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _latest_receipt(connection: duckdb.DuckDBPyConnection) -> datetime:
    row = connection.execute(
        "SELECT max(received_at) FROM (SELECT max(received_at) AS received_at FROM exposures"
        " UNION ALL SELECT max(received_at) FROM events)"
    ).fetchone()
    return row[0] if row and row[0] else datetime.min
