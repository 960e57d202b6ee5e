"""Where the ids of a commit may be stored already: mostly nowhere, else in a few stretches of a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt

from equipoise_service.events.stores.deduplication import halves_of, id_ranges
from equipoise_service.events.stores.duckdb.index import (
    AHEAD_MICROSECONDS,
    IdIndex,
    are_timed,
    microseconds,
    times_of,
)
from equipoise_service.events.stores.duckdb.recent import RecentIds, recent_ids
from equipoise_service.events.stores.duckdb.runs import Seconds

# Each range costs two more comparisons a row.
_MOST_RANGES = 8
_EPOCH = datetime(1970, 1, 1)
_IDS = "stored.id BETWEEN ?::UUID AND ?::UUID"
_RECEIVED = "stored.received_at BETWEEN ?::TIMESTAMP AND ?::TIMESTAMP"
_NOT_BEFORE = "stored.received_at >= ?::TIMESTAMP"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some rows of a table.

    Attributes:
        condition: SQL about `stored`, with question marks.
        parameters: What they stand for.
    """

    condition: str
    parameters: list[str | datetime]


@dataclass(frozen=True, slots=True)
class KnownIds:
    """What is remembered of the stored ids.

    Attributes:
        recent: For each table, the ids that say when they were made and were stored lately.
        index: When the other ids were received.
    """

    recent: Mapping[str, RecentIds]
    index: IdIndex

    def stretches(self, table: str, ids: bytes, received_at: datetime) -> list[Stretch]:
        """Where any of some ids may be stored; from now on they count as stored.

        Args:
            table: The table's name.
            ids: Sixteen bytes an id, at least one. No harm is done when they are not stored after all.
            received_at: The stamp of their commit, later than that of any stored row.
        """
        halves = halves_of(ids)
        timed = are_timed(halves)
        timed_ids = ids if timed.all() else _some(ids, timed)
        is_old = bool(timed_ids) and not self.recent[table].are_new(timed_ids)
        found = []
        if is_old or len(timed_ids) < len(ids):
            # Those that say when they were made may be there as well, if that was long after their receipt.
            asked = halves if is_old else halves[~timed]
            seconds = self.index.seconds_of(asked)
            if seconds is None:
                found.append(_of_ids(ids if is_old else _some(ids, ~timed)))
            else:
                found += [_of_seconds(seconds)] if len(seconds) else []
                found += [_of_times(timed_ids, halves[timed], received_at)] if is_old else []
        self.index.add(halves, received_at)
        return found


def known_ids(connection: duckdb.DuckDBPyConnection, index: IdIndex) -> KnownIds:
    """What is known of the tables when nothing is remembered."""
    return KnownIds(recent_ids(connection), index)


def _some(ids: bytes, chosen: npt.NDArray[np.bool_]) -> bytes:
    return np.frombuffer(ids, dtype="V16")[chosen].tobytes()


def _of_ids(ids: bytes) -> Stretch:
    ranges = id_ranges(ids)
    return Stretch(f"({' OR '.join([_IDS] * len(ranges))})", [bound for each in ranges for bound in each])


def _of_times(ids: bytes, halves: npt.NDArray[np.uint64], received_at: datetime) -> Stretch:
    """Where ids are that were received about when they were made, or later. Others are in the index."""
    # No row is later than this commit, whatever an id says.
    earliest = min(int(times_of(halves).min()) - AHEAD_MICROSECONDS, microseconds(received_at))
    within = _of_ids(ids)
    moment = _EPOCH + timedelta(microseconds=earliest)
    return Stretch(f"{within.condition} AND {_NOT_BEFORE}", [*within.parameters, moment])


def _of_seconds(seconds: Seconds) -> Stretch:
    """What was received in some seconds, and as little else as a few ranges allow."""
    gaps = np.diff(seconds)
    widest = np.sort(np.argsort(gaps)[::-1][: _MOST_RANGES - 1])
    cuts = widest[gaps[widest] > 1]
    firsts = seconds[np.concatenate((np.zeros(1, dtype=np.intp), cuts + 1))]
    lasts = seconds[np.append(cuts, len(seconds) - 1)]
    parameters: list[str | datetime] = []
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        parameters += [
            _EPOCH + timedelta(seconds=first),
            _EPOCH + timedelta(seconds=last + 1, microseconds=-1),
        ]
    return Stretch(f"({' OR '.join([_RECEIVED] * len(firsts))})", parameters)
