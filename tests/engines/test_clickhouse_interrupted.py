"""What runs on ClickHouse says how far it is and is stopped: a statement of minutes ends within seconds."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from tests.engines.clickhouse_server import ClickhouseServer

from equipoise_service.events.stores.clickhouse.engine import open_clickhouse
from equipoise_service.events.stores.store import EventStore
from equipoise_service.interruption import Interruption
from equipoise_service.settings import Settings
from equipoise_service.sources.connections import SourceFault, connected

# Minutes on any machine.
_LONG = "SELECT count() FROM numbers(200000000000) WHERE sin(number) > 2"
_SECONDS = 30


@pytest.fixture
def url(clickhouse_server: ClickhouseServer) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    clickhouse_server.execute(f"CREATE DATABASE {name}")
    yield clickhouse_server.database_url(name)
    clickhouse_server.execute(f"DROP DATABASE {name}")


@contextmanager
def reading(url: str, kind: str) -> Iterator[Any]:
    """A backend that reads from the event store, from a workspace of it, or from a source."""
    if kind == "source":
        with connected("SHOP", 600) as warehouse:
            yield warehouse.backend
        return
    store = EventStore(open_clickhouse(url), Settings(event_commit_milliseconds=1))
    try:
        if kind == "store":
            with store.ibis() as backend:
                yield backend
        else:
            with store.workspace() as workspace:
                yield workspace.backend
    finally:
        store.close()


@pytest.mark.parametrize("kind", ["store", "workspace", "source"])
def test_a_statement_says_how_far_it_is_and_is_stopped(
    url: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", url)
    interruption, ended = Interruption(), threading.Event()
    errors: list[str] = []

    def read() -> None:
        try:
            with interruption.watches(), reading(url, kind) as backend:
                backend.con.query(_LONG)
        except (DatabaseError, SourceFault) as error:
            errors.append(str(error))
        finally:
            ended.set()

    threading.Thread(target=read).start()
    shares: list[float] = []
    deadline = time.monotonic() + _SECONDS
    while len(shares) < 3 and time.monotonic() < deadline:
        if (share := interruption.done()) is not None:
            shares.append(share)
        time.sleep(0.05)
    assert len(shares) == 3
    assert 0 <= shares[0] < shares[-1] < 0.5
    asked = time.monotonic()
    while not ended.is_set() and time.monotonic() < asked + _SECONDS:
        interruption.ask()
        ended.wait(0.2)
    assert ended.is_set()
    assert len(errors) == 1
    assert "cancelled" in errors[0]
    assert interruption.done() is None


def test_a_source_is_stopped_when_its_time_is_over(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", url)
    began = time.monotonic()
    with pytest.raises(SourceFault, match="2 seconds"), connected("SHOP", 2) as warehouse:
        warehouse.backend.con.query(_LONG, settings={"max_execution_time": 0})
    assert time.monotonic() - began < _SECONDS
