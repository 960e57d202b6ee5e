"""Exposures and events in PostgreSQL, written by any number of processes, read through Ibis."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import Connection, IsolationLevel, sql
from psycopg.pq import TransactionStatus

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.columns import Offer, events_offer, exposures_offer
from equipoise_service.events.stores.deletions import Old, StoredUnit
from equipoise_service.events.stores.postgres import commits, deletions, partitions
from equipoise_service.events.stores.postgres.partitions import Partition
from equipoise_service.events.stores.postgres.schema import SCHEMA, upgrade
from equipoise_service.events.stores.postgres.workspace import PostgresWorkspace
from equipoise_service.events.stores.store import EventStoreError

if TYPE_CHECKING:
    from ibis.backends.postgres import Backend

_log = logging.getLogger(__name__)

# A server that is gone without a word is noticed within some seconds.
_CONNECT = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "equipoise",
    "client_encoding": "UTF8",
}
_WRITE_TIMEOUT = "30s"
# Whoever stores keeps the others waiting; one that was stopped in the middle must not do so for ever.
_IDLE_TIMEOUT = "10s"
_READ_TIMEOUT = "1h"
_PARTITION_RETRY_SECONDS = 60.0
# Until the server has counted new rows it takes a table for a small one and joins it row by row: 61 s for the
# analysis of 8,000 units, which takes less than 1 s by hash. Nested loops stay where there is no other way.
_PLANNING = {"enable_nestloop": "off"}


class PostgresEngine:
    """The engine in PostgreSQL.

    Args:
        url: Where it is, as libpq understands it.

    Raises:
        EventStoreError: It cannot be reached, its tables belong to a newer release or cannot be made.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._partitions: set[Partition] = set()
        self._no_partitions_before = float("-inf")
        try:
            self._connection = self._connect_writer()
        except psycopg.Error as error:
            raise EventStoreError(
                "The event store in PostgreSQL cannot be used. Check that the server runs, and what "
                f"EQUIPOISE_EVENT_STORE_URL names. It says: {_told(error)}"
            ) from error

    def commit(self, batches: Sequence[Batch]) -> Sequence[Receipt]:
        """Store what is not stored yet of some batches, all of it or nothing."""
        offers = exposures_offer(batches), events_offer(batches)
        try:
            answers = self._store(batches, offers)
        except psycopg.Error:
            if not self._connection.closed:
                raise
            # The server was started anew, or the connection cut, since the last time. Nothing is stored yet.
            self._connection = self._connect_writer()
            answers = self._store(batches, offers)
        try:
            self._connection.commit()
        except BaseException:
            # Perhaps all of it is stored, perhaps nothing: the senders will ask again.
            self._connection.close()
            raise
        return answers

    def between_commits(self, waiting: int) -> None:
        """Nothing: the server checkpoints by itself."""

    def check(self) -> None:
        """Connect anew: the writer's connection does not notice that the server went away."""
        self._connect().close()

    @contextmanager
    def ibis(self) -> Iterator["Backend"]:
        """Read the tables in one consistent snapshot, on a connection of its own; it blocks no writer."""
        import ibis

        with self._connect() as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            # The first query begins the transaction and takes the snapshot.
            _set(connection, statement_timeout=_READ_TIMEOUT, **_PLANNING)
            try:
                yield ibis.postgres.from_connection(connection)
            finally:
                # What was read needs no commit, and a connection that is gone has nothing to roll back.
                with suppress(psycopg.Error):
                    connection.rollback()

    @contextmanager
    def workspace(self) -> Iterator[PostgresWorkspace]:
        """Work with the tables in one transaction, on a connection of its own; it blocks no writer."""
        with self._connect() as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            _set(connection, statement_timeout=_READ_TIMEOUT, TimeZone="UTC", **_PLANNING)
            try:
                workspace = PostgresWorkspace(connection)
                yield workspace
                connection.commit()
                workspace.clean()
            finally:
                with suppress(psycopg.Error):
                    connection.rollback()

    def delete_unit(self, unit: StoredUnit) -> Mapping[str, int]:
        """Delete a unit's rows."""
        with self._deleting() as connection:
            return deletions.delete_unit(connection, unit)

    def delete_rejected(self, places: Sequence[str], items: Sequence[str]) -> int:
        """Delete the refused items of exactly these texts."""
        with self._deleting() as connection:
            return deletions.delete_rejected(connection, places, items)

    def delete_old(self, old: Old, most: int) -> int:
        """Delete some of what is old: a partition where nothing in it stays, else so many rows."""
        with self._deleting() as connection:
            return deletions.delete_old(connection, old, most)

    def copy_to(self, directory: Path) -> Path | None:  # noqa: ARG002 - as the protocol has it
        """Nothing: PostgreSQL has tools for that."""
        return None

    @contextmanager
    def _deleting(self) -> Iterator[Connection]:
        with self._connect() as connection:
            _set(connection, statement_timeout=_READ_TIMEOUT, TimeZone="UTC")
            connection.commit()
            yield connection

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _store(self, batches: Sequence[Batch], offers: Sequence[Offer]) -> list[Receipt]:
        try:
            self._make_partitions(offers)
            return commits.store(self._connection, batches, offers)
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        """Make the connection fit for the next transaction, or close it: nothing between is safe."""
        with suppress(psycopg.Error):
            self._connection.rollback()
        if self._connection.info.transaction_status != TransactionStatus.IDLE:
            self._connection.close()

    def _make_partitions(self, offers: Sequence[Offer]) -> None:
        now = datetime.now(UTC)
        wanted = partitions.partitions_ahead(now)
        for offer in offers:
            wanted |= partitions.partitions_of(offer.name, offer.ids, now)
        if wanted <= self._partitions or time.monotonic() < self._no_partitions_before:
            return
        try:
            partitions.make(self._connection, wanted)
        except psycopg.errors.LockNotAvailable:
            # Rows go into the default partition meanwhile, and are moved when it succeeds.
            self._no_partitions_before = time.monotonic() + _PARTITION_RETRY_SECONDS
            _log.warning("a reader keeps new partitions from being made; trying again in a minute")
        else:
            self._partitions |= wanted

    def _connect_writer(self) -> Connection:
        connection = self._connect()
        try:
            _set(
                connection,
                statement_timeout=_WRITE_TIMEOUT,
                idle_in_transaction_session_timeout=_IDLE_TIMEOUT,
                TimeZone="UTC",
            )
            # Acknowledged means durable, whatever the database's default is.
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            connection.commit()
            upgrade(connection)
            commits.prepare(connection)
            connection.commit()
            self._partitions = partitions.existing(connection)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> Connection:
        connection = psycopg.connect(self._url, **_CONNECT)  # type: ignore[arg-type]
        try:
            # Not as an option of the connection: poolers refuse those.
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(SCHEMA)))
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection


def _set(connection: Connection, **settings: str) -> None:
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])


def _told(error: psycopg.Error) -> str:
    """What the server or the driver says; neither ever says the password."""
    return str(error.diag.message_primary or error).strip().replace("\n", " ")
