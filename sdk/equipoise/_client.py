"""The client: assign, expose and track without ever waiting for the network."""

import weakref
from collections.abc import Mapping
from datetime import datetime
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from equipoise import _items, _lifecycle
from equipoise._exposures import Exposures
from equipoise._items import InvalidItemError, Item
from equipoise._ledger import Counters, DeliveryReport, DropReason, report_between
from equipoise.assignment import Assignment, Reason
from equipoise.evaluation import evaluate, unanswerable

if TYPE_CHECKING:
    from equipoise._worker import Worker

_CLOSE_SECONDS = 5.0


class Client:
    """Evaluates flags locally and delivers exposures and events in the background.

    Making a client does no I/O and starts no thread; its first use starts one background thread, which
    fetches the configuration and sends what is logged. No method waits for the network, except
    `wait_ready`, `flush` and `close`, for as long as they are told. Evaluating and logging never raise:
    a fault is an assignment with reason `ERROR`, or a count in `counters` and a line in the log `equipoise`.
    One client serves any number of threads. After `os.fork` the child goes on with the configuration, an
    empty queue and a thread of its own.

    What is queued when the process ends is sent within five seconds (by `atexit`; in children of
    `multiprocessing` too). A process that leaves by `os._exit` or a signal calls `close` itself.

    Args:
        url: where the service is, such as `https://experiments.example.com`; a path is kept.
        key: an API key with the scopes `evaluate` and `ingest`.
        poll_interval: seconds between questions for a newer configuration.
        flush_interval: seconds that an exposure or event waits at most for its batch to fill.
        batch_size: how many exposures and events make a batch.
        queue_size: how many wait at most (and 64 MiB); when full, the newest is dropped and counted.
        timeout: seconds that one request may take.

    Raises:
        ValueError: an argument is unusable; the message names it.

    Example:
        >>> with Client("http://127.0.0.1:9", "a-key") as client:  # nothing listens there
        ...     client.assign("new-landing-page", "user-1", default="old").value
        'old'
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        poll_interval: float = 10.0,
        flush_interval: float = 1.0,
        batch_size: int = 500,
        queue_size: int = 100_000,
        timeout: float = 10.0,
    ) -> None:
        # Here, so that `import equipoise` stays light; and not in the thread, because a process that forks
        # while a thread imports leaves its child with half a module.
        from equipoise._settings import Settings, check
        from equipoise._worker import Worker

        settings = check(Settings(url, key, poll_interval, flush_interval, batch_size, queue_size, timeout))
        self._exposures = Exposures()
        self._adopt(Worker(settings))
        _lifecycle.enrol(self)

    def __repr__(self) -> str:
        return f"Client({self._worker.settings.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def counters(self) -> Counters:
        """Where every exposure and event handed to this client has ended so far."""
        return self._worker.ledger.counters()

    def assign(self, flag: str, unit: str, default: Any = None) -> Assignment[Any]:
        """Return what the unit gets from the flag, and log nothing. Never raises.

        Args:
            flag: the flag's key; an experiment registered without a flag has one of its own key.
            unit: the unit's id, hashed as given.
            default: the value when there is no such flag, no usable unit or no configuration yet.
        """
        worker = self._worker
        if not worker.started:
            self._start()
        configuration = worker.polling.configuration
        if configuration is None:
            return unanswerable(flag, default)
        return evaluate(configuration, flag, unit, default)

    def variant(self, flag: str, unit: str, default: Any = None) -> Assignment[Any]:
        """Return what the unit gets from the flag, and log the exposure where an experiment placed it.

        Call it at the decision point: where the unit is about to meet its variant. Never raises.

        Args:
            flag: as for `assign`.
            unit: as for `assign`.
            default: as for `assign`.
        """
        assignment = self.assign(flag, unit, default)
        if assignment.reason is Reason.SPLIT:
            self.expose(assignment, unit)
        return assignment

    def expose(self, assignment: Assignment[Any], unit: str) -> None:
        """Log that the unit met its variant; for an assignment that came from `assign`. Never raises.

        An exposure is logged once per unit, variant and revision within an hour, as far as the latest tens
        of thousands are remembered. An assignment whose reason is not `SPLIT` is ignored.
        """
        if not isinstance(assignment, Assignment):
            self._refuse("invalid", f"expose: expected an Assignment, got {type(assignment).__name__}")
            return
        experiment, variant, revision = assignment.experiment, assignment.variant, assignment.revision
        if assignment.reason is not Reason.SPLIT or experiment is None or variant is None or revision is None:
            return
        if not isinstance(unit, str):
            self._refuse("invalid", f"unit: expected a non-empty string, got {type(unit).__name__}")
            return
        key = (unit, experiment, revision, variant)
        if not self._exposures.is_first(key):
            return
        if not self._log_exposure(experiment, variant, revision, unit):
            self._exposures.forget(key)

    def track(
        self,
        name: str,
        unit: str,
        value: float | None = None,
        properties: Mapping[str, Any] | None = None,
        *,
        unit_type: str = "user",
        time: datetime | None = None,
    ) -> None:
        """Log something a unit did. Never raises, never waits for the network.

        Args:
            name: the event's name.
            unit: the unit's id, as it is given to `assign`.
            value: a finite number, such as an amount.
            properties: anything that JSON can say, at most 64 KiB with the rest.
            unit_type: what the unit is.
            time: when it happened, with a time zone; now, where it is not given.
        """
        try:
            item = _items.event(name, unit, value, properties, unit_type, time)
        except InvalidItemError as error:
            self._refuse("invalid", f"track({name!r:.100}): {error}")
            return
        self._offer(item)

    def wait_ready(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the first configuration; return whether there is one."""
        self._start()
        return self._worker.polling.ready.wait(timeout)

    def flush(self, timeout: float = 5.0) -> DeliveryReport:
        """Send what is queued now and wait at most `timeout` seconds; return what happened meanwhile."""
        self._start()
        worker = self._worker
        before = worker.ledger.counters()
        worker.flush(timeout)
        return report_between(before, worker.ledger.counters())

    def close(self, timeout: float = _CLOSE_SECONDS) -> DeliveryReport:
        """Send what is queued within `timeout` seconds, drop and count the rest, and end the thread.

        Evaluation goes on with the last configuration; what is logged later is dropped and counted.
        Closing again is harmless.
        """
        worker = self._worker
        before = worker.ledger.counters()
        worker.close(timeout)
        return report_between(before, worker.ledger.counters())

    def _restart_after_fork(self) -> None:
        """Begin anew in a forked child."""
        # What was exposed before the fork may be exposed again: harmless, as analysis takes the first.
        self._exposures = Exposures()
        self._retirement.detach()
        self._adopt(self._worker.successor())

    def _adopt(self, worker: "Worker") -> None:
        """Use this worker; it retires by itself when the client is collected without being closed."""
        self._worker = worker
        self._retirement = weakref.finalize(self, _retire, worker)
        self._retirement.atexit = False

    def _start(self) -> None:
        if not self._worker.started:
            _lifecycle.close_at_exit()
            self._worker.start()

    def _log_exposure(self, experiment: str, variant: str, revision: int, unit: str) -> bool:
        """Queue an exposure; return whether it was."""
        configuration = self._worker.polling.configuration
        known = configuration and configuration.experiments.get(experiment)
        if not known:
            self._refuse(
                "unknown_experiment",
                f"expose: the configuration has no experiment {experiment!r:.200} any more",
            )
            return False
        try:
            item = _items.exposure(known.unit_type, unit, experiment, variant, revision)
        except InvalidItemError as error:
            self._refuse("invalid", f"expose: {error}")
            return False
        return self._offer(item)

    def _offer(self, item: Item) -> bool:
        if len(item.body) > _items.MAX_ITEM_BYTES:
            self._refuse("too_large", f"{len(item.body)} bytes, at most {_items.MAX_ITEM_BYTES} can be sent")
            return False
        self._start()
        self._worker.ledger.log()
        return self._worker.offer(item)

    def _refuse(self, reason: DropReason, problem: str) -> None:
        """Count an exposure or event that cannot be sent; say so once a reason."""
        worker = self._worker
        worker.ledger.log()
        worker.ledger.drop(reason)
        worker.notices.warning(reason, "An exposure or event was dropped (%s): %s", reason, problem)


def _retire(worker: "Worker") -> None:
    worker.retire(monotonic() + _CLOSE_SECONDS)
