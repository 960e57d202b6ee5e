"""The SDK under a large configuration and many units: evaluation, parsing, memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from hashlib import sha256
from pathlib import Path

from benchmarks.paired import paired, row
from benchmarks.peers import evaluation_equipoise
from benchmarks.peers.scene import FLAG, Peer, check
from equipoise import assign_many
from equipoise.configuration import load, parse

ROOT = Path(__file__).parents[1]
EXPERIMENTS, FLAGS = 1_000, 5_000
UNITS = 20_000
ROUNDS = 9
MILLIONS = 10

FLAT = f"""
import sys
from pathlib import Path
from benchmarks.peers.evaluation_equipoise import logged

def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4

peer = logged()
for million in range({MILLIONS}):
    for start in range(million * 1_000_000, (million + 1) * 1_000_000, 50_000):
        peer.run([f"user-{{number}}" for number in range(start, start + 50_000)])
    print(resident())
"""


def main() -> None:
    """Print each figure beside its limit."""
    print(f"evaluation at scale: {EXPERIMENTS:,} experiments, {FLAGS:,} flags")
    _evaluation()
    body = json.dumps(evaluation_equipoise.document(EXPERIMENTS - 1)).encode()
    _parsing(body)
    _memory(body)
    _bulk()
    _flat()
    _import()


def _evaluation() -> None:
    """One evaluation with everything loaded, over the same with one experiment alone."""
    loaded = evaluation_equipoise.logged(evaluation_equipoise.document(EXPERIMENTS - 1, FLAGS - EXPERIMENTS))
    alone = evaluation_equipoise.logged()
    units = [f"user-{number}" for number in range(UNITS)]
    for peer in (loaded, alone):
        check(peer)
    measured, floor, ratios = paired(lambda: _micros(loaded, units), lambda: _micros(alone, units), ROUNDS)
    row(
        "one evaluation, over one experiment alone (limit 1.05)",
        f"{measured:.2f} μs",
        f"{floor:.2f} μs",
        ratios,
    )


def _micros(peer: Peer, units: list[str]) -> float:
    begin = time.process_time()
    for _ in range(5):
        peer.run(units)
    return (time.process_time() - begin) / len(units) / 5 * 1e6


def _parsing(body: bytes) -> None:
    def measure() -> float:
        begin = time.process_time()
        configuration = load(body)
        took = (time.process_time() - begin) * 1e3
        del configuration  # to let go of it is not to read it
        return took

    limit = 60.0
    measured, floor, ratios = paired(measure, lambda: limit, ROUNDS)
    row(f"read and compile {EXPERIMENTS:,} experiments", f"{measured:.0f} ms", f"{floor:.0f} ms", ratios)


def _memory(body: bytes) -> None:
    load(body)  # what is imported or made once is not the configuration's
    tracemalloc.start()
    configuration = load(body)
    kept = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    del configuration
    limit = 20.0
    row(f"memory of {EXPERIMENTS:,} experiments", f"{kept:.1f} MB", f"{limit:.0f} MB", [kept / limit])


def _bulk() -> None:
    """A million units in one call, over a loop that hashes the same and does nothing else."""
    document = evaluation_equipoise.document()
    rule, experiment = document["flags"][FLAG]["rules"][0], document["experiments"][FLAG]
    del rule["audience"]
    configuration = parse(document)
    units = [f"user-{number}" for number in range(1_000_000)]
    salt = f"{experiment['salt']}:".encode()

    def bulk() -> float:
        begin = time.process_time()
        assign_many(configuration, FLAG, units)
        return len(units) / (time.process_time() - begin) / 1e6

    def hashing() -> float:
        begin = time.process_time()
        for unit in units:
            sha256(salt + unit.encode()).digest()
        return len(units) / (time.process_time() - begin) / 1e6

    measured, floor, ratios = paired(bulk, hashing, ROUNDS)
    name = "a million units in one call, over hashing them (limit 0.6)"
    row(name, f"{measured:.2f} M/s", f"{floor:.2f} M/s", ratios)


def _flat() -> None:
    """Resident memory of a process after each further million of units that it has never seen."""
    program = subprocess.run(
        [sys.executable, "-c", FLAT], cwd=ROOT, check=True, capture_output=True, text=True
    )
    resident = [int(line) / 1024 for line in program.stdout.split()]
    ratios = [one / resident[1] for one in resident[2:]]
    name = f"resident memory after {MILLIONS} million units, over that after 2"
    row(name, f"{resident[-1]:.1f} MiB", f"{resident[1]:.1f} MiB", ratios)


def _import() -> None:
    """`import equipoise` in a new interpreter, from compiled modules as an installed package has them."""
    program = "import time; begin = time.process_time(); import equipoise; print(time.process_time() - begin)"
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": directory}

        def measure() -> float:
            command = [sys.executable, "-c", program]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            return float(done.stdout) * 1e3

        limit = 30.0
        measured, floor, ratios = paired(measure, lambda: limit, ROUNDS)
    row("import equipoise", f"{measured:.1f} ms", f"{floor:.0f} ms", ratios)
