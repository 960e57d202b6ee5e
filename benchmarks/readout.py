"""The readout of 2 million units and 20 million events against hand-written DuckDB SQL of the same sums."""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks.paired import paired, row
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.metrics.measures import Measure
from equipoise_service.analysis.store import analyse_store
from equipoise_service.events.stores.store import open_event_store
from equipoise_service.metrics.schemas import MetricType
from equipoise_service.settings import Settings

UNITS = 2_000_000
EVENTS = 20_000_000
ROUNDS = 3

REQUEST = StoreRequest(
    place="default/production",
    experiment="new-landing-page",
    revision=1,
    unit_type="user",
    as_of=datetime(2026, 3, 1, tzinfo=UTC),
    measures=(
        Measure("converted", MetricType.PROPORTION, "converted"),
        Measure("revenue", MetricType.MEAN, "purchase"),
    ),
)

# The same question, as one would write it by hand for this engine.
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
    SELECT events.unit, max(name = 'converted') AS converted,
           coalesce(sum(value) FILTER (name = 'purchase'), 0) AS revenue
    FROM events JOIN units ON events.unit = units.unit AND events.time >= units.first_time
    WHERE place = 'default/production' AND unit_type = 'user' AND name IN ('converted', 'purchase')
    GROUP BY events.unit
)
SELECT variant, count(*), avg(coalesce(converted, false)::INT), var_samp(coalesce(converted, false)::INT),
       avg(coalesce(revenue, 0)), var_samp(coalesce(revenue, 0))
FROM units LEFT JOIN facts USING (unit)
GROUP BY variant
ORDER BY variant
"""


def main() -> None:
    """Print the ratio of times."""
    print(f"readout: seconds for {UNITS:,} units and {EVENTS:,} events, one proportion and one mean")
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data_dir=Path(directory))
        open_event_store(settings).close()
        _fill(settings.event_store_path)
        with open_event_store(settings) as store:

            def through_ibis() -> float:
                begin = time.perf_counter()
                with store.ibis() as backend:
                    analyse_store(backend, REQUEST)
                return time.perf_counter() - begin

            def by_hand() -> float:
                begin = time.perf_counter()
                with store.ibis() as backend:
                    backend.con.execute(BY_HAND).fetchall()
                return time.perf_counter() - begin

            measured, floor, ratios = paired(through_ibis, by_hand, ROUNDS)
            row("analysis through Ibis, against SQL by hand", f"{measured:.2f} s", f"{floor:.2f} s", ratios)


def _fill(path: Path) -> None:
    """Write the facts: ids and times as the SDK makes them, one unit in ten converts."""
    connection = duckdb.connect(path)
    uuid = "(lpad(hex({}::BIGINT), 12, '0') || '7' || substr(md5(i::VARCHAR), 1, 19))::UUID"
    connection.execute(
        f"""INSERT INTO exposures
        SELECT 'default/production', {uuid.format("1770000000000 + i")},
               TIMESTAMP '2026-02-02' + INTERVAL (i) MILLISECOND, TIMESTAMP '2026-02-03',
               'user', 'user-' || i, 'new-landing-page',
               CASE WHEN hash(i) % 2 = 0 THEN 'control' ELSE 'treatment' END, 1
        FROM range({UNITS}) AS units(i)"""
    )
    connection.execute(
        f"""INSERT INTO events
        SELECT 'default/production', {uuid.format("1770000000000 + i")},
               TIMESTAMP '2026-02-02' + INTERVAL (i // 4) MILLISECOND, TIMESTAMP '2026-02-03', 'user',
               'user-' || (hash(i * 31) % {UNITS}),
               CASE hash(i * 17) % 4 WHEN 0 THEN 'purchase' WHEN 1 THEN 'converted' ELSE 'viewed' END,
               CASE WHEN hash(i * 17) % 4 = 0 THEN (hash(i * 13) % 10000) / 100.0 END, NULL
        FROM range({EVENTS}) AS facts(i)"""
    )
    connection.execute("CHECKPOINT")
    connection.close()
