"""Outcomes of every kind of metric: means, proportions, rates, ratios, quantiles, and what was observed."""

import math
from typing import Literal

from equipoise_stats.estimates.estimate import Estimate
from equipoise_stats.estimates.mean import centred_squares
from equipoise_stats.estimates.score import ratio_score, score_squares, without_denominator
from equipoise_stats.moments import Moments
from equipoise_stats.power.outcome import Outcome


def mean_outcome(
    *,
    mean: float,
    sd: float,
    treatment_sd: float | None = None,
    effect: Literal["shift", "multiply"] = "shift",
    variance: Literal["welch", "pooled"] = "welch",
) -> Outcome:
    """The outcome of a mean per unit, to be tested by t.

    Args:
        mean: The control's mean.
        sd: Standard deviation of a control unit, in the same unit.
        treatment_sd: That of a treated unit without an effect; the control's unless given.
        effect: Whether an effect shifts every unit, or multiplies it (then the treated standard deviation
            grows with the mean, as with revenue).
        variance: As in `mean_difference`; both are the same for equal arms and variances.

    Raises:
        ValueError: A number is out of range, or the arms' standard deviations differ though they are pooled.

    Example:
        >>> mean_outcome(mean=20.0, sd=35.0).variance
        1225.0
    """
    if not (sd > 0 and math.isfinite(sd)):
        raise ValueError(f"The standard deviation is {sd!r}; it must be a positive number.")
    if effect not in ("shift", "multiply"):
        raise ValueError(f"effect is {effect!r}; it must be 'shift' or 'multiply'.")
    if variance not in ("welch", "pooled"):
        raise ValueError(f"variance is {variance!r}; it must be 'welch' or 'pooled'.")
    ratio = 1.0 if treatment_sd is None else (treatment_sd / sd) ** 2
    if variance == "pooled" and (ratio != 1 or effect == "multiply"):
        raise ValueError("A pooled variance assumes equal variances; plan with variance='welch'.")
    response: Literal["constant", "quadratic"] = "constant" if effect == "shift" else "quadratic"
    return Outcome("mean", mean, sd * sd, response, variance, variance_ratio=ratio)


def proportion_outcome(
    baseline: float, *, test: Literal["normal", "score", "baseline"] = "normal"
) -> Outcome:
    """The outcome of a share of units.

    Args:
        baseline: The control's proportion, between 0 and 1.
        test: The test that is planned for. `normal` is `proportion_difference` with any inference (the
            variance of both arms as they are); `score` is `score_test` (for the null value 0 the pooled z
            test, as R's `power.prop.test`); `baseline` takes p(1 − p) of the control for the null
            hypothesis, as some calculators on the web do.

    Raises:
        ValueError: The proportion or the test is out of range.

    Example:
        >>> proportion_outcome(0.5).variance
        0.25
    """
    if not 0 < baseline < 1:
        raise ValueError(f"The baseline is {baseline!r}; a proportion lies between 0 and 1.")
    if test not in ("normal", "score", "baseline"):
        raise ValueError(f"test is {test!r}; it must be 'normal', 'score' or 'baseline'.")
    return Outcome("proportion", baseline, baseline * (1 - baseline), "bernoulli", test)


def rate_outcome(rate: float, *, exposure: float = 1.0, dispersion: float = 1.0) -> Outcome:
    """The outcome of a rate of events per unit of exposure.

    Args:
        rate: The control's rate, positive.
        exposure: Mean exposure of a unit (hours at risk, say); the same unit of time as the rate's.
        dispersion: Variance of a unit's number of events over its mean: 1 for Poisson events, more when units
            differ.

    Raises:
        ValueError: A number is not positive.

    Example:
        >>> rate_outcome(0.5, exposure=4.0).variance
        0.125
    """
    for name, value in (("rate", rate), ("exposure", exposure), ("dispersion", dispersion)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"The {name} is {value!r}; it must be a positive number.")
    return Outcome("rate", rate, rate * dispersion / exposure, "linear")


