"""The ids of one table that were stored lately: mostly they show that nothing of a commit is stored already.

To ask the table takes a sixth of a commit's processor time. Ids that grow with time (UUIDv7) are stored
within seconds of being made, so who remembers those seconds knows as much as the table. Of other ids the
`index` knows.
"""

import time
import uuid

import duckdb
import numpy as np
import numpy.typing as npt

from equipoise_service.events.stores.deduplication import halves_of, numbers_of
from equipoise_service.events.stores.deletions import FACTS

# As many again are remembered of those before. At 100,000 a second that is two seconds, and senders keep an
# item for one; each takes eight bytes.
_MOST = 150_000
# Random ids lie anywhere. Were they remembered, then forgotten, nothing up to the greatest would be known.
# A UUIDv7 begins with 48 bits of milliseconds.
_AHEAD_MILLISECONDS = 400 * 86_400_000
_TIME_SHIFT = 16
# The newest is found by an order: DuckDB then passes over all row groups but those that may hold it.
_IS_TIMED = "uuid_extract_version(id) = 7"

Numbers = npt.NDArray[np.uint64]


class RecentIds:
    """Ids of a table, each as a number that hardly ever two of them share, in ascending order.

    Arrays, as a set of so many numbers takes five times as long to look into and to add to, and needs the
    interpreter for it.

    Of those that begin before `far` it knows all whose first half is greater than that of any it has
    forgotten.

    Args:
        latest: The greatest first half of a stored id that begins before `far`; 0 where there is none.
        far: The first half of an id from which on none is remembered.
    """

    def __init__(self, latest: int, far: int) -> None:
        self._forgotten = latest
        self._far = far
        self._old: Numbers = np.empty(0, dtype=np.uint64)
        self._old_latest = latest
        self._new: Numbers = np.empty(0, dtype=np.uint64)
        self._new_latest = latest

    def are_new(self, ids: bytes) -> bool:
        """Whether certainly none of some ids is stored; from now on they count as stored.

        Args:
            ids: Sixteen bytes an id, at least one. No harm is done when they are not stored after all.
        """
        halves = halves_of(ids)
        leading = halves[:, 0]
        is_near = leading < self._far
        numbers = np.sort(numbers_of(halves)[is_near])
        places = np.searchsorted(self._new, numbers)
        are_new = (
            len(numbers) == len(leading)
            and int(leading.min()) > self._forgotten
            and not _are_any_at(places, self._new, numbers)
            and not _are_any_at(np.searchsorted(self._old, numbers), self._old, numbers)
        )
        if len(numbers):
            self._new = np.insert(self._new, places, numbers)
            self._new_latest = max(self._new_latest, int(leading[is_near].max()))
        if len(self._new) > _MOST:
            self._forgotten = self._old_latest
            self._old, self._old_latest = self._new, self._new_latest
            self._new = np.empty(0, dtype=np.uint64)
        return are_new


def _are_any_at(places: npt.NDArray[np.intp], known: Numbers, numbers: Numbers) -> bool:
    """Whether any of some numbers is known, where they would have their places among those that are."""
    return bool(len(known)) and bool((known.take(places, mode="clip") == numbers).any())


def recent_ids(connection: duckdb.DuckDBPyConnection) -> dict[str, RecentIds]:
    """What is known of each table when nothing is remembered: where its stored ids end."""
    far = (time.time_ns() // 1_000_000 + _AHEAD_MILLISECONDS) << _TIME_SHIFT
    bound = str(uuid.UUID(int=far << 64))
    found = {}
    for table in FACTS:
        # The name is ours.
        query = f"SELECT id FROM {table} WHERE id < ?::UUID AND {_IS_TIMED} ORDER BY id DESC LIMIT 1"  # noqa: S608
        (latest,) = connection.execute(query, [bound]).fetchone() or (None,)
        found[table] = RecentIds(latest.int >> 64 if latest else 0, far)
    return found
