"""Statements that end: whatever runs on an engine is interrupted when its time is over."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from equipoise_service.interruption import interrupt

_AGAIN_SECONDS = 0.2


class TooSlow(Exception):
    """The time was over before the engine had answered."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it did not finish within {seconds:g} seconds")


@contextmanager
def deadline(backend: Any, seconds: float) -> Iterator[None]:
    """Interrupt what runs on a backend after so many seconds.

    Args:
        backend: An Ibis backend. DuckDB, PostgreSQL and ClickHouse are interrupted from here; the others are
            given up.
        seconds: How long all statements in the block may take together.

    Raises:
        TooSlow: The time was over.
    """
    done = threading.Event()
    expired = threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        expired.set()
        # Again and again: an interrupt between two statements meets none.
        while True:
            # Who cannot be reached to be interrupted keeps the limit that its session was opened with.
            with suppress(Exception):
                interrupt(backend)
            if done.wait(_AGAIN_SECONDS):
                return

    watcher = threading.Thread(target=watch, name="equipoise-deadline", daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        if expired.is_set():
            raise TooSlow(seconds) from error
        raise
    finally:
        done.set()
        watcher.join()
    if expired.is_set():
        raise TooSlow(seconds)
