"""The event store through its public door: real files, real concurrency."""

import asyncio
import hashlib
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.events.conftest import OpenStore
from tests.service.events.items import PLACE, batch, body, event, exposure, read, rows

from equipoise.identifiers import uuid7
from equipoise_service.errors import Unavailable
from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.store import (
    EventStore,
    EventStoreError,
    EventStoreLocked,
    open_event_store,
)
from equipoise_service.settings import Settings

NOTHING: frozenset[int] = frozenset()


def append(store: EventStore, *batches: Batch) -> list[Receipt]:
    """Append batches at the same time."""

    async def together() -> list[Receipt]:
        return await asyncio.wait_for(asyncio.gather(*(store.append(each) for each in batches)), 60)

    return asyncio.run(together())


def test_what_is_acknowledged_is_stored_as_sent(store: EventStore) -> None:
    exposed = exposure(time="2026-03-01T13:00:00.123456+01:00", unit="ü 😀", revision=2)
    happened = event(value=12, properties={"a": [1, None, "é"]}, unit_type="device", unit="x" * 512)
    before = datetime.now(UTC).replace(tzinfo=None)
    assert append(store, batch([exposed], [happened, event()])) == [Receipt(NOTHING, NOTHING)]
    (stored,) = rows(store, "exposures")
    received_at = stored.pop("received_at")
    digest = hashlib.md5("ü 😀".encode(), usedforsecurity=False).digest()
    assert stored.pop("unit_hash") == int.from_bytes(digest[:4], "big") >> 1
    assert before <= received_at <= datetime.now(UTC).replace(tzinfo=None)
    assert stored == {
        "place": PLACE,
        "id": exposed["id"],
        "time": datetime(2026, 3, 1, 12, 0, 0, 123456),
        "unit_type": "user",
        "unit": "ü 😀",
        "experiment": "page",
        "variant": "treatment",
        "revision": 2,
    }
    first, second = rows(store, "events")
    assert (first["name"], first["value"], first["properties"]) == ("purchase", 12.0, '{"a":[1,null,"é"]}')
    assert (first["unit_type"], first["unit"]) == ("device", "x" * 512)
    assert (second["value"], second["properties"], second["received_at"]) == (None, None, received_at)


