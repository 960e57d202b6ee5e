"""Intervals on both scales from one critical value, whichever inference it comes from.

The lift's interval is Fieller's: the lifts λ whose linear form m_t − (1 + λ) m_c is not rejected at that
critical value (Fieller 1954, J. R. Stat. Soc. B 16, 175–185). So it excludes 0 exactly when the interval of
the difference does, with a t quantile, a group-sequential bound or the multiplier of a confidence sequence
alike.
"""

import math

from equipoise_stats.estimates.estimate import Estimate
from equipoise_stats.inference.comparison import Alternative, Effect, Interval, Scale
from equipoise_stats.results import Status

_TOO_EARLY = "At this look no effect, however large, is distinguishable yet."
CONTROL_NOT_POSITIVE = "A lift needs a positive control value; the control's estimate is {value:.6g}."


def statistic(estimate: Estimate, null: float, scale: Scale) -> float | None:
    """The standardised distance of an estimate from a null value.

    On the scale of lifts this is the exact linear form (m_t − (1 + λ) m_c) / se, not a delta method.

    Args:
        estimate: The estimate.
        null: The null value, in the metric's unit or as a lift.
        scale: The scale of the null value.

    Returns:
        The statistic; None on the scale of lifts when the control's value is not positive.

    Example:
        >>> from equipoise_stats.estimates.estimate import ArmEstimate
        >>> e = Estimate("mean", ArmEstimate(100, 11.0, 0.5), ArmEstimate(100, 10.0, 0.5))
        >>> statistic(e, 0.0, "difference"), statistic(e, 0.5, "difference"), statistic(e, 0.1, "lift")
        (1.0, 0.5, 0.0)
    """
    if scale == "difference":
        return (estimate.difference - null) / estimate.standard_error
    if estimate.control.value <= 0:
        return None
    distance = estimate.difference - null * estimate.control.value
    spread = _lift_form_variance(estimate, null)
    return distance / math.sqrt(spread) if spread > 0 else None


def difference_effect(estimate: Estimate, critical: float, alternative: Alternative = "two-sided") -> Effect:
    """The difference with its interval, estimate ± critical × standard error.

    Args:
        estimate: The estimate.
        critical: Critical value, not negative; infinite where an inference cannot reject yet.
        alternative: Two-sided, or which side the bound is on: `greater` gives a lower bound, `less` an upper
            one.
    """
    difference, standard_error = estimate.difference, estimate.standard_error
    if math.isinf(critical):
        return Effect(Status.UNBOUNDED, _TOO_EARLY, difference, standard_error)
    radius = critical * standard_error
    interval = _one_or_two_sided(difference - radius, difference + radius, alternative)
    return Effect(Status.OK, None, difference, standard_error, interval)


def lift_effect(estimate: Estimate, critical: float, alternative: Alternative = "two-sided") -> Effect:
    """The lift, treatment / control − 1, with its Fieller interval.

    Args:
        estimate: The estimate.
        critical: Critical value, not negative; the one that the test of the difference uses.
        alternative: Two-sided, or which side the bound is on: `greater` gives a lower bound, `less` an upper
            one.

    Returns:
        The lift as a fraction, or the status `control_not_positive`, `unbounded` (the control's value is not
        distinguishable from 0 at this critical value, so no bounded interval exists), or `no_variance`.

    Example:
        >>> from equipoise_stats.estimates.estimate import ArmEstimate
        >>> e = Estimate("mean", ArmEstimate(100, 11.0, 0.04), ArmEstimate(100, 10.0, 0.04))
        >>> lift = lift_effect(e, 1.959964)
        >>> lift.estimate, round(lift.interval.lower, 4), round(lift.interval.upper, 4)
        (0.1, 0.0433, 0.16)
    """
    treatment, control = estimate.treatment.value, estimate.control.value
    if control <= 0:
        return Effect(Status.CONTROL_NOT_POSITIVE, CONTROL_NOT_POSITIVE.format(value=control))
    if math.isinf(critical):
        return Effect(Status.UNBOUNDED, _TOO_EARLY)
    if control <= critical * math.sqrt(estimate.control.variance):
        return Effect(
            Status.UNBOUNDED,
            "The control's value is not distinguishable from zero: the lift has no bounded interval.",
        )
    if treatment == 0 and estimate.treatment.variance == 0:
        return Effect(
            Status.NO_VARIANCE,
            "Every unit of the treatment arm has the value 0, so the lift's uncertainty is unknown.",
        )
    lift = (treatment - control) / control
    standard_error = math.sqrt(_lift_form_variance(estimate, lift)) / control
    lower, upper = _fieller(estimate, critical, lift)
    if not (math.isfinite(lower) and math.isfinite(upper) and math.isfinite(standard_error)):
        return Effect(
            Status.UNBOUNDED, f"The control's value, {control:.6g}, is too close to zero to divide by."
        )
    return Effect(Status.OK, None, lift, standard_error, _one_or_two_sided(lower, upper, alternative))


def _lift_form_variance(estimate: Estimate, lift: float) -> float:
    """Variance of m_t − (1 + lift) m_c."""
    ratio = 1 + lift
    v_t, v_c = estimate.treatment.variance, estimate.control.variance
    return max(0.0, v_t - 2 * ratio * estimate.covariance + ratio * ratio * v_c)


def _fieller(estimate: Estimate, critical: float, lift: float) -> tuple[float, float]:
    """The two lifts at which the linear form is exactly `critical` standard errors from 0.

    They solve A λ² − 2 B λ + C = 0 in units of the control's value. C is the product of the ends of the
    difference's interval, so the signs agree with it to the last bit; the discriminant is written as a sum
    of terms that cannot be negative, and the roots without cancellation.
    """
    m, v_c, c = estimate.control.value, estimate.control.variance, estimate.covariance
    difference, radius = estimate.difference, critical * estimate.standard_error
    product = ((difference - radius) / m) * ((difference + radius) / m)
    noise = math.sqrt(v_c)
    g = (critical * noise / m) ** 2
    slope = c / v_c if v_c > 0 else 0.0
    middle = lift - g * (slope - 1)
    residual = max(0.0, estimate.treatment.variance - slope * c) / m / m
    along = noise / m * (1 + lift - slope)
    root = critical * math.sqrt((1 - g) * residual + along * along)
    far = middle + math.copysign(root, middle)
    one, other = far / (1 - g), product / far if far else 0.0
    return (one, other) if one < other else (other, one)


def _one_or_two_sided(lower: float, upper: float, alternative: Alternative) -> Interval:
    if alternative == "two-sided":
        return Interval(lower, upper)
    return Interval(lower, math.inf) if alternative == "greater" else Interval(-math.inf, upper)
