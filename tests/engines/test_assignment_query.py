"""The query that recomputes assignments, on the real engines: every unit gets what the SDK gives it."""

import psycopg
import pytest
from clickhouse_connect.driver.client import Client
from pyspark.sql import SparkSession
from tests.service.recomputation.warehouse import configuration, expected, units

from equipoise_service.recomputation.engines import Engine
from equipoise_service.recomputation.query import Units, assignment_query

Rows = list[tuple[str, bool, str | None]]


def query(engine: Engine) -> str:
    text = assignment_query(configuration(), "page", engine, Units("units", {"user": "user_id"}))
    return text.rstrip()


def test_postgres(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE units (user_id TEXT)")
        with connection.cursor() as cursor, cursor.copy("COPY units FROM STDIN") as copy:
            for unit in units():
                copy.write_row((unit,))
        rows = connection.execute(query(Engine.POSTGRES)).fetchall()
    assert sorted((unit, inside, variant) for unit, _, _, inside, variant in rows) == expected()


def test_clickhouse(clickhouse: Client) -> None:
    clickhouse.command("CREATE OR REPLACE TABLE units (user_id String) ENGINE = MergeTree ORDER BY user_id")
    clickhouse.insert("units", [[unit] for unit in units()], ["user_id"])
    rows = clickhouse.query(query(Engine.CLICKHOUSE)).result_rows
    assert sorted((unit, bool(inside), variant) for unit, _, _, inside, variant in rows) == expected()


# py4j leaves its sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_spark(spark: SparkSession) -> None:
    spark.createDataFrame([(unit,) for unit in units()], "user_id string").createOrReplaceTempView("units")
    rows = spark.sql(query(Engine.SPARK)).collect()
    assert sorted((row["unit"], row["in_experiment"], row["variant"]) for row in rows) == expected()
