"""Regression adjustment (CUPED): a mean or ratio freed of what was known of the units before exposure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equipoise_stats.distributions import chi_square_log_upper_tail
from equipoise_stats.estimates.estimate import (
    ArmEstimate,
    ArmSummary,
    Detail,
    Estimate,
    NoEstimate,
    contrast,
    too_few_units,
    welch_satterthwaite,
)
from equipoise_stats.estimates.mean import centred_squares
from equipoise_stats.estimates.ratio import noisy_denominator
from equipoise_stats.estimates.regression import Regression, dot, quadratic, regress, regress_on_one
from equipoise_stats.estimates.score import (
    Weights,
    cross_product,
    mean_score,
    ratio_score,
    score_skewness,
    score_squares,
    without_denominator,
)
from equipoise_stats.moments import Moments
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice, Status

Covariate = str | tuple[str, str]
"""A column, or the ratio of two (numerator, denominator), as the same metric before the experiment."""

_WORST = 1.02
_PERFECT = 1e-10
_UNBALANCED = math.log(0.001)
_BALANCED = 10.0  # Below it, P(χ² > distance) > 0.001 for one degree of freedom, and so for any.
_UNITS_PER_COVARIATE = 20


def adjusted_difference(
    *,
    treatment: Moments,
    control: Moments,
    covariates: Sequence[Covariate],
    column: str | None = None,
    denominator: str | None = None,
) -> Estimate | NoEstimate:
    """Estimates a difference of means, proportions or ratios, adjusted for covariates from before exposure.

    One coefficient θ for each covariate, common to both arms, chosen to minimise the variance of the adjusted
    difference: θ = V_xx⁻¹ V_xy with V = Σ over arms of covariances / n, then τ = D − θ'(x̄_t − x̄_c). In large
    samples this is the interacted regression of Lin 2013, never worse than no adjustment, whatever the
    allocation. The arms' values are adjusted to the covariate means of both arms together, and their 2 × 2
    covariance matrix counts the chance in those means, so that lifts and margins work on the adjusted values.

    Args:
        treatment: Moments of the treatment arm, with the outcome and all covariates as columns.
        control: Moments of the control arm.
        covariates: Columns measured before the first exposure of the unit, or pairs (numerator, denominator)
            for a ratio of the pre-period. For units without a pre-period: 0 and a second column that says
            whether there is one (`fill_missing` makes both). Constant and collinear ones are left out.
        column: The outcome (a 0/1 column for a proportion; a ratio's numerator); may be left out when the
            covariates leave only one column.
        denominator: The denominator's column, for a ratio.

    Returns:
        The estimate, with the details `variance_removed` (share of the unadjusted variance),
        `covariates_used` and `coefficient.NAME`; or `NoEstimate` (`too_few_units`: each arm needs 3 more
        units than covariates used; `denominator_not_positive`; `no_variance`). The variance carries the cost
        of estimating θ; where it would come out above 1.02 times the unadjusted one, the answer is the
        unadjusted one with the warning `not_adjusted`. It warns of covariates that differ between the arms
        by more than chance (`unbalanced_covariates`, p < 0.001: randomisation is in doubt, or a covariate is
        measured after exposure) and of fewer than 20 degrees of freedom a covariate
        (`few_units_for_adjustment`).

    Raises:
        ValueError: No covariate is given, one is given twice or is the outcome, or the outcome is not clear.
        KeyError: A column is missing.

    Source:
        Deng, Xu, Kohavi and Walker 2013, WSDM (CUPED); Lin 2013, Annals of Applied Statistics 7, 295–318;
        ratios: Deng, Knoblich and Lu 2018, arXiv 1803.06336.

    Example:
        >>> def arm(mean, before):
        ...     return Moments.from_aggregates(
        ...         1000, {"y": mean, "x": before}, {"y": 4.0, "x": 4.0}, {("y", "x"): 3.2}
        ...     )
        >>> e = adjusted_difference(treatment=arm(10.3, 10.1), control=arm(10.0, 10.0), covariates=["x"])
        >>> round(e.difference, 9), {d.name: round(d.value, 3) for d in e.details}
        (0.22, {'variance_removed': 0.64, 'covariates_used': 1, 'coefficient.x': 0.8})
    """
    names = _covariate_columns(covariates)
    outcome = _outcome(treatment, column, denominator, names)
    estimator = "adjusted_mean" if denominator is None else "adjusted_ratio"
    if treatment.n < 2 or control.n < 2:
        return too_few_units(estimator, treatment=treatment.n, control=control.n)
    if denominator is not None:
        refused = without_denominator(
            estimator, treatment=treatment, control=control, denominator=denominator
        )
        if refused is not None:
            return refused
    t, c = _arms(treatment, control, outcome, denominator, covariates)
    unadjusted = t.variance + c.variance
    fit = _fit(t, c, unadjusted)
    needed = fit.rank + 3
    if min(treatment.n, control.n) < needed:
        return too_few_units(estimator, treatment=treatment.n, control=control.n, needed=needed)
    warnings = _unbalanced(fit)
    if denominator is not None:
        warnings = noisy_denominator(treatment, control, denominator) + warnings
    if unadjusted > 0 and not fit.residual > _PERFECT * unadjusted:
        return _perfect(estimator, t, c, warnings)
    df = welch_satterthwaite(t.variance, t.n - 1, c.variance, c.n - 1) if unadjusted > 0 else 1.0
    factor = _price(df, fit.rank) if unadjusted > 0 else math.inf
    if not fit.residual * factor <= _WORST * unadjusted or fit.rank == 0:
        return contrast(
            estimator,
            treatment=ArmEstimate(t.n, t.value, t.variance),
            control=ArmEstimate(c.n, c.value, c.variance),
            df=df,
            skewness=_skewness(
                treatment, control, outcome, denominator, covariates, (0.0,) * len(covariates)
            ),
            warnings=(*warnings, notice("not_adjusted")),
            details=_details(0.0, 0, covariates, (0.0,) * len(covariates)),
        )
    if df < _UNITS_PER_COVARIATE * fit.rank:
        few = notice("few_units_for_adjustment", needed=_UNITS_PER_COVARIATE, covariates=fit.rank)
        warnings += (few,)
    arm_t, arm_c, covariance, df = _adjust(t, c, fit, factor)
    return contrast(
        estimator,
        treatment=arm_t,
        control=arm_c,
        covariance=covariance,
        df=df,
        skewness=_skewness(treatment, control, outcome, denominator, covariates, fit.coefficients),
        warnings=warnings,
        details=_details(1 - fit.residual * factor / unadjusted, fit.rank, covariates, fit.coefficients),
    )


@dataclass(slots=True)  # not frozen, which would triple the time to make one
class _Arm:
    """One arm: the outcome's value, and the sampling (co)variances of the means of outcome and covariates."""

    n: int
    value: float
    variance: float
    means: Sequence[float]
    cross: Sequence[float]
    spread: Sequence[Sequence[float]]


def _arms(
    treatment: Moments,
    control: Moments,
    column: str,
    denominator: str | None,
    covariates: Sequence[Covariate],
) -> tuple[_Arm, _Arm]:
    if denominator is None and len(covariates) == 1 and isinstance(covariates[0], str):
        covariate = covariates[0]
        return _mean_and_one(treatment, column, covariate), _mean_and_one(control, column, covariate)
    return (
        _arm(treatment, column, denominator, _covariate_weights(treatment, control, treatment, covariates)),
        _arm(control, column, denominator, _covariate_weights(treatment, control, control, covariates)),
    )


def _mean_and_one(arm: Moments, column: str, covariate: str) -> _Arm:
    """What `_arm` gives for a mean and one column, the usual case, in a fraction of the time."""
    y, x = arm.index(column), arm.index(covariate)
    scale = 1 / (arm.n - 1) / arm.n
    return _Arm(
        arm.n,
        arm.mean[y],
        centred_squares(arm, y) * scale,
        (arm.mean[x],),
        (arm.comoments[x][y] * scale,),
        ((centred_squares(arm, x) * scale,),),
    )


def _arm(arm: Moments, column: str, denominator: str | None, covariates: list[Weights]) -> _Arm:
    score = mean_score(arm, column) if denominator is None else ratio_score(arm, column, denominator)
    scale = 1 / (arm.n - 1) / arm.n
    spread = [[cross_product(arm, u, v) * scale for v in covariates] for u in covariates]
    for i, weights in enumerate(covariates):
        spread[i][i] = score_squares(arm, weights) * scale
    return _Arm(
        arm.n,
        score.value,
        score_squares(arm, score.weights) * scale,
        [sum(weight * arm.mean[i] for i, weight in weights) for weights in covariates],
        [cross_product(arm, weights, score.weights) * scale for weights in covariates],
        spread,
    )


def _fit(t: _Arm, c: _Arm, unadjusted: float) -> Regression:
    """The coefficients that leave the least variance, and how far apart the arms' covariates are."""
    if len(t.means) == 1:
        spread_of_one = t.spread[0][0] + c.spread[0][0]
        return regress_on_one(spread_of_one, t.cross[0] + c.cross[0], unadjusted, t.means[0] - c.means[0])
    offset = [a - b for a, b in zip(t.means, c.means, strict=True)]
    spread = [[a + b for a, b in zip(u, v, strict=True)] for u, v in zip(t.spread, c.spread, strict=True)]
    cross = [a + b for a, b in zip(t.cross, c.cross, strict=True)]
    return regress(spread, cross, unadjusted, offset)


def _explained(arm: _Arm, theta: Sequence[float]) -> tuple[float, float]:
    """Covariance of the arm's outcome with θ'x̄, and variance of θ'x̄."""
    if len(theta) == 1:
        return theta[0] * arm.cross[0], theta[0] * (arm.spread[0][0] * theta[0])
    return dot(theta, arm.cross), quadratic(theta, arm.spread)


def _adjust(
    t: _Arm, c: _Arm, fit: Regression, factor: float
) -> tuple[ArmEstimate, ArmEstimate, float, float]:
    """Both arms adjusted, their covariance, and the degrees of freedom that are left.

    With shares π, the arms are moved by θ'(x̄_t − x̄_c): treatment by −π_c of it, control by +π_t of it.
    """
    share_t, share_c = t.n / (t.n + c.n), c.n / (t.n + c.n)
    b_t, moved_t = _explained(t, fit.coefficients)
    b_c, moved_c = _explained(c, fit.coefficients)
    moved = moved_t + moved_c
    v_t = max(0.0, t.variance - 2 * share_c * b_t + share_c * share_c * moved)
    v_c = max(0.0, c.variance - 2 * share_t * b_c + share_t * share_t * moved)
    covariance = share_t * b_t + share_c * b_c - share_t * share_c * moved
    left_t, left_c = max(0.0, t.variance - 2 * b_t + moved_t), max(0.0, c.variance - 2 * b_c + moved_c)
    return (
        ArmEstimate(t.n, t.value - share_c * fit.shift, v_t * factor),
        ArmEstimate(c.n, c.value + share_t * fit.shift, v_c * factor),
        covariance * factor,
        welch_satterthwaite(left_t, t.n - 1 - fit.rank, left_c, c.n - 1 - fit.rank),
    )


def _skewness(
    treatment: Moments,
    control: Moments,
    column: str,
    denominator: str | None,
    covariates: Sequence[Covariate],
    theta: Sequence[float],
) -> float | None:
    """That of the difference of the residuals, the scores less θ'x."""
    residuals: list[Weights] = []
    for arm in (treatment, control):
        score = mean_score(arm, column) if denominator is None else ratio_score(arm, column, denominator)
        of_covariates = _covariate_weights(treatment, control, arm, covariates)
        moved = [
            (i, -each * w) for each, weights in zip(theta, of_covariates, strict=True) for i, w in weights
        ]
        residuals.append((*score.weights, *moved))
    return score_skewness(
        treatment=treatment, of_treatment=residuals[0], control=control, of_control=residuals[1]
    )


def _price(df: float, rank: int) -> float:
    """What the adjusted variance is multiplied by, because θ was estimated from the same units.

    For ν degrees of freedom and normal data, the estimate of the variance is too small by ν/(ν − k) and the
    true one larger by (ν − 1)/(ν − k − 1).
    """
    if rank == 0:
        return 1.0
    return df / (df - rank) * (df - 1) / (df - rank - 1)


def _covariate_columns(covariates: Sequence[Covariate]) -> list[str]:
    if isinstance(covariates, str) or not covariates:
        raise ValueError(
            f"covariates are {covariates!r}; give a list of at least one column, for example ['y_before']."
        )
    if len(set(covariates)) < len(covariates):
        raise ValueError(f"covariates are {list(covariates)!r}; name each once.")
    columns: list[str] = []
    for one in covariates:
        columns += (one,) if isinstance(one, str) else one
    return columns


def _outcome(arm: Moments, column: str | None, denominator: str | None, names: list[str]) -> str:
    if column is None:
        left = [name for name in arm.columns if name not in names and name != denominator]
        if len(left) != 1:
            raise ValueError(f"Name one of the columns {tuple(left)!r} as the outcome.")
        column = left[0]
    if column in names or denominator in names:
        raise ValueError("The outcome cannot be its own covariate; a covariate is measured before exposure.")
    return column


def _covariate_weights(
    treatment: Moments, control: Moments, arm: Moments, covariates: Sequence[Covariate]
) -> list[Weights]:
    """The same linear combinations in both arms: a pre-period ratio is linearised at its pooled value."""
    weights: list[Weights] = []
    for covariate in covariates:
        if isinstance(covariate, str):
            weights.append(((arm.index(covariate), 1.0),))
            continue
        numerator, denominator = covariate
        totals = [
            sum(each.n * each.mean[each.index(name)] for each in (treatment, control)) for name in covariate
        ]
        if totals[1] <= 0:
            raise ValueError(
                f"The mean of {denominator!r} is not positive; the ratio {numerator!r}/{denominator!r} is no "
                "covariate."
            )
        ratio, base = totals[0] / totals[1], totals[1] / (treatment.n + control.n)
        weights.append(((arm.index(numerator), 1 / base), (arm.index(denominator), -ratio / base)))
    return weights


def _unbalanced(fit: Regression) -> tuple[Notice, ...]:
    if fit.distance < _BALANCED or chi_square_log_upper_tail(fit.distance, fit.rank) >= _UNBALANCED:
        return ()
    return (notice("unbalanced_covariates"),)


def _perfect(estimator: str, t: _Arm, c: _Arm, warnings: tuple[Notice, ...]) -> NoEstimate:
    return NoEstimate(
        estimator,
        Status.NO_VARIANCE,
        "The covariates determine the outcome exactly: nothing is left to measure the uncertainty. Is one of "
        "them the outcome itself?",
        ArmSummary(t.n, t.value, math.sqrt(t.variance)),
        ArmSummary(c.n, c.value, math.sqrt(c.variance)),
        warnings,
    )


def _details(
    removed: float, rank: int, covariates: Sequence[Covariate], coefficients: tuple[float, ...]
) -> tuple[Detail, ...]:
    by_covariate = map(_coefficient, covariates, coefficients)
    return (Detail("variance_removed", removed), Detail("covariates_used", rank), *by_covariate)


def _coefficient(covariate: Covariate, value: float) -> Detail:
    return Detail(f"coefficient.{covariate if isinstance(covariate, str) else '/'.join(covariate)}", value)
