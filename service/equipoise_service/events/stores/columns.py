"""Items of several batches as Arrow columns, which the engines read.

Beside these columns each row has `received_at`, the stamp of its commit, and `unit_hash`: the first 31 bits
of the MD5 of its unit's id, as a number. The engines make both. The rows of a few units are found by hash
far quicker than by id; units of one hash are told apart by their ids wherever that matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from equipoise_service.events.batches import Batch
from equipoise_service.events.identifiers import id_bytes
from equipoise_service.events.schemas import EventIn, ExposureIn
from equipoise_service.events.stores.deduplication import repeated
from equipoise_service.events.stores.times import utc_column

Positions = npt.NDArray[np.int64]

# What makes two items of one id the same. Not the time: clock correction may differ between two sends.
CONTENT = {
    "exposures": ("unit_type", "unit", "experiment", "variant", "revision"),
    "events": ("unit_type", "unit", "name", "value", "properties"),
}
# The columns of each table but for `received_at`, as its offer has them.
COLUMNS = {name: ("place", "id", "time", *content) for name, content in CONTENT.items()}


@dataclass(frozen=True, slots=True)
class Offer:
    """The rows of one table from several batches, one after the other. Most items are one row.

    Attributes:
        name: Name of the table that they are for.
        columns: That table's columns but for `received_at`; each row's `position` here; its `head`, which is
            the position of its item's first row; and `again`: whether it belongs to an item whose place and
            id an earlier one here has.
        ids: Sixteen bytes a row.
        heads: The column `head`.
        again: The column `again`.
        bounds: Where each batch begins, and at the end the number of rows.
        assumed_revisions: Positions of exposures whose revision was not said by their sender.
    """

    name: str
    columns: pa.Table
    ids: bytes
    heads: Positions
    again: npt.NDArray[np.bool_]
    bounds: Sequence[int]
    assumed_revisions: frozenset[int] = frozenset()


def exposures_offer(batches: Sequence[Batch]) -> Offer:
    """The exposures of some batches."""
    items = [item for batch in batches for item in batch.exposures]
    if batches and not items:
        return _nothing("exposures", batches)
    columns = {
        "experiment": _texts([each.experiment for each in items]),
        "variant": pa.array([each.variant for each in items], pa.string()),
        "revision": pa.array([each.revision for each in items], pa.int32()),
    }
    bounds = _bounds([len(batch.exposures) for batch in batches])
    assumed = frozenset(
        start + position
        for batch, start in zip(batches, bounds, strict=False)
        for position in batch.assumed_revisions
    )
    ids = b"".join(batch.exposure_ids or _ids(batch.exposures) for batch in batches)
    offer = _offer("exposures", batches, bounds, np.arange(len(items)), items, ids, columns)
    return replace(offer, assumed_revisions=assumed)


def events_offer(batches: Sequence[Batch]) -> Offer:
    """The events of some batches."""
    items = [item for batch in batches for item in batch.events]
    if batches and not items:
        return _nothing("events", batches)
    properties = [text for batch in batches for text in batch.properties]
    columns = {
        "name": pa.array([each.name for each in items], pa.string()),
        "value": pa.array([each.value for each in items], pa.float64()),
        "properties": pa.array(properties, pa.string()),
    }
    bounds = _bounds([len(batch.events) for batch in batches])
    heads = np.arange(len(items))
    for batch, start in zip(batches, bounds, strict=False):
        if batch.event_heads:
            heads[start : start + len(batch.events)] = np.asarray(batch.event_heads) + start
    ids = b"".join(batch.event_ids or _ids(batch.events) for batch in batches)
    return _offer("events", batches, bounds, heads, items, ids, columns)


def _nothing(name: str, batches: Sequence[Batch]) -> Offer:
    """No rows of a kind, as in most commits. Without any batch the columns are made, which warms up Arrow."""
    none = np.empty(0, dtype=np.int64)
    return Offer(name, pa.table({}), b"", none, none.astype(np.bool_), [0] * (len(batches) + 1))


def _offer(
    name: str,
    batches: Sequence[Batch],
    bounds: Sequence[int],
    heads: Positions,
    items: Sequence[ExposureIn] | Sequence[EventIn],
    ids: bytes,
    columns: dict[str, pa.Array],
) -> Offer:
    names = list(dict.fromkeys(batch.place for batch in batches))
    numbers = {place: number for number, place in enumerate(names)}
    counts = [last - first for first, last in pairwise(bounds)]
    places = np.repeat(np.array([numbers[batch.place] for batch in batches], dtype=np.int64), counts)
    if len(ids) != 16 * len(items):
        raise ValueError("the ids of a batch are not those of its items")
    again = _again(places, ids, heads)
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(items), [None, pa.py_buffer(ids)])
    common = {
        "position": pa.array(np.arange(len(items))),
        "head": pa.array(heads),
        "again": pa.array(again),
        "place": _places(names, places),
        "id": pa.ExtensionArray.from_storage(pa.uuid(), storage),
        "time": utc_column([each.time for each in items]),
        "unit_type": _texts([each.unit_type for each in items]),
        "unit": pa.array([each.unit for each in items], pa.string()),
    }
    return Offer(name, pa.table(common | columns), ids, heads, again, bounds)


def _ids(items: Sequence[ExposureIn] | Sequence[EventIn]) -> bytes:
    return id_bytes([each.id for each in items])


def _places(names: Sequence[str], places: Positions) -> pa.Array:
    """A column that mostly holds one name, from the number of each row's name."""
    if len(names) == 1:
        return pa.repeat(pa.scalar(names[0], pa.string()), len(places))
    return pa.array(names, pa.string()).take(pa.array(places))


def _texts(texts: Sequence[str]) -> pa.Array:
    """A column that mostly holds one text."""
    if texts and texts.count(texts[0]) == len(texts):
        return pa.repeat(pa.scalar(texts[0], pa.string()), len(texts))
    return pa.array(texts, pa.string())


def _again(places: Positions, ids: bytes, heads: Positions) -> npt.NDArray[np.bool_]:
    """Which rows belong to an item whose place and id an earlier item has."""
    firsts = np.flatnonzero(heads == np.arange(len(heads)))
    if len(firsts) == len(heads):
        return repeated(places, ids)
    leading = np.frombuffer(ids, dtype="V16")[firsts]
    of_items = np.zeros(len(heads), dtype=np.bool_)
    of_items[firsts] = repeated(places[firsts], leading.tobytes())
    return np.asarray(of_items[heads])


def _bounds(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts, dtype=np.int64).tolist()]
