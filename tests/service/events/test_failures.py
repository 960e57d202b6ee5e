"""Killed processes and full disks: what was acknowledged is there, once, and the store goes on."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.service.events.conftest import OpenStore
from tests.service.events.items import rows

ROOT = Path(__file__).parents[3]

# Ids tell by themselves which life, batch and item they are of.
SENDER = """
    import asyncio, os, sys
    from pathlib import Path
    from equipoise_service.events.stores.duckdb import file as duckdb_file
    from equipoise_service.events.stores.store import EventStore, open_event_store
    from equipoise_service.settings import Settings
    from tests.service.events.items import batch, event, exposure

    life, directory = int(sys.argv[1]), Path(sys.argv[2])
    # Checkpoints are among the moments to be killed at.
    duckdb_file.CHECKPOINT_THRESHOLD = "256KiB"

    def ids(life, number):
        start = f"{life:08x}-{number // 65536:04x}-7000-8000-{number % 65536:06x}"
        return [f"{start}{item:06x}" for item in range(50)]

    async def send(store, sender):
        for number in range(sender, 100_000, 8):
            made = ids(life, number)
            await store.append(batch([exposure(id=made[0])], [event(id=each) for each in made]))
            os.write(1, f"{life} {number}\\n".encode())

    async def main():
        settings = Settings(data_dir=directory, event_commit_milliseconds=1, analysis_memory_mb=256)
        with open_event_store(settings) as store:
            if life:
                again = batch([], [event(id=each) for each in ids(life - 1, 0)])
                receipt = await store.append(again)
                assert len(receipt.duplicate_events) == 50, receipt
            await asyncio.gather(*(send(store, sender) for sender in range(8)))

    asyncio.run(main())
"""


def run(program: str, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def acknowledged_until_killed(process: "subprocess.Popen[bytes]", seconds: float) -> list[str]:
    """Let a sender run for some time after its first acknowledgement, then kill it."""
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    assert process.wait(30) == -signal.SIGKILL
    # The last line may be torn.
    return (first + rest).decode().split("\n")[:-1]


def test_a_killed_store_has_all_it_acknowledged_once(open_store: OpenStore, tmp_path: Path) -> None:
    moments = random.Random(20260301)
    acknowledged: list[str] = []
    for life in range(6):
        with run(SENDER, str(life), str(tmp_path)) as process:
            acknowledged += acknowledged_until_killed(process, moments.uniform(0, 0.6))
    assert len(acknowledged) > 6
    with open_store() as store:
        exposures = Counter(row["id"] for row in rows(store, "exposures"))
        events = Counter(row["id"] for row in rows(store, "events"))
    assert set(exposures.values()) == set(events.values()) == {1}
    stored = Counter(_batch_of(id) for id in events)
    for line in acknowledged:
        assert stored[line] == 50, f"batch {line} was acknowledged"
    # A batch is stored whole or not at all, acknowledged or not.
    assert set(stored.values()) == {50}
    assert {_batch_of(id) for id in exposures} == set(stored)


def _batch_of(id: str) -> str:
    return f"{int(id[:8], 16)} {int(id[9:13], 16) * 65536 + int(id[24:30], 16)}"


FULL_DISK = """
    import asyncio, os, resource, signal, sys
    from pathlib import Path
    from equipoise_service.errors import Unavailable
    from equipoise_service.events import writer
    from equipoise_service.events.stores.duckdb import file as duckdb_file
    from equipoise_service.events.stores.store import EventStore, open_event_store
    from equipoise_service.settings import Settings
    from tests.service.events.items import batch, event

    # A file that may not grow fails as on a full disk, in the middle of a write.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    directory, threshold = Path(sys.argv[1]), sys.argv[2]
    duckdb_file.CHECKPOINT_THRESHOLD = threshold
    writer._UNHEALTHY_SECONDS = 0.2
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def main():
        acknowledged, failed = 0, 0
        with open_event_store(Settings(data_dir=directory, analysis_memory_mb=256)) as store:
            async def send():
                nonlocal acknowledged, failed
                made = [event(properties={"noise": os.urandom(500).hex()}) for _ in range(200)]
                try:
                    await store.append(batch([], made))
                except Unavailable as error:
                    assert error.headers == {"Retry-After": "5"}
                    failed += 1
                else:
                    acknowledged += 200
            for _ in range(5):
                await send()
            assert failed == 0 and store.healthy()
            largest = max(file.stat().st_size for file in directory.iterdir())
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100_000, unlimited[1]))
            for _ in range(5):
                await send()
            assert failed > 0 and not store.healthy()
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            before = failed
            for _ in range(5):
                await send()
            await asyncio.sleep(0.3)
            assert failed == before and store.healthy(), (failed, before)
            print(acknowledged, flush=True)
            if sys.argv[3] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("end", ["close", "kill"])
@pytest.mark.parametrize("threshold", ["64MiB", "256KiB"])
def test_a_full_disk_is_unavailable_and_then_over(
    open_store: OpenStore, tmp_path: Path, threshold: str, end: str
) -> None:
    with run(FULL_DISK, str(tmp_path), threshold, end) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        assert process.wait(60) == (-signal.SIGKILL if end == "kill" else 0)
    with open_store() as store:
        ids = Counter(row["id"] for row in rows(store, "events"))
    assert set(ids.values()) == {1}
    # A commit that failed may have reached the disk all the same; what was acknowledged must have.
    assert ids.total() >= int(output)
