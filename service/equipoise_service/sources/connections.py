"""Connections to the engines of sources.

The address, credentials and all, is the value of the service's `EQUIPOISE_SOURCE_<NAME>_URL`. It is read
when it is needed, kept nowhere, and taken out of every message.
"""

import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from equipoise_service.connections import CLICKHOUSE_SETTINGS, counting_exactly
from equipoise_service.interruption import interruptible
from equipoise_service.sources import sqlite
from equipoise_service.sources.apart import Apart
from equipoise_service.sources.brought import TooMuch, embedded, room
from equipoise_service.sources.deadlines import TooSlow, deadline
from equipoise_service.sources.engines import ENGINES, KEPT_OUT
from equipoise_service.sources.memory import NoMemory, share
from equipoise_service.sources.spark import NotUtc, connect_in_turn
from equipoise_service.statements import WATCH_SECONDS, RunningStatements

# DuckDB runs in this process, and by itself would take most of the machine's memory: `connected` sets what it
# has, as all who open a file must do so alike.
_LEAST = "256MiB"
_SWITCH = re.compile(r"true|false|yes|no|on|off|none|\d{1,6}", re.IGNORECASE)
_SECRET = re.compile(r"pass|pwd|secret|token|key|auth|credential|sig", re.IGNORECASE)


class SourceFault(Exception):
    """A source cannot be read as it is defined.

    Args:
        message: What is wrong, and what to do.
        code: Stable name.
        pointer: Where in the definition.
    """

    def __init__(self, message: str, code: str = "failed", pointer: str = "") -> None:
        super().__init__(message)
        self.message, self.code, self.pointer = message, code, pointer


@dataclass(frozen=True, slots=True)
class Warehouse:
    """An open connection to an engine.

    Attributes:
        backend: The Ibis backend that computes: the engine's, or one that rows are brought to.
        dialect: What sqlglot calls the engine's SQL.
        enforces: Whether the session is read-only by the engine's own word.
        url: Its address.
        origin: The engine, where it only gives rows: an Ibis backend, or a file of SQLite.
    """

    backend: Any
    dialect: str
    enforces: bool
    url: str = field(repr=False)
    origin: Any = None

    @property
    def engine(self) -> str:
        """What Ibis calls the engine."""
        return str((self.origin or self.backend).name)


def variable(connection: str) -> str:
    """Name of the environment variable of a connection."""
    return f"EQUIPOISE_SOURCE_{connection}_URL"


def address(connection: str) -> str:
    """The address of a connection.

    Raises:
        SourceFault: The service has none of that name, or it names no engine that is known.
    """
    url = os.environ.get(variable(connection))
    if not url:
        raise SourceFault(
            f"the service has no connection {connection}: set {variable(connection)} in its environment and "
            "start it again",
            "no-connection",
            "/connection",
        )
    scheme = urlsplit(url).scheme
    if scheme not in ENGINES:
        why = f" ({scheme}: {KEPT_OUT[scheme]})" if scheme in KEPT_OUT else ""
        raise SourceFault(
            f"{variable(connection)} names no engine that a source may be on{why}; it begins with "
            f"{', '.join(f'{each}://' for each in ENGINES)}",
            "no-connection",
            "/connection",
        )
    return url


def dialect_of(url: str) -> str:
    """What sqlglot calls the SQL of the engine at an address."""
    return ENGINES[urlsplit(url).scheme].dialect


@contextmanager
def connected(connection: str, seconds: float) -> Iterator[Warehouse]:
    """Connect, read-only where the engine has such a thing, and interrupt what takes too long.

    Args:
        connection: Its name.
        seconds: How long everything in the block may take.

    Raises:
        SourceFault: It cannot be reached, an engine's error came out of the block, or time was over.
    """
    url = address(connection)
    scheme = urlsplit(url).scheme
    try:
        if scheme == "duckdb":
            with share(_path(url), seconds) as memory, _connected(connection, url, seconds) as warehouse:
                warehouse.backend.con.execute(f"SET memory_limit = '{memory}MiB'")
                yield warehouse
        elif ENGINES[scheme].computes:
            with _connected(connection, url, seconds) as warehouse:
                yield warehouse
        else:
            with (
                _connected(connection, url, seconds) as origin,
                room(seconds) as backend,
                deadline(backend, seconds),
                interruptible(backend),
            ):
                yield replace(origin, backend=backend, origin=origin.backend)
    except NoMemory:
        raise SourceFault(
            f"other sources on DuckDB had all the memory for {seconds:g} seconds. Try again later", "too-slow"
        ) from None


