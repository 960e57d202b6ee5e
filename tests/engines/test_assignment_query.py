"""The query that recomputes assignments, on the real engines: every unit gets what the SDK gives it."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from chdb.session import Session
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


def test_clickhouse(tmp_path: Path) -> None:
    file = tmp_path / "units.ndjson"
    file.write_text("".join(json.dumps({"user_id": unit}) + "\n" for unit in units()))
    session = Session()
    try:
        session.query("CREATE DATABASE warehouse")
        session.query("CREATE TABLE warehouse.units (user_id String) ENGINE = MergeTree ORDER BY user_id")
        session.query(f"INSERT INTO warehouse.units SELECT user_id FROM file('{file}', JSONEachRow)")
        session.query("USE warehouse")
        lines = str(session.query(query(Engine.CLICKHOUSE), "JSONEachRow")).split("\n")
    finally:
        session.close()
    rows = [json.loads(line) for line in lines if line]
    assert sorted((row["unit"], bool(row["in_experiment"]), row["variant"]) for row in rows) == expected()


@pytest.fixture
def spark() -> Iterator[SparkSession]:
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    yield session
    session.stop()


# py4j leaves its sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_spark(spark: SparkSession) -> None:
    spark.createDataFrame([(unit,) for unit in units()], "user_id string").createOrReplaceTempView("units")
    rows = spark.sql(query(Engine.SPARK)).collect()
    assert sorted((row["unit"], row["in_experiment"], row["variant"]) for row in rows) == expected()
