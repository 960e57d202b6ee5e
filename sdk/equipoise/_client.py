"""The client: assign, expose and track without ever waiting for the network."""

import weakref
from collections.abc import Mapping
from datetime import datetime
from os import PathLike
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from equipoise import _items, _lifecycle
from equipoise._evaluator import Evaluator
from equipoise._items import InvalidItemError
from equipoise._ledger import Counters, DeliveryReport, report_between

if TYPE_CHECKING:
    from equipoise._offline import Offline
    from equipoise._worker import Worker
    from equipoise.sticky import StickyStore

_CLOSE_SECONDS = 5.0


class Client(Evaluator):
    """Evaluates flags locally and delivers exposures and events in the background.

    Making a client does no I/O and starts no thread; its first use starts one background thread, which
    fetches the configuration and sends what is logged, and where the service offers it a second one, which
    listens for changes. No method waits for the network, except `wait_ready`, `flush` and `close`, for as
    long as they are told. Evaluating and logging never raise: a fault is an assignment with reason `ERROR`,
    or a count in `counters` and a line in the log `equipoise`.
    One client serves any number of threads. After `os.fork` the child goes on with the configuration, an
    empty queue and threads of its own.

    What is queued when the process ends is sent within five seconds (by `atexit`; in children of
    `multiprocessing` too). A process that leaves by `os._exit` or a signal calls `close` itself.

    Args:
        url: where the service is, such as `https://experiments.example.com`; a path is kept.
        key: an API key with the scopes `evaluate` and `ingest`.
        poll_interval: seconds between questions for a newer configuration.
        flush_interval: seconds that an exposure or event waits at most for its batch to fill.
        batch_size: how many exposures and events make a batch.
        queue_size: how many wait at most (and 64 MiB).
        timeout: seconds that one request may take.
        when_full: what happens to an exposure or event when the queue is full: `drop_newest` drops it,
            `drop_oldest` drops older ones for it, `block` waits for room, and then drops it. What is dropped
            is counted.
        block_seconds: how long `block` waits at most.
        spool: a directory in which what is queued is kept on disk too, so that a crash of the process loses
            none of it: the next client with this spool sends it. Processes may share it.
        spool_bytes: how much one client keeps there at most; what does not fit is only in memory.
        last_known_good: a file in which each new configuration is kept, and from which one is read where the
            service cannot be reached at the start.
        stream: whether to listen for changes, so that they arrive at once and not at the next poll.
        sticky: where the units of experiments that are marked `sticky` keep their arms
            (`equipoise.sticky`); without one these experiments are like all others.

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
        when_full: Literal["drop_newest", "drop_oldest", "block"] = "drop_newest",
        block_seconds: float = 0.1,
        spool: str | PathLike[str] | None = None,
        spool_bytes: int = 64 * 1024 * 1024,
        last_known_good: str | PathLike[str] | None = None,
        stream: bool = True,
        sticky: "StickyStore | None" = None,
    ) -> None:
        # Here, so that `import equipoise` stays light; and not in the thread, because a process that forks
        # while a thread imports leaves its child with half a module.
        from equipoise._settings import Settings, check, path
        from equipoise._worker import Worker

        settings = Settings(
            url=url,
            key=key,
            poll_interval=poll_interval,
            flush_interval=flush_interval,
            batch_size=batch_size,
            queue_size=queue_size,
            timeout=timeout,
            when_full=when_full,
            block_seconds=block_seconds,
            spool=path("spool", spool),
            spool_bytes=spool_bytes,
            last_known_good=path("last_known_good", last_known_good),
            stream=stream,
        )
        self._sticky = sticky
        self._adopt(Worker(check(settings)))
        _lifecycle.enrol(self)

    @classmethod
    def from_config(
        cls, configuration: str | PathLike[str] | Mapping[str, Any], *, sticky: "StickyStore | None" = None
    ) -> Self:
        """Return a client that works offline, from a configuration document given once.

        It evaluates as any other does. It has no thread and does no I/O: exposures and events go nowhere, and
        are counted as dropped, `offline`.

        Args:
            configuration: the document (`GET /v1/config`), or the path of a file of it, such as one that
                `last_known_good` wrote.
            sticky: as for `Client`.

        Raises:
            OSError: the file cannot be read.
            ConfigurationError: it is no configuration; the error names the place.
        """
        from equipoise._offline import Offline, read_configuration

        client = cls.__new__(cls)
        client._begin_offline(Offline(read_configuration(configuration)), sticky)
        return client

    def __repr__(self) -> str:
        return f"Client({self._worker.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def counters(self) -> Counters:
        """Where every exposure and event handed to this client has ended so far."""
        return self._worker.counters()

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
            self._worker.refuse(error.reason, f"track({name!r:.100}): {error}")
            return
        self._worker.offer(item)

    def wait_ready(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the first configuration; return whether there is one."""
        return self._worker.wait_ready(timeout)

    def flush(self, timeout: float = 5.0) -> DeliveryReport:
        """Send what is queued now and wait at most `timeout` seconds; return what happened meanwhile."""
        worker = self._worker
        before = worker.counters()
        worker.flush(timeout)
        return report_between(before, worker.counters())

    async def aflush(self, timeout: float = 5.0) -> DeliveryReport:
        """Do what `flush` does, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.flush, timeout)

    def close(self, timeout: float = _CLOSE_SECONDS) -> DeliveryReport:
        """Send what is queued within `timeout` seconds, drop and count the rest, and end the thread.

        Evaluation goes on with the last configuration; what is logged later is dropped and counted.
        Closing again is harmless.
        """
        worker = self._worker
        before = worker.counters()
        worker.close(timeout)
        return report_between(before, worker.counters())

    async def aclose(self, timeout: float = _CLOSE_SECONDS) -> DeliveryReport:
        """Do what `close` does, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.close, timeout)

    def _begin_offline(self, offline: "Offline", sticky: "StickyStore | None") -> None:
        self._sticky = sticky
        self._adopt(offline)
        _lifecycle.enrol(self)

    def _restart_after_fork(self) -> None:
        """Begin anew in a forked child."""
        self._retirement.detach()
        self._adopt(self._worker.successor())

    def _adopt(self, worker: "Worker | Offline") -> None:
        """Use this worker; it retires by itself when the client is collected without being closed."""
        self._worker = worker
        self._snapshot = worker.snapshot
        self._retirement = weakref.finalize(self, _retire, worker)
        self._retirement.atexit = False


def _retire(worker: "Worker | Offline") -> None:
    worker.retire(monotonic() + _CLOSE_SECONDS)
