"""The bounded queue between the threads that log and the one that sends."""

import threading
from collections import deque
from time import monotonic
from typing import Final

from equipoise._items import Item

MAX_QUEUE_BYTES: Final = 64 * 1024 * 1024
"""The encoded size at which the queue is full, whatever the count."""

MAX_BATCH_BYTES: Final = 1_000_000
"""The encoded size of a batch before compression."""


class Queue:
    """First in, first out; when full, the newest is turned away, so that first exposures survive.

    `entered` and `finished` count items; as items finish in the order they entered, a flush is over when
    `finished` reaches what `entered` was at its start.

    Attributes:
        changed: guards everything here, and is notified when a waiter may have something to do. It is
            re-entrant: a signal handler may log while its own thread holds it.
    """

    def __init__(self, size: int, batch_size: int, flush_interval: float) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._size = size
        self._batch_size = batch_size
        self._flush_interval = flush_interval
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._due = 0.0
        self._entered = 0
        self._finished = 0
        self._flush_to = 0

    def offer(self, item: Item) -> bool:
        """Queue an item; return False where the queue is full."""
        with self.changed:
            if len(self._items) >= self._size or self._bytes + len(item.body) > MAX_QUEUE_BYTES:
                return False
            if not self._items:
                self._due = monotonic() + self._flush_interval
            self._items.append(item)
            self._bytes += len(item.body)
            self._entered += 1
            if len(self._items) in (1, self._batch_size):
                self.changed.notify_all()
            return True

    def due(self) -> float:
        """Return the monotonic time at which a batch should be taken; infinity when the queue is empty."""
        with self.changed:
            if not self._items:
                return float("inf")
            waited_for = self._finished < self._flush_to
            return 0.0 if waited_for or len(self._items) >= self._batch_size else self._due

    def take(self) -> list[Item]:
        """Remove and return the next batch, bounded by count and bytes; at least one item if any is there."""
        with self.changed:
            batch: list[Item] = []
            size = 0
            while self._items and len(batch) < self._batch_size:
                size += len(self._items[0].body)
                if batch and size > MAX_BATCH_BYTES:
                    break
                batch.append(self._items.popleft())
            self._bytes -= sum(len(item.body) for item in batch)
            return batch

    def finish(self, count: int) -> None:
        """Say that the `count` longest queued items have met their end, whatever it was."""
        with self.changed:
            self._finished += count
            self.changed.notify_all()

    def request_flush(self) -> int:
        """Ask that everything queued now be sent now; return the mark for `wait_finished`."""
        with self.changed:
            self._flush_to = self._entered
            self.changed.notify_all()
            return self._flush_to

    def wait_finished(self, mark: int, deadline: float) -> bool:
        """Wait until everything up to the mark has met its end; return whether it has."""
        with self.changed:
            return self.changed.wait_for(lambda: self._finished >= mark, max(0.0, deadline - monotonic()))
