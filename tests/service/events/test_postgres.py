"""What PostgreSQL has beyond the contract: many processes, partitions, and a server that goes away."""

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from tests.postgres import PostgresServer, running_server
from tests.service.events.contract import append, batch, event, exposure, rows

from equipoise.identifiers import uuid7
from equipoise_service.errors import Unavailable
from equipoise_service.events.batches import Receipt
from equipoise_service.events.stores.deletions import Old
from equipoise_service.events.stores.postgres import partitions
from equipoise_service.events.stores.store import EventStore, EventStoreError, open_event_store
from equipoise_service.settings import Settings

ROOT = Path(__file__).parents[3]


def opened(url: str, **changes: float) -> EventStore:
    return open_event_store(Settings(event_store_url=url, event_commit_milliseconds=1, **changes))  # type: ignore[arg-type]


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def cut(url: str) -> None:
    """Cut every other connection to the database off."""
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def test_two_stores_at_once_store_every_item_once_and_in_order(postgres_url: str) -> None:
    """Three stores are offered the same items; a reader that follows the stamps misses none."""
    ids = [uuid7() for _ in range(600)]
    seen: Counter[str] = Counter()
    done = threading.Event()

    def follow() -> None:
        watermark = datetime.min
        with opened(postgres_url) as store:
            while True:
                last = done.is_set()
                with store.ibis() as backend:
                    events = backend.table("events")
                    new = events.filter(events.received_at > watermark)
                    new = new.select("received_at", id=new.id.cast("string"))
                    found = new.to_pyarrow().to_pylist()
                seen.update(row["id"] for row in found)
                watermark = max([watermark, *(row["received_at"] for row in found)])
                if last:
                    return

    async def send(store: EventStore, offset: int) -> list[Receipt]:
        order = ids[offset:] + ids[:offset]
        batches = [batch(events=[event(id) for id in order[at : at + 10]]) for at in range(0, 600, 10)]
        return [await store.append(each) for each in batches]

    receipts: list[Receipt] = []

    def write(offset: int) -> None:
        with opened(postgres_url) as store:
            receipts.extend(asyncio.run(send(store, offset)))

    reader = threading.Thread(target=follow)
    writers = [threading.Thread(target=write, args=[offset]) for offset in (0, 5, 300)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(120)
    done.set()
    reader.join(60)
    assert len(receipts) == 180
    assert sum(10 - len(receipt.duplicate_events) for receipt in receipts) == 600
    assert seen == Counter(ids)


PROCESS = """
import asyncio, sys
from equipoise_service.events.stores.store import open_event_store
from equipoise_service.settings import Settings
from tests.service.events.contract import batch, event

async def main():
    new = 0
    with open_event_store(Settings(event_store_url=sys.argv[1])) as store:
        for start in range(0, 300, 20):
            receipt = await store.append(batch(events=[event(id) for id in sys.argv[2:][start:start + 20]]))
            new += 20 - len(receipt.duplicate_events)
    print(new)

asyncio.run(main())
"""


def test_two_processes_that_start_together_share_tables_and_items(postgres_url: str) -> None:
    ids = [uuid7() for _ in range(300)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, postgres_url, *ids], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    accepted = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(accepted) == 300
    with opened(postgres_url) as store:
        assert sorted(row["id"] for row in rows(store, "events")) == sorted(ids)


def test_stamps_grow_though_the_clock_goes_back(postgres_url: str) -> None:
    with opened(postgres_url) as store:
        execute(postgres_url, "SELECT setval('equipoise_events.received_at', 4102444800000000)")
        for _ in range(2):
            append(store, batch(events=[event(uuid7())]))
        times = [row["received_at"] for row in rows(store, "events")]
    assert times == [datetime(2100, 1, 1, 0, 0, 0, 1), datetime(2100, 1, 1, 0, 0, 0, 2)]


def test_a_reader_has_one_snapshot_writes_nothing_and_stops_no_writer(postgres_url: str) -> None:
    with opened(postgres_url) as store:
        append(store, batch([exposure(uuid7())], [event(uuid7())]))
        with store.ibis() as backend:
            append(store, batch([exposure(uuid7())], [event(uuid7())]))
            counts = [backend.table(name).count().to_pyarrow().as_py() for name in ("exposures", "events")]
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                backend.raw_sql("DELETE FROM events")
        assert counts == [1, 1]
        assert len(rows(store, "events")) == 2


def test_connections_that_were_cut_are_made_again(postgres_url: str) -> None:
    with opened(postgres_url) as store:
        for _ in range(3):
            assert append(store, batch(events=[event(uuid7())])) == [Receipt()]
            cut(postgres_url)
        assert store.healthy()
        assert len(rows(store, "events")) == 3


def test_a_server_that_is_away_is_unavailable_and_then_back() -> None:
    with running_server() as server, opened(server.url) as store:
        sent = batch(events=[event(uuid7())])
        append(store, sent)
        assert store.healthy()
        server.stop()
        # Said before any commit failed.
        assert not store.healthy()
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                append(store, batch(events=[event(uuid7())]))
            assert caught.value.headers == {"Retry-After": "5"}
        assert not store.healthy()
        with pytest.raises(psycopg.OperationalError), store.ibis():
            pass
        server.start()
        assert append(store, sent) == [Receipt(duplicate_events=frozenset({0}))]
        assert len(rows(store, "events")) == 1


def test_whoever_is_cut_off_at_any_moment_loses_nothing(postgres_url: str) -> None:
    """Connections are cut all the time; whatever was acknowledged is there, once."""
    acknowledged: Counter[str] = Counter()
    stop = threading.Event()

    def disturb() -> None:
        moments = random.Random(20260301)
        while not stop.wait(moments.uniform(0.02, 0.25)):
            cut(postgres_url)

    async def send(store: EventStore) -> int:
        failures = 0
        for _ in range(150):
            ids = [uuid7() for _ in range(20)]
            while True:
                try:
                    await store.append(batch(events=[event(id) for id in ids]))
                    break
                except Unavailable:
                    failures += 1
            acknowledged.update(ids)
        return failures

    with opened(postgres_url) as store:
        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            asyncio.run(asyncio.wait_for(send(store), 120))
        finally:
            stop.set()
            thread.join()
        assert Counter(row["id"] for row in rows(store, "events")) == acknowledged


def test_a_stopped_process_keeps_the_others_waiting_no_longer_than_its_time(postgres_url: str) -> None:
    with opened(postgres_url) as one:
        append(one, batch(events=[event(uuid7())]))
        connection = one._engine._connection  # type: ignore[attr-defined]
        (timeout,) = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
        connection.rollback()
    assert timeout == "10s"


def partition_of(url: str, table: str = "events") -> dict[str, str]:
    found = execute(url, f"SELECT id::TEXT, tableoid::regclass::TEXT FROM equipoise_events.{table}")
    return {str(id): str(partition).rpartition(".")[2] for id, partition in found}


def at(year: int, month: int, version: int = 7) -> str:
    milliseconds = int(datetime(year, month, 15, tzinfo=UTC).timestamp() * 1000)
    return str(UUID(int=(milliseconds << 80) | (version << 76) | (2 << 62) | 1))


def test_every_month_has_a_partition_and_what_fits_none_has_another(postgres_url: str) -> None:
    now = datetime.now(UTC)
    recent, scattered = at(now.year - 1, 3), str(uuid4())
    early, late, other = at(1999, 12), at(now.year + 3, 1), at(now.year - 1, 4, version=1)
    with opened(postgres_url) as store:
        append(
            store, batch([exposure(recent)], [event(id) for id in (recent, early, late, other, scattered)])
        )
    found = partition_of(postgres_url)
    assert found[recent] == f"events_{now.year - 1}03"
    assert {found[id] for id in (early, late, other)} == {"events_other"}
    assert partition_of(postgres_url, "exposures") == {recent: f"exposures_{now.year - 1}03"}
    names = {str(name) for (name,) in execute(postgres_url, "SELECT relname FROM pg_class")}
    ahead = [(now.year * 12 + now.month - 1 + months) for months in range(3)]
    assert {f"events_{month // 12}{month % 12 + 1:02d}" for month in ahead} <= names


def test_a_partition_made_late_takes_over_what_lies_elsewhere(postgres_url: str) -> None:
    """A reader keeps the partition from being made for a while; nothing waits for it, nothing is lost."""
    year = datetime.now(UTC).year - 2
    first, second = at(year, 5), at(year, 5)[:-1] + "2"
    with opened(postgres_url) as store:
        append(store, batch(events=[event(uuid7())]))
        with store.ibis() as backend:
            backend.table("events").count().to_pyarrow()
            begin = time.monotonic()
            assert append(store, batch(events=[event(first)])) == [Receipt()]
            assert time.monotonic() - begin < 20
        assert partition_of(postgres_url)[first] == "events_other"
        store._engine._no_partitions_before = float("-inf")  # type: ignore[attr-defined]
        assert append(store, batch(events=[event(second), event(first)])) == [
            Receipt(duplicate_events=frozenset({1}))
        ]
    found = partition_of(postgres_url)
    assert found[first] == found[second] == f"events_{year}05"


def test_nobody_gets_partitions_without_end() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    ids = b"".join(UUID(at(year, month)).bytes for year in range(1971, 2200) for month in range(1, 13))
    wanted = partitions.partitions_of("events", ids, now)
    assert len(wanted) == 123
    assert ("events", 56 * 12 + 4) in wanted
    assert ("events", 56 * 12 + 5) not in wanted


def test_ids_are_looked_up_in_their_partition_alone(postgres_url: str) -> None:
    """However many months are stored, an item is searched in one of them."""
    year = datetime.now(UTC).year - 1
    with opened(postgres_url) as store:
        append(store, batch(events=[event(at(year, month)) for month in range(1, 13)]))
        execute(postgres_url, "ANALYZE")
        explain = (
            "EXPLAIN (ANALYZE, FORMAT TEXT) SELECT o.id FROM"
            f" (VALUES ('default/a', '{at(year, 6)}'::UUID)) AS o(place, id)"
            " WHERE NOT EXISTS (SELECT FROM equipoise_events.events AS s"
            " WHERE s.place = o.place AND s.id = o.id OFFSET 0)"
        )
        plan = "\n".join(str(line) for (line,) in execute(postgres_url, explain))
    touched = [line for line in plan.splitlines() if "Scan" in line and "never executed" not in line]
    assert len(touched) <= 2, plan


def test_tables_of_a_newer_release_are_left_alone(postgres_url: str) -> None:
    opened(postgres_url).close()
    execute(postgres_url, "INSERT INTO equipoise_events.schema_version VALUES (99, now())")
    with pytest.raises(EventStoreError, match=r"schema version 99.*newer release"):
        opened(postgres_url)


@pytest.fixture
def user_url(postgres_server: PostgresServer, postgres_url: str) -> str:
    """URL of the database for a user who may do nothing but connect."""
    name = f"user_{uuid4().hex[:8]}"
    execute(postgres_url, f"CREATE ROLE {name} LOGIN PASSWORD 's3cret'")
    base, _, rest = postgres_url.partition("://")
    return f"{base}://{name}:s3cret@{rest.rpartition('@')[2]}"


def test_a_user_without_rights_is_told_what_is_missing(user_url: str, postgres_url: str) -> None:
    with pytest.raises(EventStoreError, match="CREATE SCHEMA equipoise_events AUTHORIZATION") as caught:
        opened(user_url)
    assert "s3cret" not in str(caught.value)
    name = user_url.partition("://")[2].partition(":")[0]
    execute(postgres_url, f"CREATE SCHEMA equipoise_events AUTHORIZATION {name}")
    with opened(user_url) as store:
        assert append(store, batch([exposure(uuid7())], [event(uuid7())])) == [Receipt()]
        assert len(rows(store, "events")) == 1


def test_a_server_that_does_not_answer_is_told_without_the_password() -> None:
    with pytest.raises(EventStoreError, match="cannot be used") as caught:
        opened("postgresql://someone:s3cret@127.0.0.1:1/events")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(Settings(event_store_url="postgresql://someone:s3cret@127.0.0.1:1/events"))


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("postgresql://u@127.0.0.1/events", "psycopg", "postgres"),
        ("clickhouse://u@127.0.0.1/events", "clickhouse_connect", "clickhouse"),
    ],
)
def test_a_missing_driver_is_named(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == module or ".stores.postgres" in name or ".stores.clickhouse" in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EventStoreError, match=rf"equipoise-service\[{extra}\]"):
        opened(url)


