"""ClickHouse's engine keeps the contract of every event store."""

import asyncio
import uuid
from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from tests.service.events.analysis_contract import (
    test_a_refresh_gives_the_numbers_of_a_full_analysis,
    test_a_workspace_keeps_what_lasts,
    test_a_workspace_that_fails_keeps_nothing,
    test_an_empty_store_can_be_asked,
    test_an_item_of_joined_units_counts_once,
    test_many_may_refresh_at_once,
    test_units_are_left_out_by_their_id,
    test_what_readouts_check_is_counted,
)
from tests.service.events.contract import (
    Open,
    append,
    batch,
    event,
    rows,
    test_a_revision_that_nobody_said_makes_no_conflict,
    test_an_item_of_several_unit_types_is_one_item,
    test_ids_of_every_kind_and_time,
    test_offsets_are_brought_to_utc,
    test_received_at_grows_with_every_commit,
    test_rows_have_the_hash_of_their_unit,
    test_the_first_received_stays_when_only_the_time_differs,
    test_the_greatest_total_dropped_stays,
    test_the_order_of_properties_makes_no_conflict,
    test_values_come_back_as_they_went_in,
    test_what_was_rejected_is_listed,
)
from tests.service.events.housekeeping_contract import (
    test_a_day_is_exported_as_it_is_stored,
    test_a_search_finds_a_unit_wherever_it_is_named,
    test_a_unit_is_deleted_and_nobody_else,
    test_refused_items_are_deleted_by_their_text,
    test_what_is_old_goes_step_by_step,
)
from tests.service.events.mixes_contract import (
    test_any_mix_is_stored_once,
    test_many_mixes_are_stored_once,
)

from equipoise.identifiers import uuid7
from equipoise_service.connections import CLICKHOUSE_SETTINGS
from equipoise_service.events.batches import Receipt
from equipoise_service.events.stores.clickhouse import schema
from equipoise_service.events.stores.clickhouse.engine import ClickhouseEngine, open_clickhouse
from equipoise_service.events.stores.store import EventStore, EventStoreError
from equipoise_service.settings import Settings

__all__ = [
    "test_a_day_is_exported_as_it_is_stored",
    "test_a_refresh_gives_the_numbers_of_a_full_analysis",
    "test_a_revision_that_nobody_said_makes_no_conflict",
    "test_a_search_finds_a_unit_wherever_it_is_named",
    "test_a_unit_is_deleted_and_nobody_else",
    "test_a_workspace_keeps_what_lasts",
    "test_a_workspace_that_fails_keeps_nothing",
    "test_an_empty_store_can_be_asked",
    "test_an_item_of_joined_units_counts_once",
    "test_an_item_of_several_unit_types_is_one_item",
    "test_any_mix_is_stored_once",
    "test_ids_of_every_kind_and_time",
    "test_many_may_refresh_at_once",
    "test_many_mixes_are_stored_once",
    "test_offsets_are_brought_to_utc",
    "test_received_at_grows_with_every_commit",
    "test_refused_items_are_deleted_by_their_text",
    "test_rows_have_the_hash_of_their_unit",
    "test_the_first_received_stays_when_only_the_time_differs",
    "test_the_greatest_total_dropped_stays",
    "test_the_order_of_properties_makes_no_conflict",
    "test_units_are_left_out_by_their_id",
    "test_values_come_back_as_they_went_in",
    "test_what_is_old_goes_step_by_step",
    "test_what_readouts_check_is_counted",
    "test_what_was_rejected_is_listed",
]


@pytest.fixture
def open_store(clickhouse: Client) -> Iterator[Open]:
    database = f"test_{uuid.uuid4().hex}"
    clickhouse.command(f"CREATE DATABASE {database}")

    def connect(seconds: int) -> Client:
        return clickhouse_connect.get_client(
            interface="chdb", database=database, settings=CLICKHOUSE_SETTINGS
        )

    yield lambda: EventStore(ClickhouseEngine(connect), Settings(event_commit_milliseconds=1))
    clickhouse.command(f"DROP DATABASE {database}")


def test_two_stores_at_once_are_read_as_one(open_store: Open) -> None:
    """Both may say that an item is new; the reader sees it once, the one that came first."""
    with open_store() as one, open_store() as other:
        ids = [uuid7() for _ in range(200)]

        async def together() -> list[Receipt]:
            return await asyncio.gather(
                *(
                    store.append(batch(events=[event(id) for id in ids[start : start + 20]]))
                    for start in range(0, 200, 10)
                    for store in (one, other)
                )
            )

        receipts = asyncio.run(together())
        found = rows(one, "events")
    assert sorted(row["id"] for row in found) == sorted(ids)
    assert sum(len(receipt.duplicate_events) for receipt in receipts) > 0


def test_of_two_parts_with_one_id_the_first_received_is_read(open_store: Open, clickhouse: Client) -> None:
    """As when two processes store an item at the same moment."""
    with open_store() as store:
        id = uuid7()
        append(store, batch(events=[event(id, unit="first")]))
        with store.ibis() as backend:
            backend.con.command(
                "INSERT INTO events_parts (place, id, time, unit_type, unit, name)"
                " SELECT place, id, time, unit_type, 'second', name FROM events"
            )
            assert [row["unit"] for row in rows(store, "events")] == ["first"]
            backend.con.command("OPTIMIZE TABLE events_parts FINAL")
        assert [row["unit"] for row in rows(store, "events")] == ["first"]


def test_tables_of_a_newer_release_are_left_alone(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store() as store:
        append(store, batch(events=[event(uuid7())]))
    monkeypatch.setattr(schema, "STEPS", ())
    with pytest.raises(EventStoreError, match=r"schema version 1.*newer release"), open_store():
        pass


def test_a_server_that_is_away_is_told_without_the_password() -> None:
    with pytest.raises(EventStoreError, match="cannot be used") as caught:
        open_clickhouse("clickhouse://someone:s3cret@127.0.0.1:1/events")
    assert "s3cret" not in str(caught.value)
