"""One transaction: of many batches, what is not stored yet goes into the tables."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
from psycopg import Connection, sql
from pyarrow import csv

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.columns import COLUMNS, CONTENT, Offer
from equipoise_service.events.stores.outcomes import (
    ALL_NEW,
    Outcome,
    dropped_rows,
    intake_rows,
    outcome,
    receipts,
    rejected_rows,
)
from equipoise_service.events.stores.postgres.schema import COMMIT_LOCK

_CREATE_OFFERED = """
CREATE TEMPORARY TABLE offered_exposures (
    position BIGINT, head BIGINT, again BOOLEAN, place TEXT, id UUID, time TIMESTAMP,
    unit_type TEXT, unit TEXT, experiment TEXT, variant TEXT, revision INTEGER
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE offered_events (
    position BIGINT, head BIGINT, again BOOLEAN, place TEXT, id UUID, time TIMESTAMP,
    unit_type TEXT, unit TEXT, name TEXT, value DOUBLE PRECISION, properties TEXT
) ON COMMIT DELETE ROWS;
"""
# The subqueries stay subqueries, so that each id is looked up in the one partition that can hold it, whatever
# the planner thinks of a temporary table that it knows nothing about.
_INSERT_NEW = """
INSERT INTO {table} ({columns}, received_at, unit_hash)
SELECT {columns}, %s, (('x' || substr(md5(unit), 1, 8))::bit(32)::bigint >> 1)::integer
FROM {offered} AS offered
WHERE NOT again AND NOT EXISTS (
    SELECT FROM {table} AS stored WHERE stored.place = offered.place AND stored.id = offered.id OFFSET 0
)
"""
# Stored before means received before: this commit's own rows are in the table, too, by now.
_FIND_STORED = """
SELECT offered.head, {content} FROM {offered} AS offered CROSS JOIN LATERAL (
    SELECT * FROM {table} AS stored WHERE stored.place = offered.place AND stored.id = offered.id OFFSET 0
) AS stored
WHERE offered.position = offered.head AND (offered.again OR stored.received_at < %s)
"""
# Microseconds since 1970, later than any before them whatever the clock of the server does.
_STAMP = """
SELECT TIMESTAMP 'epoch' + INTERVAL '1 microsecond' * setval(
    'received_at', greatest(last_value + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT)
) FROM received_at
"""
_KEEP_GREATEST = """
INSERT INTO dropped AS stored VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (place, client, reason) DO UPDATE SET count = excluded.count, last_at = excluded.last_at
WHERE excluded.count > stored.count
"""
_REJECT = """
INSERT INTO rejected (place, key, kind, id, pointer, reason, item, received_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_COUNT = """
INSERT INTO intake AS stored (place, key, kind, accepted, duplicate, refused, day)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (place, key, day, kind) DO UPDATE SET
    accepted = stored.accepted + excluded.accepted,
    duplicate = stored.duplicate + excluded.duplicate,
    refused = stored.refused + excluded.refused
"""


def prepare(connection: Connection) -> None:
    """Make what `store` needs on a new connection."""
    connection.execute(_CREATE_OFFERED.encode())


def store(connection: Connection, batches: Sequence[Batch], offers: Sequence[Offer]) -> list[Receipt]:
    """Store what is not stored yet of some batches, in the transaction that the connection has.

    Args:
        connection: In a transaction that has not read anything, at READ COMMITTED.
        batches: In the order in which they came: of two items with the same id the first is stored.
        offers: Their exposures and their events.

    Returns:
        What became of each batch, once the transaction is committed.

    Raises:
        psycopg.Error: The transaction failed.
    """
    for offer in offers:
        _copy(connection, offer)
    # From here to the end of the transaction nobody else stores: stamps and commits come in the same order,
    # and what another one has stored is seen. The copying came first to keep this short.
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [COMMIT_LOCK])
    row = connection.execute(_STAMP).fetchone()
    assert row is not None, "a sequence is one row"  # noqa: S101 - a fact of SQL
    received_at: datetime = row[0]
    answers = receipts(offers, [_store(connection, offer, received_at) for offer in offers])
    _store_the_rest(connection, batches, answers, received_at)
    return answers


def _copy(connection: Connection, offer: Offer) -> None:
    if not len(offer.columns):
        return
    rows = offer.columns.set_column(offer.columns.column_names.index("id"), "id", _hexadecimal(offer.ids))
    text = pa.BufferOutputStream()
    # An absent value has no quotes, an empty text has: as PostgreSQL reads it.
    csv.write_csv(rows, text, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')").format(
        sql.Identifier(f"offered_{offer.name}"), _identifiers(rows.column_names)
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text.getvalue().to_pybytes())


def _hexadecimal(ids: bytes) -> pa.Array:
    """Ids as texts of 32 digits, made all at once."""
    offsets = np.arange(len(ids) // 16 + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(
        len(ids) // 16, pa.py_buffer(offsets), pa.py_buffer(ids.hex().encode())
    )


def _store(connection: Connection, offer: Offer, received_at: datetime) -> Outcome:
    """Insert what is new, and find what is not."""
    if not len(offer.columns):
        return ALL_NEW
    content = CONTENT[offer.name]
    names = {
        "table": sql.Identifier(offer.name),
        "offered": sql.Identifier(f"offered_{offer.name}"),
        "columns": _identifiers(COLUMNS[offer.name]),
        "content": sql.SQL(", ").join(sql.Identifier("stored", each) for each in content),
    }
    inserted = connection.execute(sql.SQL(_INSERT_NEW).format(**names), [received_at]).rowcount
    if inserted == len(offer.columns):
        return ALL_NEW
    rows = connection.execute(sql.SQL(_FIND_STORED).format(**names), [received_at]).fetchall()
    head = pa.field("head", pa.int64())
    schema = pa.schema([head, *(offer.columns.schema.field(each) for each in content)])
    return outcome(
        offer, pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
    )


def _identifiers(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _store_the_rest(
    connection: Connection, batches: Sequence[Batch], answers: Sequence[Receipt], received_at: datetime
) -> None:
    """What senders dropped, what was refused, and the counters."""
    with connection.cursor() as cursor:
        if dropped := dropped_rows(batches):
            cursor.executemany(_KEEP_GREATEST, [(*row, received_at, received_at) for row in dropped])
        if rejected := rejected_rows(batches, answers):
            cursor.executemany(_REJECT, [(*row, received_at) for row in rejected])
        if intake := intake_rows(batches, answers):
            cursor.executemany(_COUNT, [(*row, received_at.date()) for row in intake])
