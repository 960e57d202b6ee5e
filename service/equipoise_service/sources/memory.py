"""The memory that engines of sources may take in this process, together: DuckDB runs inside it.

Whoever opens a file gets half of what nobody has, so that the first one, mostly the only one, gets most.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

TOTAL_MIB = 4096
"""What all of them have together."""

_LEAST_MIB = 256

_shares: dict[str, int] = {}
_users: Counter[str] = Counter()
_changed = threading.Condition()


class NoMemory(Exception):
    """Others have it all."""


@contextmanager
def share(path: str, seconds: float) -> Iterator[int]:
    """Have memory for a file while it is open. Who opens the same file meanwhile has it, too: one engine.

    Args:
        path: The file.
        seconds: How long to wait until others give some back.

    Yields:
        How many MiB.

    Raises:
        NoMemory: They did not.
    """
    with _changed:
        if not _changed.wait_for(lambda: path in _shares or _free() >= _LEAST_MIB, seconds):
            raise NoMemory
        _shares.setdefault(path, max(_free() // 2, _LEAST_MIB))
        _users[path] += 1
    try:
        yield _shares[path]
    finally:
        with _changed:
            _users[path] -= 1
            if not _users[path]:
                del _users[path], _shares[path]
            _changed.notify_all()


def _free() -> int:
    return TOTAL_MIB - sum(_shares.values())
