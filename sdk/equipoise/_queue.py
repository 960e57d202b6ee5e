"""The bounded queue between the threads that log and the one that sends."""

import threading
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import Final, Literal

from equipoise._items import Item

WhenFull = Literal["drop_newest", "drop_oldest", "block"]

WHEN_FULL: Final[tuple[WhenFull, ...]] = ("drop_newest", "drop_oldest", "block")

MAX_QUEUE_BYTES: Final = 64 * 1024 * 1024
"""The encoded size at which the queue is full, whatever the count."""

MAX_BATCH_BYTES: Final = 1_000_000
"""The encoded size of a batch before compression."""


class Queue:
    """First in, first out, bounded by count and bytes; what happens when it is full is a setting.

    Items are numbered as they enter, from 1. `oldest` is the lowest number that has not met its end, so a
    flush is over when that has passed the number of the last item before it.

    Attributes:
        changed: guards everything here, and is notified when a waiter may have something to do. It is
            re-entrant: a signal handler may log while its own thread holds it.
        closed: whether nothing enters any more.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        flush_interval: float,
        when_full: WhenFull = "drop_newest",
        block_seconds: float = 0.0,
    ) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.closed = False
        self._size = size
        self._batch_size = batch_size
        self._flush_interval = flush_interval
        self._when_full = when_full
        self._block_seconds = block_seconds
        self._items: deque[Item] = deque()
        self._under_way: deque[int] = deque()  # the numbers of what was taken and has not met its end
        self._bytes = 0
        self._due = 0.0
        self._entered = 0
        self._flush_to = 0

    def offer(self, item: Item) -> tuple[bool, int]:
        """Queue an item; return whether it was, and how many older ones were dropped for it.

        With `block` it waits for room, at most the time that was set, and with `changed` released.
        """
        with self.changed:
            evicted = 0
            if not self.fits(item):
                if self._when_full == "drop_oldest":
                    evicted = self._evict_for(item)
                elif self._when_full == "block":
                    self.changed.wait_for(lambda: self.closed or self.fits(item), self._block_seconds)
            queued = not self.closed and self.fits(item)
            if queued:
                self._enter(item)
            return queued, evicted

    def fits(self, item: Item) -> bool:
        """Return whether the item can enter without anything being dropped."""
        with self.changed:
            return len(self._items) < self._size and self._bytes + len(item.body) <= MAX_QUEUE_BYTES

    def _evict_for(self, item: Item) -> int:
        evicted = 0
        while self._items and not self.fits(item):
            self._bytes -= len(self._items.popleft().body)
            evicted += 1
            if self._entered - len(self._items) == self._flush_to:
                self.changed.notify_all()  # someone may wait for what has just been dropped
        return evicted

    def _enter(self, item: Item) -> None:
        if not self._items:
            self._due = monotonic() + self._flush_interval
        self._items.append(item)
        self._bytes += len(item.body)
        self._entered += 1
        if len(self._items) in (1, self._batch_size):
            self.changed.notify_all()

    def due(self) -> float:
        """Return the monotonic time at which a batch should be taken; infinity when the queue is empty."""
        with self.changed:
            if not self._items:
                return float("inf")
            waited_for = self._entered - len(self._items) < self._flush_to
            return 0.0 if waited_for or len(self._items) >= self._batch_size else self._due

    def hasten(self, due: float) -> None:
        """Let a batch be taken at this monotonic time at the latest."""
        with self.changed:
            self._due = min(self._due, due)

    def take(self) -> list[Item]:
        """Remove and return the next batch, bounded by count and bytes; at least one item if any is there."""
        with self.changed:
            first = self._entered - len(self._items) + 1
            batch: list[Item] = []
            size = 0
            while self._items and len(batch) < self._batch_size:
                size += len(self._items[0].body)
                if batch and size > MAX_BATCH_BYTES:
                    break
                batch.append(self._items.popleft())
            self._under_way.extend(range(first, first + len(batch)))
            self._bytes -= sum(len(item.body) for item in batch)
            if self._when_full == "block":
                self.changed.notify_all()
            return batch

    def finish(self, count: int) -> None:
        """Say that the first `count` of the items taken have met their end, whatever it was."""
        with self.changed:
            for _ in range(count):
                self._under_way.popleft()
            self.changed.notify_all()

    def entered(self) -> int:
        """Return the number of the item that entered last; 0 before the first."""
        with self.changed:
            return self._entered

    def outstanding(self, numbers: Iterable[int]) -> int:
        """Return how many of the items of these numbers have not met their end."""
        with self.changed:
            queued = self._entered - len(self._items)
            under_way = set(self._under_way)
            return sum(queued < number <= self._entered or number in under_way for number in numbers)

    def count_outstanding(self) -> int:
        """Return how many items have not met their end."""
        with self.changed:
            return len(self._under_way) + len(self._items)

    def oldest(self) -> int:
        """Return the number of the oldest item that has not met its end; the next one's without any."""
        with self.changed:
            return self._under_way[0] if self._under_way else self._entered - len(self._items) + 1

    def request_flush(self) -> int:
        """Ask that everything queued now be sent now; return the mark for `wait_finished`."""
        with self.changed:
            self._flush_to = self._entered
            self.changed.notify_all()
            return self._flush_to

    def wait_finished(self, mark: int, deadline: float) -> bool:
        """Wait until everything up to the mark has met its end; return whether it has."""
        with self.changed:
            return self.changed.wait_for(lambda: self.oldest() > mark, max(0.0, deadline - monotonic()))
