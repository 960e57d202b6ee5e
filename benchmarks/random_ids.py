"""Commits of 500 ids against a store of many random ones (UUIDv4): what it takes to know what is stored.

Needs 8 GB of disk and some minutes for 100 million rows; all of it goes when it is done.
"""

import resource
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from equipoise.identifiers import uuid7
from equipoise_service.events.stores.duckdb.file import DuckdbFile
from equipoise_service.events.stores.duckdb.index import IdIndex
from equipoise_service.events.stores.duckdb.known import KnownIds, known_ids
from equipoise_service.settings import Settings

ROWS = 100_000_000
BATCH = 500
ROUNDS = 5
_AT_A_TIME = 5_000_000
_BEGIN = datetime(2026, 1, 1)
_FILL = """
INSERT INTO events BY NAME
SELECT 'default/production' AS place, 'u' AS unit, 'user' AS unit_type, 'n' AS name, 1.0 AS value,
    uuid() AS id, ?::TIMESTAMP + INTERVAL 1 SECOND * (i // 1000) AS time, time AS received_at
FROM range(?, ?) t(i)
"""
_FIND = """
SELECT count(*) FROM events AS stored SEMI JOIN (SELECT unnest(?::UUID[]) AS id) AS offered USING (id)
WHERE {}
"""


def main(rows: int = ROWS) -> None:
    """Print what a commit's look takes with the index and without, and what making the index takes."""
    print(f"random_ids: {rows:,} rows with random ids, {BATCH} ids a commit")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        file = DuckdbFile(path / "events.duckdb", Settings(data_dir=path, analysis_memory_mb=4096))
        file.connection.execute("SET preserve_insertion_order = true")
        for first in range(0, rows, _AT_A_TIME):
            file.connection.execute(_FILL, [_BEGIN, first, min(first + _AT_A_TIME, rows)])
        file.connection.execute("CHECKPOINT")
        end = _BEGIN + timedelta(seconds=rows // 1000 + 1)
        begin, peak = (time.perf_counter(), time.process_time()), _peak()
        index = IdIndex(file.connection, end, path)
        if not index.wait(3600):
            raise RuntimeError("the index was not made")
        wall, processor = time.perf_counter() - begin[0], time.process_time() - begin[1]
        print(
            f"  made in {wall:.1f} s, {processor:.1f} of processor; peak {peak:.2f} GiB, then {_peak():.2f}"
        )
        known = known_ids(file.connection, index)
        ids = "SELECT id::VARCHAR FROM events WHERE received_at >= ?::TIMESTAMP LIMIT ?"
        old = [
            row[0] for row in file.connection.execute(ids, [_BEGIN + (end - _BEGIN) / 3, BATCH]).fetchall()
        ]
        new = [[str(uuid.uuid4()) for _ in range(BATCH)] for _ in range(ROUNDS)]
        _row("random, new", [_looked(file, known, each, end) for each in new])
        _row("random, sent again", [_looked(file, known, old, end) for _ in range(ROUNDS)], BATCH)
        grown = [[uuid7() for _ in range(BATCH)] for _ in range(ROUNDS)]
        _row("growing with time, new", [_looked(file, known, each, end) for each in grown])
        index.close()
        _row("random, new, without the index", [_scanned(file, each) for each in new])
        file.close()


Look = Callable[[], int]


def _looked(file: DuckdbFile, known: KnownIds, ids: Sequence[str], received_at: datetime) -> Look:
    raw = b"".join(uuid.UUID(each).bytes for each in ids)

    def look() -> int:
        found = 0
        for each in known.stretches("events", raw, received_at):
            query = _FIND.format(each.condition)
            rows = file.connection.execute(query, [list(ids), *each.parameters]).fetchall()
            found += rows[0][0]
        return found

    return look


def _scanned(file: DuckdbFile, ids: Sequence[str]) -> Look:
    def look() -> int:
        rows = file.connection.execute(_FIND.format("TRUE"), [list(ids)]).fetchall()
        return int(rows[0][0])

    return look


def _row(name: str, looks: Sequence[Look], expected: int = 0) -> None:
    walls, processors = [], []
    for look in looks:
        begin = time.perf_counter(), time.process_time()
        if look() != expected:
            raise RuntimeError(f"{name}: not {expected} were found")
        walls.append(1000 * (time.perf_counter() - begin[0]))
        processors.append(1000 * (time.process_time() - begin[1]))
    print(f"  {name:<32} {median(walls):9.2f} ms, {median(processors):9.2f} of processor", flush=True)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
