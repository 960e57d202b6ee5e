"""Which exposures have been logged, so that a unit's exposure to a revision is logged once."""

import threading
from time import monotonic
from typing import Final

ExposureKey = tuple[str, str | None, int | None, str | None]
"""(unit, experiment, revision, variant); with the variant, so that a crossover is never hidden."""

MAX_REMEMBERED: Final = 65_536
"""How many exposures are remembered at most."""

LIFETIME_SECONDS: Final = 3600.0
"""How long an exposure is remembered; one that lasts longer is logged again, which analysis expects."""


class Exposures:
    """Remembers recent exposures in bounded memory.

    Two generations approximate least-recently-used order without a lock on the frequent path: a key found
    in the older one moves to the recent one, and a full recent one becomes the older.
    """

    def __init__(self, capacity: int = MAX_REMEMBERED, lifetime: float = LIFETIME_SECONDS) -> None:
        self._generation_size = max(1, capacity // 2)
        self._lifetime = lifetime
        self._lock = threading.RLock()  # a signal handler may expose while its own thread does
        self._recent: dict[ExposureKey, float] = {}
        self._older: dict[ExposureKey, float] = {}

    def is_first(self, key: ExposureKey) -> bool:
        """Remember the exposure; return whether it was not remembered before. One caller gets True."""
        now = monotonic()
        since = self._recent.get(key)
        if since is not None and now - since < self._lifetime:
            return False
        with self._lock:
            since = self._recent.get(key)
            if since is None:
                since = self._older.pop(key, None)
            remembered = since is not None and now - since < self._lifetime
            self._recent[key] = since if remembered and since is not None else now
            if len(self._recent) >= self._generation_size:
                self._older, self._recent = self._recent, {}
            return not remembered

    def forget(self, key: ExposureKey) -> None:
        """Let the exposure count as new again: it could not be queued."""
        with self._lock:
            self._recent.pop(key, None)
            self._older.pop(key, None)
