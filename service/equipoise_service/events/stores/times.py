"""Times as Arrow columns, a whole batch at once."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

_UTC = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")
_pack = msgspec.msgpack.Encoder().encode
# MessagePack's timestamp of 64 bits: 30 of nanoseconds, 34 of seconds since 1970.
_HEAD = np.array([0xD7, 0xFF], dtype=np.uint8)
_SIZE = 10
_SECOND_BITS = np.uint64(34)


def utc_column(times: Sequence[datetime]) -> pa.Array:
    """A column of times in UTC, without a zone.

    Arrow asks each time for its offset, by calling Python: that takes ten times as long as to have them
    written as MessagePack, which brings them to UTC too, and to read those bytes as numbers.

    Args:
        times: Each with an offset.

    Example:
        >>> utc_column([datetime.fromisoformat("2026-03-01T13:00:00.5+01:00")]).to_pylist()
        [datetime.datetime(2026, 3, 1, 12, 0, 0, 500000)]
    """
    found = _microseconds(times)
    if found is None:
        # A whole second is written otherwise: a microsecond makes it like the others.
        whole = [not each.microsecond for each in times]
        pairs = zip(times, whole, strict=True)
        found = _microseconds([each.replace(microsecond=1) if is_whole else each for each, is_whole in pairs])
        if found is None:
            # Before 1970, after 2514.
            return pa.array(times, _UTC).cast(_NAIVE)
        found -= np.asarray(whole)
    return pa.array(found).view(_NAIVE)


def _microseconds(times: Sequence[datetime]) -> npt.NDArray[np.int64] | None:
    """Microseconds since 1970; nothing when not all are written as 64 bits."""
    packed = np.frombuffer(_pack(times), dtype=np.uint8)
    size = len(times) * _SIZE
    items = packed[len(packed) - size :] if len(packed) > size else packed[:0]
    if len(items) != size or len(packed) - size != _head_size(len(times)):
        return None
    rows = items.reshape(-1, _SIZE)
    if (rows[:, :2] != _HEAD).any():
        return None
    numbers = np.ascontiguousarray(rows[:, 2:]).view(">u8").ravel().astype(np.uint64)
    seconds = numbers & ((np.uint64(1) << _SECOND_BITS) - np.uint64(1))
    fractions = (numbers >> _SECOND_BITS) // np.uint64(1000)
    return (seconds * np.uint64(1_000_000) + fractions).astype(np.int64)


def _head_size(count: int) -> int:
    """How many bytes MessagePack writes before an array's items."""
    return 1 if count < 1 << 4 else 3 if count < 1 << 16 else 5
