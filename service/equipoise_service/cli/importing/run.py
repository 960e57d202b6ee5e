"""An import from its first row to its last: read, make items, send, count."""

import csv
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Final

import duckdb

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.importing.checkpoint import Checkpoint
from equipoise_service.cli.importing.delivery import Delivery, Outcome, Stopped
from equipoise_service.cli.importing.display import Display
from equipoise_service.cli.importing.items import Batch, Refusal, batch_of
from equipoise_service.cli.importing.mapping import Mapping
from equipoise_service.cli.importing.source import (
    Source,
    connect,
    count_rows,
    open_source,
    read_prefix,
    read_rows,
)
from equipoise_service.cli.importing.tally import Tally

_BATCH_ITEMS: Final = 4_000
_SENDERS: Final = 4
_MOST_UNDER_WAY: Final = 8
_HOPELESS_REFUSALS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Job:
    """What to import, and where.

    Attributes:
        path: The file.
        mapping: Its columns.
        url: The service.
        key: A key with the scope `ingest`.
        patience: For how many seconds a service that takes nothing is tried again.
        restart: Whether to begin with the first row whatever was done before.
        refused: Where to write what was refused, as CSV.
    """

    path: Path
    mapping: Mapping
    url: str
    key: str
    patience: float
    restart: bool
    refused: Path | None


@dataclass(frozen=True, slots=True)
class Result:
    """What an import did.

    Attributes:
        tally: Where everything ended, with what earlier runs of it did.
        rows: How many rows were read this time.
        seconds: How long it took.
    """

    tally: Tally
    rows: int
    seconds: float


class Interrupted(Exception):
    """A person stopped the import; the message says how to go on."""


