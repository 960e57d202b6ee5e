"""Connections to the engines of sources.

The address, credentials and all, is the value of the service's `EQUIPOISE_SOURCE_<NAME>_URL`. It is read
when it is needed, kept nowhere, and taken out of every message.
"""

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from equipoise_service.connections import CLICKHOUSE_SETTINGS, counting_exactly
from equipoise_service.interruption import interruptible
from equipoise_service.priorities import give_way
from equipoise_service.sources.apart import Apart
from equipoise_service.sources.deadlines import TooSlow, deadline
from equipoise_service.sources.memory import NoMemory, share
from equipoise_service.sources.spark import NotUtc, connect_in_turn

# No file but this one, and nothing from elsewhere. The engine runs in this process, and by itself would take
# most of the machine's memory: `connected` sets what it has, as all who open a file must do so alike.
_DUCKDB: Mapping[str, Any] = {"enable_external_access": False, "memory_limit": "256MiB"}
_SWITCH = re.compile(r"true|false|yes|no|on|off|none|\d{1,6}", re.IGNORECASE)
_SECRET = re.compile(r"pass|pwd|secret|token|key|auth|credential|sig", re.IGNORECASE)

DIALECTS: Mapping[str, str] = {
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "duckdb": "duckdb",
    "mssql": "tsql",
    "mysql": "mysql",
    "postgres": "postgres",
    "postgresql": "postgres",
    "pyspark": "spark",
    "snowflake": "snowflake",
    "trino": "trino",
}
"""The engines that a source may be on: the scheme of the address, and what sqlglot calls its SQL."""

READS_PROPERTIES = frozenset({"clickhouse", "duckdb", "postgres", "pyspark"})
"""The engines, as Ibis calls them, whose way to read properties of events is known."""


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
        backend: The Ibis backend.
        dialect: What sqlglot calls its SQL.
        enforces: Whether the session is read-only by the engine's own word.
        url: Its address.
    """

    backend: Any
    dialect: str
    enforces: bool
    url: str = field(repr=False)


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
    if urlsplit(url).scheme not in DIALECTS:
        raise SourceFault(
            f"{variable(connection)} names no engine that a source may be on; it begins with "
            f"{', '.join(f'{scheme}://' for scheme in DIALECTS)}",
            "no-connection",
            "/connection",
        )
    return url


def dialect_of(url: str) -> str:
    """What sqlglot calls the SQL of the engine at an address."""
    return DIALECTS[urlsplit(url).scheme]


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
    if urlsplit(url).scheme != "duckdb":
        with _connected(connection, url, seconds) as warehouse:
            yield warehouse
        return
    try:
        with share(_path(url), seconds) as memory, _connected(connection, url, seconds) as warehouse:
            warehouse.backend.con.execute(f"SET memory_limit = '{memory}MiB'")
            yield warehouse
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
    except Exception as error:
        said = redacted(error, url)
        raise SourceFault(
            f"the engine cannot be reached: {said}. Check {variable(connection)} and whether the driver "
            "that Ibis needs for it is installed",
            "no-connection",
            "/connection",
        ) from None
    try:
        with deadline(warehouse.backend, seconds), interruptible(warehouse.backend):
            yield warehouse
    except SourceFault:
        raise
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


def query_table(warehouse: Warehouse, query: str) -> ir.Table:
    """The rows of a query. Ibis would ask for its columns through a view, which a reader cannot make."""
    backend = warehouse.backend
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
    parts = urlsplit(url)
    dialect = DIALECTS[parts.scheme]
    if parts.scheme == "duckdb":
        path = _path(url)
        # Its own threads start here and inherit the priority: others of this process answer requests.
        with ThreadPoolExecutor(1, "duckdb-start", give_way) as starting:
            backend = starting.submit(ibis.duckdb.connect, path, read_only=True, **_DUCKDB).result()
        return Warehouse(backend, dialect, True, url)
    if dialect == "postgres":
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
        return Warehouse(backend, dialect, True, url)
    if dialect == "clickhouse":
        settings = CLICKHOUSE_SETTINGS | {"readonly": 2, "max_execution_time": seconds}
        backend = ibis.connect(url, settings=settings)
        return Warehouse(counting_exactly(backend), dialect, True, url)
    connect = connect_in_turn if dialect == "spark" else ibis.connect
    return Warehouse(Apart(lambda: connect(url), seconds), dialect, False, url)
