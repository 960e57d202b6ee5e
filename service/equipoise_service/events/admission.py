"""Memory for batches: no body is read for which there is no room, whatever the load."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from equipoise_service.errors import Unavailable


class Share:
    """What one request holds; `grow` and `shrink` it as more or less is needed."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.held = 0

    def resize(self, size: int) -> None:
        """Hold so many bytes from now on.

        Raises:
            Unavailable: Others hold too much for that.
        """
        self._admission.exchange(self.held, size)
        self.held = size

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """What takes many times the body's memory: one request after the other."""
        async with self._admission.turn:
            yield


class Admission:
    """The bytes of bodies that are being read, judged and stored at any time.

    All requests are of one event loop, so nothing is locked. A request that is alone is always admitted:
    bodies have a limit of their own, and the largest must have its turn, too.

    Args:
        limit: Most bytes at once.

    Attributes:
        turn: Held by the one request that may take many times its body's memory.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self.turn = asyncio.Semaphore(1)

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A share for one request, of nothing at first; given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.exchange(share.held, 0)

    def exchange(self, before: int, after: int) -> None:
        """Hold `after` bytes in place of `before`.

        Raises:
            Unavailable: There is no room.
        """
        others = self._held - before
        if after > before and others and others + after > self._limit:
            raise Unavailable(
                "Too many bytes of batches wait for their commit. Send the batch again.", retry_after=1
            )
        self._held = others + after
