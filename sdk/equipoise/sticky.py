"""Sticky assignment: a store in which units keep the arms that they were given.

Assignment needs no store: the same configuration and unit give the same arm. A store is for the rare
experiment, marked `sticky`, whose units must keep their arm although its weights, traffic or audience
change while it runs. It is asked in the caller's thread at each evaluation of such a flag, and of no other.
"""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    import redis

__all__ = ["Kept", "MemoryStickyStore", "RedisStickyStore", "StickyStore"]

_MEMORY_UNITS: Final = 100_000
_NINETY_DAYS: Final = 90 * 24 * 3600


class Kept(NamedTuple):
    """The arm of a unit.

    Attributes:
        variant: the variant's key.
        revision: the experiment's revision that put the unit there; exposures carry it.
    """

    variant: str
    revision: int


class StickyStore(Protocol):
    """What a client needs of a store. Called from any thread; where it raises, the client does without it.

    Of one that is slow to raise the client asks nothing more for a while, as each caller would wait.
    """

    def get(self, experiment: str, unit: str) -> Kept | None:
        """Return the arm of a unit; None where none was put."""

    def put(self, experiment: str, unit: str, kept: Kept) -> None:
        """Remember the arm of a unit."""


class MemoryStickyStore:
    """Keeps arms in this process, for as long as it lives: for tests, and for services of one process.

    Args:
        size: how many units are kept; of more, the least recently used are forgotten.

    Example:
        >>> store = MemoryStickyStore()
        >>> store.put("checkout", "user-1", Kept("treatment", 1))
        >>> store.get("checkout", "user-1")
        Kept(variant='treatment', revision=1)
    """

    def __init__(self, size: int = _MEMORY_UNITS) -> None:
        self._size = size
        self._lock = threading.RLock()
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    def get(self, experiment: str, unit: str) -> Kept | None:
        """Return the arm of a unit; None where none was put."""
        with self._lock:
            kept = self._kept.get((experiment, unit))
            if kept is not None:
                self._kept.move_to_end((experiment, unit))
            return kept

    def put(self, experiment: str, unit: str, kept: Kept) -> None:
        """Remember the arm of a unit."""
        with self._lock:
            self._kept[experiment, unit] = kept
            self._kept.move_to_end((experiment, unit))
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


class RedisStickyStore:
    """Keeps arms in Redis, shared by all processes (`pip install equipoise[redis]`).

    An arm is a string under `{prefix}{experiment}:{unit}`, `revision:variant`. It is kept for
    `seconds` since it was last put or read.

    Args:
        client: made by the application, with a short time limit and without retries: evaluation waits for it.
        prefix: what the names of all keys begin with.
        seconds: how long an arm is kept; ninety days.
    """

    def __init__(
        self, client: "redis.Redis", *, prefix: str = "equipoise:sticky:", seconds: int = _NINETY_DAYS
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._seconds = seconds

    def get(self, experiment: str, unit: str) -> Kept | None:
        """Return the arm of a unit; None where none was put."""
        found = self._client.getex(self._name(experiment, unit), ex=self._seconds)
        if found is None:
            return None
        text = found.decode() if isinstance(found, bytes) else str(found)
        revision, _, variant = text.partition(":")
        return Kept(variant, int(revision))

    def put(self, experiment: str, unit: str, kept: Kept) -> None:
        """Remember the arm of a unit."""
        text = f"{kept.revision}:{kept.variant}"
        self._client.set(self._name(experiment, unit), text, ex=self._seconds)

    def _name(self, experiment: str, unit: str) -> str:
        return f"{self._prefix}{experiment}:{unit}"
