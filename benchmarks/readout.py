"""The readout of 2 million units and 20 million events against hand-written DuckDB SQL of the same sums."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis

from benchmarks.evaluation_peers import PEERS, ROOT
from benchmarks.paired import paired, row
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.store import analyse_store
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation, EventMeasure, MetricType

UNITS = 2_000_000
EVENTS = 20_000_000
ROUNDS = 3
MEMORY = "3GiB"
_BLOCK = 100

# The same sums, as one would write them by hand for this engine: plain sums, no second pass about the mean.
BY_HAND = """
WITH units AS (
    SELECT unit, min(variant) AS variant, min(time) AS first_time
    FROM exposures
    WHERE place = 'default/production' AND experiment = 'new-landing-page' AND revision = 1
      AND unit_type = 'user'
    GROUP BY unit
    HAVING min(variant) = max(variant)
),
facts AS (
    SELECT events.unit, variant,
           coalesce(max(1) FILTER (name = 'converted' AND time >= first_time), 0) AS y1,
           coalesce(max(1) FILTER (name = 'converted' AND time < first_time), 0) AS x1,
           coalesce(sum(value) FILTER (name = 'purchase' AND time >= first_time), 0) AS y2,
           coalesce(sum(value) FILTER (name = 'purchase' AND time < first_time), 0) AS x2,
           count(*) FILTER (name = 'viewed' AND time >= first_time) AS y3,
           count(*) FILTER (name = 'viewed' AND time < first_time) AS x3,
           coalesce(max(value) FILTER (name = 'searched' AND time >= first_time), 0) AS y4,
           coalesce(max(value) FILTER (name = 'searched' AND time < first_time), 0) AS x4
    FROM events JOIN units ON events.unit = units.unit AND time >= first_time - INTERVAL 14 DAY
    WHERE place = 'default/production' AND unit_type = 'user'
      AND name IN ('converted', 'purchase', 'viewed', 'searched')
    GROUP BY events.unit, variant
)
SELECT variant, count(*),
       sum(y1), sum(x1), sum(y1 * y1), sum(x1 * x1), sum(x1 * y1),
       sum(y2), sum(x2), sum(y2 * y2), sum(x2 * x2), sum(x2 * y2),
       sum(y3), sum(x3), sum(y3 * y3), sum(x3 * x3), sum(x3 * y3),
       sum(y4), sum(x4), sum(y4 * y4), sum(x4 * x4), sum(x4 * y4),
       sum(y2 * y3), sum(y2 * x3), sum(x2 * y3), sum(x2 * x3),
       (SELECT count(*) FROM units AS all_units WHERE all_units.variant = facts.variant)
