"""SQLite files: read, and nothing else, with what Python brings along.

SQLite has no types of columns but of values, and no times: what a column holds is asked of its values, and
texts stand for times.
"""

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from urllib.parse import quote

import pyarrow as pa

_ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_LONGEST = 10_000_000
_BATCH = 50_000
_WAIT_SECONDS = 5.0
# After the hours come minutes; after these a letter, a plus or a minus is a zone's.
_ZONED = "*:*[-+A-Za-z]*"
_EMPTY = {"time": "timestamp", "value": "float64", "revision": "int64"}


class NoTable(Exception):
    """There is no such table."""


class File:
    """A database, opened to read.

    Args:
        path: Where it lies.

    Raises:
        sqlite3.Error: There is none, or it is none.
    """

    name = "sqlite"

    def __init__(self, path: str) -> None:
        # Another thread interrupts it.
        self._con = sqlite3.connect(
            f"file:{quote(path)}?mode=ro", uri=True, check_same_thread=False, timeout=_WAIT_SECONDS
        )
        self._con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        self._con.set_authorizer(_authorized)
        with closing(self._con.execute("SELECT count(*) FROM sqlite_master")):
            """It is opened at the first question."""

    def give_up(self) -> None:
        """Interrupt what runs."""
        self._con.interrupt()

    def disconnect(self) -> None:
        """Close it."""
        self._con.close()

    def columns(self, relation: str) -> list[str]:
        """The names of a relation's columns.

        Args:
            relation: What `table` or `query` gives.

        Raises:
            NoTable: There is no such table.
        """
        try:
            with closing(self._con.execute(f"SELECT * FROM {relation} LIMIT 0")) as cursor:  # noqa: S608
                return [name for name, *_ in cursor.description]
        except sqlite3.OperationalError as error:
            if str(error).startswith(("no such table", "unknown database")):
                raise NoTable(str(error)) from None
            raise

    def types(self, relation: str, meanings: Mapping[str, str]) -> dict[str, str]:
        """What columns hold, as Ibis calls it, by what all their values are.

        Args:
            relation: What `table` or `query` gives.
            meanings: For columns what they mean, such as time.
        """
        asked = ", ".join(
            f"group_concat(DISTINCT typeof({c})), max({c} GLOB '{_ZONED}'), min({c} GLOB '{_ZONED}'),"
            f" max(length({c}))"
            for c in map(_quoted, meanings)
        )
        with closing(self._con.execute(f"SELECT {asked} FROM {relation}")) as cursor:  # noqa: S608
            row = cursor.fetchone()
        return {
            column: _type(meaning, *row[4 * i : 4 * i + 4])
            for i, (column, meaning) in enumerate(meanings.items())
        }

    def batches(self, relation: str, types: Mapping[str, str]) -> Generator[pa.RecordBatch]:
        """The rows of some columns.

        Args:
            relation: What `table` or `query` gives.
            types: The columns, with what `types` said of them. Times are texts still.
        """
        schema = pa.schema([(name, _STORED.get(type, pa.string())) for name, type in types.items()])
        columns = ", ".join(
            f"CAST({_quoted(name)} AS {_CASTS[type]})" if type in _CASTS else _quoted(name)
            for name, type in types.items()
        )
        with closing(self._con.execute(f"SELECT {columns} FROM {relation}")) as cursor:  # noqa: S608
            while rows := cursor.fetchmany(_BATCH):
                values = zip(*rows, strict=True)
                arrays = [pa.array(each, type) for each, type in zip(values, schema.types, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def table(names: Sequence[str]) -> str:
    """A table as a relation."""
    return ".".join(map(_quoted, names))


def query(statement: str) -> str:
    """A query as a relation."""
    return f"({statement}\n)"


_STORED = {"int64": pa.int64(), "float64": pa.float64(), "binary": pa.binary()}
_CASTS = {"string": "TEXT", "float64": "REAL"}


def _type(meaning: str, classes: str | None, zoned: int | None, all_zoned: int | None, longest: int) -> str:
    found = set((classes or "null").split(",")) - {"null"}
    if not found:
        return _EMPTY.get(meaning, "string")
    if "blob" in found:
        return "binary"
    if "text" not in found:
        return "int64" if found == {"integer"} else "float64"
    if meaning != "time" or len(found) > 1 or zoned != all_zoned:
        return "string"
    if zoned:
        return "timestamp('UTC')"
    return "date" if longest <= len("2026-03-29") else "timestamp"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _authorized(action: int, table: str | None, *_: object) -> int:
    # So SQLite describes to itself what json_each gives; to write there takes a pragma.
    describes = action == sqlite3.SQLITE_UPDATE and table == "sqlite_master"
    return sqlite3.SQLITE_OK if action in _ALLOWED or describes else sqlite3.SQLITE_DENY
