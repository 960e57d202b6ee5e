"""One transaction: of many batches, what is not stored yet goes into the tables."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.columns import Offer, events_offer, exposures_offer
from equipoise_service.events.deduplication import id_ranges, repeated

# Only a table's name of ours and question marks become part of these texts, nothing from outside.
_INSERT_NEW = """
INSERT INTO {table} BY NAME
SELECT offered.* EXCLUDE (position), ?::TIMESTAMP AS received_at FROM offered
WHERE NOT EXISTS (
    SELECT 1 FROM {table} AS stored
    WHERE stored.id = offered.id AND stored.place = offered.place AND ({within})
)
"""
_FIND_EARLIER = """
SELECT position FROM {table} AS stored JOIN offered USING (place, id)
WHERE stored.received_at < ?::TIMESTAMP AND ({within})
"""
_KEEP_GREATEST = """
INSERT INTO dropped AS stored VALUES (?, ?::UUID, ?, ?, ?, ?)
ON CONFLICT (place, client, reason) DO UPDATE SET count = excluded.count, last_at = excluded.last_at
WHERE excluded.count > stored.count
"""
_WITHIN = "stored.id BETWEEN ?::UUID AND ?::UUID"


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
        exposures, events = (_store(connection, offer, received_at) for offer in offers)
        _store_dropped(connection, batches, received_at)
        connection.commit()
    except BaseException:
        _roll_back(connection)
        raise
    return [Receipt(*found) for found in zip(exposures, events, strict=True)]


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:
        # A commit that failed has ended the transaction already; its error is the one to tell.
        return


def _store(
    connection: duckdb.DuckDBPyConnection, offer: Offer, received_at: datetime
) -> list[frozenset[int]]:
    """Insert what is new; for each batch, the positions of what is not."""
    duplicate = repeated(offer.places, offer.ids)
    if len(duplicate):
        columns = offer.columns.filter(pa.array(~duplicate)) if duplicate.any() else offer.columns
        duplicate[_insert(connection, offer, columns, received_at)] = True
    if not duplicate.any():
        return [frozenset()] * (len(offer.bounds) - 1)
    return [frozenset(np.flatnonzero(duplicate[start:end]).tolist()) for start, end in pairwise(offer.bounds)]


def _store_dropped(
    connection: duckdb.DuckDBPyConnection, batches: Sequence[Batch], received_at: datetime
) -> None:
    """Keep the greatest total that each sender gave for each reason: reports may come twice or late."""
    totals: dict[tuple[str, str, str], int] = {}
    for batch in batches:
        if batch.dropped is not None:
            for reason, count in batch.dropped.counts.items():
                key = (batch.place, batch.dropped.client, reason)
                totals[key] = max(count, totals.get(key, 0))
    rows = [[*key, count, received_at, received_at] for key, count in totals.items() if count]
    if rows:
        connection.executemany(_KEEP_GREATEST, rows)


def _insert(
    connection: duckdb.DuckDBPyConnection, offer: Offer, columns: pa.Table, received_at: datetime
) -> npt.NDArray[np.int64]:
    """Insert what is not stored; the positions of what is."""
    ranges = id_ranges(offer.ids)
    names = {"table": offer.name, "within": " OR ".join([_WITHIN] * len(ranges))}
    parameters = [received_at, *(bound for each in ranges for bound in each)]
    connection.register("offered", columns)
    try:
        (inserted,) = connection.execute(_INSERT_NEW.format(**names), parameters).fetchone() or (0,)
        if inserted == len(columns):
            return np.empty(0, dtype=np.int64)
        # Stored before means received before: this commit's own rows are in the table, too, by now.
        found = connection.execute(_FIND_EARLIER.format(**names), parameters).fetchnumpy()["position"]
        return np.asarray(found, dtype=np.int64)
    finally:
        connection.unregister("offered")
