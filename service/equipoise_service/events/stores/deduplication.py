"""Which items are the same as others: among those offered, and between them and the stored ones.

DuckDB keeps the least and the greatest id of every row group, and skips the groups outside the range of the
ids asked for. Ids that grow with time (UUIDv7) therefore cost the same however many rows the store holds,
without an index to keep up to date.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# Each range costs two more comparisons a row, so there are few, each gap between them is wide, and together
# the gaps leave out a good part of what the ids span.
_MOST_RANGES = 8
_WIDE = 1 / 64
_WORTHWHILE = 1 / 2
# Any odd number with ones and zeros everywhere: it brings digits of all places to the highest ones.
_ODD = np.uint64(0x9E3779B97F4A7C15)
_OF_SECOND_HALF = np.uint64(24)
_DROPPED = np.uint64(64 - 24)


def halves_of(ids: bytes) -> npt.NDArray[np.uint64]:
    """Both halves of each id as numbers: two columns.

    Args:
        ids: Sixteen bytes an id.
    """
    return np.frombuffer(ids, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def numbers_of(halves: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One number for each id, the same for equal ones and hardly ever for others.

    Those of UUIDv7 grow with time but for every 4.6 hours, as 24 bits of milliseconds come first.

    Args:
        halves: See `halves_of`.
    """
    return (halves[:, 0] << _OF_SECOND_HALF) | (halves[:, 1] * _ODD >> _DROPPED)


def repeated(places: Sequence[int] | npt.NDArray[np.int64], ids: bytes) -> npt.NDArray[np.bool_]:
    """Which items have the place and the id of an earlier one.

    Args:
        places: The number of each item's place.
        ids: Sixteen bytes an item.

    Example:
        >>> repeated([0, 0, 1, 0], bytes(16) + bytes(15) + b"x" + bytes(16) + bytes(16)).tolist()
        [False, False, False, True]
    """
    halves = halves_of(ids)
    # Nearly always nothing is repeated, which one number for each id shows.
    numbers = np.sort(numbers_of(halves))
    if not (numbers[1:] == numbers[:-1]).any():
        return np.zeros(len(halves), dtype=np.bool_)
    keys = np.column_stack((np.asarray(places, dtype=np.uint64), halves))
    # The sort is stable: of equal items the earliest comes first.
    order = np.lexsort(keys.T)
    same = np.zeros(len(keys), dtype=np.bool_)
    same[order[1:]] = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    return same


def id_ranges(ids: bytes) -> list[tuple[str, str]]:
    """A few ranges that hold all the ids and as little else as possible.

    One straggler among new ids would otherwise stretch their range over all that was stored between.

    Args:
        ids: Sixteen bytes an id, at least one, in any order.

    Returns:
        The first and the last UUID of each range, both included, in ascending order. The ranges are as fine
        as the first half of an id.
    """
    leading = np.sort(halves_of(ids)[:, 0])
    gaps = np.diff(leading).astype(np.float64)
    span = float(leading[-1] - leading[0])
    cuts = np.sort(np.argsort(gaps)[::-1][: _MOST_RANGES - 1])
    cuts = cuts[gaps[cuts] > span * _WIDE]
    if gaps[cuts].sum() < span * _WORTHWHILE:
        cuts = cuts[:0]
    firsts = leading[np.concatenate((np.zeros(1, dtype=np.intp), cuts + 1))]
    lasts = leading[np.append(cuts, len(leading) - 1)]
    return [
        (_uuid(int(first), "0" * 16), _uuid(int(last), "f" * 16))
        for first, last in zip(firsts, lasts, strict=True)
    ]


def _uuid(leading: int, trailing: str) -> str:
    digits = f"{leading:016x}{trailing}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
