"""Fixed horizon: one test and one interval, valid at one analysis that was planned before the data came."""

from equipoise_stats.distributions import log_p_value, t_upper_quantile
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.comparison import Alternative, Comparison, Method, Scale
from equipoise_stats.inference.conclude import conclude, unanswered
from equipoise_stats.inference.intervals import statistic
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha


def fixed_horizon(
    estimate: Estimate | NoEstimate,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Tests an estimate once, against a t (or, for infinite degrees of freedom, normal) reference.

    Args:
        estimate: Any estimate.
        alpha: Level, below 0.5. Two-sided, α/2 lies on each side and the intervals cover 1 − α; one-sided,
            all of α lies on that side and the intervals are bounds that hold with confidence 1 − α.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value: 0, or a margin (`null=-0.01, alternative="greater"` tests non-inferiority).
        scale: Whether the null value is a difference in the metric's unit or a lift, above −1.

    Returns:
        The comparison. p ≤ α exactly when the interval on the null value's scale excludes it, and for the
        null value 0 on both scales.

    Raises:
        ValueError: alpha, alternative, null or scale is out of range.

    Source:
        Welch 1947 (test of means); Fieller 1954 (interval of the lift).

    Example:
        >>> from equipoise_stats import Counts, proportion_difference
        >>> result = fixed_horizon(
        ...     proportion_difference(treatment=Counts(144389, 17268), control=Counts(144300, 17468))
        ... )
        >>> round(result.difference.interval.lower, 5), round(result.difference.interval.upper, 5)
        (-0.00383, 0.00091)
        >>> round(result.test.p_value, 4), result.test.rejected
        (0.228, False)
    """
    tail = tail_alpha(check_alpha(alpha), alternative)
    check_null(null, scale)
    method = Method(
        "fixed_horizon",
        1,
        (("alpha", alpha), ("alternative", alternative), ("null", null), ("scale", scale)),
    )
    if isinstance(estimate, NoEstimate):
        return unanswered(
            estimate, method=method, alpha=alpha, alternative=alternative, null=null, scale=scale
        )
    distance = statistic(estimate, null, scale)
    return conclude(
        estimate,
        method=method,
        alpha=alpha,
        alternative=alternative,
        null=null,
        scale=scale,
        statistic=distance,
        critical=t_upper_quantile(tail, estimate.df),
        log_p=None if distance is None else log_p_value(distance, estimate.df, alternative),
        df=estimate.df,
    )
