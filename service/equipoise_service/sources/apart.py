"""Engines that cannot be interrupted: what is asked of them runs apart, and is given up in time.

Whoever asks has an answer in time. A thread that is given up goes on until its engine answers, and then
closes the connection; only the engine's own time limit ends its work sooner.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Any

from equipoise_service.sources.deadlines import TooSlow

MOST = 10
"""So many connections of a process may be open at once, those that were given up among them."""

_free = threading.BoundedSemaphore(MOST)


class TooMany(Exception):
    """Engines are still busy with what was given up."""

    def __init__(self) -> None:
        super().__init__(
            f"{MOST} reads are going on, or were given up and their engines are busy with them still: end "
            "them there, and give the connection's user a time limit"
        )


class Apart:
    """An Ibis backend whose methods run in a thread of its own, for so long as there is time.

    Args:
        connect: Makes the backend, in that thread.
        seconds: How long everything may take that is asked of it.

    Raises:
        TooMany: Too many are open, or were given up and go on.
        TooSlow: The time was over; any method raises it, too.
    """

    def __init__(self, connect: Callable[[], Any], seconds: float) -> None:
        if not _free.acquire(blocking=False):
            raise TooMany
        self._backend: Any = None
        self._seconds, self._until = seconds, monotonic() + seconds
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._asked: Future[Any] | None = None
        self._is_given_up = False
        threading.Thread(target=self._work, name="equipoise-apart", daemon=True).start()
        try:
            self.ask(lambda: setattr(self, "_backend", connect()))
        except BaseException:
            self.disconnect()
            raise

    def __getattr__(self, name: str) -> Any:
        """What the backend has; its methods run apart."""
        found = getattr(self._backend, name)
        if not callable(found):
            return found
        return lambda *arguments, **named: self.ask(lambda: found(*arguments, **named))

    def ask(self, call: Callable[[], Any]) -> Any:
        """What a call gives in the thread of the backend."""
        asked = self._asked = Future[Any]()
        if self._is_given_up:
            asked.cancel()
        self._calls.put((call, asked))
        try:
            return asked.result(max(self._until - monotonic(), 0))
        except TimeoutError:
            if asked.done():
                raise  # the engine's own
            asked.cancel()
            raise TooSlow(self._seconds) from None

    def give_up(self) -> None:
        """Have who waits for the engine wait no longer, now and from now on: `CancelledError` is raised."""
        self._is_given_up = True
        if self._asked is not None:
            self._asked.cancel()

    def disconnect(self) -> None:
        """Close the connection when what runs there has ended, without waiting for it."""
        self._calls.put(None)

    def _work(self) -> None:
        try:
            while (next_one := self._calls.get()) is not None:
                call, asked = next_one
                if asked.cancelled():
                    continue
                try:
                    answer = partial(asked.set_result, call())
                except BaseException as error:
                    answer = partial(asked.set_exception, error)
                # Whoever has given it up wants none.
                with suppress(InvalidStateError):
                    answer()
        finally:
            # An engine that was cut off has nothing to close.
            with suppress(Exception):
                self._backend.disconnect()
            _free.release()
