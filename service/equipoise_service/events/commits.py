"""One transaction: of many batches, what is not stored yet goes into the tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from equipoise_service.events import deduplication
from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.identifiers import id_bytes
from equipoise_service.events.schemas import EventIn, ExposureIn

_INSERT_EXPOSURES = """
INSERT INTO exposures BY NAME
SELECT ? AS place, id, time, ?::TIMESTAMP AS received_at, unit_type, unit, experiment, variant, revision
FROM accepted
"""
_INSERT_EVENTS = """
INSERT INTO events BY NAME
SELECT ? AS place, id, time, ?::TIMESTAMP AS received_at, unit_type, unit, name, value, properties
FROM accepted
"""
_UTC = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")


@dataclass(frozen=True, slots=True)
class _Offer:
    """The items of one kind from several batches, one after the other.

    Attributes:
        ids: Their ids.
        starts: Position of each batch's first item, and at the end the number of items.
    """

    ids: deduplication.Ids
    starts: Sequence[int]


def commit(
    connection: duckdb.DuckDBPyConnection, batches: Sequence[Batch], received_at: datetime
) -> list[Receipt]:
    """Store what is not stored yet of some batches, all of it or nothing.

    Args:
        connection: Without a transaction; nothing else writes to the tables meanwhile.
        batches: In the order in which they came: of two items with the same id the first is stored.
        received_at: The time, naive UTC, that the rows are marked with.

    Returns:
        What became of each batch. All of it is on disk.

    Raises:
        duckdb.Error: Nothing was stored.
    """
    places: dict[str, list[int]] = {}
    for position, batch in enumerate(batches):
        places.setdefault(batch.place, []).append(position)
    receipts: dict[int, Receipt] = {}
    connection.begin()
    try:
        for place, positions in places.items():
            chosen = [batches[position] for position in positions]
            exposures = _store_exposures(connection, place, chosen, received_at)
            events = _store_events(connection, place, chosen, received_at)
            for position, *duplicates in zip(positions, exposures, events, strict=True):
                receipts[position] = Receipt(*duplicates)
        connection.commit()
    except BaseException:
        _roll_back(connection)
        raise
    return [receipts[position] for position in range(len(batches))]


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:
        # A failed commit has ended the transaction already; the first error is the one to tell.
        return


def _store_exposures(
    connection: duckdb.DuckDBPyConnection, place: str, batches: Sequence[Batch], received_at: datetime
) -> list[frozenset[int]]:
    items = [item for batch in batches for item in batch.exposures]
    offer = _offer(items, [len(batch.exposures) for batch in batches])
    fresh = _fresh(connection, "exposures", place, offer.ids)
    chosen = items if fresh.all() else [items[position] for position in np.flatnonzero(fresh)]
    if chosen:
        columns = _common_columns(offer.ids[fresh], chosen) | {
            "experiment": pa.array([each.experiment for each in chosen]),
            "variant": pa.array([each.variant for each in chosen]),
            "revision": pa.array([each.revision for each in chosen], type=pa.int32()),
        }
        _insert(connection, _INSERT_EXPOSURES, columns, place, received_at)
    return _duplicates(fresh, offer)


def _store_events(
    connection: duckdb.DuckDBPyConnection, place: str, batches: Sequence[Batch], received_at: datetime
) -> list[frozenset[int]]:
    items = [item for batch in batches for item in batch.events]
    properties = [text for batch in batches for text in batch.properties]
    offer = _offer(items, [len(batch.events) for batch in batches])
    fresh = _fresh(connection, "events", place, offer.ids)
    if not fresh.all():
        items = [items[position] for position in np.flatnonzero(fresh)]
        properties = [properties[position] for position in np.flatnonzero(fresh)]
    if items:
        columns = _common_columns(offer.ids[fresh], items) | {
            "name": pa.array([each.name for each in items]),
            "value": pa.array([each.value for each in items], type=pa.float64()),
            "properties": pa.array(properties, type=pa.string()),
        }
        _insert(connection, _INSERT_EVENTS, columns, place, received_at)
    return _duplicates(fresh, offer)


def _offer(items: Sequence[ExposureIn] | Sequence[EventIn], counts: Sequence[int]) -> _Offer:
    ids = deduplication.as_ids(id_bytes([item.id for item in items]))
    return _Offer(ids, [0, *np.cumsum(counts).tolist()])


def _fresh(
    connection: duckdb.DuckDBPyConnection, table: str, place: str, ids: deduplication.Ids
) -> npt.NDArray[np.bool_]:
    """Which items are to be stored: the first of each id that is not stored yet."""
    fresh = np.zeros(len(ids), dtype=np.bool_)
    if len(ids):
        distinct, first = np.unique(ids, return_index=True)
        fresh[first] = ~deduplication.stored(connection, table, place, distinct)
    return fresh


def _duplicates(fresh: npt.NDArray[np.bool_], offer: _Offer) -> list[frozenset[int]]:
    if fresh.all():
        return [frozenset()] * (len(offer.starts) - 1)
    return [
        frozenset(np.flatnonzero(~fresh[start:end]).tolist())
        for start, end in zip(offer.starts, offer.starts[1:], strict=False)
    ]


def _common_columns(
    ids: deduplication.Ids, items: Sequence[ExposureIn] | Sequence[EventIn]
) -> dict[str, pa.Array]:
    return {
        "id": deduplication.uuid_column(ids),
        # Arrow brings every offset to UTC; the store keeps UTC without a zone.
        "time": pa.array([each.time for each in items], type=_UTC).cast(_NAIVE),
        "unit_type": pa.array([each.unit_type for each in items]),
        "unit": pa.array([each.unit for each in items]),
    }


def _insert(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    columns: dict[str, pa.Array],
    place: str,
    received_at: datetime,
) -> None:
    connection.register("accepted", pa.table(columns))
    try:
        connection.execute(statement, [place, received_at])
    finally:
        connection.unregister("accepted")
