"""What a client is told when it is made, checked once."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings of a client; the arguments of `Client` explain them.

    Raises:
        ValueError: a setting is unusable; the message names it.
    """

    url: str
    key: str = field(repr=False)
    poll_interval: float
    flush_interval: float
    batch_size: int
    queue_size: int
    timeout: float

    def __post_init__(self) -> None:
        from urllib.parse import urlsplit  # here, because it is a good part of the time of `import equipoise`

        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url: expected http(s)://host[:port][/path], got {self.url!r}")
        if parts.username or parts.password:
            raise ValueError("url: give the key as `key`, not inside the url")
        _ = parts.port  # raises ValueError where the port is not a number of 0 to 65535
        if not self.key or not self.key.isascii() or not self.key.isprintable() or " " in self.key:
            raise ValueError("key: expected an API key: printable ASCII without spaces or line ends")
        for name in ("poll_interval", "flush_interval", "timeout"):
            seconds = getattr(self, name)
            if not (math.isfinite(seconds) and seconds > 0):
                raise ValueError(f"{name}: expected a positive number of seconds, got {seconds!r}")
        for name in ("batch_size", "queue_size"):
            count = getattr(self, name)
            if not isinstance(count, int) or count < 1:
                raise ValueError(f"{name}: expected a whole number of at least 1, got {count!r}")
