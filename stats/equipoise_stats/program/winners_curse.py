"""The winner's curse: an effect that was reported because it was significant is too large on average."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.comparison import Interval
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.program.studies import Floats, checked_studies
from equipoise_stats.results import Serialisable, Status

_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
_TOLERANCE = 1e-14


@dataclass(frozen=True, slots=True)
class DesignErrors(Serialisable):
    """What a significant result of a design is worth.

    Attributes:
        power: Probability of a significant result.
        wrong_sign: Probability that a significant result has the wrong sign (type S error).
        exaggeration: How many times too large a significant estimate is on average (type M error).
    """

    power: float
    wrong_sign: float
    exaggeration: float


def design_errors(effect: float, standard_error: float, *, alpha: float = 0.05) -> DesignErrors:
    """Power, type S and type M errors of a two-sided z test, if the true effect is a given one.

    Args:
        effect: A plausible true effect, from outside the experiment; not 0.
        standard_error: The standard error of its estimate.
        alpha: Two-sided level.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Gelman and Carlin 2014, Beyond Power Calculations, Perspectives on Psychological Science 9, 641–651;
        closed form: Lu, Qiu and Deng 2019, British Journal of Mathematical and Statistical Psychology 72,
        1–17.

    Example:
        >>> errors = design_errors(2.801585, 1.0)
        >>> round(errors.power, 3), round(errors.exaggeration, 3)
        (0.8, 1.125)
    """
    check_alpha(alpha)
    if not (math.isfinite(effect) and effect != 0 and 0 < standard_error < math.inf):
        raise ValueError(
            f"A true effect of {effect!r} with standard error {standard_error!r} has no design errors; the "
            "effect must be finite and not 0, the standard error positive and finite."
        )
    critical = normal_upper_quantile(alpha / 2)
    z = abs(effect) / standard_error
    right, wrong = math.exp(float(log_ndtr(z - critical))), math.exp(float(log_ndtr(-z - critical)))
    power = right + wrong
    # E[|X|; |X| > c] for X ~ N(z, 1).
    size = z * (right - wrong) + _density(z - critical) + _density(z + critical)
    return DesignErrors(power, wrong / power, size / power / z)


@dataclass(frozen=True, slots=True)
class ConditionalEstimate(Serialisable):
    """An effect corrected for having been significant.

    Attributes:
        status: `ok`, or `not_selected` where the effect was not significant: then nothing was selected.
        reason: A sentence for a person, None when the status is `ok`.
        effect: The effect as it was estimated.
        standard_error: Its standard error.
        alpha: Two-sided level at which it was selected.
        corrected: The most likely true effect, given that the estimate is significant; between 0 and
            `effect`.
        interval: Confidence interval of the true effect that covers with 1 − α, given the selection.
    """

    status: Status
    reason: str | None
    effect: float
    standard_error: float
    alpha: float
    corrected: float | None = None
    interval: Interval | None = None


def conditional_estimate(effect: float, standard_error: float, *, alpha: float = 0.05) -> ConditionalEstimate:
    """Corrects a significant effect for the selection, without a prior: the truncated normal distribution.

    Args:
        effect: The estimate.
        standard_error: Its standard error.
        alpha: Level of the two-sided z test that it passed; the interval's confidence is 1 − α too.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Zhong and Prentice 2008, Biostatistics 9, 621–634.

    Example:
        >>> corrected = conditional_estimate(0.025, 0.01)
        >>> round(corrected.corrected, 4), round(corrected.interval.lower, 4)
        (0.0114, -0.0042)
    """
    check_alpha(alpha)
    values, errors = checked_studies([effect], [standard_error])
    critical = normal_upper_quantile(alpha / 2)
    z = float(values[0] / errors[0])
    if abs(z) <= critical:
        return ConditionalEstimate(
            Status.NOT_SELECTED,
            "The effect is not significant, so no selection has made it larger.",
            effect,
            standard_error,
            alpha,
        )
    sign = math.copysign(1.0, z)
    low = _true_with_upper_tail(abs(z), critical, alpha / 2)
    high = _true_with_upper_tail(abs(z), critical, 1 - alpha / 2)
    ends = sorted((sign * low * standard_error, sign * high * standard_error))
    return ConditionalEstimate(
        Status.OK,
        None,
        effect,
        standard_error,
        alpha,
        sign * _most_likely(abs(z), critical) * standard_error,
        Interval(ends[0], ends[1]),
    )


@dataclass(frozen=True, slots=True)
class TotalEffect(Serialisable):
    """The summed effect of the experiments that were shipped, corrected for their selection.

    Attributes:
        shipped: Number of experiments selected.
        experiments: Number of all experiments.
        naive: Sum of the effects selected.
        bias: Estimated selection bias of that sum.
        corrected: `naive` − `bias`.
        interval: Confidence interval of the summed true effects (parametric bootstrap).
    """

    shipped: int
    experiments: int
    naive: float
    bias: float
    corrected: float
    interval: Interval


def shipped_total(
    effects: ArrayLike,
    standard_errors: ArrayLike,
    *,
    critical: ArrayLike,
    alpha: float = 0.05,
    replications: int = 2000,
    seed: int = 0,
) -> TotalEffect:
    """Estimates what all shipped experiments bring together, without the winner's curse.

    An experiment was shipped when effect > critical × standard error. The bias of the sum of the effects
    shipped is Σ σ_i φ((σ_i b_i − a_i)/σ_i) over **all** experiments, shipped or not; the unknown true effects
    a_i are replaced by the estimates.

    Args:
        effects: Effects of all experiments, in one unit in which they add, good ones positive; shape (k,).
        standard_errors: Their standard errors, shape (k,).
        critical: Critical values b_i in standard errors, shape () or (k,): 1.645 for a one-sided 5 % test.
        alpha: The interval covers with 1 − α, nearly.
        replications: Bootstrap replications.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Lee and Shen 2018, Winner's Curse: Bias Estimation for Total Effects of Features in Online Controlled
        Experiments, KDD.

    Example:
        >>> total = shipped_total([0.03, 0.01, -0.02, 0.02], [0.01] * 4, critical=1.645)
        >>> total.shipped, total.naive, round(total.bias, 4), round(total.corrected, 4)
        (2, 0.05, 0.0086, 0.0414)
    """
    check_alpha(alpha)
    values, errors = checked_studies(effects, standard_errors)
    thresholds = np.asarray(critical, dtype=np.float64)
    if thresholds.shape not in ((), values.shape) or not np.isfinite(thresholds).all():
        raise ValueError("critical must be one finite number, or one an experiment.")
    if replications < 100:
        raise ValueError(f"replications is {replications}; a bootstrap interval needs 100 at least.")
    shipped = values > thresholds * errors
    bias = float(_selection_bias(values, errors, thresholds))
    corrected = float(values[shipped].sum()) - bias
    again = values + errors * np.random.default_rng(seed).standard_normal((replications, values.size))
    chosen = again > thresholds * errors
    error = (chosen * (again - values)).sum(axis=1) - _selection_bias(again, errors, thresholds)
    low, high = np.quantile(error, (alpha / 2, 1 - alpha / 2))
    return TotalEffect(
        int(shipped.sum()),
        values.size,
        float(values[shipped].sum()),
        bias,
        corrected,
        Interval(corrected - float(high), corrected - float(low)),
    )


def _selection_bias(effects: Floats, errors: Floats, critical: Floats) -> Floats:
    z = critical - effects / errors
    return np.asarray((errors * np.exp(-0.5 * z * z - _LOG_ROOT_2_PI)).sum(axis=-1))


def _density(x: float) -> float:
    return math.exp(-0.5 * x * x - _LOG_ROOT_2_PI)


def _log_selected(mean: float, critical: float) -> float:
    """The logarithm of P(|X| > critical) for X ~ N(mean, 1)."""
    return float(np.logaddexp(log_ndtr(mean - critical), log_ndtr(-mean - critical)))


def _most_likely(z: float, critical: float) -> float:
    """The mean that makes z most likely, given |X| > critical: where z is the expected X."""
    from scipy.optimize import brentq  # a third of this package's import time

    def gap(mean: float) -> float:
        excess = math.exp(-0.5 * (critical - mean) ** 2 - _LOG_ROOT_2_PI - _log_selected(mean, critical))
        deficit = math.exp(-0.5 * (critical + mean) ** 2 - _LOG_ROOT_2_PI - _log_selected(mean, critical))
        return mean + excess - deficit - z

    return float(brentq(gap, 0.0, z, xtol=_TOLERANCE, rtol=_TOLERANCE))


def _true_with_upper_tail(z: float, critical: float, tail: float) -> float:
    """The mean at which P(X ≥ z, given |X| > critical) is `tail`, for z > critical."""
    from scipy.optimize import brentq  # a third of this package's import time

    def excess(mean: float) -> float:
        return math.exp(float(log_ndtr(mean - z)) - _log_selected(mean, critical)) - tail

    low, high = z - 1.0, z + 1.0
    while excess(low) > 0:
        low -= 2 * (z - low)
    while excess(high) < 0:
        high += 2 * (high - z)
    return float(brentq(excess, low, high, xtol=_TOLERANCE, rtol=_TOLERANCE))
