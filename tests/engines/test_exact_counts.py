"""Distinct values are counted, not estimated: Ibis would have ClickHouse compare 32 bits of their hashes."""

import ibis
from clickhouse_connect.driver.client import Client

from equipoise_service.events.stores.clickhouse.workspace import ClickhouseWorkspace
from equipoise_service.statements import RunningStatements

MANY = 200_000


def test_many_distinct_values_are_counted_exactly_on_clickhouse(clickhouse: Client) -> None:
    running = RunningStatements(clickhouse, lambda: clickhouse)
    backend = ClickhouseWorkspace(clickhouse, running).backend
    numbers = ibis.range(MANY).unnest().name("number").as_table()
    texts = numbers.number.cast("string")
    counted = numbers.agg(all=texts.nunique(), some=texts.nunique(where=numbers.number >= 10))
    assert backend.to_pyarrow(counted).to_pylist() == [{"all": MANY, "some": MANY - 10}]
