"""How many of a number of experiments may go wrong before it is no chance."""

from scipy.stats import binom

FAMILY = 1e-3
"""The whole check fails by chance less often than this."""


def least(number: int, probability: float, *, level: float) -> int:
    """The least number of successes that is possible by chance.

    Example:
        >>> least(32, 0.8, level=1e-4)
        16
    """
    found = int(binom.ppf(level, number, probability))
    while found > 0 and binom.cdf(found - 1, number, probability) > level:
        found -= 1
    return found


def most(number: int, probability: float, *, level: float) -> int:
    """The largest number of failures that is possible by chance.

    Example:
        >>> most(40, 0.025, level=1e-4)
        6
        >>> most(16, 0.0, level=1e-4)
        0
    """
    return number - least(number, 1 - probability, level=level)
