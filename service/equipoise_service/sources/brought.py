"""Rows that are brought from an engine to be computed with here, by DuckDB, for as long as it takes."""

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from equipoise_service.priorities import give_way
from equipoise_service.sources.memory import share

MOST_ROWS = 10_000_000
"""So many rows may be brought of a table or a query."""

_SPILLED = "16GiB"


class TooMuch(Exception):
    """There are more rows than may be brought, or they do not fit."""


def embedded(**settings: Any) -> Any:
    """An Ibis backend of a DuckDB in this process, whose threads give way to those that answer requests."""
    # Its own threads start here and inherit the priority.
    with ThreadPoolExecutor(1, "duckdb-start", give_way) as starting:
        return starting.submit(ibis.duckdb.connect, enable_external_access=False, **settings).result()


@contextmanager
def room(seconds: float) -> Iterator[Any]:
    """An empty DuckDB, with a share of the memory.

    Args:
        seconds: How long to wait until others give some back.

    Raises:
        NoMemory: They did not.
        TooMuch: What is put there does not fit.
    """
    with share(f"brought {uuid.uuid4()}", seconds) as memory, TemporaryDirectory() as place:
        backend = embedded(
            memory_limit=f"{memory}MiB", temp_directory=place, max_temp_directory_size=_SPILLED
        )
        try:
            yield backend
        except duckdb.OutOfMemoryException:
            raise TooMuch("the rows that are brought do not fit into the memory") from None
        finally:
            backend.disconnect()


def bring_in(backend: Any, types: Mapping[str, Any], batches: Iterator[pa.RecordBatch]) -> ir.Table:
    """Make rows a table.

    Args:
        backend: What `room` gave.
        types: The columns, with what they hold as Ibis calls it.
        batches: The rows, with these columns; texts are taken for what the types say.

    Raises:
        TooMuch: There are more than may be brought.
    """
    name = f"equipoise_{uuid.uuid4().hex}"
    made = backend.create_table(name, schema=ibis.schema(types))
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        if rows > MOST_ROWS:
            raise TooMuch(f"there are more than {MOST_ROWS:,} rows, too many to bring")
        backend.con.register("batch", batch)
        backend.con.execute(f'INSERT INTO "{name}" SELECT * FROM batch')  # noqa: S608
        backend.con.unregister("batch")
    return made
