"""Sources on ClickHouse and Spark: the same facts give the numbers that they give on DuckDB."""

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from pyspark.sql import SparkSession

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import source_events, source_exposures
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.analysis.store import analyse_tables
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import MetricType
from equipoise_service.sources.connections import Warehouse, bring
from equipoise_service.sources.schemas import SourceIn

pytestmark = [
    # py4j leaves its sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # PySpark hands rows of ours on through pandas, by names that pandas 3 renames.
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated"),
]

NOW = datetime(2026, 3, 29, 12)
ORDERS = [(f"u{i % 7}", NOW + timedelta(minutes=37 * i), float(i) if i % 3 else None) for i in range(60)]
MET = [(f"u{i}", NOW + timedelta(hours=i), "page", "control" if i % 2 else "treatment", 1) for i in range(6)]
MEASURES = (
    Measure("sum", MetricType.MEAN, "order"),
    Measure("any", MetricType.PROPORTION, "order", window_hours=24),
)
REQUEST = StoreRequest("a/b", "page", 1, "user", MEASURES, datetime(2026, 4, 30, tzinfo=UTC))
SOURCE = SourceIn.model_validate(
    {
        "key": "shop",
        "name": "Shop",
        "connection": "SHOP",
        "events": {
            "query": "SELECT u, t, v * 2 AS doubled FROM orders WHERE t IS NOT NULL",
            "columns": {"unit": "u", "time": "t", "value": "doubled"},
            "name": "order",
        },
        "exposures": {
            "table": "met",
            "columns": {
                "unit": "u",
                "time": "t",
                "experiment": "test",
                "variant": "arm",
                "revision": "iteration",
            },
        },
    }
)


def analysed(backend: Any, dialect: str) -> Statistics:
    warehouse = Warehouse(backend, dialect, False, "")
    exposures = source_exposures(warehouse, SOURCE, "a/b", 1)
    assert exposures is not None
    return analyse_tables(backend, exposures, source_events(warehouse, SOURCE, "a/b"), REQUEST)


@pytest.fixture
def expected() -> Statistics:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE orders (u VARCHAR, t TIMESTAMP, v DOUBLE)")
        connection.execute(
            "CREATE TABLE met (u VARCHAR, t TIMESTAMP, test VARCHAR, arm VARCHAR, iteration INTEGER)"
        )
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", ORDERS)
        connection.executemany("INSERT INTO met VALUES (?, ?, ?, ?, ?)", MET)
        return analysed(ibis.duckdb.from_connection(connection), "duckdb")


def agree(found: Statistics, expected: Statistics) -> None:
    assert found.arms.keys() == expected.arms.keys() == {"control", "treatment"}
    for variant, arm in expected.arms.items():
        other = found.arms[variant]
        assert (other.units, other.immature) == (arm.units, arm.immature)
        assert other.values["any"] == arm.values["any"]
        assert other.values["sum"].mean == pytest.approx(arm.values["sum"].mean, rel=1e-12)  # type: ignore[union-attr]
    assert found.watermark == expected.watermark


def test_clickhouse(clickhouse: Client, expected: Statistics) -> None:
    clickhouse.command(
        "CREATE OR REPLACE TABLE orders (u String, t DateTime64(6), v Nullable(Float64))"
        " ENGINE = MergeTree ORDER BY u"
    )
    clickhouse.command(
        "CREATE OR REPLACE TABLE met (u String, t DateTime64(6), test String, arm String, iteration Int32)"
        " ENGINE = MergeTree ORDER BY u"
    )
    clickhouse.insert("orders", ORDERS, ["u", "t", "v"])
    clickhouse.insert("met", MET, ["u", "t", "test", "arm", "iteration"])
    agree(analysed(ibis.clickhouse.from_connection(clickhouse), "clickhouse"), expected)


def test_spark(spark: SparkSession, expected: Statistics) -> None:
    spark.createDataFrame(ORDERS, "u string, t timestamp, v double").createOrReplaceTempView("orders")
    spark.createDataFrame(
        MET, "u string, t timestamp, test string, arm string, iteration int"
    ).createOrReplaceTempView("met")
    agree(analysed(ibis.pyspark.connect(spark), "spark"), expected)


def test_brought_rows_have_the_types_that_they_left_with() -> None:
    rows = pa.table({"unit": ["a"], "time": pa.array([NOW], pa.timestamp("us"))})
    with duckdb.connect() as connection:
        backend = ibis.duckdb.from_connection(connection)
        assert backend.to_pyarrow(bring(Warehouse(backend, "duckdb", True, ""), rows)) == rows
