"""The thread that writes: it gathers batches, has them committed together, answers who waits."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from equipoise_service.errors import Unavailable
from equipoise_service.events.batches import Batch, Receipt

_log = logging.getLogger(__name__)

# One transaction takes no more than this, so that nobody waits for a long one.
_COMMIT_SIZE = 50_000
# A queue of items is bounded in memory too: a body counts as one item for each of these bytes at least.
_BYTES_AN_ITEM = 1024
_UNHEALTHY_SECONDS = 5.0
# After a commit the next group gathers for this part of the time that the commit took. A commit costs nearly
# the same whatever its size, so under load fewer and larger ones store more, and leave the interpreter and a
# core to who asks meanwhile; where commits are quick nobody waits.
_REST = 1 / 3
_MOST_REST_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Submission:
    batch: Batch
    size: int
    waiting: "asyncio.Future[Receipt]"
    arrived: float


class Writer:
    """Commits batches in groups, one group at a time, in the order in which they came.

    Args:
        commit: Stores batches and says what became of each; called from the writer's thread only.
        between: Called there after each commit, when its batches are answered, with the number of items
            that wait for the next one: the moment for work that holds commits up.
        gather_seconds: How long the first batch of a group waits for others. After a commit that took long it
            waits for a third of that time, at most 50 ms.
        queue_size: Most items that wait.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Batch]], Sequence[Receipt]],
        between: Callable[[int], None],
        gather_seconds: float,
        queue_size: int,
    ) -> None:
        self._commit = commit
        self._between = between
        self._gather_seconds = gather_seconds
        self._queue_size = queue_size
        self._changed = threading.Condition()
        self._queue: deque[_Submission] = deque()
        self._queued = 0
        self._closing = False
        self._failed_at = float("-inf")
        self._rested_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="equipoise-event-writer", daemon=True)
        self._thread.start()

    async def submit(self, batch: Batch) -> Receipt:
        """Have a batch committed, and wait for that.

        Raises:
            Unavailable: The queue is full, the service stops, or the commit failed. Nothing of the batch was
                stored, or in the last case perhaps all of it: sending it again is right in every case.
        """
        waiting: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        items = len(batch.exposures) + len(batch.events)
        size = max(items + len(batch.rejected), batch.body_bytes // _BYTES_AN_ITEM)
        with self._changed:
            if self._closing or not self._thread.is_alive():
                raise Unavailable("The event store is closed. Send the batch again.", retry_after=5)
            # A batch larger than the whole queue must have its turn, too.
            if self._queue and self._queued + size > self._queue_size:
                raise Unavailable("Too many items wait for their commit. Send the batch again.")
            self._queue.append(_Submission(batch, size, waiting, time.monotonic()))
            self._queued += size
            # Between these two moments the thread sleeps out its time to gather; waking it would cost both.
            if len(self._queue) == 1 or self._queued >= _COMMIT_SIZE:
                self._changed.notify()
        return await waiting

    def healthy(self) -> bool:
        """Whether the thread runs and no commit failed in the last seconds."""
        return self._thread.is_alive() and time.monotonic() - self._failed_at > _UNHEALTHY_SECONDS

    def close(self) -> None:
        """Take no more, commit what waits, end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while group := self._next_group():
                begin = time.monotonic()
                self._handle(group)
                end = time.monotonic()
                self._rested_at = end + min(_REST * (end - begin), _MOST_REST_SECONDS)
                self._tend()
        finally:
            # Reached only at the end, or by a defect of this class: whoever waits must hear of it.
            with self._changed:
                self._closing = True
                left = list(self._queue)
                self._queue.clear()
            _answer(
                left,
                [Unavailable("The event store stopped. Send the batch again.", retry_after=5)] * len(left),
            )

    def _next_group(self) -> list[_Submission]:
        """Wait for batches; none at all means that the end has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if not self._queue:
                return []
            deadline = max(self._queue[0].arrived + self._gather_seconds, self._rested_at)
            self._changed.wait_for(
                lambda: self._closing or self._queued >= _COMMIT_SIZE, timeout=deadline - time.monotonic()
            )
            group = [self._queue.popleft()]
            size = group[0].size
            while self._queue and size + self._queue[0].size <= _COMMIT_SIZE:
                group.append(self._queue.popleft())
                size += group[-1].size
            self._queued -= size
            return group

    def _handle(self, group: Sequence[_Submission]) -> None:
        try:
            receipts = self._commit([each.batch for each in group])
        except Exception:
            self._failed_at = time.monotonic()
            _log.exception("could not commit %d batches of exposures and events", len(group))
            failure = Unavailable("The batch could not be stored. Send it again.", retry_after=5)
            _answer(group, [failure] * len(group))
        else:
            _answer(group, receipts)

    def _tend(self) -> None:
        try:
            self._between(self._queued)
        except Exception:
            self._failed_at = time.monotonic()
            _log.exception("the event store could not do its work between two commits")


def _answer(group: Sequence[_Submission], results: Sequence[Receipt | Unavailable]) -> None:
    """Hand the results over, with one call a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Receipt], Receipt | Unavailable]]] = {}
    for each, result in zip(group, results, strict=True):
        by_loop.setdefault(each.waiting.get_loop(), []).append((each.waiting, result))
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError:
            _log.warning("the event loop of %d batches ended before their commit", len(answers))


def _resolve(answers: Sequence[tuple["asyncio.Future[Receipt]", Receipt | Unavailable]]) -> None:
    for waiting, result in answers:
        if waiting.done():
            # Whoever waited was cancelled.
            continue
        if isinstance(result, Unavailable):
            waiting.set_exception(result)
        else:
            waiting.set_result(result)
