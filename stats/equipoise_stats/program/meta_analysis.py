"""Meta-analysis: what several experiments on the same question say together."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from numpy.typing import ArrayLike

from equipoise_stats.distributions import (
    chi_square_log_upper_tail,
    log_p_value,
    p_value_from_log,
    t_upper_quantile,
)
from equipoise_stats.inference.comparison import Alternative, Interval
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha
from equipoise_stats.notices import notice
from equipoise_stats.program.between_variance import (
    BetweenVariance,
    between_variance,
    cochran_q,
    weighted_mean,
)
from equipoise_stats.program.studies import checked_studies
from equipoise_stats.results import Notice, Serialisable, Status

MetaMethod = Literal["fixed"] | BetweenVariance
"""One common true effect, or true effects that vary with a variance estimated in one of several ways."""
_METHODS = ("fixed", *get_args(BetweenVariance))


@dataclass(frozen=True, slots=True)
class MetaAnalysis(Serialisable):
    """Several experiments taken together.

    Attributes:
        status: `ok`, or why there is no answer.
        reason: A sentence for a person, None when the status is `ok`.
        method: How the variance between experiments was treated.
        hartung_knapp: Whether the standard error comes from the spread of the effects themselves.
        experiments: Number of experiments.
        alpha: Level of the test.
        alternative: Which departures count.
        null: The null value of the mean effect.
        effect: The mean of the true effects.
        standard_error: Its standard error.
        df: Degrees of freedom of the reference distribution, infinite for the normal one.
        interval: Confidence interval of the mean effect.
        prediction: Interval for the true effect of a further experiment; two-sided, with t quantiles of k − 2
            degrees of freedom; None for fewer than three experiments and for a common effect.
        p_value: p-value of the null value; p ≤ α exactly when the interval excludes it.
        log_p_value: Its natural logarithm.
        rejected: Whether it is rejected.
        tau: Standard deviation of the true effects; 0 for a common effect.
        q: Cochran's Q.
        q_p_value: Its p-value, against true effects that are all the same; None for one experiment.
        i_squared: Share of Q beyond chance, max(0, 1 − (k − 1)/Q).
        weights: Weight of each experiment, with sum 1.
        warnings: Notices.
    """

    status: Status
    reason: str | None
    method: str
    hartung_knapp: bool
    experiments: int
    alpha: float
    alternative: Alternative
    null: float
    effect: float | None = None
    standard_error: float | None = None
    df: float | None = None
    interval: Interval | None = None
    prediction: Interval | None = None
    p_value: float | None = None
    log_p_value: float | None = None
    rejected: bool | None = None
    tau: float | None = None
    q: float | None = None
    q_p_value: float | None = None
    i_squared: float | None = None
    weights: tuple[float, ...] = ()
    warnings: tuple[Notice, ...] = ()


def meta_analysis(
    effects: ArrayLike,
    standard_errors: ArrayLike,
    *,
    method: MetaMethod = "paule_mandel",
    hartung_knapp: bool | None = None,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
) -> MetaAnalysis:
    """Combines the effects of several independent experiments.

    Args:
        effects: Effects in one unit (lifts of different metrics' levels combine better than differences),
            shape (k,).
        standard_errors: Their standard errors, shape (k,).
        method: `fixed` assumes one true effect; the others let true effects vary: `paule_mandel`,
            `dersimonian_laird`, `maximum_likelihood`, `restricted_maximum_likelihood` (REML, what other
            software often has as its default).
        hartung_knapp: Whether the standard error is that of Hartung, Knapp, Sidik and Jonkman, with a t
            reference of k − 1 degrees of freedom: right for few experiments where the normal one is far too
            narrow. Left out, it is used unless the method is `fixed`.
        alpha: Level. Two-sided, α/2 lies on each side.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value of the mean effect.

    Returns:
        The result, or the status `too_few_studies` (none, or one where the effects' own spread is needed) or
        `no_variance` (all effects are the same, which Hartung and Knapp's standard error takes for
        certainty). It warns (`narrower_than_normal`) where their standard error is below the normal one:
        effects that agree by chance.

    Raises:
        ValueError: An argument is out of range.

    Source:
        DerSimonian and Laird 1986; Paule and Mandel 1982; Hartung and Knapp 2001, Statistics in Medicine 20,
        3875–3889; Viechtbauer 2005, J. Educ. Behav. Stat. 30, 261–293 (REML); prediction: Higgins, Thompson
        and Spiegelhalter 2009, J. R. Stat. Soc. A 172, 137–159.

    Example:
        >>> result = meta_analysis([0.02, 0.05, 0.01, 0.04], [0.01, 0.02, 0.01, 0.015])
        >>> round(result.effect, 4), round(result.interval.lower, 4), round(result.interval.upper, 4)
        (0.025, -0.0019, 0.052)
    """
    tail = tail_alpha(check_alpha(alpha), alternative)
    check_null(null, "difference")
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(_METHODS)}.")
    values, errors = checked_studies(effects, standard_errors)
    own_spread = method != "fixed" if hartung_knapp is None else hartung_knapp
    k = values.size
    base = (method, own_spread, k, alpha, alternative, null)
    if k < (2 if own_spread or method != "fixed" else 1):
        return MetaAnalysis(
            Status.TOO_FEW_STUDIES,
            f"There are {k} experiments; the variance between them needs two at least.",
            *base,
        )
    tau_squared = 0.0 if method == "fixed" else between_variance(values, errors, method)
    effect, variance = weighted_mean(values, errors, tau_squared)
    standard_error, df = math.sqrt(variance), math.inf
    warnings: tuple[Notice, ...] = ()
    if own_spread:
        df = k - 1
        scale = cochran_q(values, errors, tau_squared) / df
        if not scale > 0:
            return MetaAnalysis(
                Status.NO_VARIANCE, "All effects are the same: their spread measures no uncertainty.", *base
            )
        # Paule and Mandel's τ² makes the scale 1 but for the last bits.
        if scale < 1 - 1e-9:
            warnings = (notice("narrower_than_normal"),)
        standard_error *= math.sqrt(scale)
    critical = t_upper_quantile(tail, df)
    statistic = (effect - null) / standard_error
    log_p = log_p_value(statistic, df, alternative)
    radius = critical * standard_error
    interval = Interval(
        -math.inf if alternative == "less" else effect - radius,
        math.inf if alternative == "greater" else effect + radius,
    )
    q = cochran_q(values, errors)
    weights = variance / (errors * errors + tau_squared)
    return MetaAnalysis(
        Status.OK,
        None,
        *base,
        effect=effect,
        standard_error=standard_error,
        df=df,
        interval=interval,
        prediction=_prediction(effect, standard_error, tau_squared, k, alpha, method),
        p_value=p_value_from_log(log_p),
        log_p_value=log_p,
        rejected=interval.excludes(null),
        tau=math.sqrt(tau_squared),
        q=q,
        q_p_value=None if k < 2 else p_value_from_log(chi_square_log_upper_tail(q, k - 1)),
        i_squared=max(0.0, 1 - (k - 1) / q) if q > 0 else 0.0,
        weights=tuple(weights.tolist()),
        warnings=warnings,
    )


def _prediction(
    effect: float, standard_error: float, tau_squared: float, k: int, alpha: float, method: MetaMethod
) -> Interval | None:
    if method == "fixed" or k < 3:
        return None
    radius = t_upper_quantile(alpha / 2, k - 2) * math.hypot(standard_error, math.sqrt(tau_squared))
    return Interval(effect - radius, effect + radius)
