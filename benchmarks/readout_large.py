"""The readout of 10 million units and 100 million events, with much memory and with little, against a fifth.

Needs 8 GB of disk and ten minutes; the large file of facts goes when it is done.
"""

import multiprocessing
import resource
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import readout
from equipoise_service.analysis.store import analyse_store

TIMES = 5
ROUNDS = 3
MUCH, LITTLE = "16GiB", "4GiB"
_METRICS = 5


@dataclass(frozen=True, slots=True)
class Run:
    """What one analysis took.

    Attributes:
        processor: Processor seconds.
        wall: Seconds.
        peak: GiB that the process ever held.
        spilled: GiB that lay on disk at most, of what did not fit into memory.
        units: Units of all arms.
    """

    processor: float
    wall: float
    peak: float
    spilled: float
    units: int


def main() -> None:
    """Print times and memory of each run, and the ratios of times: the medians of some rounds."""
    units, events = readout.UNITS * TIMES, readout.EVENTS * TIMES
    print(f"readout_large: {units:,} units, {events:,} events, {_METRICS} metrics with CUPED")
    small = readout.facts_file(readout.UNITS, readout.EVENTS)
    large = readout.facts_file(units, events)
    processor: dict[str, list[float]] = {MUCH: [], LITTLE: []}
    wall: dict[str, list[float]] = {MUCH: [], LITTLE: []}
    try:
        for _ in range(ROUNDS):
            floor = _row(f"{readout.EVENTS:,} events, {LITTLE} for DuckDB", small, LITTLE)
            for limit in (MUCH, LITTLE):
                found = _row(f"{events:,} events, {limit} for DuckDB", large, limit)
                processor[limit].append(found.processor / floor.processor)
                wall[limit].append(found.wall / floor.wall)
    finally:
        large.unlink()
    for limit in (MUCH, LITTLE):
        print(
            f"  with {limit}: {_told(wall[limit])} times the seconds, {_told(processor[limit])} of processor"
        )


def _told(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def _row(name: str, path: Path, limit: str) -> Run:
    # A process of its own tells its own peak, and if it dies the others do not.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        found = process.submit(_run, path, limit).result()
    times = f"{found.processor:7.1f} processor seconds, {found.wall:7.1f} s"
    memory = f"peak {found.peak:.2f} GiB, {found.spilled:.2f} GiB on disk"
    print(f"  {name:<42} {times}, {memory}, {found.units:,} units", flush=True)
    return found


def _run(path: Path, limit: str) -> Run:
    spill = Path(f"{path}.tmp")
    done, sizes = threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.2):
            sizes.append(sum(each.stat().st_size for each in spill.glob("*") if each.exists()))

    watching = threading.Thread(target=watch)
    with readout.opened(path, limit) as backend:
        watching.start()
        begin = time.perf_counter(), time.process_time()
        try:
            arms = analyse_store(backend, readout.request(_METRICS)).arms.values()
        finally:
            wall, processor = time.perf_counter() - begin[0], time.process_time() - begin[1]
            done.set()
            watching.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return Run(processor, wall, peak, max(sizes) / 1024**3, sum(arm.units for arm in arms))
