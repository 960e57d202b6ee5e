"""The embedded store and the one in PostgreSQL keep the contract of every event store."""

from pathlib import Path

import pytest
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

from equipoise_service.events.stores.store import open_event_store
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


@pytest.fixture(params=["duckdb", "postgresql"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    settings = Settings(
        data_dir=tmp_path, event_store_url=url, analysis_memory_mb=512, event_commit_milliseconds=1
    )
    return lambda: open_event_store(settings)
