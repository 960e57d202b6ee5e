"""The ids of one table that were stored lately: mostly they show that nothing of a commit is stored already.

To ask the table takes a sixth of a commit's processor time. Ids that grow with time (UUIDv7) are stored
within seconds of being made, so who remembers those seconds knows as much as the table.
"""

import time
import uuid

import duckdb
import numpy as np

from equipoise_service.events.stores.deletions import FACTS

# As many again are remembered of those before. At 100,000 a second that is two seconds, and senders keep an
# item for one; each takes 70 bytes.
_MOST = 150_000
# Random ids lie anywhere. Were they remembered, then forgotten, nothing up to the greatest would be known.
# A UUIDv7 begins with 48 bits of milliseconds.
_AHEAD_MILLISECONDS = 400 * 86_400_000
_TIME_SHIFT = 16
# Any odd number of mixed digits: halves that grow alike do not add up to the same.
_ODD = np.uint64(0x9E3779B97F4A7C15)


class RecentIds:
    """Ids of a table, each as a number that hardly ever two of them share.

    Of those that begin before `far` it knows all whose first half is greater than that of any it has
    forgotten.

    Args:
        latest: The greatest first half of a stored id that begins before `far`; 0 where there is none.
        far: The first half of an id from which on none is remembered.
    """

    def __init__(self, latest: int, far: int) -> None:
        self._forgotten = latest
        self._far = far
        self._old: set[int] = set()
        self._old_latest = latest
        self._new: set[int] = set()
        self._new_latest = latest

    def are_new(self, ids: bytes) -> bool:
        """Whether certainly none of some ids is stored; from now on they count as stored.

        Args:
            ids: Sixteen bytes an id, at least one. No harm is done when they are not stored after all.
        """
        halves = np.frombuffer(ids, dtype=">u8").astype(np.uint64).reshape(-1, 2)
        leading = halves[:, 0]
        is_near = leading < self._far
        numbers = (leading * _ODD + halves[:, 1])[is_near].tolist()
        are_new = (
            len(numbers) == len(leading)
            and int(leading.min()) > self._forgotten
            and self._new.isdisjoint(numbers)
            and self._old.isdisjoint(numbers)
        )
        if numbers:
            self._new.update(numbers)
            self._new_latest = max(self._new_latest, int(leading[is_near].max()))
        if len(self._new) > _MOST:
            self._forgotten = self._old_latest
            self._old, self._old_latest, self._new = self._new, self._new_latest, set()
        return are_new


def recent_ids(connection: duckdb.DuckDBPyConnection) -> dict[str, RecentIds]:
    """What is known of each table when nothing is remembered: where its stored ids end."""
    far = (time.time_ns() // 1_000_000 + _AHEAD_MILLISECONDS) << _TIME_SHIFT
    bound = str(uuid.UUID(int=far << 64))
    found = {}
    for table in FACTS:
        # The name is ours.
        query = f"SELECT max(id) FROM {table} WHERE id < ?::UUID"  # noqa: S608
        (latest,) = connection.execute(query, [bound]).fetchone() or (None,)
        found[table] = RecentIds(latest.int >> 64 if latest else 0, far)
    return found
