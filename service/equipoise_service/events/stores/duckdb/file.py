"""The DuckDB file of the event store: opened by one process at a time, brought to this release's schema."""

import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb

from equipoise_service.events.stores.store import EventStoreError, EventStoreLocked
from equipoise_service.priorities import give_way
from equipoise_service.settings import Settings

_CREATE_TABLES = """
CREATE TABLE exposures (
    place VARCHAR NOT NULL, id UUID NOT NULL, time TIMESTAMP NOT NULL, received_at TIMESTAMP NOT NULL,
    unit_type VARCHAR NOT NULL, unit VARCHAR NOT NULL,
    experiment VARCHAR NOT NULL, variant VARCHAR NOT NULL, revision INTEGER NOT NULL
);
CREATE TABLE events (
    place VARCHAR NOT NULL, id UUID NOT NULL, time TIMESTAMP NOT NULL, received_at TIMESTAMP NOT NULL,
    unit_type VARCHAR NOT NULL, unit VARCHAR NOT NULL,
    name VARCHAR NOT NULL, value DOUBLE, properties VARCHAR
);
"""

# Totals, so that a report that comes twice counts once; one row for each reason that a sender ever gave.
_CREATE_DROPPED = """
CREATE TABLE dropped (
    place VARCHAR NOT NULL, client UUID NOT NULL, reason VARCHAR NOT NULL, count BIGINT NOT NULL,
    first_at TIMESTAMP NOT NULL, last_at TIMESTAMP NOT NULL,
    PRIMARY KEY (place, client, reason)
);
"""

_CREATE_REJECTED = """
CREATE TABLE rejected (
    place VARCHAR NOT NULL, key VARCHAR NOT NULL, received_at TIMESTAMP NOT NULL, kind VARCHAR NOT NULL,
    id VARCHAR, pointer VARCHAR NOT NULL, reason VARCHAR NOT NULL, item VARCHAR NOT NULL
);
"""

_CREATE_INTAKE = """
CREATE TABLE intake (
    place VARCHAR NOT NULL, key VARCHAR NOT NULL, day DATE NOT NULL, kind VARCHAR NOT NULL,
    accepted BIGINT NOT NULL, duplicate BIGINT NOT NULL, refused BIGINT NOT NULL,
    PRIMARY KEY (place, key, day, kind)
);
"""

UNIT_HASH = "(('0x' || substr(md5(unit), 1, 8))::BIGINT >> 1)::INTEGER"
"""`unit_hash`, see `columns`."""

_ADD_UNIT_HASH = f"""
ALTER TABLE exposures ADD COLUMN unit_hash INTEGER;
UPDATE exposures SET unit_hash = {UNIT_HASH};
ALTER TABLE events ADD COLUMN unit_hash INTEGER;
UPDATE events SET unit_hash = {UNIT_HASH};
"""  # noqa: S608 - an expression of ours

# Step N brings a file from version N to N + 1. Steps are only ever added: files of every release exist.
STEPS: tuple[str, ...] = (_CREATE_TABLES, _CREATE_DROPPED, _CREATE_REJECTED, _CREATE_INTAKE, _ADD_UNIT_HASH)

# A checkpoint holds commits up. Measured at 250,000 events/s on two cores, for 2 million events: 12 times
# about 120 ms with 16 MiB, 3 times about 200 ms with 64 MiB, once about 530 ms with 256 MiB.
CHECKPOINT_THRESHOLD = "64MiB"

_open_paths: set[Path] = set()
_open_paths_lock = threading.Lock()


class DuckdbFile:
    """The file, open.

    Args:
        path: Where it is; made when absent.
        settings: Memory and threads that DuckDB may use.

    Attributes:
        path: Where it is.
        connection: The connection that writes.

    Raises:
        EventStoreLocked: Another event store, of this process or another one, has it open.
        EventStoreError: It is no event store, or one of a newer release, or cannot be read or written.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path.resolve()
        self._settings = settings
        _claim(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = self._connect()
        except BaseException:
            _release(self.path)
            raise

    @property
    def log_path(self) -> Path:
        """Where DuckDB keeps the write-ahead log; absent when there is nothing in it."""
        return self.path.with_name(f"{self.path.name}.wal")

    def reopen(self) -> None:
        """Open the file again after an error that made DuckDB give it up."""
        self.connection.close()
        self.connection = self._connect()

    def close(self) -> None:
        """Move everything from the write-ahead log into the file, and let go of it."""
        try:
            self.connection.close()
        finally:
            _release(self.path)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            # DuckDB's own threads start here and inherit the priority: they work for readouts above all.
            with ThreadPoolExecutor(1, "duckdb-start", give_way) as starting:
                connect = partial(duckdb.connect, str(self.path), config=_config(self._settings))
                connection = starting.submit(connect).result()
        except duckdb.IOException as error:
            raise _explained(self.path, error) from error
        try:
            _upgrade(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection


def copy(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write the tables as they are at one moment into a file that is not there yet.

    It holds what the tables hold and nothing else: no byte of what was deleted.
    """
    (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    copied = f"copy_{uuid.uuid4().hex}"
    quoted = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS {copied}")
    try:
        connection.execute(f'COPY FROM DATABASE "{name}" TO {copied}')
    finally:
        # Closes the file, with everything in it.
        connection.execute(f"DETACH {copied}")


def _config(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "checkpoint_threshold": CHECKPOINT_THRESHOLD,
        "memory_limit": f"{settings.analysis_memory_mb}MiB",
        # Nothing is fetched from elsewhere at run time.
        "autoinstall_known_extensions": False,
        # Facts are sets: nothing reads them in the order in which they came.
        "preserve_insertion_order": False,
    }
    if settings.analysis_threads:
        config["threads"] = settings.analysis_threads
    return config


def _upgrade(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)"
    )
    version = int(_scalar(connection, "SELECT coalesce(max(version), 0) FROM schema_version"))
    if version > len(STEPS):
        raise EventStoreError(
            f"{path} has schema version {version}; this release knows {len(STEPS)}. "
            "It was written by a newer release: start that one, or restore a backup made before it."
        )
    for reached, step in enumerate(STEPS[version:], start=version + 1):
        connection.begin()
        try:
            connection.execute(step)
            connection.execute("INSERT INTO schema_version VALUES (?, ?)", [reached, _now()])
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None, "an aggregate has one row"  # noqa: S101 - a fact of SQL
    return int(row[0])


def _explained(path: Path, error: duckdb.IOException) -> EventStoreError:
    text = str(error)
    if "Could not set lock" in text:
        holder = re.search(r"PID \d+", text)
        return EventStoreLocked(
            f"{path} is open in another process{f' ({holder[0]})' if holder else ''}. The event store has "
            "one owning process: stop that one, or give this one its own directory with EQUIPOISE_DATA_DIR."
        )
    return EventStoreError(f"{path} cannot be opened as an event store: {text}")


def _claim(path: Path) -> None:
    with _open_paths_lock:
        if path in _open_paths:
            raise EventStoreLocked(
                f"{path} is open in this process already. Close that event store first: one file, one writer."
            )
        _open_paths.add(path)


def _release(path: Path) -> None:
    with _open_paths_lock:
        _open_paths.discard(path)
