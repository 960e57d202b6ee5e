"""The beta distribution far into its tails, and with a billion counts, without losing digits.

Everything is a function of the log odds u = ln(x / (1 − x)) rather than of x, so that a distribution close to
0 or to 1 is as exact as one in the middle.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincc, expit, log_expit

from equipoise_stats.multinomial import deviance, stirling_remainder

_TINY = 1e-250
_NEAR = 30.0
_NODES, _WEIGHTS = np.polynomial.laguerre.laggauss(40)
_LOG_2_PI = math.log(2 * math.pi)


def beta_log_kernel(u: ArrayLike, a: float, b: float) -> NDArray[np.float64]:
    """The log density of u = ln(x/(1 − x)) for x ~ Beta(a, b), that is ln(x^a (1 − x)^b / B(a, b)).

    Args:
        u: Log odds, any shape.
        a: First parameter, positive.
        b: Second parameter, positive.

    Returns:
        The logarithms, in the shape of `u`.

    Source:
        Loader 2000, Fast and accurate computation of binomial probabilities: Stirling's formula turns the
        powers into two deviances, which lose no digits near the mode.

    Example:
        >>> float(np.exp(beta_log_kernel(0.0, 2.0, 2.0)).round(9))
        0.375
    """
    u = np.asarray(u, dtype=np.float64)
    n = a + b
    mode = math.log(a) - math.log(b)
    near = np.clip(u, mode - _NEAR, mode + _NEAR)
    powers = np.where(
        near == u,
        -deviance(np.asarray(a), n * expit(near)) - deviance(np.asarray(b), n * expit(-near)),
        a * (log_expit(u) - math.log(a / n)) + b * (log_expit(-u) - math.log(b / n)),
    )
    remainder = stirling_remainder(n) - stirling_remainder(a) - stirling_remainder(b)
    return np.asarray(powers + (remainder - 0.5 * (_LOG_2_PI + math.log(n / a) - math.log(b))))


def beta_log_lower(u: ArrayLike, a: float, b: float) -> NDArray[np.float64]:
    """The natural logarithm of P(X ≤ x) for X ~ Beta(a, b), at x with log odds u.

    The upper tail is `beta_log_lower(-u, b, a)`.

    Args:
        u: Log odds of x, any shape.
        a: First parameter, positive.
        b: Second parameter, positive.

    Example:
        >>> beta_log_lower([0.0, -1000.0], 2.0, 1.0).round(6).tolist()
        [-1.386294, -2000.0]
    """
    u = np.asarray(u, dtype=np.float64)
    # From whichever of x and 1 − x is the smaller, and therefore exact.
    small = expit(-np.abs(u))
    tail = np.where(u < 0, betainc(a, b, small), betaincc(b, a, small))
    with np.errstate(divide="ignore"):
        log_tail = np.log(tail)
    deep = tail < _TINY
    if deep.any():
        log_tail = np.array(log_tail)
        log_tail[deep] = _deep_tail(u[deep], a, b)
    return np.asarray(log_tail)


def f_log_upper_tail(f: float, df1: float, df2: float) -> float:
    """The natural logarithm of P(F > f) for an F variable.

    Args:
        f: The value, not negative.
        df1: Degrees of freedom of the numerator.
        df2: Degrees of freedom of the denominator.

    Example:
        >>> round(math.exp(f_log_upper_tail(4.964603, 1, 10)), 6)
        0.05
    """
    if f <= 0:
        return 0.0
    return float(beta_log_lower(math.log(df2) - math.log(df1) - math.log(f), df2 / 2, df1 / 2))


def _deep_tail(u: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    """`beta_log_lower` far in the tail, by Gauss–Laguerre quadrature.

    With the slope s = a − (a + b) x of the log density at u, the density at u − v/s is nearly that at u times
    exp(−v), and the quotient is smooth.
    """
    at_u = beta_log_kernel(u, a, b)
    slope = a - (a + b) * expit(u)
    before = beta_log_kernel(u[:, np.newaxis] - _NODES / slope[:, np.newaxis], a, b)
    quotient = np.exp(before - at_u[:, np.newaxis] + _NODES)
    return np.asarray(at_u - np.log(slope) + np.log(quotient @ _WEIGHTS))
