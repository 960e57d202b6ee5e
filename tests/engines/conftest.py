"""Fixtures of the real engines; `postgres_url` is in tests/conftest.py."""

from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from pyspark.sql import SparkSession
from tests.engines.clickhouse_server import ClickhouseServer, running_clickhouse
from tests.engines.spark import cluster

from equipoise_service.connections import CLICKHOUSE_SETTINGS


@pytest.fixture
def clickhouse() -> Iterator[Client]:
    """ClickHouse's engine in this process, through the client that talks to a server otherwise."""
    client = clickhouse_connect.get_client(interface="chdb", settings=CLICKHOUSE_SETTINGS)
    yield client
    client.close()


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickhouseServer]:
    """ClickHouse's engine in a process of its own, behind HTTP; who stops it takes one of their own."""
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session on a cluster of a master and two workers."""
    directory = tmp_path_factory.mktemp("spark")
    with cluster(directory) as master:
        session = (
            SparkSession.builder.master(master)
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.executor.memory", "512m")
            .config("spark.executor.cores", "1")
            .config("spark.sql.shuffle.partitions", "2")
            # A few rows: generating and compiling code for them takes longer than doing without.
            .config("spark.sql.codegen.wholeStage", "false")
            .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.warehouse.dir", str(directory / "warehouse"))
            .getOrCreate()
        )
        yield session
        session.stop()
