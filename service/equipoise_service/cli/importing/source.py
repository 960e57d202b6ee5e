"""Reading a CSV or Parquet file row by row, in order, in constant memory."""

import csv
import difflib
import gzip
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import duckdb

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.importing.items import ABSENT, HAPPENED, UNREADABLE, Rows, file_prefix
from equipoise_service.cli.importing.mapping import EventMapping, Mapping

CSV_SUFFIXES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
_DELIMITERS: Final = ",\t;|"
_MAX_HEADER_CHARACTERS: Final = 1 << 20
_MEMORY: Final = "512MB"


@dataclass(frozen=True, slots=True)
class Source:
    """A file whose columns were found.

    Attributes:
        path: Where it is.
        size: Its size in bytes.
        modified_ns: When it was changed last, in nanoseconds since 1970.
        table: The SQL that names it as a table.
        columns: For each column that the mapping names, the SQL that names it.
    """

    path: Path
    size: int
    modified_ns: int
    table: str
    columns: dict[str, str]


def open_source(path: Path, mapping: Mapping) -> Source:
    """Find the mapping's columns in a file.

    Raises:
        Failure: There is no such file, its kind is not known, it cannot be read, or it has not the columns.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise Failure(f"Cannot read {path}: {error.strerror or error}.") from None
    name = path.name.lower()
    if name.endswith(CSV_SUFFIXES):
        table, columns = _csv_table(path, mapping.columns)
    elif name.endswith(PARQUET_SUFFIXES):
        table, columns = _parquet_table(path, mapping.columns)
    else:
        known = ", ".join(CSV_SUFFIXES + PARQUET_SUFFIXES)
        raise Failure(f"{path} has no ending that says what it is. Known are {known}.")
    return Source(path, status.st_size, status.st_mtime_ns, table, columns)


def count_rows(source: Source, connection: duckdb.DuckDBPyConnection) -> int:
    """How many rows the file has; `connection.interrupt()` ends it early.

    Raises:
        duckdb.Error: The file cannot be read to its end, or the count was interrupted.
    """
    found = connection.execute(f"SELECT count(*) FROM {source.table}").fetchone()  # noqa: S608 - quoted by us
    return int(found[0]) if found else 0


def read_prefix(source: Source, mapping: Mapping) -> str:
    """The first 16 bits of the ids of the file's items, in hexadecimal."""
    for rows in read_rows(source, mapping, skip=0, chunk=1):
        return file_prefix(rows.units[0], rows.times[0])
    return file_prefix(None, None)


def read_rows(source: Source, mapping: Mapping, *, skip: int, chunk: int) -> Iterator[Rows]:
    """Read a file from some row on.

    Args:
        source: The file.
        mapping: Its columns.
        skip: How many rows to leave out at its beginning.
        chunk: The most rows to give at once.

    Raises:
        Failure: The file cannot be read further; what was given until then is right.
    """
    connection = connect()
    try:
        connection.execute(f"SET TimeZone = {_text(mapping.timezone)}")
        # The relation streams; the result of `execute` would be held whole in memory.
        reader = connection.sql(_query(source, mapping, skip)).to_arrow_reader(chunk)
        first = skip + 1
        for batch in reader:
            rows = _rows(first, batch, mapping)
            first += len(rows)
            if len(rows):
                yield rows
    except (duckdb.Error, OSError, ValueError) as error:  # pyarrow's errors are OSError or ValueError
        raise Failure(f"{source.path} cannot be read further: {_brief(error)}") from None
    finally:
        connection.close()


def connect() -> duckdb.DuckDBPyConnection:
    """An engine that keeps the order of rows and its memory within bounds."""
    return duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY, "preserve_insertion_order": True})


def _query(source: Source, mapping: Mapping, skip: int) -> str:
    selected = [f"{source.columns[mapping.unit]}::VARCHAR AS unit"]
    if mapping.variant is not None:
        selected.append(f"{source.columns[mapping.variant]}::VARCHAR AS variant")
    time = "NULL::VARCHAR" if mapping.time is None else _time(source.columns[mapping.time])
    selected.append(f"{time} AS time")
    for index, event in enumerate(mapping.events):
        selected += _event(index, event, source.columns[event.column])
    rows = f"(SELECT * FROM {source.table} OFFSET {skip})"  # noqa: S608 - quoted by us
    return f"SELECT {', '.join(selected)} FROM {rows}"  # noqa: S608 - quoted by us


