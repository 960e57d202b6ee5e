"""Short reads of the event store for people who look for a fault, the same on every engine."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from equipoise_service.errors import ServiceError, Unavailable
from equipoise_service.events.stores.store import EventStore

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

_log = logging.getLogger(__name__)

T = TypeVar("T")


def asked(store: EventStore, ask: Callable[["SQLBackend"], T]) -> T:
    """What a function finds in one snapshot of the store.

    Raises:
        Unavailable: The store cannot be read now; the log says why.
    """
    try:
        with store.ibis() as backend:
            return ask(backend)
    except ServiceError:
        raise
    except Exception:
        # Each engine's driver has errors of its own.
        _log.exception("could not read the event store")
        raise Unavailable(
            "The event store cannot be read now; the service's log says why. Ask again.", retry_after=5
        ) from None


def latest(moments: "ir.TimestampColumn") -> "ir.TimestampScalar":
    """The latest of some moments; null without any, also where the engine's column can hold no null."""
    greatest: ir.TimestampScalar = moments.cast(moments.type().copy(nullable=True)).max()
    return greatest


def rows_of(table: "ir.Table") -> list[dict[str, Any]]:
    """The rows of a short table."""
    found: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
    return found
