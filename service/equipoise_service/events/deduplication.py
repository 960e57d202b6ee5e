"""Which of some ids are stored already: a join that reads only the row groups where they could be.

DuckDB keeps the least and the greatest id of every row group, and skips the groups outside the range of the
ids asked for. Ids that grow with time (UUIDv7) therefore cost the same however many rows the store holds,
without an index to keep up to date.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ids = npt.NDArray[np.bytes_]

# Each range costs two more comparisons a row, so there are few, each gap between them is wide, and together
# the gaps leave out a good part of what the ids span.
_MOST_RANGES = 8
_WIDE = 1 / 64
_WORTHWHILE = 1 / 2
_OFFERED = "offered_ids"


@dataclass(frozen=True, slots=True)
class Range:
    """Ids from `first` to `last`, both included."""

    first: bytes
    last: bytes


def as_ids(raw: bytes) -> Ids:
    """Ids of sixteen bytes each as an array whose order is that of the ids."""
    return np.frombuffer(raw, dtype="S16")


def uuid_column(ids: Ids) -> pa.ExtensionArray:
    """Ids as an Arrow column that DuckDB reads as UUIDs."""
    raw = np.ascontiguousarray(ids)
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(raw), [None, pa.py_buffer(raw)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def stored(connection: duckdb.DuckDBPyConnection, table: str, place: str, ids: Ids) -> npt.NDArray[np.bool_]:
    """Which ids are in the table already.

    Args:
        connection: In the transaction that will insert the others.
        table: `exposures` or `events`.
        place: "project/environment" that the ids belong to.
        ids: Distinct ids in ascending order, at least one.

    Returns:
        For each id, whether it is stored.
    """
    found = np.zeros(len(ids), dtype=np.bool_)
    offered = pa.table({"id": uuid_column(ids), "position": pa.array(np.arange(len(ids)))})
    ranges = id_ranges(ids)
    within = " OR ".join("stored.id BETWEEN ?::UUID AND ?::UUID" for _ in ranges)
    bounds = [_text(bound) for each in ranges for bound in (each.first, each.last)]
    connection.register(_OFFERED, offered)
    try:
        # The names are ours: nothing from outside becomes part of the query.
        positions = connection.execute(
            f"SELECT position FROM {table} stored JOIN {_OFFERED} USING (id)"  # noqa: S608
            f" WHERE stored.place = ? AND ({within})",
            [place, *bounds],
        ).fetchnumpy()["position"]
    finally:
        connection.unregister(_OFFERED)
    found[positions] = True
    return found


def id_ranges(ids: Ids) -> list[Range]:
    """A few ranges that hold all the ids and as little else as possible.

    One straggler among new ids would otherwise stretch their range over all that was stored between.

    Args:
        ids: In ascending order, at least one.
    """
    leading = np.ascontiguousarray(ids).view(">u8")[::2].astype(np.float64)
    gaps = np.diff(leading)
    span = leading[-1] - leading[0]
    cuts = np.sort(np.argsort(gaps)[::-1][: _MOST_RANGES - 1])
    cuts = cuts[gaps[cuts] > span * _WIDE]
    if gaps[cuts].sum() < span * _WORTHWHILE:
        cuts = cuts[:0]
    firsts = np.concatenate(([0], cuts + 1))
    lasts = np.concatenate((cuts, [len(ids) - 1]))
    return [Range(_padded(ids[a]), _padded(ids[b])) for a, b in zip(firsts, lasts, strict=True)]


def _padded(value: np.bytes_) -> bytes:
    # numpy drops the zero bytes at the end.
    return bytes(value).ljust(16, b"\0")


def _text(value: bytes) -> str:
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
