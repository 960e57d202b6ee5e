"""From the columns of a source to the tables that an analysis reads: the event store's own columns."""

import difflib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from equipoise_service.sources import sqlite
from equipoise_service.sources.brought import MOST_ROWS, bring_in
from equipoise_service.sources.connections import SourceFault, Warehouse, query_table
from equipoise_service.sources.queries import check_query, understood
from equipoise_service.sources.schemas import Events, Exposures

_INSTANT = dt.Timestamp(timezone="UTC")
_LOCAL = dt.Timestamp()
# The store's own, to the microsecond: tables that are united must agree.
_STORED = dt.Timestamp(scale=6)
_BATCH = 50_000

_builtin: Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]] = ibis.udf.scalar.builtin


@_builtin(name="timezone", signature=((dt.string, _LOCAL), _INSTANT))
def _instant(zone: str, local: Any) -> Any:
    """The moment at which clocks in a zone show a time (DuckDB, PostgreSQL)."""


@_builtin(name="timezone", signature=((dt.string, _INSTANT), _LOCAL))
def _local(zone: str, instant: Any) -> Any:
    """What clocks in a zone show at a moment (DuckDB, PostgreSQL)."""


@_builtin(name="json_format", signature=((dt.json,), dt.string))
def _json_format(document: Any) -> Any:
    """JSON as text (Athena, Trino)."""


@_builtin(name="TO_JSON_STRING", signature=((dt.json,), dt.string))
def _to_json_string(document: Any) -> Any:
    """JSON as text (BigQuery)."""


# Where a document cannot be cast to text.
_WRITTEN = {"athena": _json_format, "bigquery": _to_json_string, "trino": _json_format}


def open_rows(warehouse: Warehouse, rows: Events | Exposures, pointer: str) -> ir.Table:
    """The table or the query, as it is; brought here, where the engine only gives rows.

    Of rows that are brought there are those columns that mean something, and none where one does not fit.

    Raises:
        SourceFault: There is no such table, or the query does more than read.
    """
    if rows.query is not None:
        said = check_query(rows.query, warehouse.dialect)
        if said is not None:
            raise SourceFault(said, "bad-query", f"{pointer}/query")
    if warehouse.origin is None:
        return _rows_there(warehouse, warehouse.backend, rows, pointer)
    if isinstance(warehouse.origin, sqlite.File):
        return _from_file(warehouse, rows, pointer)
    return _from_engine(warehouse, rows, pointer)


def _rows_there(warehouse: Warehouse, backend: Any, rows: Events | Exposures, pointer: str) -> ir.Table:
    if rows.query is not None:
        return query_table(backend, understood(rows.query, warehouse.dialect))
    *place, name = _parts(rows)
    try:
        return backend.table(name, database=tuple(place) or None)
    except ibis.common.exceptions.TableNotFound:
        raise _no_table(rows, pointer) from None


def _from_engine(warehouse: Warehouse, rows: Events | Exposures, pointer: str) -> ir.Table:
    there = _rows_there(warehouse, warehouse.origin, rows, pointer)
    types = {name: _brought_as(type) for name, type in there.schema().items()}
    empty = bring_in(warehouse.backend, types, iter(()))
    if any(column_faults(empty, rows, pointer)):
        return empty
    wanted = list(_meanings(rows))
    # One more than may be brought, so that too many are noticed and the engine gives no more.
    asked = there.select(**{name: there[name].cast(types[name]) for name in wanted}).limit(MOST_ROWS + 1)
    reader = warehouse.origin.to_pyarrow_batches(asked, chunk_size=_BATCH)
    batches = iter(lambda: warehouse.origin.ask(lambda: next(reader, None)), None)
    return bring_in(warehouse.backend, {name: types[name] for name in wanted}, batches)


def _brought_as(type: dt.DataType) -> dt.DataType:
    """What a column's values are cast to before they are brought: types that every driver hands on."""
    if type.is_json() or type.is_uuid():
        return dt.string
    return dt.float64 if type.is_decimal() else type


def _from_file(warehouse: Warehouse, rows: Events | Exposures, pointer: str) -> ir.Table:
    file: sqlite.File = warehouse.origin
    relation = (
        sqlite.query(understood(rows.query, warehouse.dialect))
        if rows.query is not None
        else sqlite.table(_parts(rows))
    )
    try:
        columns = file.columns(relation)
    except sqlite.NoTable:
        raise _no_table(rows, pointer) from None
    meanings = _meanings(rows)
    known = file.types(relation, {name: meanings[name] for name in meanings if name in columns})
    empty = bring_in(warehouse.backend, {name: known.get(name, "string") for name in columns}, iter(()))
    if any(column_faults(empty, rows, pointer)):
        return empty
    with closing(file.batches(relation, known)) as batches:
        return bring_in(warehouse.backend, known, batches)


def _meanings(rows: Events | Exposures) -> dict[str, str]:
    """For the columns that mean something what they mean."""
    return {column: meaning for meaning, column in rows.columns.model_dump(exclude_none=True).items()}


def _parts(rows: Events | Exposures) -> list[str]:
    return str(rows.table).split(".")


def _no_table(rows: Events | Exposures, pointer: str) -> SourceFault:
    return SourceFault(
        f"there is no table {rows.table}, or the connection's user may not read it",
        "no-table",
        f"{pointer}/table",
    )


