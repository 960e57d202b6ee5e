"""The contract of event stores over HTTP: what passes a front is what was stored.

The parts of it that send and read values of every kind; the whole of it is kept by the engine, see
`test_event_store.py`.
"""

import uuid
from collections.abc import Iterator

import pytest
from tests.engines.clickhouse_server import ClickhouseServer
from tests.service.events.analysis_contract import (
    test_a_workspace_keeps_what_lasts,
    test_units_are_left_out_by_their_id,
)
from tests.service.events.contract import (
    Open,
    test_ids_of_every_kind_and_time,
    test_the_greatest_total_dropped_stays,
    test_the_order_of_properties_makes_no_conflict,
    test_values_come_back_as_they_went_in,
    test_what_was_rejected_is_listed,
)
from tests.service.events.housekeeping_contract import (
    test_a_unit_is_deleted_and_nobody_else,
    test_refused_items_are_deleted_by_their_text,
)

from equipoise_service.events.stores.clickhouse.engine import open_clickhouse
from equipoise_service.events.stores.store import EventStore
from equipoise_service.settings import Settings

__all__ = [
    "test_a_unit_is_deleted_and_nobody_else",
    "test_a_workspace_keeps_what_lasts",
    "test_ids_of_every_kind_and_time",
    "test_refused_items_are_deleted_by_their_text",
    "test_the_greatest_total_dropped_stays",
    "test_the_order_of_properties_makes_no_conflict",
    "test_units_are_left_out_by_their_id",
    "test_values_come_back_as_they_went_in",
    "test_what_was_rejected_is_listed",
]


@pytest.fixture
def open_store(clickhouse_server: ClickhouseServer) -> Iterator[Open]:
    """Opens a store on an empty database."""
    name = f"test_{uuid.uuid4().hex}"
    clickhouse_server.execute(f"CREATE DATABASE {name}")
    url = clickhouse_server.database_url(name)
    yield lambda: EventStore(open_clickhouse(url), Settings(event_commit_milliseconds=1))
    clickhouse_server.execute(f"DROP DATABASE {name}")
