"""Between the queue and the spool: what is queued is kept, what is sent is let go, what was left is sent."""

from collections import deque
from pathlib import Path
from typing import Final

from equipoise._items import Item
from equipoise._ledger import Ledger
from equipoise._notices import Notices
from equipoise._queue import Queue
from equipoise._settings import Settings
from equipoise._spool import Segment, Spool

_TOPIC: Final = "spool"


class Keeping:
    """The spool of one worker. `keep` is called with the queue's lock held, the rest by the worker alone."""

    def __init__(self, settings: Settings, queue: Queue, ledger: Ledger, notices: Notices) -> None:
        self._spool = Spool(settings.spool or Path(), settings.spool_bytes)
        self._queue = queue
        self._ledger = ledger
        self._notices = notices
        self._abandoned: deque[Path] | None = None
        self._claimed: Segment | None = None
        self._found: deque[Item] = deque()
        self._settled = 0

    def keep(self, item: Item) -> None:
        """Write what has just been queued to disk; where that fails, count it."""
        try:
            self._spool.append(item, self._queue.entered())
        except OSError as error:
            self._ledger.miss()
            self._notices.warning(
                _TOPIC, "Exposures and events are not kept on disk, only sent from memory: %s", error
            )
        else:
            self._notices.settle(_TOPIC, "Exposures and events are kept on disk again.")

    def tend(self) -> None:
        """Let go of what was sent; when nothing else waits, queue what processes before this one left."""
        with self._queue.changed:
            oldest = self._queue.oldest()
            if oldest != self._settled:
                self._spool.settle(oldest)
                self._settled = oldest
            if self._queue.closed or oldest <= self._queue.entered():
                return
        if self._claimed is None:
            self._claim_next()
        if self._claimed is not None:
            self._queue_found(self._claimed)

    def leave(self) -> int:
        """Let go of the files; return how many of the items that have not met their end are in them."""
        with self._queue.changed:
            left = self._queue.count_outstanding()
            missing = self._queue.outstanding(self._spool.missing)
            if self._claimed is not None:
                self._spool.adopt(self._claimed, self._queue.entered() + 1)
            self._spool.settle(self._queue.oldest())
            self._spool.release()
            return left - missing

    def disown(self) -> None:
        """In a forked child: let go of what is the parent's."""
        if self._claimed is not None:
            self._claimed.release()
        self._spool.disown()

    def _claim_next(self) -> None:
        if self._abandoned is None:
            self._abandoned = deque(self._spool.abandoned())
        while self._abandoned and self._claimed is None:
            segment = Segment.claim(self._abandoned.popleft())
            if segment is None:
                continue
            try:
                self._found.extend(segment.items())
            except OSError as error:
                self._notices.warning(
                    f"{_TOPIC} {segment.path}", "%s cannot be read: %s", segment.path, error
                )
                segment.release()
                continue
            self._claimed = segment

    def _queue_found(self, segment: Segment) -> None:
        """Queue as much as there is room for; the segment is answered for once all of it is queued."""
        with self._queue.changed:
            while self._found and self._queue.fits(self._found[0]):
                self._queue.offer(self._found.popleft())
                self._ledger.log()
            if not self._found:
                self._spool.adopt(segment, self._queue.entered())
                self._claimed = None
                self._settled = 0  # an empty one can go at once
