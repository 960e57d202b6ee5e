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

from equipoise.identifiers import uuid7
from equipoise_service.events.stores.deduplication import id_ranges, repeated
from equipoise_service.events.stores.duckdb.commits import commit
from equipoise_service.events.stores.duckdb.file import DuckdbFile
from equipoise_service.events.stores.duckdb.index import IdIndex
from equipoise_service.events.stores.duckdb.known import KnownIds, known_ids
from equipoise_service.events.stores.duckdb.recent import RecentIds, recent_ids
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


# Few, so that they come again, when they are forgotten, too; random ids, and ends of the range.
LEADING = st.one_of(st.integers(1, 8), st.sampled_from([0, 2**20 - 1, 2**20, 2**64 - 1]))
RECENT = st.tuples(LEADING, st.integers(0, 1)).map(lambda parts: uuid.UUID(int=parts[0] << 64 | parts[1]))


@given(
    st.lists(RECENT, max_size=2),
    st.lists(st.lists(RECENT, min_size=1, max_size=2), max_size=30),
    st.integers(0, 3),
)
def test_an_id_that_was_stored_is_never_taken_for_new(
    stored: list[uuid.UUID], commits: list[list[uuid.UUID]], most: int
) -> None:
    far = 2**20
    near = [each.int >> 64 for each in stored if each.int >> 64 < far]
    recent = RecentIds(max(near, default=0), far)
    seen = set(stored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equipoise_service.events.stores.duckdb.recent._MOST", most)
        for ids in commits:
            assert not (recent.are_new(raw(ids)) and seen.intersection(ids))
            seen.update(ids)


def test_what_grows_with_time_is_known_to_be_new_whoever_else_makes_random_ids() -> None:
    made = [[uuid.UUID(int=(commit * 10 + sender) << 64) for commit in range(1, 200)] for sender in range(3)]
    recent = RecentIds(9, 2**20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equipoise_service.events.stores.duckdb.recent._MOST", 20)
        for of_commit in zip(*made, strict=True):
            # The sender that is behind comes last.
            assert all(recent.are_new(id.bytes) for id in reversed(of_commit))
            assert not recent.are_new(uuid.UUID(int=2**128 - of_commit[0].int).bytes)
            assert not any(recent.are_new(id.bytes) for id in of_commit)


def test_what_a_file_holds_is_not_new_to_who_opens_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, analysis_memory_mb=512)
    sent = batch([], [event(), event(id=str(uuid.UUID(int=2**128 - 1)))])
    file = DuckdbFile(tmp_path / "events.duckdb", settings)
    index = IdIndex(file.connection, datetime(2026, 1, 1), tmp_path)
    commit(file.connection, [sent], datetime(2026, 3, 1), known_ids(file.connection, index))
    index.close()
    file.close()
    file = DuckdbFile(tmp_path / "events.duckdb", settings)
    recent = recent_ids(file.connection)
    file.close()
    assert not recent["events"].are_new(uuid.UUID(sent.events[0].id).bytes)
    assert recent["events"].are_new(uuid.UUID(uuid7()).bytes)
    assert recent["exposures"].are_new(uuid.UUID(sent.events[0].id).bytes)


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
    index = IdIndex(connection, datetime(2026, 2, 1), tmp_path)
    assert index.wait(60)
    old = [event(id="00000001-0001-7000-8000-000000000000")] if straggler else []
    sent = batch([], [event() for _ in range(500)] + old)
    # What comes after the search is not what this is about, and would be the last query.
    for later in ("_insert", "_store_the_rest"):
        monkeypatch.setattr(f"equipoise_service.events.stores.duckdb.commits.{later}", lambda *_: None)
    connection.execute("SET enable_profiling = 'json'")
    connection.execute(f"SET profiling_output = '{tmp_path / 'profile.json'}'")
    nothing_known = RecentIds(latest=2**64 - 1, far=0)
    known = KnownIds({"events": nothing_known, "exposures": nothing_known}, index)
    (receipt,) = commit(connection, [sent], datetime(2026, 3, 1), known)
    connection.execute("RESET enable_profiling")
    index.close()
    file.close()
    assert receipt.conflicting_events == ({500} if straggler else set())
    profile = json.loads((tmp_path / "profile.json").read_text())["query"]
    assert "BETWEEN" in profile["sql"]
    assert profile["total_row_groups_scanned"] <= len(old)
