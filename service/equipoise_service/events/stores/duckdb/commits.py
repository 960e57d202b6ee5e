"""One transaction: of many batches, what is not stored yet goes into the tables."""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.columns import CONTENT, Offer, events_offer, exposures_offer
from equipoise_service.events.stores.deduplication import id_ranges
from equipoise_service.events.stores.duckdb.file import UNIT_HASH
from equipoise_service.events.stores.outcomes import (
    ALL_NEW,
    Outcome,
    dropped_rows,
    intake_rows,
    outcome,
    receipts,
    rejected_rows,
)

# Only names of ours and question marks become part of these texts, nothing from outside.
_INSERT_NEW = """
INSERT INTO {table} BY NAME
SELECT offered.* EXCLUDE (position, head, again), ?::TIMESTAMP AS received_at, {unit_hash} AS unit_hash
FROM offered
WHERE NOT again AND NOT EXISTS (
    SELECT 1 FROM {table} AS stored
    WHERE stored.id = offered.id AND stored.place = offered.place AND ({within})
)
"""
# Stored before means received before: this commit's own rows are in the table, too, by now.
_FIND_STORED = """
SELECT offered.head, {content} FROM {table} AS stored JOIN offered USING (place, id)
WHERE offered.position = offered.head AND (offered.again OR stored.received_at < ?::TIMESTAMP) AND ({within})
"""
_WITHIN = "stored.id BETWEEN ?::UUID AND ?::UUID"
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


def commit(
    connection: duckdb.DuckDBPyConnection, batches: Sequence[Batch], received_at: datetime
) -> list[Receipt]:
    """Store what is not stored yet of some batches, all of it or nothing.

    Args:
        connection: Without a transaction; nothing else writes to the tables meanwhile.
        batches: In the order in which they came: of two items with the same id the first is stored.
        received_at: The time, naive UTC, that the rows are marked with: later than that of any stored row.

    Returns:
        What became of each batch. All of it is on disk.

    Raises:
        duckdb.Error: The transaction failed and nothing was stored. A `FatalException` may come after all of
            it was stored; DuckDB has to be opened again then.
    """
    offers = exposures_offer(batches), events_offer(batches)
    connection.begin()
    try:
        answers = receipts(offers, [_store(connection, offer, received_at) for offer in offers])
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


def _store(connection: duckdb.DuckDBPyConnection, offer: Offer, received_at: datetime) -> Outcome:
    """Insert what is new, and find what is not."""
    if not len(offer.columns):
        return ALL_NEW
    ranges = id_ranges(offer.ids)
    names = {
        "table": offer.name,
        "unit_hash": UNIT_HASH,
        "within": " OR ".join([_WITHIN] * len(ranges)),
        "content": ", ".join(f"stored.{each}" for each in CONTENT[offer.name]),
    }
    parameters = [received_at, *(bound for each in ranges for bound in each)]
    connection.register("offered", offer.columns)
    try:
        (inserted,) = connection.execute(_INSERT_NEW.format(**names), parameters).fetchone() or (0,)
        if inserted == len(offer.columns):
            return ALL_NEW
        found = connection.sql(_FIND_STORED.format(**names), params=parameters).to_arrow_table()
        return outcome(offer, found)
    finally:
        connection.unregister("offered")


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
        (found,) = connection.execute(_COUNT, parameters).fetchone() or (0,)
        if not found:
            connection.execute(_COUNT_FIRST, parameters)
