"""The one background thread of a client: polls the configuration and sends batches."""

import threading
from time import monotonic, sleep
from traceback import format_exc
from typing import Final

from equipoise._delivery import Delivery
from equipoise._items import Item
from equipoise._ledger import Ledger
from equipoise._notices import Notices
from equipoise._polling import Polling
from equipoise._queue import Queue
from equipoise._settings import Settings
from equipoise.configuration import Configuration
from equipoise.transport import Transport

_PAUSE_AFTER_FAULT_SECONDS: Final = 1.0

_TIDYING_SECONDS: Final = 0.2
"""What is kept of the time for closing, to give up the rest and close the connection."""


class Worker:
    """Everything of a client that belongs to one process. The thread starts at the first need of it.

    It holds no reference to the client, so that a client nobody uses any more can be collected.

    Attributes:
        started: whether the thread has been started, or the worker was closed before.
        ledger: counts what was handed in and where it ended.
        notices: what has been said in the log.
        polling: holds the configuration.
    """

    def __init__(self, settings: Settings, configuration: Configuration | None = None) -> None:
        self.settings = settings
        self.ledger = Ledger()
        self.notices = Notices()
        self.started = False
        transport = Transport(settings.url, settings.key)
        self.polling = Polling(settings, transport, self.notices, configuration)
        self._transport = transport
        self._queue = Queue(settings.queue_size, settings.batch_size, settings.flush_interval)
        self._delivery = Delivery(settings, transport, self._queue, self.ledger, self.notices)
        self._thread: threading.Thread | None = None
        self._hurried = False
        self._closes_at: float | None = None

    def successor(self) -> "Worker":
        """Return what a forked child goes on with: the same configuration, nothing queued, no thread."""
        worker = Worker(self.settings, self.polling.configuration)
        if self._closes_at is not None:
            worker.close(0.0)
        return worker

    def start(self) -> None:
        """Start the thread, once. Where the system gives none, say so; a later call tries again."""
        with self._queue.changed:
            if self.started:
                return
            self.started = True
            thread = threading.Thread(target=self._run, name="equipoise", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                self.started = False
                self.notices.error("thread", "No background thread could be started: %s", error)
                return
            self._thread = thread

    def offer(self, item: Item) -> bool:
        """Queue an item for sending; where it cannot be, count it as dropped and return False."""
        with self._queue.changed:
            closed = self._closes_at is not None
            queued = not closed and self._queue.offer(item)
        if closed:
            self.ledger.drop("closed")
            self.notices.warning("closed", "An exposure or event came after close(): dropped.")
            return False
        if not queued:
            self.ledger.drop("queue_full")
            self.notices.warning(
                "queue_full",
                "The queue is full: the newest exposures and events are dropped. "
                "Is the service down, or queue_size too small?",
            )
            return False
        if not self.started:
            self.start()
        return True

    def flush(self, timeout: float) -> None:
        """Wait until everything queued now has met its end, at most `timeout` seconds."""
        self.start()
        with self._queue.changed:
            self._hurried = True
            mark = self._queue.request_flush()
        self._queue.wait_finished(mark, monotonic() + timeout)

    def close(self, timeout: float) -> None:
        """Send what is queued within `timeout` seconds, drop the rest, and end the thread."""
        self.retire(monotonic() + timeout - min(_TIDYING_SECONDS, timeout / 4))
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        elif self._thread is None:
            self._delivery.abandon("closed")

    def retire(self, deadline: float) -> None:
        """Let the thread end by itself once all is sent, at the deadline at the latest. Never blocks."""
        with self._queue.changed:
            if self._closes_at is None or deadline < self._closes_at:
                self._closes_at = deadline
            self._hurried = True
            self.started = True
            self._queue.request_flush()

    def _run(self) -> None:
        while True:
            try:
                if self._turn():
                    return
            except Exception:
                self.notices.error(
                    "fault",
                    "The background thread met a fault and goes on. Please report it: %s",
                    format_exc(),
                )
                sleep(_PAUSE_AFTER_FAULT_SECONDS)

    def _turn(self) -> bool:
        """Do what is due, or wait for it; return whether the work is over."""
        with self._queue.changed:
            if self._hurried:
                self._hurried = False
                self._delivery.hurry()
            closes_at = self._closes_at
            delivery_due = self._delivery.due()
            now = monotonic()
            wait = min(delivery_due, self.polling.due) - now
            if closes_at is None and wait > 0:
                self._queue.changed.wait(min(wait, threading.TIMEOUT_MAX))
                return False
        if closes_at is not None:
            return self._finish(closes_at, delivery_due)
        if self.polling.due <= now:
            self.polling.step()  # the next turn delivers: meanwhile the client may have been closed
        else:
            self._delivery.step(self.settings.timeout)
        return False

    def _finish(self, closes_at: float, delivery_due: float) -> bool:
        """Take one step towards the end; return whether it is reached."""
        now = monotonic()
        if now < closes_at and delivery_due < closes_at:
            if delivery_due > now:
                with self._queue.changed:
                    self._queue.changed.wait(delivery_due - now)
            else:
                self._delivery.step(min(self.settings.timeout, closes_at - now))
            return False
        self._delivery.abandon("closed")
        self._transport.close()
        return True
