"""How the service connects to its metadata database: SQLite, or PostgreSQL for several processes.

On both, one transaction writes at a time and the others wait for their turn at their beginning. So whatever a
writer reads still holds when it commits, and no transaction fails half-way because of another one.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL

BUSY_SECONDS = 10.0
"""How long a writer waits for its turn before its request is answered 503."""

_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 60
_MIGRATION_SECONDS = 600
# "equipois" in ASCII: other programs' locks in the same database have other numbers.
_TURN = int.from_bytes(b"equipois")

CLICKHOUSE_SETTINGS = {
    "session_timezone": "UTC",
    "query_plan_max_optimizations_to_apply": 1_000_000,
    "max_query_size": 16 << 20,
}
"""What a session on ClickHouse begins with. Times are without a zone, and mean UTC, whatever zone the server
is in; a readout of thirty metrics is one query with more steps than the server optimises by default, and one
of two hundred, as many as a plan may have, is longer than the 256 KiB that the server reads by default."""

_WRITE = "equipoise_write"
_MIGRATE = "equipoise_migrate"
POSTGRES = "postgresql+psycopg"


class DriverMissing(Exception):
    """The driver of the database is not installed; the message says how to install it."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The connections of one process.

    Attributes:
        plain: For what needs no turn.
        reading: Its transactions see one state of the database from their beginning to their end.
        writing: Its transactions wait for their turn.
        migrating: Its transactions wait for their turn for long, and may take long.
    """

    plain: Engine
    reading: Engine
    writing: Engine
    migrating: Engine

    def close(self) -> None:
        """Close every connection."""
        for each in (self.plain, self.writing):
            each.dispose()


def open_engines(url: str, connections: int) -> Engines:
    """Prepare the connections; none is opened yet.

    Args:
        url: SQLAlchemy URL of the database.
        connections: Most connections to PostgreSQL that are open at once, at least 2.

    Raises:
        DriverMissing: The URL's driver is not installed.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if find_spec("psycopg") is None:
        raise DriverMissing(
            "The metadata database is PostgreSQL and its driver is not installed. Install it with: "
            'pip install "equipoise-service[postgres]"'
        )
    return _postgres(parsed.set(drivername=POSTGRES), connections)


def _postgres(url: URL, connections: int) -> Engines:
    arguments: dict[str, Any] = {
        "application_name": "equipoise",
        "connect_timeout": _CONNECT_SECONDS,
        # A server that vanished without a word is noticed.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 1000 * _CONNECT_SECONDS * 4,
    }
    timeouts = {
        "lock_timeout": BUSY_SECONDS,
        "statement_timeout": _STATEMENT_SECONDS,
        # A process that hangs must not keep its turn for ever.
        "idle_in_transaction_session_timeout": _STATEMENT_SECONDS,
    }
    options = [f"-c {name}={round(seconds * 1000)}" for name, seconds in timeouts.items()]
    given = url.query.get("options", ())
    options += [given] if isinstance(given, str) else given
    more: dict[str, Any] = {
        "connect_args": {
            **{name: value for name, value in arguments.items() if name not in url.query},
            "options": " ".join(options),
        },
        "pool_timeout": BUSY_SECONDS,
        # A connection that was cut is replaced before it is used.
        "pool_pre_ping": True,
        "json_deserializer": msgspec.json.decode,
        "hide_parameters": True,  # errors are logged, what was sent is not
    }
    plain = create_engine(url, pool_size=connections - 1, max_overflow=0, **more)
    # Writers of one process wait here, so that those who read are never without a connection.
    writing = create_engine(url, pool_size=1, max_overflow=0, **more)

    @event.listens_for(writing, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_MIGRATE, False):
            for name, seconds in (
                ("lock_timeout", _MIGRATION_SECONDS),
                ("statement_timeout", 0),
                ("idle_in_transaction_session_timeout", 0),
            ):
                connection.exec_driver_sql(f"SET LOCAL {name} = {seconds * 1000}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TURN})")

    return Engines(
        plain,
        plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        # READ COMMITTED, said outright because a server's default may differ: each statement after the turn
        # began sees what the turns before it committed.
        writing.execution_options(isolation_level="READ COMMITTED"),
        writing.execution_options(isolation_level="READ COMMITTED", **{_MIGRATE: True}),
    )


def _sqlite(url: URL) -> Engines:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # Every write reads every definition's JSON again; this decoder takes a fraction of the time.
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False},
        json_deserializer=msgspec.json.decode,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, _record: object) -> None:
        # The driver's own transaction handling would begin too late; `begin` below does it.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(_MIGRATE, False):
            # SQLite changes a table by making another in its place; a reference would forbid to drop the old
            # one, and inside a transaction this can no longer be said.
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        # A writer takes its lock at once: a read that later writes could otherwise fail half-way.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITE, False) else "BEGIN")

    return Engines(
        engine,
        engine,
        engine.execution_options(**{_WRITE: True}),
        engine.execution_options(**{_WRITE: True, _MIGRATE: True}),
    )


def counting_exactly(backend: Any) -> Any:
    """The Ibis backend of a ClickHouse, which then counts distinct values exactly.

    Ibis takes ClickHouse's `uniq`, which compares 32 bits of hashes and estimates past 65,536 values.
    """
    from ibis.backends.sql.compilers.clickhouse import ClickHouseCompiler
    from ibis.expr import operations

    counted = {**ClickHouseCompiler.SIMPLE_OPS, operations.CountDistinct: "uniqExact"}
    backend.compiler = type("ExactCompiler", (ClickHouseCompiler,), {"SIMPLE_OPS": counted})()
    return backend