@contextmanager
def _connected(connection: str, url: str, seconds: float) -> Iterator[Warehouse]:
    try:
        warehouse = _open(url, seconds)
    except NotUtc as error:
        raise SourceFault(str(error), "no-connection", "/connection") from None
    except ImportError:
        name = urlsplit(url).scheme.replace("postgresql", "postgres")
        raise SourceFault(
            f"the Python packages that read {name} are not installed beside the service. Install them with: "
            f'pip install "ibis-framework[{name}]"',
            "no-driver",
            "/connection",
        ) from None
    except Exception as error:
        raise SourceFault(
            f"the engine cannot be reached: {redacted(error, url)}. Check {variable(connection)}",
            "no-connection",
            "/connection",
        ) from None
    try:
        with deadline(warehouse.backend, seconds), interruptible(warehouse.backend):
            yield warehouse
    except (SourceFault, NoMemory):
        raise
    except TooMuch as error:
        raise SourceFault(
            f"{error}. Give a query that leaves out what is not needed, or a source on an engine that "
            "computes by itself",
            "too-large",
        ) from None
    except TooSlow as error:
        raise SourceFault(
            f"{error}. Ask for less: name the columns that are needed, filter on time, or let the warehouse "
            "prepare a table; EQUIPOISE_SOURCE_SECONDS allows more",
            "too-slow",
        ) from None
    except Exception as error:
        raise SourceFault(f"the engine refused: {redacted(error, url)}") from None
    finally:
        with suppress(Exception):  # a connection that was cut off is closed already
            warehouse.backend.disconnect()


def redacted(error: Exception, url: str) -> str:
    """What an engine says, in one line without its address: neither host, user nor password."""
    parts = urlsplit(url)
    values = (value for name, value in parse_qsl(parts.query) if not _is_harmless(name, value))
    found = [url, parts.netloc, parts.password or "", *values]
    secrets = {each for text in found for each in (text, unquote(text)) if each}
    text = " ".join(str(error).split("\n\n")[0].split())
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    for name in (parts.hostname, unquote(parts.username or "")):
        # Whole words: a user may be called as a part of one.
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "***", text, flags=re.I) if name else text
    return text[:400].rstrip(".")


def _is_harmless(name: str, value: str) -> bool:
    """Whether a parameter is a switch or a number, which an engine's message may well hold by chance."""
    return bool(_SWITCH.fullmatch(value)) and not _SECRET.search(name)


def query_table(backend: Any, query: str) -> ir.Table:
    """The rows of a query. Ibis would ask for its columns through a view, which a reader cannot make."""
    # DuckDB 2 and read-only sessions: the columns are asked for here, without anything being made.
    if backend.name == "duckdb":
        described = backend.con.cursor().execute(f"DESCRIBE {query}").fetchall()
        types = {name: str(type) for name, type, *_ in described}
    elif backend.name == "postgres":
        types = _postgres_types(backend.con, query)
    elif backend.name == "clickhouse":
        types = {name: type for name, type, *_ in backend.con.query(f"DESCRIBE ({query})").result_rows}
    else:
        return backend.sql(query)
    read = backend.compiler.type_mapper.from_string
    return backend.sql(query, schema=ibis.schema({name: read(type) for name, type in types.items()}))


def bring(warehouse: Warehouse, rows: pa.Table) -> ir.Table:
    """Make rows of ours a table there, for as long as the connection is open."""
    backend = warehouse.backend
    if backend.name != "postgres":
        return ibis.memtable(rows)
    # A read-only transaction makes no table, not even a temporary one, and Ibis would insert row by row.
    name = f"equipoise_{uuid.uuid4().hex}"
    kinds = {"string": "text", "timestamp[us]": "timestamp", "int64": "bigint"}
    columns = ", ".join(f'"{each.name}" {kinds[str(each.type)]}' for each in rows.schema)
    con = backend.con
    with con.transaction():
        con.execute("SET TRANSACTION READ WRITE")
        con.execute(f'CREATE TEMPORARY TABLE "{name}" ({columns})')
        with con.cursor() as cursor, cursor.copy(f'COPY "{name}" FROM STDIN') as copy:
            for row in rows.to_pylist():
                copy.write_row(tuple(row.values()))
    return backend.table(name)


def keeping(warehouse: Warehouse) -> Callable[[str, ir.Table], ir.Table] | None:
    """What makes a table of a query's rows there, for as long as the connection is open.

    Returns:
        Takes what the table is to be called, among others of the connection, and the query; None where the
        engine, or the connection's user, cannot have such tables.
    """
    backend = warehouse.backend
    if backend.name == "duckdb":
        return partial(_keep_on_duckdb, backend)
    return partial(_keep_on_postgres, backend) if backend.name == "postgres" and _may_keep(backend) else None