def test_a_month_of_which_nothing_stays_goes_as_a_whole(postgres_url: str) -> None:
    """A dropped partition leaves nothing behind to be cleaned up; one with something else in it stays."""
    times = [datetime(2025, month, day, tzinfo=UTC) for month in (1, 2) for day in (1, 20)]
    ids = [str(UUID(int=(int(each.timestamp() * 1000) << 80) | (7 << 76))) for each in times]
    sent = [event(id, time=each) for id, each in zip(ids, times, strict=True)]
    names = "SELECT relname FROM pg_class WHERE relname ~ '^events_20250.$' AND relkind = 'r' ORDER BY 1"
    with opened(postgres_url) as store:
        append(store, batch(events=sent))
        assert execute(postgres_url, names) == [("events_202501",), ("events_202502",)]
        old = Old("events", {"default/a": datetime(2025, 2, 10)})
        assert (store.delete_old(old, 100), store.delete_old(old, 100)) == (3, 0)
        assert execute(postgres_url, names) == [("events_202502",)]
        assert [row["time"].month for row in rows(store, "events")] == [2]
        with store.ibis() as backend:
            backend.table("events").count().to_pyarrow()
            # Who reads keeps it from being dropped, not its rows from being deleted.
            assert store.delete_old(Old("events", {"default/a": datetime(2025, 3, 1)}), 100) == 1
        assert execute(postgres_url, names) == [("events_202502",)]


def test_of_tables_that_belong_together_none_goes_while_one_is_read(postgres_url: str) -> None:
    """Who has read one of a base's tables reads the others next."""
    with opened(postgres_url) as store:
        append(store, batch([exposure(str(uuid4()))]))
        with store.workspace() as workspace:
            units = workspace.backend.table("exposures").select("unit")
            for name in ("base_1", "base_1_bots", "base_2"):
                workspace.keep(name, units, lasting=True)
        with store.workspace() as reading:
            assert len(reading.rows(str(reading.backend.compile(reading.table("base_1_bots"))))) == 1
            with store.workspace() as workspace:
                workspace.forget("base_1", "base_1_bots")
                workspace.forget("base_2")
            assert len(reading.rows(str(reading.backend.compile(reading.table("base_1"))))) == 1
        with store.workspace() as workspace:
            assert sorted(workspace.kept("base_")) == ["base_1", "base_1_bots"]
            workspace.forget("base_1", "base_1_bots")
        with store.workspace() as workspace:
            assert workspace.kept("base_") == []
