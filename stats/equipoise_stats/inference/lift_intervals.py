"""Other intervals of a lift, on request: delta method and logarithm, as other tools compute them.

The lift of every `Comparison` has Fieller's interval, which agrees with the test of the difference. These two
do not agree with it: each has its own test on its own scale, and the delta method's is too narrow where the
control's value is noisy. They are here to reproduce what others report.
"""

import math
from dataclasses import replace
from typing import Literal, get_args

from equipoise_stats.distributions import log_p_value, t_upper_quantile
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.comparison import (
    Alternative,
    Comparison,
    Effect,
    Interval,
    Method,
)
from equipoise_stats.inference.conclude import conclude, unanswered
from equipoise_stats.inference.intervals import CONTROL_NOT_POSITIVE
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha
from equipoise_stats.results import Status

LiftInterval = Literal["delta", "log"]
"""On the lift itself, or on the logarithm of treatment / control."""

_LARGEST_EXPONENT = 700.0
_SMALL_LIFT = 0.5


def fixed_horizon_lift(
    estimate: Estimate | NoEstimate,
    *,
    interval: LiftInterval,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
) -> Comparison:
    """Tests a lift once, by the delta method on the lift or on the logarithm of the ratio.

    Args:
        estimate: Any estimate.
        interval: `delta` or `log`; the latter needs both arms' values to be positive.
        alpha: Level, below 0.5, as for `fixed_horizon`.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value, a lift above −1.

    Returns:
        The comparison, its test on the scale of lifts. p ≤ α exactly when the lift's interval excludes the
        null value. That of the difference is the usual one and may disagree.

    Raises:
        ValueError: interval, alpha, alternative or null is out of range.

    Source:
        Deng, Knoblich and Lu 2018, arXiv 1803.06336, section 2 (delta); Katz, Baptista, Azen and Pike 1978,
        Biometrics 34, 469–474 (log).

    Example:
        >>> from equipoise_stats import Counts, proportion_difference
        >>> e = proportion_difference(treatment=Counts(1000, 120), control=Counts(1000, 100))
        >>> result = fixed_horizon_lift(e, interval="log")
        >>> round(result.lift.interval.lower, 4), round(result.lift.interval.upper, 4)
        (-0.0659, 0.5416)
    """
    if interval not in get_args(LiftInterval):
        raise ValueError(f"interval is {interval!r}; it must be one of {', '.join(get_args(LiftInterval))}.")
    tail = tail_alpha(check_alpha(alpha), alternative)
    check_null(null, "lift")
    method = Method(
        f"fixed_horizon_lift_{interval}",
        1,
        (("alpha", alpha), ("alternative", alternative), ("null", null)),
    )
    if isinstance(estimate, NoEstimate):
        return unanswered(
            estimate, method=method, alpha=alpha, alternative=alternative, null=null, scale="lift"
        )
    critical = t_upper_quantile(tail, estimate.df)
    located = _locate(estimate, interval)
    distance = log_p = None
    if not isinstance(located, Effect):
        location, standard_error = located
        distance = (location - (null if interval == "delta" else math.log1p(null))) / standard_error
        log_p = log_p_value(distance, estimate.df, alternative)
    result = conclude(
        estimate,
        method=method,
        alpha=alpha,
        alternative=alternative,
        null=null,
        scale="lift",
        statistic=distance,
        critical=critical,
        log_p=log_p,
        df=estimate.df,
    )
    test = result.test
    if isinstance(located, Effect):
        test = replace(test, status=located.status, reason=located.reason)
    return replace(result, lift=lift_effect_by(interval, estimate, critical, alternative), test=test)


def lift_effect_by(
    interval: LiftInterval,
    estimate: Estimate,
    critical: float,
    alternative: Alternative = "two-sided",
) -> Effect:
    """The lift with an interval of another kind than Fieller's, from the critical value of any inference.

    Args:
        interval: `delta` or `log`.
        estimate: The estimate.
        critical: Critical value, not negative: a t quantile, a group-sequential bound (`test.critical` of a
            comparison); infinite where an inference cannot reject yet.
        alternative: Two-sided, or which side the bound is on.

    Returns:
        The lift as a fraction, or the status `control_not_positive`, `treatment_not_positive` (logarithm
        only), `no_variance` or `unbounded`.

    Example:
        >>> from equipoise_stats import ArmEstimate
        >>> e = Estimate("mean", ArmEstimate(100, 11.0, 0.04), ArmEstimate(100, 10.0, 0.04))
        >>> lift = lift_effect_by("delta", e, 1.959964)
        >>> round(lift.interval.lower, 4), round(lift.interval.upper, 4)
        (0.0417, 0.1583)
    """
    located = _locate(estimate, interval)
    if isinstance(located, Effect):
        return located
    location, standard_error = located
    lift = estimate.difference / estimate.control.value
    on_lift = standard_error if interval == "delta" else standard_error * (1 + lift)
    radius = critical * standard_error
    if math.isinf(radius):
        return Effect(
            Status.UNBOUNDED,
            "At this look no effect, however large, is distinguishable yet.",
            lift,
            on_lift,
        )
    lower, upper = location - radius, location + radius
    if interval == "log":
        if upper > _LARGEST_EXPONENT:
            return Effect(
                Status.UNBOUNDED,
                "The logarithm of the ratio is too uncertain for the lift to have an upper bound.",
            )
        lower, upper = math.expm1(lower), math.expm1(upper)
    if alternative == "greater":
        upper = math.inf
    if alternative == "less":
        lower = -math.inf
    return Effect(Status.OK, None, lift, on_lift, Interval(lower, upper))


def _locate(estimate: Estimate, interval: LiftInterval) -> tuple[float, float] | Effect:
    """The lift, or logarithm of the ratio, and its standard error; or why there is none."""
    treatment, control = estimate.treatment, estimate.control
    if control.value <= 0:
        return Effect(Status.CONTROL_NOT_POSITIVE, CONTROL_NOT_POSITIVE.format(value=control.value))
    if interval == "log" and treatment.value <= 0:
        return Effect(
            Status.TREATMENT_NOT_POSITIVE,
            f"The logarithm of a ratio needs a positive treatment value; it is {treatment.value:.6g}.",
        )
    lift = estimate.difference / control.value
    ratio = treatment.value / control.value
    form = treatment.variance - 2 * ratio * estimate.covariance + ratio**2 * control.variance
    standard_error = math.sqrt(max(0.0, form)) / control.value
    # A form that is no number at all, inf − inf, comes out of max() as 0.
    if not (math.isfinite(form) and math.isfinite(standard_error)):
        return Effect(
            Status.UNBOUNDED,
            f"The control's value, {control.value:.6g}, is too close to zero to divide by.",
        )
    if standard_error == 0:
        return Effect(Status.NO_VARIANCE, "The lift has no variance: nothing measures its uncertainty.")
    if interval == "delta":
        return lift, standard_error
    return math.log1p(lift) if abs(lift) < _SMALL_LIFT else math.log(ratio), standard_error / ratio
