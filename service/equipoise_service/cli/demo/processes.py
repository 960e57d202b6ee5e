"""The simulation in several processes at once, as a real backend would use the SDK."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.queues import Queue
from queue import Empty
from typing import Final

from equipoise_service.cli.demo.simulation import Report, simulate
from equipoise_service.cli.failures import Failure

PROCESSES: Final = 2
_Message = tuple[int, int | Report]


def simulate_in_processes(
    url: str, key: str, users: int, tell: Callable[[int], None], watch: Callable[[], None]
) -> list[Report]:
    """Share users among processes and wait for them.

    Args:
        url: The service.
        key: A key with the scopes `evaluate` and `ingest`.
        users: How many in all.
        tell: Told how many users are done in all, now and then.
        watch: Called a few times a second; what it raises ends the simulation.

    Returns:
        What each process did.

    Raises:
        Failure: A process did not do its part.
    """
    # Not fork: the caller may have threads.
    context = multiprocessing.get_context("spawn")
    messages: Queue[_Message] = context.Queue()
    shares = [users // PROCESSES + (index < users % PROCESSES) for index in range(PROCESSES)]
    processes = [
        context.Process(target=_work, args=(url, key, share, index, messages), daemon=True)
        for index, share in enumerate(shares)
    ]
    try:
        for process in processes:
            process.start()
        reports = _gather(processes, messages, tell, watch)
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()
    return reports


def _gather(
    processes: list["multiprocessing.context.SpawnProcess"],
    messages: "Queue[_Message]",
    tell: Callable[[int], None],
    watch: Callable[[], None],
) -> list[Report]:
    done = [0] * len(processes)
    reports: dict[int, Report] = {}
    while len(reports) < len(processes):
        watch()
        # Looked at before the queue: what an ended process has sent is there already.
        ended = {index for index, process in enumerate(processes) if process.exitcode is not None}
        try:
            index, message = messages.get(timeout=0.2)
        except Empty:
            missing = ended - reports.keys()
            if missing:
                codes = ", ".join(str(processes[index].exitcode) for index in sorted(missing))
                raise Failure(
                    f"A process of the simulation ended before its work was done ({codes})."
                ) from None
            continue
        if isinstance(message, Report):
            if message.problem:
                raise Failure(message.problem)
            reports[index] = message
        else:
            done[index] = message
            tell(sum(done))
    return [reports[index] for index in sorted(reports)]


def _work(url: str, key: str, users: int, index: int, messages: "Queue[_Message]") -> None:
    # Ctrl-C reaches every process of the terminal; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    report = simulate(url, key, users, index, lambda done: messages.put((index, done)))
    messages.put((index, report))
