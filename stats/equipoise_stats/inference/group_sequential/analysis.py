"""One look at an experiment: repeated confidence intervals and the repeated p-value."""

import math

from scipy.special import log_ndtr, ndtr, ndtri_exp

from equipoise_stats.distributions import t_log_upper_tail, t_upper_quantile
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.comparison import Alternative, Comparison, Method, Scale
from equipoise_stats.inference.conclude import conclude, unanswered
from equipoise_stats.inference.group_sequential.looks import LookHistory
from equipoise_stats.inference.group_sequential.p_values import log_repeated_p
from equipoise_stats.inference.intervals import statistic
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice

_LARGEST_WITH_A_TAIL = 37.0
"""Normal statistic beyond which the tail probability is no normal double."""

_LARGEST_LOG = 350.0
"""Logarithm of the largest t statistic whose square is a double."""


def group_sequential(
    estimate: Estimate | NoEstimate,
    *,
    history: LookHistory,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Tests an estimate at the last look of a history, with the error rate of all looks together.

    The intervals are repeated confidence intervals: estimate ± critical value × standard error. Together
    over all looks they cover with probability 1 − α at least, whatever one does about stopping. The p-value
    is the repeated one. Where degrees of freedom are finite, the look's critical value is carried over to the
    t distribution by its tail probability, and the p-value likewise (the significance-level approach).

    Args:
        estimate: Any estimate, from the data at that look.
        history: The looks so far, this one included (`LookHistory.next_look`).
        alpha: Level of the whole analysis; that of the history.
        alternative: `two-sided`, `greater` or `less`; that of the history.
        null: The null value: 0, or a margin.
        scale: Whether the null value is a difference in the metric's unit or a lift, above −1.

    Returns:
        The comparison. p ≤ α exactly when the interval on the null value's scale excludes it. Where the look
        cannot reject, the intervals are `unbounded`.

    Raises:
        ValueError: alpha or alternative is not the history's, there is no look, or null or scale is out of
            range.

    Source:
        Jennison and Turnbull 2000, sections 3.6 (significance-level approach) and 9.2 (repeated intervals).

    Example:
        >>> from equipoise_stats import Counts, LookHistory, proportion_difference
        >>> effect = proportion_difference(treatment=Counts(5000, 480), control=Counts(5000, 400))
        >>> result = group_sequential(effect, history=LookHistory().next_look(0.5))
        >>> result.test.rejected, round(result.test.statistic, 3), round(result.test.critical, 3)
        (False, 2.825, 2.963)
    """
    check_group_sequential(history, alpha, alternative, null, scale)
    method = group_sequential_method("group_sequential", history, null, scale)
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
        critical=t_from_normal(history.current.critical, estimate.df),
        log_p=None if distance is None else log_repeated_p(normal_from_t(distance, estimate.df), history),
        df=estimate.df,
        warnings=_notices(history),
    )


def check_group_sequential(
    history: LookHistory, alpha: float, alternative: Alternative, null: float, scale: Scale
) -> None:
    """Checks that a question fits the looks that were taken for it.

    Raises:
        ValueError: It does not, or one of its parts is out of range.
    """
    tail_alpha(check_alpha(alpha), alternative)
    check_null(null, scale)
    if (alpha, alternative) != (history.alpha, history.alternative):
        raise ValueError(
            f"The looks were taken for alpha {history.alpha!r}, {history.alternative}; the question is for "
            f"alpha {alpha!r}, {alternative}. Bounds cannot be changed after looking: ask with the history's."
        )
    if not history.looks:
        raise ValueError("The history has no look yet; take one with history.next_look(fraction).")


def group_sequential_method(name: str, history: LookHistory, null: float, scale: Scale) -> Method:
    """How a result at the last look of a history was computed."""
    look = history.current
    return Method(
        name,
        1,
        (
            ("alpha", history.alpha),
            ("alternative", history.alternative),
            ("null", null),
            ("scale", scale),
            ("spending", history.spending.family),
            ("spending_parameter", history.spending.parameter),
            ("look", len(history.looks)),
            ("fraction", look.fraction),
            ("spent", look.spent),
        ),
    )


def normal_from_t(t: float, df: float) -> float:
    """The normal statistic with the same tail probability as a t statistic.

    Example:
        >>> round(normal_from_t(2.228139, 10), 5)
        1.95996
    """
    if math.isinf(df):
        return t
    return math.copysign(float(ndtri_exp(t_log_upper_tail(abs(t), df))), t)


def t_from_normal(z: float, df: float) -> float:
    """The t statistic with the same tail probability as a normal one.

    Example:
        >>> round(t_from_normal(1.959964, 10), 5)
        2.22814
    """
    from scipy.optimize import brentq

    if math.isinf(df) or math.isinf(z):
        return z
    size = abs(z)
    if size < _LARGEST_WITH_A_TAIL:
        return math.copysign(t_upper_quantile(float(ndtr(-size)), df), z)
    log_tail = float(log_ndtr(-size))
    low = high = math.log(size)  # the tails of t are the heavier ones
    while t_log_upper_tail(math.exp(high), df) > log_tail:
        high += 10.0
        if high > _LARGEST_LOG:
            return math.copysign(math.inf, z)
    log_t = brentq(lambda x: t_log_upper_tail(math.exp(x), df) - log_tail, low, high, xtol=1e-14)
    return math.copysign(math.exp(float(log_t)), z)


def _notices(history: LookHistory) -> tuple[Notice, ...]:
    look = history.current
    if not math.isinf(look.critical):
        return ()
    if look.spent >= history.alpha * (1 - 1e-12):
        return (notice("alpha_spent"),)
    return (notice("too_early_to_reject", fraction=look.fraction),)
