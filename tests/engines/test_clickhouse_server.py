"""Services on a ClickHouse of its own process: several at once, away and back, on a full disk, restored.

What serves is the real engine behind a front of ours, see `clickhouse_server.py`.
"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.engines.clickhouse_server import ClickhouseServer, running_clickhouse
from tests.postgres import PostgresServer
from tests.service.crash.conftest import parent
from tests.service.crash.ledger import Sent
from tests.service.crash.lives import Parent, Service, exchange
from tests.service.crash.restoring import back_up_amid_traffic, documented, examine, run_documented
from tests.service.crash.rounds import Rounds
from tests.service.crash.test_full_disk import disk, fill_and_make_room, only_root

__all__ = ["disk", "parent"]
SECONDS = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickhouseServer]:
    place = tmp_path / "clickhouse"
    place.mkdir()
    with running_clickhouse(place) as server:
        yield server


def on(server: ClickhouseServer, metadata: str, database: str = "equipoise") -> dict[str, str]:
    """The settings of a service."""
    return {
        "EQUIPOISE_DATABASE_URL": metadata,
        "EQUIPOISE_EVENT_STORE_URL": server.database_url(database),
    }


def another(service: Service, name: str, settings: dict[str, str]) -> Service:
    """A service with the same keys, in a directory of its own."""
    place = service.directory / name
    place.mkdir()
    return Service(service.parent, place, settings, key=service.key)


def send(service: Service, sent: Sent) -> dict[str, int] | None:
    """Send a batch, and acknowledge it; what became of it, or None where it is to be sent again."""
    headers = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}
    with service.connected() as connection:
        connection.request("POST", "/v1/events", sent.body, headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    if answer.status != 200:
        assert (answer.status, answer.getheader("Retry-After")) == (503, "5"), body
        return None
    assert body["refused"] == 0
    assert body["accepted"] + body["duplicate"] == sent.size
    return dict(body)


def test_two_processes_count_once_what_is_sent_to_both(
    server: ClickhouseServer, postgres_url: str, parent: Parent, tmp_path: Path
) -> None:
    """At once, and one after the other; and one that is killed leaves nothing to the other but its work."""
    one = Service(parent, tmp_path, on(server, postgres_url))
    one.start()
    other = another(one, "other", one.settings)
    other.start()
    rounds = Rounds(one, whole=False)
    # What both stored at the same moment stays there twice, for the views to show once.
    server.execute("SYSTEM STOP MERGES")
    with ThreadPoolExecutor(2) as threads:
        for _ in range(15):
            sent = rounds.ledger.new(100, 400)
            assert all(threads.map(send, (one, other), (sent, sent)))
            rounds.ledger.acknowledge(sent)
    for first, second in ((one, other), (other, one)):
        sent = rounds.ledger.new(10, 40)
        for service, became in ((first, "accepted"), (second, "duplicate")):
            answer = send(service, sent)
            assert answer is not None
            assert answer[became] == sent.size
        rounds.ledger.acknowledge(sent)
    rounds.check(0)
    there = Rounds(other, False, rounds.ledger)
    with there.sending(2, 5, 20):
        rounds.amid_ingestion(0)
    twice = "SELECT count() FROM (SELECT id FROM equipoise.events_parts GROUP BY id HAVING count() > 1)"
    print(f"{server.execute(twice).strip()} events are in the parts twice")
    rounds.check(0)
    there.check(0)
    one.stop()
    other.stop()


def test_a_server_that_is_killed_and_comes_back_has_all_that_was_acknowledged_once(
    server: ClickhouseServer, postgres_url: str, parent: Parent, tmp_path: Path
) -> None:
    """The service answers 503 meanwhile, and goes on without a restart."""
    service = Service(parent, tmp_path, on(server, postgres_url))
    service.start()
    rounds = Rounds(service, whole=False)
    for number in range(2):
        with sending_on(rounds) as refused:
            time.sleep(rounds.moments.uniform(0.1, 0.6))
            server.kill()
            wait(refused)
            for path, expected in (("/readyz", 503), ("/healthz", 200), ("/v1/config", 200)):
                with service.connected() as connection:
                    assert exchange(connection, service.key, "GET", path)[0] == expected
            server.start()
            service.await_ready()
        assert not rounds.ledger.pending()
        rounds.check(number)
    service.stop()


@contextmanager
def sending_on(rounds: Rounds) -> Iterator[list[int]]:
    """Send batches from several senders, each until it is acknowledged, as an SDK does; what was refused."""
    ended = threading.Event()
    refused: list[int] = []

    def send_all() -> None:
        while not ended.is_set():
            sent = rounds.ledger.new(5, 20)
            deadline = time.monotonic() + SECONDS
            while send(rounds.service, sent) is None:
                refused.append(sent.number)
                assert time.monotonic() < deadline
                time.sleep(0.05)
            rounds.ledger.acknowledge(sent)

    with ThreadPoolExecutor(3) as threads:
        senders = [threads.submit(send_all) for _ in range(3)]
        try:
            yield refused
        finally:
            ended.set()
        for each in senders:
            each.result(SECONDS)


def wait(refused: list[int]) -> None:
    """Wait until some batches were refused."""
    deadline = time.monotonic() + SECONDS
    while len(refused) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@only_root
def test_a_full_disk_is_told_and_then_over(
    disk: Path, postgres_url: str, parent: Parent, tmp_path: Path
) -> None:
    with running_clickhouse(disk) as server:
        service = Service(parent, tmp_path, on(server, postgres_url))
        # A part is begun where a MiB is free, and is small.
        fill_and_make_room(Rounds(service, whole=False), disk, left=(1 << 20) + (1 << 18))


def test_what_was_acknowledged_before_a_backup_is_in_the_restored_database_once(
    server: ClickhouseServer, postgres_server: PostgresServer, parent: Parent, tmp_path: Path
) -> None:
    """The events are backed up first, the metadata after them, as the guide says."""
    with postgres_server.empty_database() as url, postgres_server.empty_database() as metadata:
        service = Service(parent, tmp_path, on(server, url))
        rounds = Rounds(service, whole=False)

        def back_up() -> None:
            server.execute(documented("BACKUP "))
            run_documented("pg_dump", tmp_path, url)

        taken = back_up_amid_traffic(rounds, back_up)
        server.execute("DROP DATABASE equipoise SYNC")
        server.execute(documented("RESTORE "))
        run_documented("pg_restore", tmp_path, metadata)
        examine(rounds, taken, another(service, "restored", on(server, metadata)))
