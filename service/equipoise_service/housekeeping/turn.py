"""One piece of housekeeping at a time in a process: a backup shows a state before an erasure or after it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from equipoise_service.errors import Conflict


class Turn:
    """Who keeps house now, if anybody does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn for as long as the context is open.

        Raises:
            Conflict: Somebody else has it.
        """
        if not self._lock.acquire(blocking=False):
            raise Conflict(
                "An erasure, a backup or a deletion of old facts is going on. Ask again when it is done.",
                type="housekeeping",
            )
        try:
            yield
        finally:
            self._lock.release()
