"""The index of ids that do not grow with time: when each was received, for those that were.

Random ids (UUIDv4) lie anywhere, so the least and the greatest id of a row group exclude none. `received_at`
grows with every commit: who knows the second reads one or two row groups.

The tables are what is true. The index is made from them anew at each start, beside everything else, in files
without a name: none survives a crash, so none can know less than the tables. Until it is there, ids are
looked for in the tables. What it holds too much (of a commit that failed, or of rows deleted since) costs a
look, nothing else.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from equipoise_service.events.stores.deduplication import halves_of
from equipoise_service.events.stores.deletions import FACTS
from equipoise_service.events.stores.duckdb.runs import (
    MOST_ALIKE,
    Ended,
    Numbers,
    Run,
    Seconds,
    merged,
    seconds_of,
    sorted_run,
)
from equipoise_service.priorities import give_way

_log = logging.getLogger(__name__)

AHEAD_MICROSECONDS = 3_600_000_000
"""An id that says a later time than this after its receipt counts as random: so a time says how early a row
with that id may have been received."""

# Inserted one commit after another, which moves 1.6 MB at most; then they are a run.
_MOST_FRESH = 1 << 17
_ROWS_AT_A_TIME = 1 << 20
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xFF51AFD7ED558CCD], dtype=np.uint64)
_FOLDS = np.array([32, 29], dtype=np.uint64)
_EPOCH = datetime(1970, 1, 1)


def are_timed(halves: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which ids, by their halves, say when they were made (UUIDv7)."""
    return np.asarray((halves[:, 0] >> np.uint64(12)) & np.uint64(15) == 7)


def times_of(halves: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """When timed ids were made, in microseconds since 1970."""
    return (halves[:, 0] >> np.uint64(16)).astype(np.int64) * 1000


def microseconds(moment: datetime) -> int:
    """A moment, naive UTC, in microseconds since 1970."""
    return round((moment - _EPOCH).total_seconds() * 1_000_000)


class IdIndex:
    """The index of both tables. All but its own thread's work is the writer's.

    Args:
        connection: Whose tables it is of.
        until: The latest receipt there; what comes later is added.
        directory: Where it may keep files.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, until: datetime, directory: Path) -> None:
        self._directory = directory
        self._runs: tuple[Run, ...] = ()
        self._changing = threading.Lock()
        self._fresh = Run(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint32))
        self._built = threading.Event()
        self._ended = threading.Event()
        self._has_failed = False
        self._thread = ThreadPoolExecutor(1, "equipoise-ids", give_way)
        cursor = connection.cursor()
        self._thread.submit(self._guarded, lambda: self._build(cursor, until))

    def wait(self, seconds: float) -> bool:
        """Wait until it is there; whether it is."""
        return self._built.wait(seconds) and not self._has_failed

    def seconds_of(self, halves: npt.NDArray[np.uint64]) -> Seconds | None:
        """The seconds in which any of some ids may have been received: each once, ascending.

        Returns:
            None where the index is not there (yet).
        """
        if self._has_failed or not self._built.is_set():
            return None
        return seconds_of(_numbers(halves), (*self._runs, self._fresh))

    def add(self, halves: npt.NDArray[np.uint64], received_at: datetime) -> None:
        """Add those ids of a commit that belong here."""
        received = microseconds(received_at)
        halves = halves[_belong(halves, received)]
        if not len(halves) or self._has_failed:
            return
        seconds = np.full(len(halves), received // 1_000_000, dtype=np.uint32)
        new, old = sorted_run(_numbers(halves), seconds), self._fresh
        places = np.searchsorted(old.numbers, new.numbers)
        self._fresh = Run(
            np.insert(old.numbers, places, new.numbers), np.insert(old.seconds, places, new.seconds)
        )
        if len(self._fresh.numbers) >= _MOST_FRESH:
            self._put((), self._fresh)
            self._fresh = Run(self._fresh.numbers[:0], self._fresh.seconds[:0])
            self._thread.submit(self._guarded, self._settle)

    def close(self) -> None:
        """End what its thread does."""
        self._ended.set()
        self._thread.shutdown()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Ended:
            return
        except Exception:
            # Exact without it, only slower.
            self._has_failed = True
            self._runs = ()
            _log.exception("the index of random ids is given up until the next start; each is looked for")

    def _build(self, connection: duckdb.DuckDBPyConnection, until: datetime) -> None:
        with closing(connection):
            connection.execute("SET SESSION arrow_lossless_conversion = true")
            for table in FACTS:
                # The name is ours.
                query = f"SELECT id, received_at FROM {table} WHERE received_at <= ?"  # noqa: S608
                for rows in connection.sql(query, params=[until]).to_arrow_reader(_ROWS_AT_A_TIME):
                    if self._ended.is_set():
                        raise Ended
                    self._take(rows)
        self._built.set()

    def _take(self, rows: pa.RecordBatch) -> None:
        ids, received_at = rows.column(0).storage, rows.column(1).cast(pa.int64())
        raw = ids.buffers()[1].to_pybytes()[16 * ids.offset : 16 * (ids.offset + len(ids))]
        halves, received = halves_of(raw), np.asarray(received_at)
        belong = _belong(halves, received)
        if belong.any():
            seconds = (received[belong] // 1_000_000).astype(np.uint32)
            self._put((), sorted_run(_numbers(halves[belong]), seconds))
            self._settle()

    def _settle(self) -> None:
        """Bring runs out of memory into files, and many small ones into a large one."""
        for run in self._runs:
            if not run.is_mapped:
                self._put((run,), merged((run,), self._directory, self._ended))
        while alike := self._alike():
            self._put(alike, merged(alike, self._directory, self._ended))

    def _alike(self) -> tuple[Run, ...]:
        """The smallest runs of which there are too many of about the same size."""
        counts = Counter(run.tier for run in self._runs if run.is_mapped)
        tier = min((tier for tier, count in counts.items() if count >= MOST_ALIKE), default=None)
        return tuple(run for run in self._runs if run.is_mapped and run.tier == tier)

    def _put(self, old: tuple[Run, ...], new: Run) -> None:
        with self._changing:
            self._runs = (*(run for run in self._runs if run not in old), new)


def _belong(halves: npt.NDArray[np.uint64], received: int | npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return ~are_timed(halves) | (times_of(halves) > received + AHEAD_MICROSECONDS)


def _numbers(halves: npt.NDArray[np.uint64]) -> Numbers:
    """One number for each id, spread evenly: of a billion ids two share one with a probability of 3 %."""
    numbers: Numbers = halves[:, 0] * _FACTORS[0] + halves[:, 1] * _FACTORS[1]
    numbers ^= numbers >> _FOLDS[0]
    numbers *= _FACTORS[2]
    numbers ^= numbers >> _FOLDS[1]
    return numbers
