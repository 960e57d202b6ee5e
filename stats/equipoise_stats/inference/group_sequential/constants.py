"""The classical constants of Pocock and of O'Brien and Fleming, for equally spaced looks.

For other looks there are spending functions of the same character (`plan_looks`).
"""

import math

import numpy as np

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.comparison import Alternative
from equipoise_stats.inference.group_sequential.looks import MOST_LOOKS
from equipoise_stats.inference.group_sequential.recursion import Stage, grid_towards, log_exits
from equipoise_stats.inference.settings import check_alpha, tail_alpha


def pocock_constant(looks: int, *, alpha: float = 0.05, alternative: Alternative = "two-sided") -> float:
    """Pocock's constant: the critical value that equally spaced looks share.

    Args:
        looks: Number of equally spaced looks, 1 to 1000.
        alpha: Level of the whole test.
        alternative: `two-sided` (α/2 a side), `greater` or `less`.

    Raises:
        ValueError: looks, alpha or alternative is out of range.

    Source:
        Pocock 1977 (Biometrika 64, 191–199); Jennison and Turnbull 2000, table 2.1.

    Example:
        >>> round(pocock_constant(5), 4)
        2.4132
    """
    return _shape_constant(looks, 0.0, alpha, alternative)


def obrien_fleming_constant(
    looks: int, *, alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> float:
    """O'Brien and Fleming's constant C: look k of K has the critical value C √(K / k).

    Args:
        looks: Number K of equally spaced looks, 1 to 1000.
        alpha: Level of the whole test.
        alternative: `two-sided` (α/2 a side), `greater` or `less`.

    Raises:
        ValueError: looks, alpha or alternative is out of range.

    Source:
        O'Brien and Fleming 1979 (Biometrics 35, 549–556); Jennison and Turnbull 2000, table 2.3.

    Example:
        >>> round(obrien_fleming_constant(5), 4)
        2.0401
    """
    return _shape_constant(looks, 0.5, alpha, alternative)


def _shape_constant(looks: int, exponent: float, alpha: float, alternative: Alternative) -> float:
    """The C for which the critical values C (K / k)^exponent have level alpha."""
    from scipy.optimize import brentq

    if not 1 <= looks <= MOST_LOOKS:
        raise ValueError(f"There are {looks!r} looks; their number must lie between 1 and {MOST_LOOKS}.")
    tail = tail_alpha(check_alpha(alpha), alternative)
    times = [(look + 1) / looks for look in range(looks)]
    no_drift = np.zeros(1)

    def excess(constant: float) -> float:
        stage, spent = None, 0.0
        for time in times:
            grid, bound = grid_towards(stage, time), constant * time ** (0.5 - exponent)
            spent += math.exp(float(log_exits(grid, time, bound, no_drift)[0]))
            stage = Stage(time, -bound if alternative == "two-sided" else -math.inf, bound, grid)
        return math.log(spent / tail)

    # Between the fixed critical value and Bonferroni's.
    return float(
        brentq(
            excess, normal_upper_quantile(tail) - 1e-9, normal_upper_quantile(tail / looks) + 1e-9, xtol=1e-13
        )
    )
