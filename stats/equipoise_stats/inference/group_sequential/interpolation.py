"""Chebyshev interpolation of smooth functions that cost much, so that many metrics can share them."""

from collections.abc import Sequence

import numpy as np

from equipoise_stats.inference.group_sequential.recursion import Floats

_COUNT = 14
_ANGLES = np.pi * (np.arange(_COUNT) + 0.5) / _COUNT
_TO_COEFFICIENTS = np.cos(np.outer(np.arange(_COUNT), _ANGLES)) * (2 / _COUNT)
_TO_COEFFICIENTS[0] /= 2

UNIT_NODES: Floats = np.cos(_ANGLES)
"""Where on [−1, 1] the function is to be known."""


def coefficients(values: Sequence[float] | Floats) -> tuple[float, ...]:
    """Chebyshev coefficients of the polynomial through a function's values at `UNIT_NODES`.

    Example:
        >>> series = coefficients(UNIT_NODES**2)
        >>> round(evaluate(series, 0.5), 12)
        0.25
    """
    return tuple(map(float, _TO_COEFFICIENTS @ np.asarray(values)))


def evaluate(series: tuple[float, ...], x: float) -> float:
    """The polynomial's value at x in [−1, 1] (Clenshaw 1955)."""
    b1, b2 = 0.0, 0.0
    for coefficient in series[:0:-1]:
        b1, b2 = 2 * x * b1 - b2 + coefficient, b1
    return x * b1 - b2 + series[0]
