"""A readout's five metrics with CUPED by tea-tasting on Ibis with DuckDB, per-unit aggregation included.

Does one round for each line that comes in, and prints its processor seconds.
"""

import sys
import time
from pathlib import Path

import duckdb
import ibis
import tea_tasting as tt

# One row a unit, those without events included, as tea-tasting takes it; what a unit did before is 14 days.
UNITS = """
WITH shown AS (
    SELECT unit, min(variant) AS variant, min(time) AS first_time
    FROM exposures
    WHERE place = 'default/production' AND experiment = 'new-landing-page' AND revision = 1
      AND unit_type = 'user'
    GROUP BY unit
    HAVING min(variant) = max(variant)
),
facts AS (
    SELECT events.unit,
           max(1) FILTER (name = 'converted' AND time >= first_time) AS y1,
           max(1) FILTER (name = 'converted' AND time < first_time) AS x1,
           sum(value) FILTER (name = 'purchase' AND time >= first_time) AS y2,
           sum(value) FILTER (name = 'purchase' AND time < first_time) AS x2,
           count(*) FILTER (name = 'viewed' AND time >= first_time) AS y3,
           count(*) FILTER (name = 'viewed' AND time < first_time) AS x3,
           max(value) FILTER (name = 'searched' AND time >= first_time) AS y4,
           max(value) FILTER (name = 'searched' AND time < first_time) AS x4
    FROM events JOIN shown ON events.unit = shown.unit AND time >= first_time - INTERVAL 14 DAY
    WHERE place = 'default/production' AND unit_type = 'user'
      AND name IN ('converted', 'purchase', 'viewed', 'searched')
    GROUP BY events.unit
)
SELECT variant, coalesce(y1, 0) AS y1, coalesce(x1, 0) AS x1, coalesce(y2, 0) AS y2, coalesce(x2, 0) AS x2,
       coalesce(y3, 0) AS y3, coalesce(x3, 0) AS x3, coalesce(y4, 0) AS y4, coalesce(x4, 0) AS x4
FROM shown LEFT JOIN facts ON shown.unit = facts.unit
"""
# Ibis 12 cannot ask DuckDB 2 for the columns of a query.
_COLUMNS = ibis.schema(
    {"variant": "string", **{f"{name}{n}": "float64" for n in range(1, 5) for name in "yx"}}
)
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "3GiB",
    "preserve_insertion_order": False,
}


def main(path: Path) -> None:
    """Analyse the facts of a file, as often as asked."""
    connection = duckdb.connect(path, read_only=True, config=_CONFIG)
    connection.execute("SET enable_progress_bar = false")
    units = ibis.duckdb.from_connection(connection).sql(UNITS, schema=_COLUMNS)
    experiment = tt.Experiment(
        m0=tt.Mean("y1", "x1"),
        m1=tt.Mean("y2", "x2"),
        m2=tt.Mean("y3", "x3"),
        m3=tt.Mean("y4", "x4"),
        m4=tt.RatioOfMeans("y2", "y3", "x2", "x3"),
    )
    for _ in sys.stdin:
        begin = time.process_time()
        experiment.analyze(units, control="control")
        print(time.process_time() - begin, flush=True)


main(Path(sys.argv[1]))
