"""The limits of what every inference is given: levels, sides, null values."""

import math
from typing import get_args

from equipoise_stats.inference.comparison import Alternative, Scale

_SMALLEST_ALPHA = 1e-50
_ALTERNATIVES = get_args(Alternative)
_SCALES = get_args(Scale)


def check_alpha(alpha: float) -> float:
    """Returns a level that lies between 1e-50 (below it, quantiles lose their digits) and 0.5.

    Raises:
        ValueError: It does not.
    """
    if not _SMALLEST_ALPHA <= alpha < 0.5:
        raise ValueError(
            f"alpha is {alpha!r}; it must lie between {_SMALLEST_ALPHA:g} and 0.5, for example 0.05."
        )
    return alpha


def tail_alpha(alpha: float, alternative: Alternative) -> float:
    """The part of a level that lies on one side.

    Raises:
        ValueError: The alternative is none of the three.

    Example:
        >>> tail_alpha(0.05, "two-sided"), tail_alpha(0.05, "greater")
        (0.025, 0.05)
    """
    if alternative not in _ALTERNATIVES:
        raise ValueError(f"alternative is {alternative!r}; it must be one of {', '.join(_ALTERNATIVES)}.")
    return alpha / 2 if alternative == "two-sided" else alpha


def check_null(null: float, scale: Scale) -> None:
    """Checks a null value on its scale.

    Raises:
        ValueError: The scale is unknown, the value is not finite, or a lift is not above −1.
    """
    if scale not in _SCALES:
        raise ValueError(f"scale is {scale!r}; it must be one of {', '.join(_SCALES)}.")
    if not math.isfinite(null):
        raise ValueError(f"The null value is {null!r}; it must be a finite number.")
    if scale == "lift" and null <= -1:
        raise ValueError(f"The null value is a lift of {null!r}; a lift must lie above -1.")
