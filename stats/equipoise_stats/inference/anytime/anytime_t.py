"""The anytime-valid t test: exact for normal data from the first units on, whatever their variance."""

import math

from equipoise_stats.distributions import t_log_upper_tail
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.anytime.mixture import normal_mixture_critical, normal_mixture_log_p
from equipoise_stats.inference.anytime.sequence import mixture_units
from equipoise_stats.inference.comparison import Alternative, Comparison, Method, Scale
from equipoise_stats.inference.conclude import conclude, unanswered
from equipoise_stats.inference.intervals import statistic
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha


def anytime_t(
    estimate: Estimate | NoEstimate,
    *,
    tuning_units: float,
    tuning_alpha: float | None = None,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Compares two arms at as many looks as one likes, with the uncertainty of the variance in it.

    Its e-value is that of the normal mixture with the unknown variance integrated out. With the pooled
    variance of `mean_difference(variance="pooled")` it is exact for normal data at any size; with Welch's or
    any other estimate it is asymptotic, and tends to the confidence sequence.

    Args:
        estimate: Any estimate; its degrees of freedom are used.
        tuning_units: Units of both arms together at which the sequence is tightest (for large samples), fixed
            before the data came. The test's g is `mixture_units(tuning_units, …)`.
        tuning_alpha: Level for which it is tightest there; the test's own unless given. Give it where one
            p-value will be held against several levels.
        alpha: Level over all looks. Two-sided, both sides share it; one-sided, all of it lies on that side
            and the mixture is its half.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value.
        scale: Whether the null value is a difference in the metric's unit or a lift, above −1.

    Returns:
        The comparison at this look. p ≤ α exactly when the interval on the null value's scale excludes it.
        With so few degrees of freedom that no effect could be distinguished yet, the critical value is
        infinite and the intervals are `unbounded`.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Lindon, Ham, Tingley and Bojinov 2022, Anytime-valid linear models and regression adjusted causal
        inference in randomized experiments, arXiv 2210.08589. The one-sided form follows from it: twice the
        e-value times the posterior probability of the side, which is a t probability with one more degree of
        freedom.

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> look = anytime_t(
        ...     mean_difference(
        ...         treatment=Moments.from_arrays({"y": [5.1, 4.9, 6.0, 5.5, 5.8, 6.1]}),
        ...         control=Moments.from_arrays({"y": [3.9, 4.1, 3.5, 4.4, 4.0, 3.7]}),
        ...         variance="pooled",
        ...     ),
        ...     tuning_units=20,
        ... )
        >>> round(look.test.p_value, 4), round(look.difference.interval.lower, 2)
        (0.0041, 0.7)
    """
    tail_alpha(check_alpha(alpha), alternative)
    check_null(null, scale)
    precision = mixture_units(tuning_units, alpha if tuning_alpha is None else tuning_alpha, alternative)
    method = Method(
        "anytime_t",
        1,
        (
            ("alpha", alpha),
            ("alternative", alternative),
            ("null", null),
            ("scale", scale),
            ("tuning_units", tuning_units),
            ("tuning_alpha", alpha if tuning_alpha is None else tuning_alpha),
        ),
    )
    if isinstance(estimate, NoEstimate):
        return unanswered(
            estimate, method=method, alpha=alpha, alternative=alternative, null=null, scale=scale
        )
    ratio, df = estimate.n / precision, estimate.df
    distance = statistic(estimate, null, scale)
    return conclude(
        estimate,
        method=method,
        alpha=alpha,
        alternative=alternative,
        null=null,
        scale=scale,
        statistic=distance,
        critical=t_mixture_critical(ratio, df, alpha=alpha, alternative=alternative),
        log_p=None if distance is None else t_mixture_log_p(distance, ratio, df, alternative=alternative),
        df=df,
    )


def t_mixture_log_p(t: float, ratio: float, df: float, *, alternative: Alternative = "two-sided") -> float:
    """The natural logarithm of the always-valid p-value of a t statistic.

    Args:
        t: The statistic.
        ratio: The mixture ratio n/g; positive.
        df: Degrees of freedom; infinite for the normal mixture.
        alternative: `two-sided`, `greater` or `less`.

    Example:
        >>> round(math.exp(t_mixture_log_p(3.5, 8.0, 20.0)), 5)
        0.03968
    """
    if math.isinf(df):
        return float(normal_mixture_log_p(t, ratio, alternative=alternative))
    log_e = _log_e(abs(t), ratio, df)
    if alternative != "two-sided":
        log_e += _log_side(t if alternative == "greater" else -t, ratio, df)
    return min(0.0, -log_e)


def t_mixture_critical(
    ratio: float, df: float, *, alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> float:
    """The t statistic beyond which the e-value exceeds 1/α; infinite where none does.

    Args:
        ratio: The mixture ratio n/g; positive.
        df: Degrees of freedom; infinite for the normal mixture.
        alpha: Level.
        alternative: `two-sided`, `greater` or `less`.

    Example:
        >>> round(t_mixture_critical(8.0, 20.0), 4), t_mixture_critical(8.0, 2.0)
        (3.3779, inf)
    """
    if math.isinf(df):
        return float(normal_mixture_critical(ratio, alpha=alpha, alternative=alternative))
    # G(t) = 1/α ⇔ t² = ν (1 − q)/(q − 1/(1 + R)) with q = (α²/(1 + R))^(1/(ν + 1)).
    missing = -math.expm1((2 * math.log(alpha) - math.log1p(ratio)) / (df + 1))
    left = ratio / (1 + ratio) - missing
    two_sided = math.sqrt(df * missing / left) if left > 0 else math.inf
    if alternative == "two-sided":
        return two_sided
    from scipy.optimize import brentq

    def excess(t: float) -> float:
        return _log_e(t, ratio, df) + _log_side(t, ratio, df) + math.log(alpha)

    if excess(math.inf) <= 0:
        return math.inf
    # On its side the one-sided e-value is the larger one, so the two-sided critical value is beyond its own.
    upper = 1.0 if math.isinf(two_sided) else two_sided
    while excess(upper) < 0:
        upper *= 2
    return float(brentq(excess, 0.0, upper, xtol=1e-14, rtol=1e-14))


def _log_e(t: float, ratio: float, df: float) -> float:
    """Logarithm of the two-sided e-value at t ≥ 0, infinite t included."""
    if t == 0:
        return -0.5 * math.log1p(ratio)
    # ln(1 + t²/ν) − ln(1 + s t²/ν) with s = 1/(1 + R), as one logarithm that cancels nothing.
    gain = math.log1p(ratio / ((1 + ratio) * (df / t / t) + 1))
    return 0.5 * ((df + 1) * gain - math.log1p(ratio))


def _log_side(t: float, ratio: float, df: float) -> float:
    """Logarithm of twice the posterior probability that the effect lies on t's side."""
    if t == 0:
        return 0.0
    x = math.copysign(math.sqrt(ratio * (df + 1) / ((1 + ratio) * (df / t / t) + 1)), t)
    return math.log(2) + t_log_upper_tail(-x, df + 1)