def column_faults(table: ir.Table, rows: Events | Exposures, pointer: str) -> Iterator[SourceFault]:
    """What is wrong with the columns: those that are not there, and those of a type that does not fit."""
    for meaning, column in rows.columns.model_dump(exclude_none=True).items():
        place = f"{pointer}/columns/{meaning}"
        if column not in table.columns:
            near = difflib.get_close_matches(column, table.columns, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            names = ", ".join(table.columns[:50])
            yield SourceFault(f"there is no column {column}.{hint} There are: {names}", "no-column", place)
            continue
        fits, wanted = _WANTED[meaning]
        type = table[column].type()
        if not fits(type):
            yield SourceFault(f"the column {column} holds {type} and not {wanted}", "wrong-type", place)
        elif meaning == "time" and rows.time_zone != "UTC" and not _has_zone(type):
            engine = _engine(table)
            if engine not in ("duckdb", "postgres"):
                yield SourceFault(
                    f"times of {rows.time_zone} cannot be converted here on {engine}; give a query that "
                    "converts them to UTC, and leave time_zone out",
                    "wrong-type",
                    place,
                )


def checked_rows(warehouse: Warehouse, rows: Events | Exposures, pointer: str) -> ir.Table:
    """The table or the query, whose columns are there and fit.

    Raises:
        SourceFault: They are not, or do not.
    """
    table = open_rows(warehouse, rows, pointer)
    for fault in column_faults(table, rows, pointer):
        raise fault
    return table


def event_table(table: ir.Table, events: Events, place: str) -> ir.Table:
    """Events as the store has them. Rows without a unit, a time or a name are left out.

    Args:
        table: What `checked_rows` gave.
        events: Which columns mean what.
        place: Project and environment that they are read for.
    """
    columns = events.columns
    named = ibis.literal(events.name) if columns.name is None else table[columns.name].cast("string")
    found = table.select(
        **_common(table, events, place),
        name=named,
        value=ibis.null("float64") if columns.value is None else table[columns.value].cast("float64"),
        properties=ibis.null("string") if columns.properties is None else _text(table[columns.properties]),
    )
    return _complete(found).filter(lambda rows: rows.name.notnull())


def exposure_table(table: ir.Table, exposures: Exposures, place: str, revision: int) -> ir.Table:
    """Exposures as the store has them. Rows without a unit, a time, an experiment or a variant are left out.

    Args:
        table: What `checked_rows` gave.
        exposures: Which columns mean what.
        place: Project and environment that they are read for.
        revision: Number that exposures have where no column says it.
    """
    columns = exposures.columns
    found = table.select(
        **_common(table, exposures, place),
        experiment=table[columns.experiment].cast("string"),
        variant=table[columns.variant].cast("string"),
        revision=(
            ibis.literal(revision, "int64")
            if columns.revision is None
            else table[columns.revision].cast("int64")
        ),
    )
    return _complete(found).filter(lambda rows: rows.experiment.notnull() & rows.variant.notnull())


def _common(table: ir.Table, rows: Events | Exposures, place: str) -> dict[str, ir.Value]:
    columns = rows.columns
    time = _utc(table[columns.time], rows.time_zone, _engine(table)).cast(_STORED)
    return {
        "place": ibis.literal(place),
        "unit_type": (
            ibis.literal(rows.unit_type)
            if columns.unit_type is None
            else table[columns.unit_type].cast("string")
        ),
        "unit": table[columns.unit].cast("string"),
        "time": time,
        # A warehouse does not say when a row came: the newest time stands for it.
        "received_at": time,
    }


def _complete(found: ir.Table) -> ir.Table:
    return found.filter(
        found.unit.notnull(), found.unit != "", found.time.notnull(), found.unit_type.notnull()
    )


def _utc(time: ir.Value, zone: str, engine: str) -> ir.Value:
    """A time of a zone as the store has times: UTC, without a zone."""
    type = time.type()
    if _has_zone(type):
        return _local("UTC", time) if engine in ("duckdb", "postgres") else time.cast("timestamp")
    local = time.cast("timestamp") if type.is_date() else time
    return local if zone == "UTC" else _local("UTC", _instant(zone, local))


def _has_zone(type: dt.DataType) -> bool:
    return bool(type.is_timestamp() and type.timezone is not None)


def _text(document: ir.Value) -> ir.Value:
    write = _WRITTEN.get(_engine(document)) if document.type().is_json() else None
    return document.cast("string") if write is None else write(document)


def _engine(table: ir.Expr) -> str:
    return str(table.get_backend().name)


def _words(type: dt.DataType) -> bool:
    return bool(type.is_string())


def _id(type: dt.DataType) -> bool:
    return bool(type.is_string() or type.is_integer() or type.is_uuid())


def _time(type: dt.DataType) -> bool:
    return bool(type.is_timestamp() or type.is_date())


def _number(type: dt.DataType) -> bool:
    return bool(type.is_numeric() or type.is_boolean())


def _object(type: dt.DataType) -> bool:
    return bool(type.is_json() or type.is_string())


_WANTED: dict[str, tuple[Callable[[dt.DataType], bool], str]] = {
    "unit": (_id, "text, whole numbers or UUIDs; cast it in a query"),
    "time": (_time, "timestamps or dates; convert it in a query"),
    "value": (_number, "numbers or booleans; cast it in a query"),
    "name": (_words, "text; name the events with `name` instead, or cast it in a query"),
    "properties": (_object, "JSON objects; make them in a query"),
    "unit_type": (_words, "text"),
    "experiment": (_words, "text"),
    "variant": (_words, "text"),
    "revision": (lambda type: bool(type.is_integer()), "whole numbers"),
}
