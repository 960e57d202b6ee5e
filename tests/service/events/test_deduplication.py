"""Which ids are stored already, and how little is read to know it."""

import json
import uuid
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.events.items import PLACE

from equipoise.identifiers import uuid7
from equipoise_service.events.deduplication import Ids, as_ids, id_ranges, stored

# Ids that end in zero bytes, lie side by side, or at both ends.
IDS = st.one_of(
    st.uuids(),
    st.integers(0, 300).map(lambda number: uuid.UUID(int=number)),
    st.integers(0, 300).map(lambda number: uuid.UUID(int=(2**128 - 1) - number)),
    st.integers(0, 255).map(lambda number: uuid.UUID(int=number << 120)),
)


def array(ids: list[uuid.UUID]) -> Ids:
    return np.unique(as_ids(b"".join(each.bytes for each in ids)))


@given(st.lists(IDS, min_size=1))
def test_the_ranges_hold_every_id_and_do_not_overlap(ids: list[uuid.UUID]) -> None:
    ranges = id_ranges(array(ids))
    assert len(ranges) <= 8
    bounds = [bound for each in ranges for bound in (each.first, each.last)]
    assert bounds == sorted(bounds)
    assert all(any(each.first <= one.bytes <= each.last for each in ranges) for one in ids)
    assert set(bounds) <= {one.bytes for one in ids}


def test_a_straggler_gets_a_range_of_its_own() -> None:
    new = [uuid.UUID(int=2**100 + number) for number in range(500)]
    old = uuid.UUID(int=7)
    assert [(each.first, each.last) for each in id_ranges(array([*new, old]))] == [
        (old.bytes, old.bytes),
        (new[0].bytes, new[-1].bytes),
    ]


def test_ids_from_everywhere_are_one_range() -> None:
    random = np.random.default_rng(1)
    ids = [uuid.UUID(bytes=random.bytes(16)) for _ in range(500)]
    assert len(id_ranges(array(ids))) == 1


@given(st.lists(IDS), st.lists(IDS), st.lists(IDS, min_size=1))
def test_exactly_the_stored_ids_of_the_place_are_found(
    here: list[uuid.UUID], elsewhere: list[uuid.UUID], asked: list[uuid.UUID]
) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE events (place VARCHAR, id UUID)")
        for place, ids in ((PLACE, here), ("default/staging", elsewhere)):
            connection.executemany(
                "INSERT INTO events VALUES (?, ?)", [[place, each] for each in {*ids}] or [[place, None]]
            )
        wanted = array(asked + here[:3])
        found = stored(connection, "events", PLACE, wanted)
    texts = [uuid.UUID(bytes=bytes(each).ljust(16, b"\0")) for each in wanted]
    assert [each in here for each in texts] == found.tolist()


@pytest.mark.parametrize("straggler", [False, True])
def test_time_ordered_ids_are_found_without_reading_the_whole_table(straggler: bool, tmp_path: Path) -> None:
    """What is read is what DuckDB says it read, not a time."""
    count = 600_000
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE events (place VARCHAR, id UUID)")
        connection.execute(
            "INSERT INTO events SELECT ?, "
            "format('{:08x}-{:04x}-7000-8000-000000000000', i // 100, i % 100)::UUID FROM range(?) t(i)",
            [PLACE, count],
        )
        new = [uuid.UUID(uuid7()) for _ in range(500)]
        old = [uuid.UUID("00000001-0001-7000-8000-000000000000")] if straggler else []
        ids = array(new + old)
        connection.execute("SET enable_profiling = 'json'")
        connection.execute(f"SET profiling_output = '{tmp_path / 'profile.json'}'")
        assert stored(connection, "events", PLACE, ids).sum() == len(old)
        connection.execute("RESET enable_profiling")
    profile = json.loads((tmp_path / "profile.json").read_text())["query"]
    # Where the file's statistics rule out every id, no scan is planned at all.
    assert profile["total_row_groups_to_scan"] == (5 if straggler else 0)
    assert profile["total_row_groups_scanned"] == len(old)