def moments_outcome(
    moments: Moments, *, column: str | None = None, denominator: str | None = None
) -> Outcome:
    """The outcome of a mean or of a ratio of sums, from the moments of past units.

    Args:
        moments: Moments of units as they will be randomised, at least two.
        column: The metric's column (a ratio's numerator); may be left out when there is only one.
        denominator: The denominator's column, for a ratio.

    Raises:
        KeyError: A column is missing.
        ValueError: There are fewer than two units, they do not vary, or the mean of the denominator is not
            positive.

    Source:
        Deng, Knoblich and Lu 2018, KDD, arXiv 1803.06336, section 3 (ratios).

    Example:
        >>> past = Moments.from_aggregates(
        ...     1000, {"clicks": 2.0, "views": 10.0}, {"clicks": 4.0, "views": 25.0},
        ...     {("clicks", "views"): 8.0},
        ... )
        >>> ratio = moments_outcome(past, column="clicks", denominator="views")
        >>> ratio.baseline, round(ratio.variance, 9)
        (0.2, 0.018)
    """
    if moments.n < 2:
        raise ValueError(f"A variance needs at least two units; there are {moments.n}.")
    at = moments.index(column)
    if denominator is None:
        variance = centred_squares(moments, at) / (moments.n - 1)
        return Outcome("mean", moments.mean[at], variance, "constant", "welch")
    refused = without_denominator("ratio", treatment=moments, control=moments, denominator=denominator)
    if refused is not None:
        raise ValueError(refused.reason)
    score = ratio_score(moments, moments.columns[at], denominator)
    return Outcome("ratio", score.value, score_squares(moments, score.weights) / (moments.n - 1))


def quantile_outcome(
    probability: float, *, value: float, density: float, distribution_variance: float | None = None
) -> Outcome:
    """The outcome of a quantile of the events of units.

    The variance of one unit is that of the distribution function at the quantile over the squared density.

    Args:
        probability: Which quantile, between 0 and 1.
        value: Its value in the control.
        density: Density of the events' distribution there, per unit of the metric.
        distribution_variance: Variance of one unit's contribution to the distribution function at the
            quantile, (S − q N) / N̄ for a unit with S of its N events below it. q (1 − q) unless given, which
            is right only for one event a unit.

    Raises:
        ValueError: A number is out of range.

    Source:
        Deng, Knoblich and Lu 2018, KDD, arXiv 1803.06336, section 4.

    Example:
        >>> round(quantile_outcome(0.5, value=0.0, density=0.3989423).variance, 6)  # π/2
        1.570796
    """
    if not 0 < probability < 1:
        raise ValueError(f"The probability is {probability!r}; it must lie between 0 and 1.")
    if not (density > 0 and math.isfinite(density)):
        raise ValueError(f"The density is {density!r}; it must be a positive number.")
    spread = probability * (1 - probability) if distribution_variance is None else distribution_variance
    return Outcome("quantile", value, spread / density**2)


def observed_outcome(estimate: Estimate) -> Outcome:
    """The outcome that an estimate of past data shows: any estimator, adjusted and clustered ones included.

    Take the estimate of an earlier experiment, or of units of the past divided at random. Its effect does not
    matter, only its control's value and its variance, which is taken to be the same in both arms.

    Args:
        estimate: The estimate. Where clusters were its units, clusters are those of the plan.

    Example:
        >>> from equipoise_stats import ArmEstimate
        >>> past = Estimate("quantile", ArmEstimate(500, 21.0, 0.2), ArmEstimate(500, 20.0, 0.2))
        >>> outcome = observed_outcome(past)
        >>> outcome.baseline, round(outcome.variance, 9)
        (20.0, 100.0)
    """
    variance = estimate.variance / (1 / estimate.treatment.n + 1 / estimate.control.n)
    return Outcome(estimate.estimator, estimate.control.value, variance)
