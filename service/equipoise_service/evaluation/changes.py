"""Who waits for an environment's configuration to change: one hub for all streams of the process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from equipoise_service.errors import TooManyRequests

_RETRY_SECONDS = 30


class Changes:
    """Wakes the streams of an environment whose configuration was swapped.

    It carries no data: whoever wakes reads the present configuration. So a subscriber that was slow finds
    several changes as one, and nothing is ever queued for it.

    All state belongs to the event loop in which the streams run; `announce` and `close` may be called from
    any thread, and take no lock.

    Args:
        limit: Most subscribers at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._waiting: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    def announce(self, environment_ids: Iterable[int]) -> None:
        """Wake the subscribers of these environments."""
        for environment_id in environment_ids:
            self._in_loop(environment_id)

    def close(self) -> None:
        """Let every stream end, and admit no other."""
        self.closed = True
        self._in_loop(None)

    @contextmanager
    def subscribe(self, environment_id: int) -> Iterator[asyncio.Event]:
        """Subscribe a coroutine of the event loop; the event is set when there may be something new.

        Raises:
            TooManyRequests: As many as the limit are subscribed already, or the service is ending.
        """
        if self.closed or self._count >= self._limit:
            raise TooManyRequests(
                "No more streams can be served now. Ask for the configuration without one, or again later.",
                retry_after=_RETRY_SECONDS,
            )
        self._loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self._count += 1
        self._waiting[environment_id].add(changed)
        try:
            yield changed
        finally:
            self._count -= 1
            self._waiting[environment_id].discard(changed)
            if not self._waiting[environment_id]:
                del self._waiting[environment_id]

    def _in_loop(self, environment_id: int | None) -> None:
        if self._loop is None:
            return
        # RuntimeError: the loop has ended, and every stream with it.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake, environment_id)

    def _wake(self, environment_id: int | None) -> None:
        """Wake the subscribers of an environment, or all of them."""
        chosen = self._waiting.keys() if environment_id is None else self._waiting.keys() & {environment_id}
        for each in chosen:
            for changed in self._waiting[each]:
                changed.set()