def run_import(job: Job) -> Result:
    """Import a file.

    Raises:
        Failure: It cannot be done, or not to its end; the message says how to go on.
        Interrupted: A person pressed Ctrl-C.
    """
    began = monotonic()
    source = open_source(job.path, job.mapping)
    checkpoint = Checkpoint(source, job.mapping, job.url, job.key)
    if job.restart:
        checkpoint.remove()
    tally = checkpoint.load() or Tally()
    done_before = tally.rows
    with Display(job.path.name, done_before) as display, ExitStack() as stack:
        if done_before:
            display.notice(f"Going on after row {done_before:,}, where the last import of this file stopped.")
        checkpoint.save(tally, now=True)
        if checkpoint.problem:
            display.notice(
                f"No checkpoint can be written, so a stopped import begins anew: {checkpoint.problem}."
            )
        record = stack.enter_context(_refused_file(job.refused, append=done_before > 0))
        stack.enter_context(_counting(source, display))
        try:
            _send_all(source, job, tally, _Progress(display, checkpoint, record), display)
        except Failure as error:
            if not tally.taken:
                checkpoint.remove()  # what was refused is worth another try when its cause is gone
                raise
            checkpoint.save(tally, now=True)
            raise Failure(f"{error}\n{_advice(tally, checkpoint)}") from None
        except KeyboardInterrupt:
            checkpoint.save(tally, now=True)
            raise Interrupted(f"Stopped. {_advice(tally, checkpoint)}") from None
    checkpoint.remove()
    return Result(tally, tally.rows - done_before, monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Progress:
    """Where the outcome of a batch is told."""

    display: Display
    checkpoint: Checkpoint
    record: Callable[[list[Refusal]], None]

    def settle(self, tally: Tally, batch: Batch, outcome: Outcome) -> None:
        self.record(outcome.refusals)
        tally.add(batch.last_row, outcome.accepted, outcome.duplicate, outcome.refusals)
        self.checkpoint.save(tally)
        self.display.show(tally.rows)


def _send_all(source: Source, job: Job, tally: Tally, progress: _Progress, display: Display) -> None:
    """Send what is left, several batches at a time, and settle them in the order of their rows."""
    under_way: deque[tuple[Batch, Future[Outcome]]] = deque()
    with (
        Delivery(job.url, job.key, job.patience, display.notice) as delivery,
        ThreadPoolExecutor(_SENDERS, thread_name_prefix="equipoise-import") as pool,
    ):
        try:
            for batch in _batches(source, job.mapping, skip=tally.rows):
                if len(under_way) >= _MOST_UNDER_WAY:
                    _settle_oldest(under_way, tally, progress)
                under_way.append((batch, pool.submit(delivery.send, batch)))
            while under_way:
                _settle_oldest(under_way, tally, progress)
        finally:
            delivery.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            _settle_finished(under_way, tally, progress)


def _settle_oldest(
    under_way: deque[tuple[Batch, Future[Outcome]]], tally: Tally, progress: _Progress
) -> None:
    batch, future = under_way[0]
    outcome = future.result()
    under_way.popleft()
    progress.settle(tally, batch, outcome)
    if not tally.taken and tally.refusals >= _HOPELESS_REFUSALS:
        worst = max(tally.refused, key=lambda each: each.count)
        raise Failure(
            f"Nothing of the first {tally.rows:,} rows was taken, so the import stopped. Most often: "
            f"{worst.item}: {worst.reason} (the first is row {worst.rows[0]:,})."
        )


def _settle_finished(
    under_way: deque[tuple[Batch, Future[Outcome]]], tally: Tally, progress: _Progress
) -> None:
    """After a failure, settle the batches that came to their end, up to the first that did not."""
    with suppress(Failure, Stopped):
        while under_way and under_way[0][1].done() and not under_way[0][1].cancelled():
            batch, future = under_way.popleft()
            progress.settle(tally, batch, future.result())


def _batches(source: Source, mapping: Mapping, skip: int) -> Iterator[Batch]:
    """Batches of about `_BATCH_ITEMS` items, which together cover every row after the first `skip`."""
    prefix = read_prefix(source, mapping)
    gathered: Batch | None = None
    for rows in read_rows(source, mapping, skip=skip, chunk=max(1, _BATCH_ITEMS // mapping.items_per_row)):
        made = batch_of(rows, mapping, prefix)
        gathered = made if gathered is None else _joined(gathered, made)
        if len(gathered) + len(gathered.refusals) >= _BATCH_ITEMS // 2:
            yield gathered
            gathered = None
    if gathered is not None:
        yield gathered


def _joined(first: Batch, second: Batch) -> Batch:
    return Batch(
        second.last_row,
        first.exposures + second.exposures,
        first.events + second.events,
        first.refusals + second.refusals,
    )


def _advice(tally: Tally, checkpoint: Checkpoint) -> str:
    if checkpoint.problem:
        return (
            f"{tally.rows:,} rows are done. The same command begins with the first row again, as no "
            f"checkpoint can be written ({checkpoint.problem}); nothing will be counted twice."
        )
    if not tally.rows:
        return "No row is done."
    return f"{tally.rows:,} rows are done. The same command goes on after them; nothing is counted twice."


@contextmanager
def _counting(source: Source, display: Display) -> Iterator[None]:
    """Count the file's rows beside the import, so that it does not wait for their number."""
    connection = connect()

    def count() -> None:
        # Reading finds the same fault and says it; an interrupted count is of no use any more.
        with suppress(duckdb.Error):
            display.expect(count_rows(source, connection))

    counter = Thread(target=count, name="equipoise-import-count", daemon=True)
    counter.start()
    try:
        yield
    finally:
        connection.interrupt()
        counter.join()
        connection.close()


def _ignore(_refusals: list[Refusal]) -> None:
    """Nobody asked for a file of what was refused."""


@contextmanager
def _refused_file(path: Path | None, *, append: bool) -> Iterator[Callable[[list[Refusal]], None]]:
    """Writes what was refused; each line is on its way to the disk before the checkpoint passes it."""
    if path is None:
        yield _ignore
        return
    try:
        file = path.open("a" if append else "w", encoding="utf-8", newline="")
    except OSError as error:
        raise Failure(f"--refused {path}: cannot be written ({error.strerror or error}).") from None
    with file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(["row", "item", "reason"])

        def record(refusals: list[Refusal]) -> None:
            if refusals:
                writer.writerows((each.row, each.item, each.reason) for each in refusals)
                file.flush()

        yield record
