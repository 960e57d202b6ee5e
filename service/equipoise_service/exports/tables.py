"""The rows of a readout as an Arrow table, as CSV and as Parquet."""

import csv
import io

import pyarrow as pa
import pyarrow.parquet as pq

from equipoise_service.exports.rows import COLUMNS, rows_of
from equipoise_service.readouts.schemas import Readout

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table_of(readout: Readout) -> pa.Table:
    """The results as an Arrow table, with the columns of `rows.COLUMNS`; `.to_pandas()` makes it a frame."""
    schema = pa.schema(list(COLUMNS.items()), metadata={"readout": readout.digest, "schema": readout.schema_})
    return pa.Table.from_pylist(list(rows_of(readout)), schema=schema)


def csv_of(readout: Readout) -> bytes:
    """The results as CSV (RFC 4180, UTF-8); a number that is not there is an empty cell.

    Texts come from whoever sends events, and spreadsheets run a text that begins like a formula. Such a text
    has an apostrophe before it; in Parquet texts are as they are.
    """
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row.get(name)) for name in COLUMNS] for row in rows_of(readout))
    return output.getvalue().encode()


def parquet_of(readout: Readout) -> bytes:
    """The results as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(table_of(readout), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _cell(value: object) -> object:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    isoformat = getattr(value, "isoformat", None)
    return value if isoformat is None else isoformat()
