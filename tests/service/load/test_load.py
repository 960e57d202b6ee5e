"""Mixed traffic at 80 % of the measured limit; `make load` has fifteen minutes of it, `make test` seconds.

The limit is of all together on one machine: what the clients' processes, whose SDKs encode and send, get
acknowledged without a pause while the other requests come. The service alone could take more.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.service.load.requests import Requests
from tests.service.load.scene import EVENTS_A_UNIT, EXPERIMENT
from tests.service.running import RunningService, running_service

from equipoise.identifiers import uuid7

ROOT = Path(__file__).parents[3]
CLIENTS = 2
SHARE = 0.8
BATCH = 500
POOL_MIB = 512
# What the service holds beside DuckDB's pool, at most.
BESIDE_MIB = 700
# How much memory may grow after the warm-up, by the straight line through the samples, as a share.
FLAT = 0.10
WARM_UP = 0.4
LONG = 300.0


class Client:
    """A process with an SDK client, see `client.py`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def begin(self, units_per_second: float | None, seconds: float) -> None:
        assert self._process.stdin is not None
        told = {"units_per_second": units_per_second, "seconds": seconds}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


@contextmanager
def clients(service: RunningService) -> Iterator[list[Client]]:
    with ExitStack() as stack:
        started = []
        for _ in range(CLIENTS):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.service.load.client", service.url, service.key],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            stack.enter_context(process)
            started.append(Client(process))
        yield started


def traffic(
    all_clients: list[Client], units_per_second: float | None, seconds: float
) -> list[dict[str, Any]]:
    """Let all clients log for some time; what became of it, when all of it is delivered."""
    for each in all_clients:
        each.begin(None if units_per_second is None else units_per_second / CLIENTS, seconds)
    return [each.result() for each in all_clients]


def others(service: RunningService) -> dict[str, Requests]:
    """The requests that come beside the clients' own."""

    def batch() -> bytes:
        now = datetime.now(UTC).isoformat()
        items = [{"id": uuid7(), "time": now, "unit": f"b{n}", "name": "spent"} for n in range(BATCH)]
        return json.dumps({"events": items}).encode()

    asked = json.dumps({"flag": EXPERIMENT, "unit": "u"}).encode()
    port, key = service.process.port, service.key
    return {
        "a batch of 500": Requests(port, key, 0.5, "POST", "/v1/events", batch),
        "assignment": Requests(port, key, 0.05, "POST", "/v1/assignments", lambda: asked),
        "configuration": Requests(port, key, 0.2, "GET", "/v1/config"),
        "readout": Requests(port, key, 5.0, "GET", f"/v1/experiments/{EXPERIMENT}/readout?wait=60"),
    }


def resident_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def together(asking: dict[str, Requests], pid: int, memory: list[tuple[float, float]]) -> Iterator[None]:
    """Ask all that, and note the memory of a process, while the block runs."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            memory.append((time.monotonic(), resident_mib(pid)))

    threads = [threading.Thread(target=each.run, args=(ended,)) for each in asking.values()]
    threads.append(threading.Thread(target=watch))
    for each in threads:
        each.start()
    try:
        yield
    finally:
        ended.set()
        for each in threads:
            each.join()


def growth(memory: list[tuple[float, float]]) -> float:
    """What memory grew by after the warm-up, by the straight line through the samples, as a share."""
    late = memory[int(WARM_UP * len(memory)) :]
    moments, sizes = zip(*late, strict=True)
    slope: float = statistics.linear_regression(moments, sizes).slope
    return slope * float(moments[-1] - moments[0]) / float(statistics.median(sizes))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process as Linux tells it")
def test_mixed_traffic_loses_nothing_and_memory_stays_flat(tmp_path: Path) -> None:
    seconds = float(os.environ.get("EQUIPOISE_TEST_LOAD_SECONDS", "20"))
    settings = {"EQUIPOISE_ANALYSIS_MEMORY_MB": str(POOL_MIB)}
    memory: list[tuple[float, float]] = []
    with running_service(tmp_path, **settings) as service:
        service.start_experiment(definition())
        assert service.process._process is not None
        pid = service.process._process.pid
        with clients(service) as all_clients:
            before = others(service)
            with together(before, pid, []):
                warm = traffic(all_clients, None, 2)
                measured = traffic(all_clients, None, min(30.0, max(4.0, seconds / 5)))
            limit = sum(each["accepted"] / each["seconds"] for each in measured)
            asking = others(service)
            begin = time.monotonic()
            with together(asking, pid, memory):
                pace = SHARE * limit / (1 + EVENTS_A_UNIT)
                loaded = traffic(all_clients, pace, seconds)
            took = time.monotonic() - begin
        acknowledged = sum(each["accepted"] for each in [*warm, *measured, *loaded])
        acknowledged += before["a batch of 500"].accepted + asking["a batch of 500"].accepted
        stored = service.facts(
            "SELECT count(*), count(DISTINCT id) FROM"
            " (SELECT id FROM exposures UNION ALL SELECT id FROM events)"
        )[0]
    accepted = sum(each["accepted"] for each in loaded)
    grown = growth(memory)
    print(f"\nmixed traffic, {CLIENTS} SDK processes, {seconds:.0f} s on {os.cpu_count()} cores")
    print(f"  limit {limit:,.0f} items/s; load {accepted / took:,.0f} items/s")
    print(f"  acknowledged {acknowledged:,}, stored {stored[0]:,}, distinct {stored[1]:,}")
    for name, each in asking.items():
        print(
            f"  {name:<15} {len(each.latencies):>6} answers, p50 {each.quantile(0.5):7.1f} ms,"
            f" p99 {each.quantile(0.99):7.1f} ms"
        )
    sizes = [size for _, size in memory]
    print(f"  memory {sizes[0]:.0f} MiB at first, {max(sizes):.0f} at most, grown {grown:+.1%} after warm-up")
    for part in [*warm, *measured, *loaded]:
        assert (part["dropped"], part["refused"], part["pending"]) == (0, 0, 0)
    for requests in [*before.values(), *asking.values()]:
        assert requests.failures == []
    assert stored == (acknowledged, acknowledged)
    assert accepted == sum(each["units"] for each in loaded) * (1 + EVENTS_A_UNIT)
    assert accepted > 0.9 * SHARE * limit * seconds, "the clients did not keep their pace"
    assert max(sizes) < POOL_MIB + BESIDE_MIB
    if seconds >= LONG:
        assert grown < FLAT


def definition() -> dict[str, Any]:
    return {
        "key": EXPERIMENT,
        "name": "Load",
        "variants": [{"key": "a", "value": "a", "control": True}, {"key": "b", "value": "b"}],
        "metrics": [{"key": "spent", "type": "mean", "event": "spent"}],
    }
