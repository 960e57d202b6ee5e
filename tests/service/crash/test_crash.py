"""Killed at random moments: what was acknowledged is there, once, and readouts show exactly that."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from tests.postgres import running_server
from tests.service.crash.copies import amid_a_backup, amid_a_backup_command
from tests.service.crash.lives import Parent, Service
from tests.service.crash.rounds import SEED, Rounds

STRIKES: dict[str, Callable[[Rounds, int], None]] = {
    "ingestion": Rounds.amid_ingestion,
    "commit": Rounds.amid_a_commit,
    "refresh": Rounds.amid_a_refresh,
    "backup": amid_a_backup,
    "backup command": amid_a_backup_command,
}

pytestmark = pytest.mark.slow


@pytest.fixture(params=["duckdb", "postgres"])
def service(request: pytest.FixtureRequest, parent: Parent, tmp_path: Path) -> Iterator[Service]:
    settings: dict[str, str] = {}
    if request.param == "postgres":
        settings["EQUIPOISE_EVENT_STORE_URL"] = request.getfixturevalue("postgres_url")
    service = Service(parent, tmp_path, settings)
    yield service
    service.stop()


@pytest.mark.parametrize("moment", STRIKES)
def test_a_killed_service_has_all_it_acknowledged_once(service: Service, moment: str, count: int) -> None:
    tally = Rounds(service).run(count, STRIKES[moment])
    print(f"\n{moment}, seed {SEED}: {tally}")


def test_a_server_that_crashes_keeps_what_was_acknowledged_and_bases_are_right(
    parent: Parent, tmp_path: Path, count: int
) -> None:
    """PostgreSQL ends every connection and recovers from its log when one of its processes is killed."""
    with running_server() as server, server.empty_database() as url:
        service = Service(parent, tmp_path, {"EQUIPOISE_EVENT_STORE_URL": url})
        try:
            strike = partial(Rounds.amid_a_crash, crash=partial(_crash, url))
            tally = Rounds(service).run(count, strike)
        finally:
            service.stop()
    print(f"\nserver, seed {SEED}: {tally}")


def _crash(url: str) -> None:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE application_name = 'equipoise' AND datname = current_database()"
            " ORDER BY backend_start LIMIT 1"
        ).fetchone()
    assert row is not None
    os.kill(row[0], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while True:
        time.sleep(0.1)
        try:
            return psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the server does not come back"