def _keep_on_duckdb(backend: Any, what: str, query: ir.Table) -> ir.Table:
    made: ir.Table = backend.create_table(_own_name(what), query, temp=True)
    return made


def _keep_on_postgres(backend: Any, what: str, query: ir.Table) -> ir.Table:
    name, as_text = _own_name(what), backend.compiler.type_mapper.to_string
    columns = ", ".join(f'"{column}" {as_text(type)}' for column, type in query.schema().items())
    con = backend.con
    with con.transaction():
        con.execute("SET TRANSACTION READ WRITE")
        con.execute(f'CREATE TEMPORARY TABLE "{name}" ({columns})')
    # A transaction that only reads may fill tables of its session, and what it reads can write nothing else.
    with con.transaction():
        con.execute(f'INSERT INTO "{name}" {backend.compile(query)}'.encode(), prepare=False)
        con.execute(f'ANALYZE "{name}"')
    return backend.table(name)


def _may_keep(backend: Any) -> bool:
    """Whether a session on PostgreSQL may have tables of its own: on a replica none has."""
    right = "has_database_privilege(current_database(), 'TEMPORARY')"
    with backend.con.transaction():
        found = backend.con.execute(f"SELECT NOT pg_is_in_recovery() AND {right}").fetchone()
    return bool(found[0])


def _own_name(what: str) -> str:
    """A name that no table of the engine has, which one of ours would hide."""
    return f"equipoise_{what}_{uuid.uuid4().hex}"


def _postgres_types(con: Any, query: str) -> dict[str, str]:
    with con.transaction(), con.cursor() as cursor:
        # The query was checked, and the session is read-only.
        cursor.execute(f"SELECT * FROM ({query}\n) AS described LIMIT 0")  # noqa: S608
        found = [(each.name, each.type_code) for each in cursor.description]
        names = {
            code: cursor.execute("SELECT format_type(%s, NULL)", [code]).fetchone()[0]
            for code in {code for _, code in found}
        }
    return {name: names[code] for name, code in found}


def _path(url: str) -> str:
    parts = urlsplit(url)
    return unquote(parts.netloc + parts.path)


def _open(url: str, seconds: float) -> Warehouse:
    scheme = urlsplit(url).scheme
    backend, enforces = _OPENERS.get(scheme, _open_apart)(url, seconds)
    return Warehouse(backend, ENGINES[scheme].dialect, enforces, url)


# The backend, and whether its session is read-only by the engine's own word.
_Opened = tuple[Any, bool]


def _open_duckdb(url: str, _: float) -> _Opened:
    return embedded(database=_path(url), read_only=True, memory_limit=_LEAST), True


def _open_postgres(url: str, seconds: float) -> _Opened:
    parts = urlsplit(url)
    milliseconds = max(1, int(seconds * 1000))
    options = f"-c default_transaction_read_only=on -c statement_timeout={milliseconds}"
    backend = ibis.postgres.connect(
        host=parts.hostname,
        port=parts.port or 5432,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        database=unquote(parts.path.strip("/")) or None,
        options=options,
        connect_timeout=max(2, min(10, int(seconds))),
        **dict(parse_qsl(parts.query)),
    )
    return backend, True


def _open_clickhouse(url: str, seconds: float) -> _Opened:
    settings = CLICKHOUSE_SETTINGS | {"readonly": 2, "max_execution_time": seconds}
    backend = counting_exactly(ibis.connect(url, settings=settings))
    patience = {"connect_timeout": WATCH_SECONDS, "send_receive_timeout": WATCH_SECONDS}
    backend.running = RunningStatements(backend.con, lambda: ibis.connect(url, **patience).con)
    return backend, True


def _open_sqlite(url: str, _: float) -> _Opened:
    return sqlite.File(_path(url)), True


def _open_spark(url: str, seconds: float) -> _Opened:
    return Apart(lambda: connect_in_turn(url), seconds), False


def _open_named(url: str, seconds: float) -> _Opened:
    """Where all that Ibis needs are parameters: of an address without a host it would make a file's."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    return Apart(lambda: getattr(ibis, parts.scheme).connect(**given), seconds), False


def _open_apart(url: str, seconds: float) -> _Opened:
    return Apart(lambda: ibis.connect(url), seconds), False


_OPENERS: Mapping[str, Callable[[str, float], _Opened]] = {
    "athena": _open_named,
    "clickhouse": _open_clickhouse,
    "databricks": _open_named,
    "duckdb": _open_duckdb,
    "postgres": _open_postgres,
    "postgresql": _open_postgres,
    "pyspark": _open_spark,
    "sqlite": _open_sqlite,
}