def _time(column: str) -> str:
    # Text with an offset keeps it, other text is in the session's zone; so are dates and timestamps.
    moment = f"epoch_us(TRY_CAST({column}::VARCHAR AS TIMESTAMPTZ))"
    return (
        f"CASE WHEN {moment} BETWEEN 0 AND 253402300799999999 "
        f"THEN strftime(make_timestamp({moment}), '%Y-%m-%dT%H:%M:%S.%fZ') END"
    )


def _event(index: int, event: EventMapping, column: str) -> list[str]:
    text = f"lower(trim({column}::VARCHAR))"
    number = f"TRY_CAST({text} AS DOUBLE)"
    happened = "1" if event.has_value else f"({number} <> 0)::UTINYINT"
    words = (
        ""
        if event.has_value
        else f"WHEN {text} = 'true' THEN {HAPPENED} WHEN {text} = 'false' THEN {ABSENT} "
    )
    state = (
        # NaN is how data frames write that nothing is there.
        f"CASE WHEN {text} IS NULL OR {text} = '' OR isnan({number}) THEN {ABSENT} "
        f"WHEN isfinite({number}) THEN {happened} {words}ELSE {UNREADABLE} END"
    )
    selected = [f"({state})::UTINYINT AS state{index}"]
    if event.has_value:
        selected.append(f"{number} AS value{index}")
    return selected


def _rows(first: int, batch: Any, mapping: Mapping) -> Rows:
    def column(name: str) -> list[Any]:
        values: list[Any] = batch.column(name).to_pylist()
        return values

    return Rows(
        first=first,
        units=column("unit"),
        variants=None if mapping.variant is None else column("variant"),
        times=column("time") if mapping.at is None else [mapping.at] * batch.num_rows,
        states=[column(f"state{index}") for index in range(len(mapping.events))],
        values=[
            column(f"value{index}") if event.has_value else None for index, event in enumerate(mapping.events)
        ],
    )


def _csv_table(path: Path, wanted: Sequence[str]) -> tuple[str, dict[str, str]]:
    header, delimiter = _header(path, wanted)
    places = {name: f"c{header.index(name)}" for name in wanted}
    # All as text: "007" and "1e5" are unit ids, not numbers. By place: names need not be distinct.
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(header)))
    table = (
        f"read_csv({_path(path)}, auto_detect = false, header = true, delim = {_text(delimiter)}, "
        f"quote = '\"', escape = '\"', nullstr = '', columns = {{{columns}}})"
    )
    return table, places


def _header(path: Path, wanted: Sequence[str]) -> tuple[list[str], str]:
    """The names in the first line, and the delimiter: the one that gives the most of the wanted columns."""
    try:
        with _open_text(path) as file:
            text = file.read(_MAX_HEADER_CHARACTERS)
    except (OSError, EOFError) as error:
        raise Failure(f"{path} cannot be read: {_brief(error)}") from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is not in UTF-8. Convert it, as with: iconv -f latin1 -t utf-8") from None
    if not text.strip():
        raise Failure(f"{path} is empty. Its first line names the columns.")
    candidates = [(_first_record(text, delimiter), delimiter) for delimiter in _DELIMITERS]
    header, delimiter = max(candidates, key=lambda each: len(set(wanted) & set(each[0])))
    if not set(wanted) & set(header):
        header, delimiter = max(candidates, key=lambda each: len(each[0]))
    _require(path, wanted, header)
    return header, delimiter


def _first_record(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []


def _open_text(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _parquet_table(path: Path, wanted: Sequence[str]) -> tuple[str, dict[str, str]]:
    table = f"read_parquet({_path(path)})"
    connection = connect()
    try:
        names = connection.sql(f"SELECT * FROM {table}").columns  # noqa: S608 - quoted by us
    except duckdb.Error as error:
        raise Failure(f"{path} cannot be read: {_brief(error)}") from None
    finally:
        connection.close()
    _require(path, wanted, names)
    return table, {name: '"' + name.replace('"', '""') + '"' for name in wanted}


def _require(path: Path, wanted: Sequence[str], present: Sequence[str]) -> None:
    for name in wanted:
        found = present.count(name)
        if found > 1:
            raise Failure(f"{path} has {found} columns {name!r}. Give them names of their own.")
        if not found:
            near = difflib.get_close_matches(name, present, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise Failure(f"{path} has no column {name!r}.{hint} Its columns are {', '.join(present)}.")


def _path(path: Path) -> str:
    # A pattern of one file: the characters that DuckDB would expand are put in brackets.
    return _text("".join(f"[{each}]" if each in "*?[" else each for each in os.fspath(path)))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _brief(error: Exception) -> str:
    lines = str(error).split("Possible fixes:")[0].split("Possible Solution:")[0]
    return " ".join(lines.split())[:400]
