"""How long to wait, with jitter, so that clients that began together do not act together."""

from random import uniform
from typing import Final

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 60.0


def earlier(seconds: float) -> float:
    """Return up to a tenth less than `seconds`, drawn at random."""
    return seconds * uniform(0.9, 1.0)  # noqa: S311 - spreads load, keeps no secret


def delay(failures: int, retry_after: float | None) -> float:
    """Return seconds to wait after so many failures in a row.

    The wait doubles from half a second to a minute and is drawn from its upper half, so that clients that
    failed together do not return together. It is never shorter than what the service asked for.

    Args:
        failures: at least 1.
        retry_after: what the service asked for, in seconds.
    """
    ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    jittered = ceiling * uniform(0.5, 1.0)  # noqa: S311 - as above
    return jittered if retry_after is None else max(retry_after + jittered / 10, jittered)
