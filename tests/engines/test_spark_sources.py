"""Sources on Spark, connected as the service does: times mean UTC in any zone, and readings take turns.

In a process of their own, because whoever disconnects stops Spark's session.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In the night in which Berlin has no two o'clock.
MOMENT = datetime(2026, 3, 29, 1, 30)
KINDS = {
    "timestamp_micros(1774747800000000)": MOMENT,
    "TIMESTAMP_NTZ '2026-03-29 01:30:00'": MOMENT,
    "TIMESTAMP '2026-03-29 01:30:00'": MOMENT,
    "TIMESTAMP '2026-03-29 03:30:00+02:00'": MOMENT,
    "DATE '2026-03-29'": datetime(2026, 3, 29),
}


def test_times_are_utc_and_readings_take_turns(tmp_path: Path) -> None:
    options = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.warehouse.dir": str(tmp_path),
        "spark.sql.session.timeZone": "Europe/Berlin",
    }
    configured = " ".join(f"--conf {name}={value}" for name, value in options.items())
    done = subprocess.run(
        [sys.executable, "-c", "from tests.engines.test_spark_sources import away; away()"],
        cwd=ROOT,
        env=os.environ
        | {
            "TZ": "Europe/Berlin",
            "PYSPARK_SUBMIT_ARGS": f"--master local[1] --driver-memory 512m {configured} pyspark-shell",
            # The last word is the address's.
            "EQUIPOISE_SOURCE_SHOP_URL": "pyspark://?spark.sql.session.timeZone=Europe/Berlin",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True", "True"]


def away() -> None:
    """Read times of all kinds from two threads at once, and print whether they are what they should be."""
    from equipoise_service.sources.connections import connected
    from equipoise_service.sources.mapping import checked_rows, event_table
    from equipoise_service.sources.schemas import SourceIn

    def read(_: int) -> list[datetime]:
        found = []
        with connected("SHOP", 240) as warehouse:
            for kind in KINDS:
                query = f"SELECT * FROM VALUES ('u0', {kind}) AS rows (u, t)"
                events = {"query": query, "columns": {"unit": "u", "time": "t"}, "name": "order"}
                source = SourceIn.model_validate(
                    {"key": "shop", "name": "Shop", "connection": "SHOP", "events": events}
                )
                rows = event_table(checked_rows(warehouse, source.events, "/events"), source.events, "a/b")
                found.append(warehouse.backend.to_pyarrow(rows.time.max()).as_py())
        return found

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(read, range(2)):
            print(found == list(KINDS.values()) or found)
