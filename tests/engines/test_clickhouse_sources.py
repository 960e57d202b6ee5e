"""Sources on ClickHouse, connected as the service does: they read, end in time, and mean UTC in any zone.

The address names the engine in this process, where a server's would stand.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pytest
from clickhouse_connect.driver.client import Client
from tests.engines.test_analysis import FACTS, fill
from tests.engines.test_sources import MEASURES, MET, ORDERS, REQUEST, SOURCE, agree, analysed
from tests.service.analysis.metric_reference import PLACE, assert_same, reference
from tests.service.analysis.test_metrics import AS_OF, DEFINITIONS, named

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import analyse_own
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.sources import mapping
from equipoise_service.sources.connections import SourceFault, connected, query_table
from equipoise_service.sources.mapping import open_rows
from equipoise_service.sources.schemas import SourceIn

ADDRESS = "clickhouse://default@localhost/default?interface=chdb"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(clickhouse: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The warehouse of `SOURCE`, as its owner has it."""
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", ADDRESS)
    for table, columns, rows in (
        ("orders", "u String, t DateTime64(6), v Nullable(Float64)", ORDERS),
        ("met", "u String, t DateTime64(6), test String, arm String, iteration Int32", MET),
    ):
        clickhouse.command(f"CREATE OR REPLACE TABLE {table} ({columns}) ENGINE = MergeTree ORDER BY u")
        clickhouse.insert(table, rows)
    return clickhouse


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO orders SELECT * FROM orders",
        "CREATE TABLE more (u String) ENGINE = MergeTree ORDER BY u",
        "ALTER TABLE orders DELETE WHERE 1",
        "TRUNCATE TABLE orders",
        "DROP TABLE orders",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
    ],
)
def test_the_engine_refuses_what_writes(shop: Client, statement: str) -> None:
    with pytest.raises(SourceFault, match="readonly mode"), connected("SHOP", 60) as warehouse:
        warehouse.backend.con.command(statement)
    assert shop.query("SELECT count() FROM orders").result_rows == [(len(ORDERS),)]


@pytest.mark.usefixtures("shop")
def test_the_engine_ends_what_has_no_end() -> None:
    endless = "SELECT count() AS n FROM system.numbers WHERE number % 7 = 3"
    with (
        pytest.raises(SourceFault, match="did not finish within 1 seconds") as fault,
        connected("SHOP", 1) as warehouse,
    ):
        warehouse.backend.to_pyarrow(query_table(warehouse.backend, endless))
    assert fault.value.code == "too-slow"
    late = fault.value.__context__
    assert late is not None
    assert "TIMEOUT_EXCEEDED" in str(late.__cause__), "by the engine's own word"


def test_a_session_that_reads_can_analyse(shop: Client) -> None:
    """With exposures of its own: a server alone takes rows that are brought, chDB does not."""
    agree(analyse_own(SOURCE, REQUEST, 60), analysed(ibis.clickhouse.from_connection(shop), "clickhouse"))


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO FUNCTION file('{path}', 'CSV', 'u String') SELECT u FROM orders",
        "INSERT INTO TABLE FUNCTION file('{path}', 'CSV', 'u String') SELECT u FROM orders",
        "WITH x AS (SELECT 'a' AS u) INSERT INTO FUNCTION file('{path}', 'CSV', 'u String') SELECT u FROM x",
        "SELECT u FROM orders INTO OUTFILE '{path}' FORMAT CSV",
        "SELECT 1 AS u) INTO OUTFILE '{path}' --",
    ],
)
@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.usefixtures("shop")
def test_a_query_writes_no_file(
    query: str, checked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the check; and were that fooled, what is read is a part of a query of ours."""
    if not checked:
        monkeypatch.setattr(mapping, "check_query", lambda *_: None)
    path = tmp_path / "taken.csv"
    rows = SOURCE.events.model_copy(update={"query": query.format(path=path)})
    with (
        pytest.raises(SourceFault) as fault,
        connected("SHOP", 60) as warehouse,
    ):
        warehouse.backend.to_pyarrow(open_rows(warehouse, rows, "/events"))
    assert not checked or fault.value.code == "bad-query"
    assert not list(tmp_path.iterdir())


def test_queries_of_every_kind_of_metric_end(clickhouse: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, from queries, with the numbers that plain Python gives."""
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", ADDRESS)
    fill(clickhouse)
    definitions = [named(each, i) for i, each in enumerate(DEFINITIONS)]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    asked = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC))
    both = ("unit", "unit_type", "time")
    of_events, of_exposures = ("name", "value", "properties"), ("experiment", "variant", "revision")
    source = SourceIn.model_validate(
        {
            "key": "shop",
            "name": "Shop",
            "connection": "SHOP",
            "events": reading("events", *both, *of_events),
            "exposures": reading("exposures", *both, *of_exposures),
        }
    )
    statistics = analyse_own(source, asked, 600)
    for definition in definitions:
        assert_same(statistics, definition, reference(definition, *FACTS, AS_OF))


def reading(table: str, *columns: str) -> dict[str, Any]:
    query = f"SELECT {', '.join(columns)} FROM {table} WHERE place = '{PLACE}' -- and no other"
    return {"query": query, "columns": {each: each for each in columns}}


def test_times_are_moments_whatever_the_zone_of_the_server() -> None:
    """Of two units exposed a second apart the window of one has passed, where the server shows it late."""
    done = subprocess.run(
        [sys.executable, "-c", "from tests.engines.test_clickhouse_sources import away; away()"],
        cwd=ROOT,
        env=os.environ | {"TZ": "Europe/Berlin", "EQUIPOISE_SOURCE_SHOP_URL": ADDRESS},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [["Europe/Berlin", 2, 1, 1, "2026-03-29T01:30:01+00:00"]] * 3


def away() -> None:
    """Print what a server in the process's zone has of three tables with times of the same moments."""
    import clickhouse_connect

    owner = clickhouse_connect.get_client(interface="chdb")
    # In the night in which Berlin has no two o'clock.
    first = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    for kind in ("DateTime", "DateTime64(6)", "DateTime64(3, 'America/New_York')"):
        owner.command(
            f"CREATE OR REPLACE TABLE met (u String, t {kind}, test String, arm String, iteration Int32)"
            " ENGINE = MergeTree ORDER BY u"
        )
        owner.command(
            f"CREATE OR REPLACE TABLE orders (u String, t {kind}, v Float64) ENGINE = MergeTree ORDER BY u"
        )
        for i in range(2):
            moment = f"fromUnixTimestamp({first.timestamp() + i:.0f})"
            owner.command(f"INSERT INTO met SELECT 'u{i}', {moment}, 'page', 'control', 1")
            owner.command(f"INSERT INTO orders SELECT 'u{i}', {moment}, 1")
        asked = replace(REQUEST, measures=MEASURES[1:], as_of=first + timedelta(hours=24))
        statistics = analyse_own(SOURCE, asked, 60)
        arm = statistics.arms["control"]
        zone = owner.query("SELECT timezone()").first_row[0]
        assert statistics.watermark is not None
        counts = arm.values["any"]
        print(
            json.dumps(
                [
                    zone,
                    arm.units,
                    arm.immature["any"],
                    counts.n,
                    statistics.watermark.replace(tzinfo=UTC).isoformat(),
                ]
            )
        )
