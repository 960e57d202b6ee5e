"""Facts in a warehouse on ClickHouse, exposures in the event store: these are brought there, over HTTP."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.engines.clickhouse_server import ClickhouseServer
from tests.engines.test_sources import MET, ORDERS, REQUEST, SOURCE, agree, expected
from tests.service.events.contract import append, batch

from equipoise.identifiers import uuid7
from equipoise_service.analysis.sources import Limits, analyse_source
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.events.schemas import ExposureIn
from equipoise_service.events.stores.clickhouse.engine import open_clickhouse
from equipoise_service.events.stores.store import EventStore
from equipoise_service.settings import Settings
from equipoise_service.sources.connections import connected

__all__ = ["expected"]
WAREHOUSE = SOURCE.model_copy(update={"exposures": None})
LIMITS = Limits(300, 1000)


@pytest.fixture
def shop(clickhouse_server: ClickhouseServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventStore]:
    """An event store with the exposures `MET`, and the warehouse of `SOURCE` beside it, without them."""
    name = f"shop_{uuid.uuid4().hex}"
    clickhouse_server.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", clickhouse_server.database_url(name))
    with EventStore(open_clickhouse(clickhouse_server.database_url(name)), Settings()) as store:
        with store.ibis() as backend:
            backend.con.command(
                "CREATE TABLE orders (u String, t DateTime64(6), v Nullable(Float64))"
                " ENGINE = MergeTree ORDER BY u"
            )
            backend.con.insert("orders", ORDERS)
        shown = [
            ExposureIn(
                id=uuid7(), time=time, unit=unit, unit_type="user", experiment=key, variant=arm, revision=at
            )
            for unit, time, key, arm, at in MET
        ]
        append(store, batch(shown, place=REQUEST.place))
        yield store
    clickhouse_server.execute(f"DROP DATABASE {name}")


def test_exposures_are_brought_to_the_facts(shop: EventStore, expected: Statistics) -> None:
    found = analyse_source(WAREHOUSE, shop, REQUEST, LIMITS)
    # Exposures of the store are known until the moment of their receipt.
    agree(replace(found, watermark=expected.watermark), expected)


def test_a_long_query_is_read(shop: EventStore) -> None:
    """A server stops after 262,144 characters by default; two hundred metrics of all kinds took 358,939."""
    numbers = range(100_000, 140_000)
    query = f"SELECT count() FROM numbers(200000) WHERE number IN ({', '.join(map(str, numbers))})"
    assert len(query) > 1 << 18
    with connected("SHOP", 60) as warehouse, shop.ibis() as store:
        for backend in (warehouse.backend, store):
            assert backend.con.query(query).result_rows == [(len(numbers),)]
