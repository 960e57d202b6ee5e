"""What a client is told when it is made, checked once."""

import importlib.util
import math
import os
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from equipoise._queue import WHEN_FULL, WhenFull

_LONGEST_BLOCK_SECONDS: Final = 60.0
_SMALLEST_SPOOL_BYTES: Final = 1024 * 1024


class Settings(NamedTuple):
    """Settings of a client; the arguments of `Client` explain them."""

    url: str
    key: str
    poll_interval: float
    flush_interval: float
    batch_size: int
    queue_size: int
    timeout: float
    when_full: WhenFull
    block_seconds: float
    spool: Path | None
    spool_bytes: int
    last_known_good: Path | None
    stream: bool

    def __repr__(self) -> str:  # a traceback that shows values must not show the key
        return f"Settings(url={self.url!r})"


def check(settings: Settings) -> Settings:
    """Return the settings if every one is usable.

    Raises:
        ValueError: one is not; the message names it, and never holds the key.
    """
    _check_url(settings.url)
    key = settings.key
    if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("key: expected an API key: printable ASCII without spaces or line ends")
    for name in ("poll_interval", "flush_interval", "timeout", "block_seconds"):
        seconds = getattr(settings, name)
        if not isinstance(seconds, int | float) or not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"{name}: expected a positive number of seconds, got {seconds!r}")
    if settings.block_seconds > _LONGEST_BLOCK_SECONDS:
        raise ValueError(
            f"block_seconds: expected at most {_LONGEST_BLOCK_SECONDS}, got {settings.block_seconds!r}"
        )
    for name, least in (("batch_size", 1), ("queue_size", 1), ("spool_bytes", _SMALLEST_SPOOL_BYTES)):
        count = getattr(settings, name)
        if not isinstance(count, int) or count < least:
            raise ValueError(f"{name}: expected a whole number of at least {least}, got {count!r}")
    if settings.when_full not in WHEN_FULL:
        raise ValueError(f"when_full: expected one of {', '.join(WHEN_FULL)}, got {settings.when_full!r}")
    if settings.spool is not None and importlib.util.find_spec("fcntl") is None:
        raise ValueError("spool: this system has no file locks of the kind that a spool needs (fcntl)")
    return settings


def path(name: str, given: Any) -> Path | None:
    """Return a path that was given as text or path object; None for None.

    Raises:
        ValueError: it is neither.
    """
    if given is None:
        return None
    if not isinstance(given, str | os.PathLike) or not str(given):
        raise ValueError(f"{name}: expected a path, got {given!r}")
    return Path(given)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("url: give the key as `key`, not inside the url")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"url: expected http(s)://host[:port][/path], got {url!r}")
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"url: {error}, got {url!r}") from error
