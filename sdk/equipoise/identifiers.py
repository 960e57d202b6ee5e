"""Identifiers of exposures and events: UUID version 7 (RFC 9562)."""

import os
import threading
import time
from collections.abc import Iterator
from typing import Final

__all__ = ["uuid7"]

_COUNTER_BITS: Final = 42
_RANDOM_BITS: Final = 32
_RANDOM_BYTES: Final = 1024
_COUNTER_SEED_BITS: Final = (
    _COUNTER_BITS - 1
)  # the top bit starts at 0, so that a millisecond cannot overflow


class _Generator:
    """The last millisecond and counter of this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may log while its own thread does
        self._millisecond = -1
        self._counter = 0
        self._random: Iterator[int] = iter(())

    def next(self) -> tuple[int, int, int]:
        """Return (millisecond, counter, 32 random bits); the first two grow with each call."""
        now = time.time_ns() // 1_000_000
        with self._lock:
            if now > self._millisecond:
                self._millisecond = now
                self._counter = int.from_bytes(os.urandom(6), "big") >> (48 - _COUNTER_SEED_BITS)
            else:
                # Also where the clock went back: the order is kept, the time stands still meanwhile.
                self._counter += 1
            random = next(self._random, None)
            if random is None:  # drawn many at a time: the system takes longer than all the rest
                self._random = iter(memoryview(os.urandom(_RANDOM_BYTES)).cast("I"))
                random = next(self._random)
            return self._millisecond, self._counter, random & 0xFFFF_FFFF


_generator = _Generator()


def _start_anew() -> None:
    """Give a forked child a lock that nobody holds and a counter of its own."""
    global _generator
    _generator = _Generator()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def uuid7() -> str:
    """Return a new UUID version 7, as 36 lowercase characters.

    The layout is RFC 9562's section 6.2, method 1 (a dedicated counter): 48 bits of Unix milliseconds, a
    42-bit counter that starts each millisecond at a random place, and 32 random bits. Within a process each
    identifier is greater, as text and as a number, than every one before it, from any thread and even when
    the clock goes back. Forked processes draw their own counters and random bits.

    Example:
        >>> first, second = uuid7(), uuid7()
        >>> first < second, first[14]
        (True, '7')
    """
    millisecond, counter, random = _generator.next()
    high = (millisecond & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | counter >> (_COUNTER_BITS - 12) & 0xFFF
    low_counter = counter & (1 << (_COUNTER_BITS - 12)) - 1
    low = 0b10 << 62 | low_counter << _RANDOM_BITS | random
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
