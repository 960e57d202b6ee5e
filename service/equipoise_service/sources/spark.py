"""Connections to Spark, of which a process has one session: they take turns, and their times are UTC.

Whoever disconnects stops the session, for everybody in the process.
"""

import threading
from contextlib import suppress
from typing import Any

import ibis

_ZONE = "spark.sql.session.timeZone"

_turn = threading.Lock()


class NotUtc(Exception):
    """Times would be other ones."""

    def __init__(self, zone: str) -> None:
        super().__init__(
            f"the session's time zone is {zone} and cannot be changed: set {_ZONE} to UTC, where the session "
            "is configured"
        )


def connect_in_turn(url: str) -> Any:
    """Connect in UTC, whatever zone the address, the configuration or the machine name.

    Args:
        url: The address, as Ibis has it.

    Returns:
        The Ibis backend, when nobody else is connected. The next one waits until it is disconnected.

    Raises:
        NotUtc: The session keeps another zone.
    """
    _turn.acquire()
    try:
        backend = ibis.connect(url)
        stop = backend.disconnect
    except BaseException:
        _turn.release()
        raise

    def disconnect() -> None:
        try:
            stop()
        finally:
            _turn.release()

    backend.disconnect = disconnect
    try:
        _mean_utc(backend)
    except BaseException:
        disconnect()
        raise
    return backend


def _mean_utc(backend: Any) -> None:
    configuration = backend._session.conf  # Ibis has no other way to it
    # A session that refuses to be changed may mean UTC all the same.
    with suppress(Exception):
        configuration.set(_ZONE, "UTC")
    zone = configuration.get(_ZONE)
    if zone != "UTC":
        raise NotUtc(zone)
