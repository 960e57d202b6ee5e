"""Ids that do not grow with time: stored once all the same, and found without reading the whole table."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.service.events.items import PLACE, batch, event

from equipoise_service.events.stores.duckdb import commits
from equipoise_service.events.stores.duckdb import index as indexing
from equipoise_service.events.stores.duckdb.commits import commit
from equipoise_service.events.stores.duckdb.file import DuckdbFile
from equipoise_service.events.stores.duckdb.index import IdIndex
from equipoise_service.events.stores.duckdb.known import KnownIds, known_ids
from equipoise_service.events.stores.duckdb.recent import RecentIds
from equipoise_service.events.stores.duckdb.runs import merged, seconds_of, sorted_run
from equipoise_service.settings import Settings

START = datetime(2026, 3, 1)


def timed(moment: datetime, number: int) -> uuid.UUID:
    """An id that says it was made then."""
    milliseconds = int(moment.replace(tzinfo=UTC).timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | number)


@contextmanager
def opened(path: Path, latest: datetime) -> Iterator[tuple[DuckdbFile, KnownIds]]:
    file = DuckdbFile(path / "events.duckdb", Settings(data_dir=path, analysis_memory_mb=512))
    index = IdIndex(file.connection, latest, path)
    try:
        yield file, known_ids(file.connection, index)
    finally:
        index.close()
        file.close()


ENTRIES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=40)


@given(st.lists(ENTRIES, min_size=1, max_size=6), st.sets(st.integers(0, 45)), st.integers(1, 8))
def test_merged_runs_know_what_each_of_them_knew(
    runs: list[list[tuple[int, int]]], asked: set[int], at_a_time: int
) -> None:
    # Numbers that are spread over all there are, and both ends.
    spread = [min(each * (2**64 // 45), 2**64 - 1) for each in range(46)]
    made = [
        sorted_run(
            np.array([spread[number] for number, _ in run], dtype=np.uint64),
            np.array([second for _, second in run], dtype=np.uint32),
        )
        for run in runs
    ]
    expected = sorted({second for run in runs for number, second in run if number in asked})
    keys = np.array([spread[number] for number in asked], dtype=np.uint64)
    assert seconds_of(keys, made).tolist() == expected
    if any(runs):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("equipoise_service.events.stores.duckdb.runs._AT_A_TIME", at_a_time)
            one = merged(made, Path(gettempdir()), threading.Event())
        assert len(one.numbers) == sum(len(run) for run in runs)
        assert (one.numbers[1:] >= one.numbers[:-1]).all()
        assert seconds_of(keys, [one]).tolist() == expected


# Few of each, so that they come again: random ids, and such that say another time than that of their receipt.
MADE = st.one_of(
    st.integers(0, 12).map(lambda number: uuid.UUID(int=number << 120 | 4 << 76)),
    st.integers(0, 12).map(lambda number: uuid.UUID(int=number)),
    st.tuples(st.integers(-2, 2), st.integers(0, 3)).map(
        lambda parts: timed(START + parts[0] * timedelta(minutes=59), parts[1])
    ),
    st.just(timed(datetime(1970, 1, 1), 1)),
    st.just(uuid.UUID(int=2**128 - 1 - (8 << 76))),
)
# None: the process ends, and another one opens the file.
LIVES = st.lists(st.one_of(st.none(), st.lists(MADE, min_size=1, max_size=5)), min_size=2, max_size=12)


AHEAD = timed(START + timedelta(minutes=118), 0)
BEHIND = timed(START - timedelta(days=9), 0)


@settings(max_examples=25, deadline=None)
@given(LIVES, st.booleans())
@example(lives=[[AHEAD], [AHEAD], None, [AHEAD]], waits=True)
@example(lives=[[BEHIND, uuid.UUID(int=4 << 76)], None, [BEHIND], [uuid.UUID(int=4 << 76)]], waits=True)
def test_every_id_is_stored_once_whatever_it_says_and_however_often_the_process_ends(
    tmp_path_factory: pytest.TempPathFactory, lives: list[list[uuid.UUID] | None], waits: bool
) -> None:
    left = list(lives)
    path, seen, now = tmp_path_factory.mktemp("store"), set[str](), START
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equipoise_service.events.stores.duckdb.index._MOST_FRESH", 4)
        patch.setattr("equipoise_service.events.stores.duckdb.recent._MOST", 2)
        while left:
            with opened(path, now) as (file, known):
                assert not waits or known.index.wait(60)
                while left and (ids := left.pop(0)) is not None:
                    now += timedelta(minutes=7, microseconds=999_999)
                    texts = [str(id) for id in ids]
                    # Another value: what is repeated is told as a conflict.
                    sent = batch([], [event(id=text, value=float(len(seen))) for text in texts])
                    (receipt,) = commit(file.connection, [sent], now, known)
                    new = [text not in seen and text not in texts[:at] for at, text in enumerate(texts)]
                    assert receipt.duplicate_events | receipt.conflicting_events == {
                        position for position, is_new in enumerate(new) if not is_new
                    }
                    seen.update(texts)
                stored = file.connection.execute("SELECT id::VARCHAR FROM events").fetchall()
                assert sorted(id for (id,) in stored) == sorted(seen)


def random_rows(file: DuckdbFile, count: int) -> None:
    """Rows of random ids, a hundred thousand of them received each day, and as many of timed ones."""
    file.connection.execute(
        "INSERT INTO events BY NAME SELECT ? AS place, 'u' AS unit, 'user' AS unit_type, 'n' AS name,"
        " 1.0 AS value, '{}' AS properties,"
        " TIMESTAMP '2026-01-01' + INTERVAL 1 SECOND * (i * 864 // 1000) AS time, time AS received_at,"
        " CASE i % 2 WHEN 0 THEN format('{:08x}-0000-4000-8000-{:012x}', hash(i) % 4294967296, i)"
        " ELSE format('{:08x}-{:04x}-7000-8000-{:012x}', epoch_ms(time) // 65536, epoch_ms(time) % 65536, i)"
        " END::UUID AS id FROM range(?) t(i) ORDER BY i",
        [PLACE, count],
    )


@pytest.mark.parametrize(
    ("kind", "most"), [("new", 0), ("random", 2), ("late", 3)], ids=["new", "sent again", "late"]
)
def test_little_of_a_table_of_random_ids_is_read(
    kind: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How much is read is what DuckDB says it read, not a time. There are ten row groups."""
    with opened(tmp_path, datetime(2026, 2, 1)) as (file, known):
        file.connection.execute("SET preserve_insertion_order = true")
        file.connection.execute("SET threads = 1")
        random_rows(file, 1_200_000)
        known.index.close()
        index = IdIndex(file.connection, datetime(2026, 2, 1), tmp_path)
        assert index.wait(60)
        forgetful = RecentIds(latest=2**64 - 1, far=0)
        known = KnownIds({"events": forgetful, "exposures": forgetful}, index)
        stored = "SELECT id::VARCHAR FROM events WHERE uuid_extract_version(id) = ? ORDER BY received_at"
        if kind == "new":
            sent = [event(id=str(uuid.uuid4())) for _ in range(500)]
        elif kind == "random":
            ids = file.connection.execute(f"{stored} LIMIT 500 OFFSET 300_000", [4]).fetchall()
            sent = [event(id=id) for (id,) in ids]
        else:
            # Made a day before the last row was received.
            sent = [event(id=str(timed(datetime(2026, 1, 11, 12), 0xFFFF << 50 | n))) for n in range(500)]
        asked: list[int] = []
        profile = tmp_path / "profile.json"

        def profiled(*arguments: Any) -> list[tuple[Any, ...]]:
            rows = real(*arguments)
            read = json.loads(profile.read_text())["query"]
            if "FROM events AS stored" in read["sql"]:
                asked.append(read["total_row_groups_scanned"])
            return rows

        real = commits._asked
        monkeypatch.setattr(commits, "_asked", profiled)
        file.connection.execute("SET enable_profiling = 'json'")
        file.connection.execute(f"SET profiling_output = '{profile}'")
        (receipt,) = commit(file.connection, [batch([], sent)], datetime(2026, 3, 1), known)
        file.connection.execute("RESET enable_profiling")
        index.close()
    # The content is another.
    assert len(receipt.conflicting_events) == (500 if kind == "random" else 0)
    assert bool(asked) == (kind != "new")
    assert all(each <= most for each in asked)


def test_an_index_that_cannot_be_kept_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(indexing, "merged", full)
    monkeypatch.setattr(indexing, "_MOST_FRESH", 1)
    sent = batch([], [event(id=str(uuid.uuid4()))])
    with opened(tmp_path, START) as (file, known):
        assert known.index.wait(60)
        (first,) = commit(file.connection, [sent], START, known)
        known.index.close()
        assert "given up" in caplog.text
        (second,) = commit(file.connection, [sent], START + timedelta(seconds=9), known)
        assert known.index.seconds_of(np.zeros((1, 2), dtype=np.uint64)) is None
    assert not first.duplicate_events
    assert second.duplicate_events == {0}
