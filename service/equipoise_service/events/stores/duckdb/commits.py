"""One transaction: of many batches, what is not stored yet goes into the tables."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.columns import COLUMNS, CONTENT, Offer, events_offer, exposures_offer
from equipoise_service.events.stores.duckdb.file import UNIT_HASH
from equipoise_service.events.stores.duckdb.known import KnownIds, Stretch
from equipoise_service.events.stores.outcomes import (
    ALL_NEW,
    Outcome,
    dropped_rows,
    intake_rows,
    outcome,
    receipts,
    rejected_rows,
)

# Only names of ours and question marks become part of these texts, nothing from outside. One statement that
# looks and inserts takes DuckDB twice as long to plan as these two. The first one is asked where what is
# remembered does not say that all ids are new, and takes half the time of the second, which says what is
# stored and is asked where anything is.
_IS_ANY_STORED = "SELECT 1 FROM {table} AS stored SEMI JOIN offered USING (place, id) WHERE {within} LIMIT 1"
_FIND_STORED = """
SELECT offered.head, {content} FROM {table} AS stored JOIN offered USING (place, id)
WHERE offered.position = offered.head AND {within}
"""
_INSERT = """
INSERT INTO {table} ({columns}, received_at, unit_hash)
SELECT {columns}, ?::TIMESTAMP, {unit_hash} FROM offered
"""
_OF_THIS_COMMIT = "offered.again AND stored.received_at >= ?::TIMESTAMP"
_KEEP_GREATEST = """
INSERT INTO dropped AS stored VALUES (?, ?::UUID, ?, ?, ?, ?)
ON CONFLICT (place, client, reason) DO UPDATE SET count = excluded.count, last_at = excluded.last_at
WHERE excluded.count > stored.count
"""
_REJECT = """
INSERT INTO rejected (place, key, kind, id, pointer, reason, item, received_at)
SELECT *, ?::TIMESTAMP FROM offered
"""
# Of a day's commits all but the first find their row. ON CONFLICT would take four times as long as this.
_COUNT = """
UPDATE intake SET accepted = accepted + ?, duplicate = duplicate + ?, refused = refused + ?
WHERE place = ? AND key = ? AND kind = ? AND day = ?
"""
_COUNT_FIRST = """
INSERT INTO intake (accepted, duplicate, refused, place, key, kind, day) VALUES (?, ?, ?, ?, ?, ?, ?)
"""

# By their texts, of which there are a few for each table. They are of no connection.
_statements: dict[str, duckdb.Statement] = {}


def commit(
    connection: duckdb.DuckDBPyConnection,
    batches: Sequence[Batch],
    received_at: datetime,
    known: KnownIds,
) -> list[Receipt]:
    """Store what is not stored yet of some batches, all of it or nothing.

    Args:
        connection: Without a transaction; nothing else writes to the tables meanwhile.
        batches: In the order in which they came: of two items with the same id the first is stored.
        received_at: The time, naive UTC, that the rows are marked with: later than that of any stored row.
        known: What is remembered of the stored ids; these are added, whatever becomes of them.

    Returns:
        What became of each batch. All of it is on disk.

    Raises:
        duckdb.Error: The transaction failed and nothing was stored. A `FatalException` may come after all of
            it was stored; DuckDB has to be opened again then.
    """
    offers = exposures_offer(batches), events_offer(batches)
    connection.begin()
    try:
        outcomes = [_store(connection, offer, received_at, known) for offer in offers]
        answers = receipts(offers, outcomes)
        _store_the_rest(connection, batches, answers, received_at)
        connection.commit()
    except BaseException:
        _roll_back(connection)
        raise
    return answers


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:
        # A commit that failed has ended the transaction already; its error is the one to tell.
        return


def _store(
    connection: duckdb.DuckDBPyConnection, offer: Offer, received_at: datetime, known: KnownIds
) -> Outcome:
    """Find what is stored already, and insert what is new."""
    if not len(offer.columns):
        return ALL_NEW
    stretches = known.stretches(offer.name, offer.ids, received_at)
    keys = offer.columns.select(["place", "id"]) if stretches else offer.columns
    found = [
        row
        for each in stretches
        if _asked(connection, _text(_IS_ANY_STORED, offer, each), each.parameters, keys)
        for row in _found(connection, offer, each)
    ]
    has_again = bool(offer.again.any())
    if not found and not has_again:
        _insert(connection, offer.name, offer.columns, received_at)
        return ALL_NEW
    is_new = ~offer.again
    is_new[[head for head, *_ in found]] = False
    is_new = is_new[offer.heads]
    _insert(connection, offer.name, offer.columns.filter(pa.array(is_new)), received_at)
    if has_again:
        # What an item repeats may have come with this very commit.
        found += _found(connection, offer, Stretch(_OF_THIS_COMMIT, [received_at]))
    columns = ([row[number] for row in found] for number in range(len(CONTENT[offer.name]) + 1))
    return outcome(offer, pa.table(dict(zip(("head", *CONTENT[offer.name]), columns, strict=True))))


def _found(connection: duckdb.DuckDBPyConnection, offer: Offer, stretch: Stretch) -> list[tuple[Any, ...]]:
    """The rows of a stretch that have the place and the id of an item, each with that item's head."""
    return _asked(connection, _text(_FIND_STORED, offer, stretch), stretch.parameters, offer.columns)


def _text(query: str, offer: Offer, stretch: Stretch) -> str:
    content = ", ".join(f"stored.{each}" for each in CONTENT[offer.name])
    return query.format(table=offer.name, content=content, within=stretch.condition)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, received_at: datetime) -> None:
    columns = ", ".join(COLUMNS[table])
    query = _INSERT.format(table=table, columns=columns, unit_hash=UNIT_HASH)
    _asked(connection, query, [received_at], rows)


def _asked(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Sequence[object],
    offered: pa.Table,  # noqa: ARG001 - DuckDB finds it by its name, which is quicker than to register it
) -> list[tuple[Any, ...]]:
    """What a query of the stored tables gives, and of the rows that it calls `offered`."""
    return connection.execute(_parsed(connection, query), parameters).fetchall()


def _parsed(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    """A statement of ours, parsed once: it takes a tenth of a commit, and the interpreter with it."""
    found = _statements.get(query)
    if found is None:
        (found,) = connection.extract_statements(query)
        _statements[query] = found
    return found


def _store_the_rest(
    connection: duckdb.DuckDBPyConnection,
    batches: Sequence[Batch],
    answers: Sequence[Receipt],
    received_at: datetime,
) -> None:
    """What senders dropped, what was refused, and the counters."""
    if dropped := dropped_rows(batches):
        connection.executemany(_KEEP_GREATEST, [[*row, received_at, received_at] for row in dropped])
    if rejected := rejected_rows(batches, answers):
        columns = [pa.array(column, pa.string()) for column in zip(*rejected, strict=True)]
        connection.register("offered", pa.table(columns, [str(each) for each in range(len(columns))]))
        try:
            connection.execute(_REJECT, [received_at])
        finally:
            connection.unregister("offered")
    for place, key, kind, *counts in intake_rows(batches, answers):
        parameters = [*counts, place, key, kind, received_at.date()]
        (found,) = connection.execute(_parsed(connection, _COUNT), parameters).fetchone() or (0,)
        if not found:
            connection.execute(_COUNT_FIRST, parameters)
