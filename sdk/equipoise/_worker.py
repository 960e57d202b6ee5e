"""The one background thread of a client: polls the configuration and sends batches."""

import threading
from collections import deque
from time import monotonic, sleep, time_ns
from traceback import format_exc
from typing import Final

from equipoise import _lifecycle
from equipoise._delivery import Delivery
from equipoise._exposures import Arm, Exposures
from equipoise._items import InvalidItemError, Item, exposure
from equipoise._keeping import Keeping
from equipoise._ledger import Counters, DropReason, Ledger
from equipoise._notices import Notices
from equipoise._polling import Polling
from equipoise._queue import Queue
from equipoise._settings import Settings
from equipoise._snapshot import Snapshot, View
from equipoise._streaming import Streaming
from equipoise.configuration import Configuration
from equipoise.transport import Transport

_MOST_MET: Final = 1_000
"""How many exposures wait at most to be encoded and queued."""

_NEVER: Final = float("inf")
_PAUSE_AFTER_FAULT_SECONDS: Final = 1.0

_TIDYING_SECONDS: Final = 0.2
"""What is kept of the time for closing, to give up the rest and close the connection."""


class Worker:
    """Everything of a client that belongs to one process. The thread starts at the first need of it.

    It holds no reference to the client, so that a client nobody uses any more can be collected.

    Attributes:
        settings: what the client was told.
        started: whether the thread has been started, or the worker was closed before.
        snapshot: holds the configuration in force.
        exposures: remembers what has been exposed.
        ledger: counts what was handed in and where it ended.
        notices: what has been said in the log.
    """

    def __init__(self, settings: Settings, inherited: Configuration | None = None) -> None:
        self.settings = settings
        self.ledger = Ledger()
        self.notices = Notices()
        self.started = False
        self.snapshot = Snapshot()
        # What was exposed before a fork may be exposed again: harmless, as analysis takes the first.
        self.exposures = Exposures(self._meet)
        # What was met costs its caller no more than this; it is queued when it should be sent. But a spool
        # promises that it is on disk by then, and a caller who wants to wait for room is to wait.
        at_once = settings.spool is not None or settings.when_full == "block"
        self._met: deque[tuple[Arm, str, int]] = deque()
        self._most_met = 1 if at_once else min(settings.batch_size, settings.queue_size, _MOST_MET)
        self._met_due = _NEVER
        self._inherited = inherited
        self._transport = Transport(settings.url, settings.key)
        self._queue = Queue(
            settings.queue_size,
            settings.batch_size,
            settings.flush_interval,
            settings.when_full,
            settings.block_seconds,
        )
        self._polling = Polling(settings, self._transport, self.notices, self.snapshot, self.exposures)
        self._streaming = Streaming(settings, self._poll_now) if settings.stream else None
        self._delivery = Delivery(settings, self._transport, self._queue, self.ledger, self.notices)
        self._keeping = Keeping(settings, self._queue, self.ledger, self.notices) if settings.spool else None
        self._thread: threading.Thread | None = None
        self._hurried = False
        self._closes_at: float | None = None

    def successor(self) -> "Worker":
        """Return what a forked child goes on with: the same configuration, nothing queued, no thread."""
        if self._keeping is not None:
            self._keeping.disown()
        view = self.snapshot.view
        worker = Worker(self.settings, view.configuration if view else self._inherited)
        if self._closes_at is not None:
            worker.close(0.0)
        return worker

    def start(self) -> View | None:
        """Start the thread, once, and return the view of the configuration that there is.

        Where the system gives no thread, say so; a later call tries again.
        """
        if self.started:
            return self.snapshot.view
        _lifecycle.close_at_exit()
        with self._queue.changed:
            if self.started:
                return self.snapshot.view
            self.started = True
            thread = threading.Thread(target=self._run, name="equipoise", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                self.started = False
                self.notices.error("thread", "No background thread could be started: %s", error)
                return View(self._inherited, self.exposures) if self._inherited else None
            self._thread = thread
            if self._inherited is not None:
                self._polling.show(self._inherited)
            return self.snapshot.view

    @property
    def name(self) -> str:
        """How the client shows itself."""
        return self.settings.url

    def wait_ready(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the first configuration; return whether there is one."""
        self.start()
        return self._polling.ready.wait(timeout)

    def _meet(self, arm: Arm, unit: str) -> None:
        """Note that a unit meets an arm now, maybe not for the first time."""
        self._met.append((arm, unit, time_ns()))
        if self._met_due == _NEVER or len(self._met) >= self._most_met:
            self._attend()

    def _attend(self) -> None:
        """Have what was met queued in time: now, where it is much, else by the thread."""
        with self._queue.changed:
            if len(self._met) >= self._most_met:
                self._queue_met()
            elif self._met_due == _NEVER:
                self._met_due = monotonic() + self.settings.flush_interval
                self._queue.changed.notify_all()
        if not self.started:
            self.start()

    def _queue_met(self) -> None:
        """Queue the exposures to what was met for the first time."""
        with self._queue.changed:
            due, self._met_due = self._met_due, _NEVER  # before: what comes from now on is attended to anew
            while self._met:
                try:
                    arm, unit, nanoseconds = self._met.popleft()
                except IndexError:  # a signal handler has just taken the last one
                    break
                if arm.enter(unit):
                    self._expose(arm, unit, nanoseconds)
            self._queue.hasten(due)

    def _expose(self, arm: Arm, unit: str, nanoseconds: int) -> None:
        """Queue an exposure; where it cannot be, let it count as new again."""
        try:
            item = exposure(arm.unit_type, unit, arm.experiment, arm.variant, arm.revision, nanoseconds)
        except InvalidItemError as error:
            self.refuse(error.reason, f"expose: {error}")
            arm.forget(unit)
            return
        if not self._offer(item):
            arm.forget(unit)

    def refuse(self, reason: DropReason, problem: str) -> None:
        """Count an exposure or event that cannot be sent; say so once a reason."""
        self.ledger.lose(reason)
        self.notices.warning(reason, "An exposure or event was dropped (%s): %s", reason, problem)

    def offer(self, item: Item) -> bool:
        """Queue an item for sending; where it cannot be, count it as dropped and return False."""
        if self._met:
            self._queue_met()  # what came first goes first
        return self._offer(item)

    def _offer(self, item: Item) -> bool:
        self.ledger.log()
        with self._queue.changed:
            queued, evicted = self._queue.offer(item)
            if queued and self._keeping is not None:
                self._keeping.keep(item)
        if not queued and self._closes_at is not None:
            self.ledger.drop("closed")
            self.notices.warning("closed", "An exposure or event came after close(): dropped.")
            return False
        if evicted or not queued:
            self.ledger.drop("queue_full", evicted + (not queued))
            self.notices.warning(
                "queue_full",
                "The queue is full: the %s exposures and events are dropped. "
                "Is the service down, or queue_size too small?",
                "oldest" if evicted else "newest",
            )
        if queued and not self.started:
            self.start()
        return queued

    def counters(self) -> Counters:
        """Return a snapshot of where everything handed in has ended."""
        self._queue_met()
        return self.ledger.counters()

    def flush(self, timeout: float) -> None:
        """Wait until everything queued now has met its end, at most `timeout` seconds."""
        self.start()
        with self._queue.changed:
            self._hurried = True
            self._queue_met()
            mark = self._queue.request_flush()
        self._queue.wait_finished(mark, monotonic() + timeout)

    def close(self, timeout: float) -> None:
        """Send what is queued within `timeout` seconds, drop the rest, and end the thread."""
        self.retire(monotonic() + timeout - min(_TIDYING_SECONDS, timeout / 4))
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        elif self._thread is None:
            self._abandon()

    def retire(self, deadline: float) -> None:
        """Let the thread end by itself once all is sent, at the deadline at the latest. Never blocks."""
        with self._queue.changed:
            self._queue_met()
            self._most_met = 1
            if self._closes_at is None or deadline < self._closes_at:
                self._closes_at = deadline
            self._hurried = True
            self._queue.closed = True
            if not self.started:
                self.started = True
                if self._inherited is not None:
                    self._polling.show(self._inherited)
            self._queue.request_flush()

    def _poll_now(self) -> None:
        """Have the configuration fetched at once; called from the thread of the stream."""
        with self._queue.changed:
            self._polling.ask()
            self._queue.changed.notify_all()

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
        if self._keeping is not None:
            self._keeping.tend()
        with self._queue.changed:
            if self._hurried:
                self._hurried = False
                self._delivery.hurry()
            closes_at = self._closes_at
            now = monotonic()
            if self._met_due <= now:
                self._queue_met()
            delivery_due = self._delivery.due()
            wait = min(delivery_due, self._met_due, self._polling.due, self.exposures.tidy_at) - now
            if closes_at is None and wait > 0:
                self._queue.changed.wait(min(wait, threading.TIMEOUT_MAX))
                return False
        if closes_at is not None:
            return self._finish(closes_at, delivery_due)
        if self._polling.due <= now:
            self._poll()  # the next turn delivers: meanwhile the client may have been closed
        elif delivery_due <= now:
            self._delivery.step(self.settings.timeout)
        else:
            self.exposures.tidy()
        return False

    def _poll(self) -> None:
        self._polling.step()
        if self._streaming is not None and self._polling.arrived:
            self._streaming.start()

    def _finish(self, closes_at: float, delivery_due: float) -> bool:
        """Take one step towards the end; return whether it is reached."""
        now = monotonic()
        waits = self._queue.count_outstanding() > 0  # a report of losses alone is not waited for
        if now < closes_at and delivery_due < closes_at and (waits or delivery_due <= now):
            if delivery_due > now:
                with self._queue.changed:
                    self._queue.changed.wait(delivery_due - now)
            else:
                self._delivery.step(min(self.settings.timeout, closes_at - now))
            return False
        self._abandon()
        if self._streaming is not None:
            self._streaming.stop()
        self._transport.close()
        return True

    def _abandon(self) -> None:
        """Give up what is queued; what is in the spool is the next process's."""
        if self._keeping is None:
            self._delivery.abandon(0)
        else:
            self._delivery.abandon(self._keeping.leave())
