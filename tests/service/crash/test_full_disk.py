"""A disk without room: ingestion says so, loses nothing, and goes on when there is room again."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.postgres import running_server
from tests.service.crash.lives import Parent, Service, exchange
from tests.service.crash.rounds import Rounds

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
pytestmark = [pytest.mark.slow, only_root]

Place = Callable[[Parent, Path, Path], AbstractContextManager[Service]]
MEGABYTE = 1 << 20
SIZE = 192 * MEGABYTE
LEFT = 3 * MEGABYTE


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of its own, small."""
    with tempfile.TemporaryDirectory(prefix="equipoise-disk-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", name]
        if subprocess.run(mounting, check=False, capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
        try:
            yield directory
        finally:
            subprocess.run(["umount", name], check=True)


@contextmanager
def on_duckdb(parent: Parent, disk: Path, tmp_path: Path) -> Iterator[Service]:
    """With its data, those of events and of all else, on the disk."""
    (tmp_path / "data").symlink_to(disk)
    yield Service(parent, tmp_path)


@contextmanager
def on_postgres(parent: Parent, disk: Path, tmp_path: Path) -> Iterator[Service]:
    """With the tables of its database on the disk."""
    with running_server() as server:
        place = disk / "tables"
        place.mkdir()
        owner = server._data.stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        server._execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        server._execute("CREATE DATABASE events TEMPLATE template0 TABLESPACE small")
        yield Service(parent, tmp_path, {"EQUIPOISE_EVENT_STORE_URL": server.database_url("events")})


@pytest.mark.parametrize("place", [on_duckdb, on_postgres], ids=["duckdb", "postgres"])
def test_a_full_disk_is_told_and_then_over(place: Place, parent: Parent, disk: Path, tmp_path: Path) -> None:
    with place(parent, disk, tmp_path) as service:
        fill_and_make_room(Rounds(service), disk)


def fill_and_make_room(rounds: Rounds, disk: Path, left: int = LEFT) -> None:
    """Send to a service whose event store has its data on a disk that is full for a while.

    Args:
        rounds: The service, which is started and stopped.
        disk: The disk.
        left: How many bytes are left on it for what is sent until it is full.
    """
    service = rounds.service
    service.start()
    try:
        assert send(rounds) == 200
        ballast = disk / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - left)
        full: list[int] = []
        for _ in range(40):
            status = send(rounds)
            full += [status] if status != 200 else []
            if len(full) == 10:
                break
        assert len(full) > 3, "the disk was not full"
        assert set(full) <= {503, 507}
        with service.connected() as connection:
            assert exchange(connection, service.key, "GET", "/readyz")[0] == 503
        ballast.unlink()
        deadline = time.monotonic() + 30
        while send(rounds) != 200:
            assert time.monotonic() < deadline, service.log()
            time.sleep(0.1)
        service.await_ready()
        rounds.check(0)
        # What the failed commits left in the files holds nothing up at the next start either.
        service.kill()
        service.start()
        rounds.check(1)
    finally:
        service.stop()


def send(rounds: Rounds) -> int:
    """Send a batch; the status of the answer."""
    sent = rounds.ledger.new(400, 1600)
    with rounds.service.connected() as connection:
        status, answer = exchange(connection, rounds.service.key, "POST", "/v1/events", sent.body)
    if status == 200:
        assert json.loads(answer)["accepted"] == sent.size
        rounds.ledger.acknowledge(sent)
    else:
        assert json.loads(answer)["type"] == "urn:equipoise:problem:busy"
    return status
