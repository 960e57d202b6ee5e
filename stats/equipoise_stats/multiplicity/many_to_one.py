"""The distribution of the largest of several comparisons with one control.

With z_i = λ_i x + √(1 − λ_i²) e_i, where x belongs to the control, the comparisons are independent given x,
and with t statistics also given the common variance estimate: one or two integrals, whatever the number of
arms. Both are taken by the trapezoidal rule, which converges exponentially on such integrands, and in
logarithms, so that tails far beyond 1e-308 keep their digits.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, logsumexp

Floats = npt.NDArray[np.float64]

MOST_CONTROL_SHARE = 1 - 1e-4
"""A larger share of the control in a comparison's variance counts as this one: p is then too large."""

_REACH = 9.0
_NEGLIGIBLE = 45.0
_UNION_IS_SUM = -30.0


def log_tail_of_largest(
    critical: float, control_shares: npt.ArrayLike, *, df: float = math.inf, two_sided: bool
) -> float:
    """The natural logarithm of the probability that the largest comparison exceeds a value.

    Args:
        critical: The value; two-sided it is not negative and compared with the largest absolute value.
        control_shares: λ² of each comparison, shape (k,): the control's share of its variance, in [0, 1].
        df: Degrees of freedom of the common variance estimate; infinite for normal statistics.
        two_sided: Whether absolute values count.

    Source:
        Dunnett 1955, J. Am. Stat. Assoc. 50, 1096–1121; Hsu 1996, Multiple Comparisons, chapter 3.

    Example:
        >>> round(math.exp(log_tail_of_largest(2.21213, [0.5, 0.5], two_sided=True)), 6)
        0.05
    """
    shares = np.minimum(np.asarray(control_shares, dtype=np.float64), MOST_CONTROL_SHARE)
    if math.isinf(df):
        return min(0.0, float(_log_tail_normal(np.array([critical]), shares, two_sided)[0]))
    # u = ln(s/σ) has the density exp(df (u − (e^2u − 1)/2)) up to a constant. Times the tail, about
    # exp(−c² e^2u / 2), it peaks at −ln(1 + c²/df)/2, with the same shape about that.
    peak = -0.5 * math.log1p(max(0.0, critical) ** 2 / df)
    offsets = _grid(df)
    constant = logsumexp(_log_density(offsets, df))
    scales = offsets + peak
    log_tails = _log_tail_normal(critical * np.exp(scales), shares, two_sided)
    return min(0.0, float(logsumexp(_log_density(scales, df) + log_tails) - constant))


def _log_density(u: Floats, df: float) -> Floats:
    density: Floats = df * (u - np.expm1(2 * u) / 2)
    return density


def _grid(df: float) -> Floats:
    """Evenly spaced offsets u within which all but e^−45 of the mass lies."""
    k = _NEGLIGIBLE / df
    low = -(k + math.sqrt(k * k + 4 * k)) / 2
    high = 0.5 * math.log1p(2 * k + 2.4 * math.sqrt(k))
    step = min(0.13, 0.45 / math.sqrt(2 * df))
    return np.arange(low, high + step, step)


def _log_tail_normal(critical: Floats, shares: Floats, two_sided: bool) -> Floats:
    """The logarithm of P(largest > c) of normal statistics for each c, shape (len(critical),)."""
    loading, spread = np.sqrt(shares), np.sqrt(1 - shares)
    step = 0.4 * min(1.0, float((spread / np.maximum(loading, 1e-300)).min()))
    reach = _REACH + float(loading.max()) * max(0.0, float(critical.max()))
    x = np.arange(-reach, reach + step, step)
    log_none = np.zeros((len(critical), len(x)))
    log_sum = np.full((len(critical), len(x)), -np.inf)
    for own, rest in zip(loading, spread, strict=True):
        log_q = log_ndtr((own * x - critical[:, None]) / rest)
        if two_sided:
            log_q = np.minimum(0.0, np.logaddexp(log_q, log_ndtr((-own * x - critical[:, None]) / rest)))
        with np.errstate(divide="ignore"):
            log_none += np.log1p(-np.exp(log_q))
        log_sum = np.logaddexp(log_sum, log_q)
    with np.errstate(divide="ignore"):
        log_any = np.where(log_sum < _UNION_IS_SUM, log_sum, np.log(-np.expm1(log_none)))
    weights = -x * x / 2
    log_tails: Floats = logsumexp(weights + log_any, axis=1) - logsumexp(weights)
    return log_tails
