"""What a client is told when it is made, checked once."""

import math
from typing import NamedTuple
from urllib.parse import urlsplit


class Settings(NamedTuple):
    """Settings of a client; the arguments of `Client` explain them."""

    url: str
    key: str
    poll_interval: float
    flush_interval: float
    batch_size: int
    queue_size: int
    timeout: float

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
    for name in ("poll_interval", "flush_interval", "timeout"):
        seconds = getattr(settings, name)
        if not isinstance(seconds, int | float) or not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"{name}: expected a positive number of seconds, got {seconds!r}")
    for name in ("batch_size", "queue_size"):
        count = getattr(settings, name)
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name}: expected a whole number of at least 1, got {count!r}")
    return settings


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