def test_the_machines_time_zone_changes_nothing(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        with open_store() as store:
            before = datetime.now(UTC).replace(tzinfo=None)
            append(store, batch([], [event(time="2026-03-01T13:00:00+01:00")]))
            (row,) = rows(store, "events")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert row["time"] == datetime(2026, 3, 1, 12)
    assert before <= row["received_at"] <= datetime.now(UTC).replace(tzinfo=None)


def test_readers_know_the_columns_by_their_types(store: EventStore) -> None:
    with store.ibis() as backend:
        schemas = {name: str(backend.table(name).schema()) for name in ("exposures", "events")}
    for text in schemas.values():
        assert "timestamp(6)\n" in text  # without a zone
        assert "uuid" in text
    assert "revision     !int32" in schemas["exposures"]
    assert "value        float64" in schemas["events"]


def test_the_same_again_is_a_duplicate(store: EventStore) -> None:
    sent = batch([exposure()], [event(), event()])
    again = Receipt(frozenset({0}), frozenset({0, 1}))
    assert append(store, sent) == [Receipt(NOTHING, NOTHING)]
    assert append(store, sent) == [again]
    assert append(store, sent) == [again]
    assert (len(rows(store, "exposures")), len(rows(store, "events"))) == (1, 2)


def test_the_first_of_two_with_one_id_is_stored(store: EventStore) -> None:
    one = event(unit="first")
    sent = batch([], [event(), one, {**one, "unit": "second"}, {**one, "id": one["id"].upper()}])
    assert append(store, sent) == [
        Receipt(duplicate_events=frozenset({3}), conflicting_events=frozenset({2}))
    ]
    assert append(store, batch([], [{**one, "unit": "third"}])) == [
        Receipt(conflicting_events=frozenset({0}))
    ]
    assert [row["unit"] for row in rows(store, "events") if row["id"] == one["id"]] == ["first"]


def test_an_exposure_and_an_event_may_share_an_id(store: EventStore) -> None:
    id = uuid7()
    assert append(store, batch([exposure(id=id)], [event(id=id)])) == [Receipt(NOTHING, NOTHING)]


def test_places_do_not_share_ids(store: EventStore) -> None:
    one = event()
    receipts = append(store, *(batch([], [one], place=f"default/{name}") for name in ("a", "b", "a")))
    assert sorted(len(receipt.duplicate_events) for receipt in receipts) == [0, 0, 1]
    assert Counter(row["place"] for row in rows(store, "events")) == {"default/a": 1, "default/b": 1}


def test_batches_that_come_together_with_the_same_items_store_them_once(open_store: OpenStore) -> None:
    with open_store(event_commit_milliseconds=0) as store:
        items = [event() for _ in range(50)]
        receipts = append(store, *(batch([], items[start:] + items[:start]) for start in range(40)))
        assert sum(50 - len(receipt.duplicate_events) for receipt in receipts) == 50
        assert Counter(row["id"] for row in rows(store, "events")) == {item["id"]: 1 for item in items}


def test_many_threads_with_loops_of_their_own(store: EventStore) -> None:
    receipts: list[Receipt] = []
    threads = [
        threading.Thread(target=lambda: receipts.extend(append(store, *(batch([], [event()]),) * 5)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 40
    assert len(rows(store, "events")) == 8


def test_batches_that_come_together_are_committed_together(open_store: OpenStore) -> None:
    with open_store(event_commit_milliseconds=200) as store:
        append(store, *(batch([exposure()], [event()]) for _ in range(20)))
        assert (
            len({row["received_at"] for table in ("events", "exposures") for row in rows(store, table)}) == 1
        )


def test_a_restart_forgets_nothing(open_store: OpenStore) -> None:
    sent = batch([exposure()], [event()])
    with open_store() as store:
        append(store, sent)
        first = rows(store, "events")
    with open_store() as store:
        assert append(store, sent) == [Receipt(frozenset({0}), frozenset({0}))]
        assert rows(store, "events") == first


def test_closing_commits_what_waits(open_store: OpenStore) -> None:
    async def close_while_waiting(store: EventStore) -> Receipt:
        waiting = asyncio.create_task(store.append(batch([], [event()])))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(store.close)
        with pytest.raises(Unavailable, match="closed"):
            await store.append(batch([], [event()]))
        assert not store.healthy()
        return await asyncio.wait_for(waiting, 30)

    store = open_event_store(_settings_of(open_store))
    assert asyncio.run(close_while_waiting(store)) == Receipt(NOTHING, NOTHING)
    with open_store() as store:
        assert len(rows(store, "events")) == 1


def _settings_of(open_store: OpenStore) -> Settings:
    with open_store() as store:
        path: Path = store._engine._file.path
    return Settings(data_dir=path.parent, event_commit_milliseconds=1000)


def test_received_at_grows_with_every_commit_whatever_the_clock_does(
    open_store: OpenStore, tmp_path: Path
) -> None:
    with open_store() as store:
        append(store, batch([], [event(name="past")]))
    future = datetime(2099, 1, 1)
    with duckdb.connect(str(tmp_path / "events.duckdb")) as connection:
        connection.execute("UPDATE events SET received_at = ?", [future])
    with open_store() as store:
        for name in ("a", "b"):
            append(store, batch([exposure()], [event(name=name)]))
        times = {row["name"]: row["received_at"] for row in rows(store, "events")}
    assert future == times["past"] < times["a"] < times["b"]


def test_a_reader_sees_one_snapshot_and_stops_no_writer(store: EventStore) -> None:
    append(store, batch([exposure()], [event()]))
    with store.ibis() as backend:
        append(store, batch([exposure()], [event()]))
        counts = [backend.table(name).count().to_pyarrow().as_py() for name in ("exposures", "events")]
    assert counts == [1, 1]
    assert len(rows(store, "events")) == 2


def test_a_workspace_runs_a_query_as_it_stands(store: EventStore) -> None:
    with store.workspace() as workspace:
        said = 'SELECT \'it\'\'s; -- \\\' AS "a ""text""" -- \''
        assert workspace.rows(said) == [{'a "text"': "it's; -- \\"}]
        workspace.make("told", said)
        assert workspace.rows('SELECT * FROM "told"') == [{'a "text"': "it's; -- \\"}]
        falling = workspace.rows("SELECT number FROM range(300_000) made(number) ORDER BY number DESC")
        assert [row["number"] for row in falling] == list(range(299_999, -1, -1))


def test_a_full_queue_is_unavailable_and_nothing_is_lost(open_store: OpenStore) -> None:
    with open_store(event_queue_items=30, event_commit_milliseconds=100) as store:
        sent = [batch([], [event() for _ in range(10)]) for _ in range(9)]

        async def overflow() -> list[Receipt | BaseException]:
            return list(await asyncio.gather(*(store.append(each) for each in sent), return_exceptions=True))

        results = asyncio.run(overflow())
        taken = [each for each, result in zip(sent, results, strict=True) if isinstance(result, Receipt)]
        assert [isinstance(result, Receipt) for result in results] == [True] * 3 + [False] * 6
        assert isinstance(results[-1], Unavailable)
        assert results[-1].headers == {"Retry-After": "1"}
        assert {row["id"] for row in rows(store, "events")} == {
            item.id for each in taken for item in each.events
        }
        assert store.healthy()
        assert append(store, sent[-1]) == [Receipt(NOTHING, NOTHING)]


def test_the_queue_is_bounded_in_bytes_too(open_store: OpenStore) -> None:
    with open_store(event_queue_items=30, event_commit_milliseconds=100) as store:
        large = [read(body([], [event(properties={"a": "x" * 8000})] * 4)).batch for _ in range(3)]

        async def overflow() -> list[Receipt | BaseException]:
            return list(await asyncio.gather(*(store.append(each) for each in large), return_exceptions=True))

        assert [type(result) for result in asyncio.run(overflow())] == [Receipt, Unavailable, Unavailable]


def test_a_batch_larger_than_the_queue_has_its_turn(open_store: OpenStore) -> None:
    with open_store(event_queue_items=1) as store:
        append(store, batch([], [event() for _ in range(100)]))
        assert len(rows(store, "events")) == 100


def test_an_empty_batch_waits_for_nothing(store: EventStore) -> None:
    assert append(store, batch()) == [Receipt(NOTHING, NOTHING)]


def test_who_gives_up_waiting_disturbs_nobody(open_store: OpenStore) -> None:
    with open_store(event_commit_milliseconds=50) as store:

        async def give_up() -> Receipt:
            first = asyncio.create_task(store.append(batch([], [event()])))
            second = asyncio.create_task(store.append(batch([], [event()])))
            await asyncio.sleep(0)
            first.cancel()
            return await asyncio.wait_for(second, 30)

        assert asyncio.run(give_up()) == Receipt(NOTHING, NOTHING)
        assert len(rows(store, "events")) == 2


def test_a_second_store_of_this_process_is_refused(store: EventStore, open_store: OpenStore) -> None:
    with pytest.raises(EventStoreLocked, match="this process"), open_store():
        pass
    append(store, batch([], [event()]))


def test_a_second_process_is_told_what_to_do(store: EventStore, tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from equipoise_service.events.stores.store import EventStore, EventStoreLocked, open_event_store
from equipoise_service.settings import Settings
try:
    open_event_store(Settings(data_dir=Path(sys.argv[1])))
except EventStoreLocked as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert str(tmp_path / "events.duckdb") in done.stdout
    assert "another process (PID " in done.stdout
    assert "EQUIPOISE_DATA_DIR" in done.stdout


def test_a_file_of_a_newer_release_is_left_alone(open_store: OpenStore, tmp_path: Path) -> None:
    with open_store() as store:
        append(store, batch([], [event()]))
    with duckdb.connect(str(tmp_path / "events.duckdb")) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, now()::TIMESTAMP)")
    with pytest.raises(EventStoreError, match=r"schema version 99.*newer release"), open_store():
        pass
    with duckdb.connect(str(tmp_path / "events.duckdb")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_a_file_that_is_no_event_store_is_left_alone(open_store: OpenStore, tmp_path: Path) -> None:
    file = tmp_path / "events.duckdb"
    file.write_bytes(b"something else" * 1000)
    with pytest.raises(EventStoreError, match="cannot be opened"), open_store():
        pass
    assert file.read_bytes() == b"something else" * 1000


# What a step of a batch is: an item by its number, so that the same one comes again and again.
NUMBERS = st.lists(st.integers(0, 12), max_size=8)
ITEMS = st.tuples(NUMBERS, NUMBERS, st.sampled_from(["default/a", "default/b"]))


@settings(max_examples=30)
@given(st.lists(st.lists(ITEMS, min_size=1, max_size=4), min_size=1, max_size=4), st.integers(0, 2**64))
def test_any_mix_in_any_order_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[Any]], seed: int
) -> None:
    """Against a model: a set of (kind, place, id). Every round is a process's life."""
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {number}")) for number in range(13)]
    directory = tmp_path_factory.mktemp("mix")
    model: Counter[tuple[str, str, str]] = Counter()
    for sent in rounds:
        with open_event_store(Settings(data_dir=directory, event_commit_milliseconds=1)) as store:
            batches = [
                batch(
                    [exposure(id=ids[number]) for number in exposures],
                    [event(id=ids[number]) for number in events],
                    place=place,
                )
                for exposures, events, place in sent
            ]
            for each, receipt in zip(batches, append(store, *batches), strict=True):
                for kind, sent_ids, duplicates in (
                    ("exposures", [item.id for item in each.exposures], receipt.duplicate_exposures),
                    ("events", [item.id for item in each.events], receipt.duplicate_events),
                ):
                    for position, id in enumerate(sent_ids):
                        key = (kind, each.place, id)
                        assert (position in duplicates) == (key in model)
                        model[key] += position not in duplicates
            stored = Counter(
                (kind, row["place"], row["id"])
                for kind in ("exposures", "events")
                for row in rows(store, kind)
            )
        assert stored == model
        assert set(model.values()) <= {1}
