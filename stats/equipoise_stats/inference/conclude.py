"""Assembles a `Comparison` from an estimate, a critical value and a p-value: every inference's last step."""

from equipoise_stats.distributions import p_value_from_log
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.comparison import (
    Alternative,
    Comparison,
    Effect,
    HypothesisTest,
    Method,
    Scale,
)
from equipoise_stats.inference.intervals import (
    CONTROL_NOT_POSITIVE,
    difference_effect,
    lift_effect,
)
from equipoise_stats.results import Notice, Status


def conclude(
    estimate: Estimate,
    *,
    method: Method,
    alpha: float,
    alternative: Alternative,
    null: float,
    scale: Scale,
    statistic: float | None,
    critical: float,
    log_p: float | None,
    df: float,
    warnings: tuple[Notice, ...] = (),
) -> Comparison:
    """Puts a comparison together.

    Args:
        estimate: The estimate.
        method: The inference that calls.
        alpha: Level of the test.
        alternative: Which departures count.
        null: The null value.
        scale: Its scale.
        statistic: The estimate's standardised distance from it; None when it has none (a lift's null value
            and a control that is not positive).
        critical: The distance at which this inference rejects; both intervals are built from it.
        log_p: Natural logarithm of the inference's p-value; without a meaning where `statistic` is None.
        df: Degrees of freedom of its reference distribution.
        warnings: Notices beside those of the estimate.
    """
    if statistic is None or log_p is None:
        test = HypothesisTest(
            Status.CONTROL_NOT_POSITIVE,
            scale,
            null,
            alternative,
            alpha,
            CONTROL_NOT_POSITIVE.format(value=estimate.control.value),
        )
    else:
        test = HypothesisTest(
            Status.OK,
            scale,
            null,
            alternative,
            alpha,
            None,
            statistic,
            df,
            critical,
            p_value_from_log(log_p),
            log_p,
            _beyond(statistic, critical, alternative),
        )
    return Comparison(
        method,
        estimate.estimator,
        estimate.treatment.summary(),
        estimate.control.summary(),
        difference_effect(estimate, critical, alternative),
        lift_effect(estimate, critical, alternative),
        test,
        estimate.warnings + warnings,
        estimate.details,
    )


def unanswered(
    estimate: NoEstimate, *, method: Method, alpha: float, alternative: Alternative, null: float, scale: Scale
) -> Comparison:
    """The comparison where there is no estimate: its status and reason everywhere, no number anywhere."""
    effect = Effect(estimate.status, estimate.reason)
    return Comparison(
        method,
        estimate.estimator,
        estimate.treatment,
        estimate.control,
        effect,
        effect,
        HypothesisTest(estimate.status, scale, null, alternative, alpha, estimate.reason),
        estimate.warnings,
        estimate.details,
    )


def _beyond(statistic: float, critical: float, alternative: Alternative) -> bool:
    if alternative == "greater":
        return statistic > critical
    if alternative == "less":
        return statistic < -critical
    return abs(statistic) > critical
