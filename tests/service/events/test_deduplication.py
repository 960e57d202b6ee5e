"""Which items are repeated, and how little is read to know what is stored."""

import json
import uuid
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.events.items import PLACE, batch, event

from equipoise_service.events.stores.deduplication import id_ranges, repeated
from equipoise_service.events.stores.duckdb.commits import commit
from equipoise_service.events.stores.duckdb.file import DuckdbFile
from equipoise_service.settings import Settings

# Ids that end in zero bytes, lie side by side, or at both ends.
IDS = st.one_of(
    st.uuids(),
    st.integers(0, 300).map(lambda number: uuid.UUID(int=number)),
    st.integers(0, 300).map(lambda number: uuid.UUID(int=(2**128 - 1) - number)),
    st.integers(0, 255).map(lambda number: uuid.UUID(int=number << 120)),
)


def raw(ids: list[uuid.UUID]) -> bytes:
    return b"".join(each.bytes for each in ids)


@given(st.lists(st.tuples(st.integers(0, 2), IDS)))
def test_exactly_the_later_ones_of_equal_items_are_repeated(items: list[tuple[int, uuid.UUID]]) -> None:
    found = repeated([place for place, _ in items], raw([id for _, id in items]))
    assert found.tolist() == [item in items[:position] for position, item in enumerate(items)]


@given(st.lists(IDS, min_size=1))
def test_the_ranges_hold_every_id_and_do_not_overlap(ids: list[uuid.UUID]) -> None:
    ranges = id_ranges(raw(ids))
    assert len(ranges) <= 8
    assert all(first < last for first, last in ranges)
    assert all(last < first for (_, last), (first, _) in pairwise(ranges))
    assert all(any(first <= str(id) <= last for first, last in ranges) for id in ids)


def test_a_straggler_gets_a_range_of_its_own() -> None:
    new = [uuid.UUID(int=(2**36 + number) << 64) for number in range(500)]
    old = uuid.UUID(int=7)
    assert id_ranges(raw([*new, old])) == [
        (str(uuid.UUID(int=0)), str(uuid.UUID(int=2**64 - 1))),
        (str(new[0]), str(uuid.UUID(int=new[-1].int | 2**64 - 1))),
    ]


def test_ids_from_everywhere_are_one_range() -> None:
    random = np.random.default_rng(1)
    assert len(id_ranges(random.bytes(16 * 500))) == 1


@pytest.mark.parametrize("straggler", [False, True])
def test_time_ordered_ids_are_stored_without_reading_the_whole_table(
    straggler: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How much is read is what DuckDB says it read, not a time."""
    file = DuckdbFile(tmp_path / "events.duckdb", Settings(data_dir=tmp_path, analysis_memory_mb=512))
    connection = file.connection
    connection.execute(
        "INSERT INTO events BY NAME SELECT ? AS place, 'u' AS unit, 'user' AS unit_type, 'n' AS name,"
        " format('{:08x}-{:04x}-7000-8000-000000000000', i // 100, i % 100)::UUID AS id,"
        " TIMESTAMP '2026-01-01' AS time, time AS received_at FROM range(600_000) t(i)",
        [PLACE],
    )
    old = [event(id="00000001-0001-7000-8000-000000000000")] if straggler else []
    sent = batch([], [event() for _ in range(500)] + old)
    # What comes after the search is not what this is about, and would be the last query.
    for later in ("_insert", "_store_the_rest"):
        monkeypatch.setattr(f"equipoise_service.events.stores.duckdb.commits.{later}", lambda *_: None)
    connection.execute("SET enable_profiling = 'json'")
    connection.execute(f"SET profiling_output = '{tmp_path / 'profile.json'}'")
    (receipt,) = commit(connection, [sent], datetime(2026, 3, 1))
    connection.execute("RESET enable_profiling")
    file.close()
    assert receipt.conflicting_events == ({500} if straggler else set())
    profile = json.loads((tmp_path / "profile.json").read_text())["query"]
    assert "BETWEEN" in profile["sql"]
    assert profile["total_row_groups_scanned"] <= len(old)
