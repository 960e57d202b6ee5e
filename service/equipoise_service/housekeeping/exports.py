"""Facts as Parquet, a day at a time, in bounded memory."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from equipoise_service.errors import NotFound
from equipoise_service.events.queries import asked, latest
from equipoise_service.events.rules import EARLIEST
from equipoise_service.events.stores.store import EventStore
from equipoise_service.housekeeping.schemas import ExportedDay, ExportedDays, ExportedTable

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

_UTC = pa.timestamp("us", tz="UTC")
_COMMON = [
    ("id", pa.string()),
    ("time", _UTC),
    ("received_at", _UTC),
    ("unit_type", pa.string()),
    ("unit", pa.string()),
]
SCHEMAS = {
    "exposures": pa.schema(
        [*_COMMON, ("experiment", pa.string()), ("variant", pa.string()), ("revision", pa.int32())]
    ),
    "events": pa.schema(
        [*_COMMON, ("name", pa.string()), ("value", pa.float64()), ("properties", pa.string())]
    ),
}
"""The columns of the files, on every engine; `place` and `date` are in their paths."""

_LATEST = date(2200, 1, 1)
_NOTHING = "There is nothing of that day. The list of days says what there is."
_ROWS_AT_ONCE = 250_000
_ID_LENGTH = 36
_TAIL_LENGTH = 3
_TAILS = 16**_TAIL_LENGTH


def exported_days(store: EventStore, place: str, table: ExportedTable) -> ExportedDays:
    """The days of which there is anything.

    Raises:
        Unavailable: The store cannot be read now.
    """
    rows = asked(store, lambda backend: _days(backend, place, table))
    return ExportedDays(place=place, days=rows)


def write_day(store: EventStore, place: str, table: ExportedTable, day: date, file: IO[bytes]) -> None:
    """Write the rows of one day (UTC, by their time), as one consistent snapshot where the engine has one.

    Args:
        store: Where they are.
        place: "project/environment".
        table: Which rows.
        day: The day.
        file: Where they are written.

    Raises:
        NotFound: There is nothing of that day.
        Unavailable: The store cannot be read now.
    """
    if not EARLIEST.date() <= day < _LATEST:
        raise NotFound(_NOTHING)
    asked(store, lambda backend: _write(_day(backend, place, table, day), table, file))


def _days(backend: "SQLBackend", place: str, table: str) -> list[ExportedDay]:
    rows = backend.table(table)
    rows = rows.filter(rows.place == place)
    by_day = rows.group_by(date=rows.time.date()).agg(rows=rows.count(), until=rows.received_at.max())
    found = by_day.order_by("date").to_pyarrow().to_pylist()
    return [ExportedDay(**{**each, "until": _aware(each["until"])}) for each in found]


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)


def _day(backend: "SQLBackend", place: str, table: str, day: date) -> "ir.Table":
    rows = backend.table(table)
    begin = datetime(day.year, day.month, day.day)
    return rows.filter((rows.place == place) & (rows.time >= begin) & (rows.time < begin + timedelta(days=1)))


def _write(rows: "ir.Table", table: ExportedTable, file: IO[bytes]) -> None:
    from pyarrow import parquet

    total = rows.agg(rows=rows.count(), until=latest(rows.received_at)).to_pyarrow().to_pylist()[0]
    if not total["rows"]:
        raise NotFound(_NOTHING)
    schema = SCHEMAS[table]
    rows = rows.mutate(id=rows.id.cast("string"))
    tail = rows.id.substr(_ID_LENGTH - _TAIL_LENGTH, _TAIL_LENGTH)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        written = 0
        for begin, end in _tails(-(-total["rows"] // _ROWS_AT_ONCE)):
            chosen = rows.filter((tail >= begin) & (tail < end))
            found = chosen.select(schema.names).to_pyarrow()
            written += found.num_rows
            writer.write_table(pa.table([_column(found[each.name], each.type) for each in schema], schema))
        writer.add_key_value_metadata(
            {"equipoise.rows": str(written), "equipoise.until": _aware(total["until"]).isoformat()}
        )


def _tails(parts: int) -> list[tuple[str, str]]:
    """Where parts of about the same size begin and end, by the last digits of ids, which are random."""
    parts = min(parts, _TAILS)
    bounds = [f"{part * _TAILS // parts:0{_TAIL_LENGTH}x}" for part in range(parts)]
    # Past the greatest digits.
    return list(pairwise([*bounds, "g"]))


def _column(column: pa.ChunkedArray, type: pa.DataType) -> pa.ChunkedArray:
    # Times are without a zone in the store, and mean UTC.
    return column.cast(pa.timestamp("us")).cast(type) if pa.types.is_timestamp(type) else column.cast(type)
