"""Items of several batches as Arrow columns, which the engines read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa

from equipoise_service.events.batches import Batch
from equipoise_service.events.identifiers import id_bytes
from equipoise_service.events.schemas import EventIn, ExposureIn

T = TypeVar("T")

# What makes two items of one id the same. Not the time: clock correction may differ between two sends.
CONTENT = {
    "exposures": ("unit_type", "unit", "experiment", "variant", "revision"),
    "events": ("unit_type", "unit", "name", "value", "properties"),
}

_UTC = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")


@dataclass(frozen=True, slots=True)
class Offer:
    """The items of one kind from several batches, one after the other.

    Attributes:
        name: Name of the table that they are for.
        columns: That table's columns but for `received_at`, and each item's `position` here.
        ids: Sixteen bytes an item.
        places: The number of each item's place.
        bounds: Where each batch begins, and at the end the number of items.
    """

    name: str
    columns: pa.Table
    ids: bytes
    places: Sequence[int]
    bounds: Sequence[int]


def exposures_offer(batches: Sequence[Batch]) -> Offer:
    """The exposures of some batches."""
    items = [item for batch in batches for item in batch.exposures]
    columns = {
        "experiment": pa.array([each.experiment for each in items], pa.string()),
        "variant": pa.array([each.variant for each in items], pa.string()),
        "revision": pa.array([each.revision for each in items], pa.int32()),
    }
    return _offer("exposures", batches, [len(batch.exposures) for batch in batches], items, columns)


def events_offer(batches: Sequence[Batch]) -> Offer:
    """The events of some batches."""
    items = [item for batch in batches for item in batch.events]
    properties = [text for batch in batches for text in batch.properties]
    columns = {
        "name": pa.array([each.name for each in items], pa.string()),
        "value": pa.array([each.value for each in items], pa.float64()),
        "properties": pa.array(properties, pa.string()),
    }
    return _offer("events", batches, [len(batch.events) for batch in batches], items, columns)


def _offer(
    name: str,
    batches: Sequence[Batch],
    counts: Sequence[int],
    items: Sequence[ExposureIn] | Sequence[EventIn],
    columns: dict[str, pa.Array],
) -> Offer:
    names = [batch.place for batch in batches]
    numbers = {place: number for number, place in enumerate(dict.fromkeys(names))}
    ids = id_bytes([each.id for each in items])
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(items), [None, pa.py_buffer(ids)])
    common = {
        "position": pa.array(np.arange(len(items))),
        "place": pa.array(_spread(names, counts), pa.string()),
        "id": pa.ExtensionArray.from_storage(pa.uuid(), storage),
        # Arrow brings every offset to UTC; the store keeps UTC without a zone.
        "time": pa.array([each.time for each in items], _UTC).cast(_NAIVE),
        "unit_type": pa.array([each.unit_type for each in items], pa.string()),
        "unit": pa.array([each.unit for each in items], pa.string()),
    }
    places = _spread([numbers[place] for place in names], counts)
    return Offer(name, pa.table(common | columns), ids, places, [0, *np.cumsum(counts).tolist()])


def _spread(values: Sequence[T], counts: Sequence[int]) -> list[T]:
    """Each batch's value, once for each of its items."""
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