FROM facts
GROUP BY variant
"""


def request(metrics: int) -> StoreRequest:
    """Five metrics with a pre-period, and the same again with other delays."""
    return StoreRequest(
        place="default/production",
        experiment="new-landing-page",
        revision=1,
        unit_type="user",
        as_of=datetime(2026, 6, 1, tzinfo=UTC),
        measures=tuple(_measure(number) for number in range(metrics)),
    )


def _measure(number: int) -> Measure:
    under = EventMeasure(event="viewed", aggregation=Aggregation.COUNT)
    of: list[dict[str, Any]] = [
        {"type": MetricType.PROPORTION, "name": "converted"},
        {"type": MetricType.MEAN, "name": "purchase"},
        {"type": MetricType.MEAN, "name": "viewed", "aggregation": Aggregation.COUNT},
        {"type": MetricType.MEAN, "name": "searched", "aggregation": Aggregation.MAXIMUM},
        {"type": MetricType.RATIO, "name": "purchase", "denominator": under},
    ]
    return Measure(f"m{number}", delay_hours=number // 5, pre_period_days=14, **of[number % 5])


def main() -> None:
    """Print the ratios of times, and the memory that the process ever held."""
    print(f"readout: {UNITS:,} units, {EVENTS:,} events, metrics with CUPED; processor seconds")
    path = facts_file(UNITS, EVENTS)
    with opened(path) as backend, tea_tasting(path) as by_tea_tasting:

        def through_ibis(metrics: int = 5) -> float:
            begin = time.process_time()
            analyse_store(backend, request(metrics))
            return time.process_time() - begin

        def by_hand() -> float:
            begin = time.process_time()
            backend.con.execute(BY_HAND).fetchall()
            return time.process_time() - begin

        for name, measured, floor in (
            ("5 metrics, against SQL by hand", through_ibis, by_hand),
            ("20 metrics, against 5 metrics", lambda: through_ibis(20), through_ibis),
            ("5 metrics, against tea-tasting on Ibis with DuckDB", through_ibis, by_tea_tasting),
        ):
            one, other, ratios = paired(measured, floor, ROUNDS)
            row(name, f"{one:.2f} s", f"{other:.2f} s", ratios)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"  {'peak memory of the process':<58} {peak:>9.2f} GiB")


@contextmanager
def tea_tasting(path: Path) -> Iterator[Callable[[], float]]:
    """A process of the environment of other libraries; each call tells what one analysis took."""
    if not PEERS.exists():
        sys.exit(f"The peers are not installed ({PEERS} is missing); run 'make bench' or 'make peers'.")
    with subprocess.Popen(
        [PEERS, "-m", "benchmarks.peers.readout", path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        asking, answers = process.stdin, process.stdout
        assert asking is not None
        assert answers is not None

        def analyse() -> float:
            asking.write("\n")
            asking.flush()
            return float(answers.readline())

        yield analyse
        asking.close()


@contextmanager
def opened(path: Path, memory: str = MEMORY) -> Iterator[Any]:
    """An Ibis backend on a file of facts; what goes beyond the limit of memory is spilled beside it."""
    connection = _connected(path, memory, read_only=True)
    try:
        yield ibis.duckdb.from_connection(connection)
    finally:
        connection.close()


def facts_file(units: int, events: int) -> Path:
    """A DuckDB file of facts, the same for the same numbers but for ids; kept among the temporary files."""
    path = Path(tempfile.gettempdir()) / "equipoise-benchmarks" / f"{units}-{events}.duckdb"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        _fill(unfinished, units, events)
        unfinished.rename(path)
    return path


def _fill(path: Path, units: int, events: int) -> None:
    """Events over forty days, exposures in the third and fourth week."""
    connection = _connected(path, MEMORY, read_only=False)
    common = """'default/production' AS place, uuidv7() AS id,
            TIMESTAMP '2026-03-01' AS received_at, 'user' AS unit_type"""
    connection.execute(
        f"""CREATE TABLE exposures AS SELECT {common},
            TIMESTAMP '2026-02-02' + to_milliseconds(i * 1209600000 // {units}) AS time,
            'user-' || i AS unit, 'new-landing-page' AS experiment,
            CASE WHEN hash(i) % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, 1::INTEGER AS revision
        FROM {_numbers(connection, units)}"""
    )
    connection.execute(
        f"""CREATE TABLE events AS SELECT {common},
            TIMESTAMP '2026-01-19' + to_milliseconds(i * 3456000000 // {events}) AS time,
            'user-' || (hash(i * 31) % {units}) AS unit,
            ['purchase', 'converted', 'viewed', 'viewed', 'searched', 'viewed', 'shared', 'viewed']
                [1 + (hash(i * 17) % 8)::INTEGER] AS name,
            CASE WHEN hash(i * 17) % 8 IN (0, 4) THEN (hash(i * 13) % 10000) / 100.0 END AS value,
            NULL::VARCHAR AS properties
        FROM {_numbers(connection, events)}"""
    )
    connection.execute("CHECKPOINT")
    connection.close()


def _numbers(connection: duckdb.DuckDBPyConnection, count: int) -> str:
    """The numbers up to a count, from a table: a range alone is read by one thread."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE blocks AS SELECT i FROM range({count} // {_BLOCK}) AS t(i)"
    )
    return f"(SELECT unnest(range(i * {_BLOCK}, (i + 1) * {_BLOCK})) AS i FROM blocks)"


def _connected(path: Path, memory: str, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "preserve_insertion_order": False,
    }
    connection = duckdb.connect(path, read_only=read_only, config=config)
    connection.execute("SET enable_progress_bar = false")
    return connection
