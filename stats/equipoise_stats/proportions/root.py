"""Where a test of proportions stops rejecting, to the last digit."""

from collections.abc import Callable

_ROUNDING = 8.9e-16
"""Four times the spacing of doubles: as narrow as a bracket gets."""

_SMALLEST = 1e-25
"""Roots below it are taken for zero; those of rare events need all their digits."""


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """The root of a continuous function between two arguments at which its signs differ.

    Args:
        function: The function.
        low: An argument on one side of the root.
        high: An argument on the other.

    Example:
        >>> root(lambda x: x * x - 1e-12, 0.0, 1.0)
        1e-06
    """
    from scipy.optimize import brentq  # a third of this package's import time

    return float(brentq(function, low, high, xtol=_SMALLEST, rtol=_ROUNDING, maxiter=1000))
