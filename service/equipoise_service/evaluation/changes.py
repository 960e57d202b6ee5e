"""Who waits for an environment's configuration to change: one hub for all streams of the process."""

import asyncio
from collections import Counter, defaultdict
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

    A key gets another place only while more places are free than it has: alone it may take half of them, and
    whatever some keys have taken, the next one finds a place (the dynamic threshold of A. K. Choudhury and
    E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on
    Networking 6, 1998). So a page, whose key everybody knows, keeps no server away.

    Args:
        limit: Most subscribers at once.
        delay: Seconds from when this process knows of a change until every other one does. Whoever is told
            of it asks for the configuration, and may meet another process.
    """

    def __init__(self, limit: int, delay: float = 0.0) -> None:
        self._limit = limit
        self.delay = delay
        self._count = 0
        self._of_key: Counter[str] = Counter()
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
    def subscribe(self, environment_id: int, key: str) -> Iterator[asyncio.Event]:
        """Subscribe a coroutine of the event loop; the event is set when there may be something new.

        Args:
            environment_id: Whose changes.
            key: Public id of the key that asks.

        Raises:
            TooManyRequests: The key has as many places as are left, or the service is ending.
        """
        if self.closed or self._of_key[key] >= self._limit - self._count:
            raise TooManyRequests(
                "No more streams can be served with this key now. Ask without one, or "
                "again later; where one key serves many, give some of them a key of their own, or let the "
                "operator raise EQUIPOISE_STREAM_SUBSCRIBERS.",
                retry_after=_RETRY_SECONDS,
            )
        self._loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self._count += 1
        self._of_key[key] += 1
        self._waiting[environment_id].add(changed)
        try:
            yield changed
        finally:
            self._count -= 1
            self._of_key[key] -= 1
            if not self._of_key[key]:
                del self._of_key[key]
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
