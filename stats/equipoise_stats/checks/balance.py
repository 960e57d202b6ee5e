"""Pre-exposure balance: were the arms alike before the experiment began?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise_stats.distributions import log_p_value, p_value_from_log
from equipoise_stats.estimates.estimate import Estimate
from equipoise_stats.estimates.mean import mean_difference
from equipoise_stats.incomplete_beta import f_log_upper_tail
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.moments import Moments
from equipoise_stats.results import CheckStatus, Serialisable
from equipoise_stats.wald import wald


@dataclass(frozen=True, slots=True)
class CovariateBalance(Serialisable):
    """One covariate of the check.

    Attributes:
        covariate: Its column.
        difference: Difference of the means, treatment − control, in its unit.
        standardised: That, over the root of the mean of both arms' variances; None without a variance.
        p_value: p-value of Welch's test; None without a variance.
    """

    covariate: str
    difference: float
    standardised: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class PreExposureBalance(Serialisable):
    """The outcome of the check.

    Attributes:
        status: `ok`, `failed`, or `unavailable` (too few units, or covariates without a variance).
        reason: A sentence for a person, None when the status is `ok`.
        alpha: Level of the check.
        statistic: F statistic of all covariates together.
        df: Degrees of freedom of its numerator: the number of covariates that are not redundant.
        df_error: Degrees of freedom of its denominator.
        p_value: Its p-value.
        log_p_value: The natural logarithm of it.
        covariates: Every covariate.
    """

    status: CheckStatus
    reason: str | None
    alpha: float
    statistic: float | None = None
    df: int | None = None
    df_error: float | None = None
    p_value: float | None = None
    log_p_value: float | None = None
    covariates: tuple[CovariateBalance, ...] = ()


def pre_exposure_balance(
    *,
    treatment: Moments,
    control: Moments,
    columns: Sequence[str] | None = None,
    alpha: float = 0.001,
) -> PreExposureBalance:
    """Checks that covariates from before the first exposure have the same means in both arms.

    One test for all covariates together (Hotelling's T² with unequal covariance matrices), so that twenty
    covariates do not make twenty chances of a false alarm. With the metric itself, measured before the
    experiment, it is the retrospective A/A test: a failure means a broken randomisation, units lost on one
    side, a covariate that was not measured before exposure, or the after-effect of an earlier experiment.

    Args:
        treatment: Moments of the treatment arm.
        control: Moments of the control arm.
        columns: The covariates; all columns when left out.
        alpha: Level; small, because the check runs on every experiment.

    Returns:
        The outcome. For one covariate the test is Welch's.

    Raises:
        KeyError: A column is missing.
        ValueError: alpha is out of range, or no column is given.

    Source:
        Krishnamoorthy and Yu 2004, Statistics & Probability Letters 66, 161–169 (the degrees of freedom).

    Example:
        >>> check = pre_exposure_balance(
        ...     treatment=Moments.scalar(5000, 10.4, 25.0), control=Moments.scalar(5000, 10.0, 25.0)
        ... )
        >>> check.status.value, f"{check.p_value:.2g}"
        ('failed', '6.4e-05')
    """
    check_alpha(alpha)
    names = list(treatment.columns if columns is None else columns)
    if not names:
        raise ValueError("There are no covariates; name one at least.")
    arms = [arm.select(names) for arm in (treatment, control)]
    if min(arm.n for arm in arms) < 2:
        return PreExposureBalance(
            CheckStatus.UNAVAILABLE,
            f"Each arm needs at least 2 units; treatment has {treatment.n}, control has {control.n}.",
            alpha,
        )
    rows, values, solid = [], [], []
    for i, name in enumerate(names):
        estimate = mean_difference(treatment=arms[0], control=arms[1], column=name)
        rows.append(_covariate(name, arms, i, estimate if isinstance(estimate, Estimate) else None))
        if isinstance(estimate, Estimate):
            values.append(estimate.difference)
            solid.append(name)
    if not solid:
        return PreExposureBalance(
            CheckStatus.UNAVAILABLE,
            "No covariate varies: nothing measures the uncertainty.",
            alpha,
            covariates=tuple(rows),
        )
    spreads = [arm.select(solid).covariance_matrix() / arm.n for arm in arms]
    squared, rank = wald(np.array(values), spreads[0] + spreads[1])
    df = _error_df(spreads, [arm.n - 1 for arm in arms], rank)
    df_error = df - rank + 1
    statistic = squared * df_error / (df * rank)
    log_p = f_log_upper_tail(statistic, rank, df_error)
    failed = log_p <= math.log(alpha)
    return PreExposureBalance(
        CheckStatus.FAILED if failed else CheckStatus.OK,
        _IMBALANCED if failed else None,
        alpha,
        statistic,
        rank,
        df_error,
        p_value_from_log(log_p),
        log_p,
        tuple(rows),
    )


def _covariate(name: str, arms: list[Moments], i: int, estimate: Estimate | None) -> CovariateBalance:
    difference = arms[0].mean[i] - arms[1].mean[i]
    if estimate is None:
        return CovariateBalance(name, difference, None, None)
    spread = math.sqrt((arms[0].variance(name) + arms[1].variance(name)) / 2)
    log_p = log_p_value(difference / estimate.standard_error, estimate.df, "two-sided")
    return CovariateBalance(name, difference, difference / spread, p_value_from_log(log_p))


def _error_df(spreads: list[NDArray[np.float64]], degrees: list[int], rank: int) -> float:
    """The degrees of freedom (r + r²) / Σ (tr(M_a²) + tr(M_a)²)/(n_a − 1) with M_a = V_a V⁻¹.

    No change of units alters them, and they are above r − 1.
    """
    whole = spreads[0] + spreads[1]
    scale = np.sqrt(np.diag(whole))
    inverse = np.linalg.pinv(whole / np.outer(scale, scale), rcond=1e-11, hermitian=True)
    total = 0.0
    for spread, df in zip(spreads, degrees, strict=True):
        m = (spread / np.outer(scale, scale)) @ inverse
        total += (float(np.trace(m @ m)) + float(np.trace(m)) ** 2) / df
    return (rank + rank * rank) / total


_IMBALANCED = (
    "The arms differed before the experiment by more than chance: check the randomisation, lost units, and "
    "when the covariates were measured. Do not trust the results."
)
