"""Exposures and events in one DuckDB file, written by one thread, read through Ibis."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.deletions import Old, StoredUnit
from equipoise_service.events.stores.duckdb import deletions
from equipoise_service.events.stores.duckdb.commits import commit
from equipoise_service.events.stores.duckdb.file import DuckdbFile, copy
from equipoise_service.events.stores.duckdb.index import IdIndex
from equipoise_service.events.stores.duckdb.known import KnownIds, known_ids
from equipoise_service.events.stores.duckdb.workspace import DuckdbWorkspace
from equipoise_service.settings import Settings

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.schema import Schema

# A checkpoint of this much log takes a seventh of what one at `CHECKPOINT_THRESHOLD` does: 27 ms of processor
# time against 183 ms. Under full load, when many items wait, fewer and longer ones leave more for commits.
CHECKPOINT_BETWEEN = 8 << 20
_FEW_ITEMS = 10_000
# A checkpoint also moves rows together where some were deleted or the last one ended: 100 to 170 ms of
# processor time beside its own 24. Commits wait for it, so it is done where there is something to gain.
_VACUUM_TASKS = 100


class DuckdbEngine:
    """The embedded engine: this process owns the file.

    Args:
        settings: Where the file is and how much memory it may use.

    Raises:
        EventStoreLocked: Another event store has the file open.
        EventStoreError: The file cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._file = DuckdbFile(settings.event_store_path, settings)
        self._received_at = _latest_receipt(self._file.connection)
        self._known = self._remember()
        self._log_size = 0
        self._schemas: dict[str, Schema] = {}
        # What the last process left is moved together once.
        self._is_vacuum_due = True
        # Arrow imports half of pandas at its first use: better now than while the first batch waits.
        commit(self._file.connection, [], self._received_at, self._known)

    def commit(self, batches: Sequence[Batch]) -> Sequence[Receipt]:
        """Store what is not stored yet of some batches, all of it or nothing."""
        now = datetime.now(UTC).replace(tzinfo=None)
        # Later for every commit, whatever the clock does: who read up to one finds the next ones after it.
        self._received_at = max(now, self._received_at + timedelta(microseconds=1))
        try:
            receipts = commit(self._file.connection, batches, self._received_at, self._known)
        except (duckdb.FatalException, duckdb.ConnectionException):
            self._reopen()
            raise
        self._sync_new_log()
        return receipts

    def between_commits(self, waiting: int) -> None:
        """Move the write-ahead log into the file while that is quick, and few items wait."""
        if self._log_size < CHECKPOINT_BETWEEN or waiting > _FEW_ITEMS:
            return
        tasks, self._is_vacuum_due = _VACUUM_TASKS * self._is_vacuum_due, False
        try:
            self._file.connection.execute(f"SET max_vacuum_tasks = {tasks}")
            self._file.connection.execute("CHECKPOINT")
        except duckdb.TransactionException:
            # Somebody keeps a table at this moment; after one of the next commits nobody does.
            self._is_vacuum_due |= bool(tasks)
            return
        except (duckdb.FatalException, duckdb.ConnectionException):
            self._reopen()
            raise
        self._log_size = 0

    def check(self) -> None:
        """Nothing: the file is this process's own."""

    @contextmanager
    def ibis(self) -> Iterator["Backend"]:
        """Read the tables in one consistent snapshot; it blocks no writer."""
        from equipoise_service.events.stores.duckdb.backend import backend_on

        cursor = self._file.connection.cursor()
        try:
            cursor.begin()
            # DuckDB takes the snapshot at the first read.
            cursor.execute("SELECT version FROM schema_version").fetchall()
            yield backend_on(cursor, self._schemas)
        finally:
            cursor.close()

    @contextmanager
    def workspace(self) -> Iterator[DuckdbWorkspace]:
        """Work with the tables in one transaction; it blocks no writer."""
        from equipoise_service.events.stores.duckdb.backend import backend_on

        cursor = self._file.connection.cursor()
        try:
            cursor.begin()
            cursor.execute("SELECT version FROM schema_version").fetchall()
            workspace = DuckdbWorkspace(cursor, backend_on(cursor, self._schemas))
            yield workspace
            cursor.commit()
            workspace.clean()
        finally:
            cursor.close()

    def delete_unit(self, unit: StoredUnit) -> Mapping[str, int]:
        """Delete a unit's rows."""
        with closing(self._file.connection.cursor()) as cursor:
            deleted = deletions.delete_unit(cursor, unit)
        self._is_vacuum_due = True
        return deleted

    def delete_rejected(self, places: Sequence[str], items: Sequence[str]) -> int:
        """Delete the refused items of exactly these texts."""
        with closing(self._file.connection.cursor()) as cursor:
            deleted = deletions.delete_rejected(cursor, places, items)
        self._is_vacuum_due = True
        return deleted

    def delete_old(self, old: Old, most: int) -> int:
        """Delete some of what is old."""
        with closing(self._file.connection.cursor()) as cursor:
            deleted = deletions.delete_old(cursor, old, most)
        # Asked again and again, it mostly finds nothing.
        self._is_vacuum_due |= deleted > 0
        return deleted

    def copy_to(self, directory: Path) -> Path | None:
        """Copy the tables as they are at one moment into a new file; commits go on meanwhile."""
        path = directory / self._file.path.name
        with closing(self._file.connection.cursor()) as cursor:
            copy(cursor, path)
        return path

    def close(self) -> None:
        """Move the write-ahead log into the file and let go of it."""
        self._known.index.close()
        self._file.close()

    def _remember(self) -> KnownIds:
        """What is known of the ids in the file, which is now opened."""
        index = IdIndex(self._file.connection, self._received_at, self._file.path.parent)
        return known_ids(self._file.connection, index)

    def _reopen(self) -> None:
        self._known.index.close()
        self._file.reopen()
        self._known = self._remember()

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
        " UNION ALL SELECT max(received_at) FROM events UNION ALL SELECT max(received_at) FROM rejected)"
    ).fetchone()
    return row[0] if row and row[0] else datetime.min
