"""Interrupting what runs on an engine: another thread stops the work that it was asked to stop.

And it asks how far the statement is that runs at this moment.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from equipoise_service.statements import RunningStatements

_COUNT_ROWS = (
    "SET enable_progress_bar_print = false; SET enable_progress_bar = true; SET progress_bar_time = 0"
)


class Interrupted(Exception):
    """The work was stopped before it was done."""


class Interruption:
    """Stops one piece of work, wherever it reads at that moment.

    Attributes:
        asked: Whether it was asked to stop.
    """

    def __init__(self) -> None:
        self.asked = False
        self._backends: list[Any] = []

    def ask(self) -> None:
        """Interrupt what runs. Ask again until the work ended: between two statements nothing runs."""
        self.asked = True
        for backend in tuple(self._backends):
            # A connection that was closed meanwhile has nothing to interrupt.
            with suppress(Exception):
                interrupt(backend)

    def done(self) -> float | None:
        """How much of the statement is done that runs now, from 0 to 1; None where none runs or none knows.

        DuckDB and ClickHouse know: of the rows that a statement has to read, how many it has read. PostgreSQL
        says nothing.
        """
        for backend in tuple(self._backends):
            # A connection that was closed meanwhile runs nothing.
            with suppress(Exception):
                share = _share_done(backend)
                if share is not None:
                    return share
        return None

    @contextmanager
    def watches(self) -> Iterator[None]:
        """Have what this thread reads in the block stopped when it is asked."""
        token = _present.set(self)
        try:
            yield
        finally:
            _present.reset(token)

    @contextmanager
    def _reaches(self, backend: Any) -> Iterator[None]:
        self._backends.append(backend)
        try:
            yield
        finally:
            self._backends.remove(backend)
            if hasattr(backend, "running"):
                backend.running.close()


_present: ContextVar[Interruption | None] = ContextVar("interruption", default=None)


@contextmanager
def interruptible(backend: Any) -> Iterator[None]:
    """Let the work that this thread does be stopped while it reads from an Ibis backend."""
    present = _present.get()
    if present is None:
        yield
        return
    if backend.name == "duckdb":
        # For this connection alone, and nothing is printed.
        backend.con.execute(_COUNT_ROWS)
    with present._reaches(backend):
        yield


def _share_done(backend: Any) -> float | None:
    if backend.name == "duckdb":
        percent: float = backend.con.query_progress()
        return min(1.0, percent / 100) if percent >= 0 else None
    running: RunningStatements | None = getattr(backend, "running", None)
    return None if running is None else running.done()


def interrupt(backend: Any) -> None:
    """Interrupt the statement of an Ibis backend.

    DuckDB, PostgreSQL and ClickHouse can be interrupted from here; on other engines a statement goes on to
    its end. Who waits for one that runs apart does so no longer.
    """
    if backend.name == "duckdb":
        backend.con.interrupt()
    elif backend.name == "postgres":
        backend.con.cancel_safe(timeout=5)
    elif hasattr(backend, "running"):
        backend.running.stop()
    elif hasattr(backend, "give_up"):
        backend.give_up()
