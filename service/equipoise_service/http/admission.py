"""Memory for bodies: none is read for which there is no room, whatever the load."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from equipoise_service.errors import Unavailable


class Share:
    """What one request holds; `resize` it as more or less is needed."""

    def __init__(self, admission: "Admission", owner: str) -> None:
        self._admission = admission
        self._owner = owner
        self.held = 0

    def resize(self, size: int) -> None:
        """Hold so many bytes from now on.

        Raises:
            Unavailable: Others hold too much for that, or other requests of the same owner do.
        """
        self._admission.exchange(self._owner, self.held, size)
        self.held = size

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """What takes many times the body's memory: one request after the other."""
        async with self._admission.turn:
            yield


class Admission:
    """The bytes of bodies that are being read, judged and stored at any time.

    All requests are of one event loop, so nothing is locked. A request that is alone is always admitted:
    bodies have a limit of their own, and the largest must have its turn, too. An owner who holds something
    gets more while as much stays free as it then holds: nobody keeps everybody else out.

    Args:
        limit: Most bytes at once.

    Attributes:
        turn: Held by the one request that may take many times its body's memory.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._held_by: Counter[str] = Counter()
        self.turn = asyncio.Semaphore(1)

    @contextmanager
    def share(self, owner: str) -> Iterator[Share]:
        """A share for one request, of nothing at first; given back at the end.

        Args:
            owner: Whose request it is.
        """
        share = Share(self, owner)
        try:
            yield share
        finally:
            self.exchange(owner, share.held, 0)
            if not self._held_by[owner]:
                del self._held_by[owner]

    def exchange(self, owner: str, before: int, after: int) -> None:
        """Hold `after` bytes in place of `before`.

        Raises:
            Unavailable: There is no room.
        """
        others, own = self._held - before, self._held_by[owner] - before
        if after > before and others:
            free = self._limit - others - after
            if free < 0 or (own and own + after > free):
                raise Unavailable(
                    "Too many bytes of requests are being read and stored. Send the request again.",
                    retry_after=1,
                )
        self._held = others + after
        self._held_by[owner] = own + after
