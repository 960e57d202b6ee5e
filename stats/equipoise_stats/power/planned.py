"""A planned test: an outcome, an effect to find, a null value and a design, and the power they give."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import nctdtr, ndtr

from equipoise_stats.distributions import normal_upper_quantile, t_upper_quantile
from equipoise_stats.estimates.estimate import welch_satterthwaite
from equipoise_stats.inference.bayes.belief import NormalBelief
from equipoise_stats.inference.comparison import Scale
from equipoise_stats.inference.group_sequential.exits import (
    ExitProbabilities,
    drift_for_power,
    exit_probabilities,
)
from equipoise_stats.inference.settings import check_null
from equipoise_stats.power.designs import Design, fixed_design
from equipoise_stats.power.outcome import OF_PROPORTIONS, Outcome
from equipoise_stats.proportions.constrained import variance_at_difference, variance_at_ratio
from equipoise_stats.results import Serialisable

_FIXED = fixed_design()
_LARGEST_DRIFT = 50.0
_FINE = 10**18
"""Units of an experiment so large that proportions round to counts without loss."""


@dataclass(frozen=True, slots=True)
class PlannedTest(Serialisable):
    """What a test is planned to find, and how.

    Attributes:
        outcome: The metric.
        effect: The effect to find, on the scale of the null value: a difference in the metric's unit, or a
            lift (0.02 is 2 % of the baseline).
        null: The null value: 0, or a margin. Non-inferiority within 1 % is `null=-0.01, scale="lift"` with a
            one-sided design (`alternative="greater"`), usually at the effect 0.
        scale: `difference` or `lift`.
        design: The looks and their critical values.
        treatment_share: Share of the units of both arms that the treatment gets, between 0 and 1.
        prior: What is believed of the effect before the data, on the scale of the null value. With it the
            test is that of `normal_posterior`: it rejects where the posterior leaves less than its level
            beyond the null value. It goes with one analysis at the end.

    Raises:
        ValueError: An argument is out of range, the null value makes a treated value impossible, a lift is
            asked of a baseline that is not positive, or a prior is given to a test that has none.

    Example:
        >>> from equipoise_stats import proportion_outcome
        >>> PlannedTest(proportion_outcome(0.2), effect=0.05, scale="lift").difference
        0.010000000000000002
    """

    outcome: Outcome
    effect: float
    null: float = 0.0
    scale: Scale = "difference"
    design: Design = _FIXED
    treatment_share: float = 0.5
    prior: NormalBelief | None = None

    def __post_init__(self) -> None:
        check_null(self.null, self.scale)
        check_null(self.effect, self.scale)
        if not 0 < self.treatment_share < 1:
            raise ValueError(
                f"treatment_share is {self.treatment_share!r}; it must lie between 0 and 1, for example 0.5."
            )
        if self.scale == "lift" and not self.outcome.baseline > 0:
            raise ValueError(
                f"The baseline is {self.outcome.baseline!r}; a lift needs a positive one. Plan for a "
                "difference."
            )
        if self.outcome.response != "constant":
            self.outcome.unit_variances(self.null * (self.outcome.baseline if self.scale == "lift" else 1.0))
        if self.outcome.reference == "baseline" and self.null != 0:
            raise ValueError("The test 'baseline' has no margins; plan for 'score' or 'normal'.")
        if self.prior is not None and len(self.design.critical) > 1:
            raise ValueError(
                f"The design has {len(self.design.critical)} looks; a prior goes with one analysis, at the "
                "end."
            )
        if self.prior is not None and self.outcome.reference in OF_PROPORTIONS:
            raise ValueError(f"The test {self.outcome.reference!r} has no prior; plan for 'normal'.")

    @property
    def difference(self) -> float:
        """The effect as a difference in the metric's unit."""
        return self.effect * (self.outcome.baseline if self.scale == "lift" else 1.0)

    @property
    def by_t(self) -> bool:
        """Whether power is computed by the noncentral t distribution: a mean, analysed once, no prior."""
        once = len(self.design.critical) == 1 and self.prior is None
        return once and self.outcome.reference in ("welch", "pooled")

    @property
    def findable(self) -> bool:
        """Whether the effect lies where the design can reject."""
        side = self.design.alternative
        return self.effect != self.null and (
            side == "two-sided" or (self.effect > self.null) == (side == "greater")
        )


@dataclass(frozen=True, slots=True)
class Precision:
    """A planned test in standard units, for one unit in both arms together.

    Attributes:
        drift: Mean of the test statistic, positive in the direction of the effect; grows as √units.
        inflation: Standard error that the test uses over the true one; multiplies critical values.
        treatment: Share of the treatment in the true variance.
        prior_ratio: Standard deviation of the prior over the standard error; grows as √units. Infinite
            without a prior.
        prior_distance: How far the prior's mean lies beyond the null value, in its standard deviations.
    """

    drift: float
    inflation: float
    treatment: float
    prior_ratio: float = math.inf
    prior_distance: float = 0.0


def precision(test: PlannedTest) -> Precision:
    """The drift per unit, and what else the power depends on.

    Args:
        test: The planned test.

    Raises:
        ValueError: The effect makes a treated value impossible.

    Example:
        >>> from equipoise_stats import mean_outcome
        >>> precision(PlannedTest(mean_outcome(mean=0.0, sd=1.0), effect=1.0)).drift
        0.5
    """
    share = test.treatment_share
    form = 1 + test.null if test.scale == "lift" else 1.0
    unit_t, unit_c = test.outcome.unit_variances(test.difference)
    v_t, v_c = unit_t / share, form * form * unit_c / (1 - share)
    baseline = test.outcome.baseline if test.scale == "lift" else 1.0
    distance = (test.effect - test.null) * baseline
    side = test.design.alternative
    sign = math.copysign(1.0, distance) if side == "two-sided" else 1.0 if side == "greater" else -1.0
    towards = sign * distance
    used = _variance_of_the_test(test, v_t + v_c)
    found = Precision(towards / math.sqrt(v_t + v_c), math.sqrt(used / (v_t + v_c)), v_t / (v_t + v_c))
    if test.prior is None:
        return found
    # The prior is about the difference; the linear form of a lift moves with it so much.
    tilt = 1 + (form - 1) * (unit_c / (1 - share)) / (v_t + unit_c / (1 - share))
    belief = test.prior.scaled(tilt * baseline)
    beyond = belief.mean + (test.effect * (1 - tilt) - test.null) * baseline
    return replace(
        found,
        prior_ratio=belief.standard_deviation / math.sqrt(v_t + v_c),
        prior_distance=sign * beyond / belief.standard_deviation,
    )


def power_at(test: PlannedTest, per_unit: Precision, units: float) -> float:
    """Probability of rejecting in the direction of the effect.

    Args:
        test: The planned test.
        per_unit: Its precision.
        units: Units of both arms together at the end, not necessarily whole.
    """
    drift, design = per_unit.drift * math.sqrt(units), test.design
    if len(design.critical) > 1:
        # A sum over the looks, which rounding can carry past 1.
        return min(1.0, float(exits_at(test, per_unit, drift).power))
    if not test.by_t:
        return float(
            ndtr(drift - critical_at(per_unit, design.critical[0], per_unit.prior_ratio * math.sqrt(units)))
        )
    df = degrees_of_freedom(test, per_unit, units)
    critical = t_upper_quantile(float(ndtr(-design.critical[0])), df)
    miss = float(nctdtr(df, drift, critical))
    # Where the probability is below every double, some of them come out as NaN.
    return 1.0 if math.isnan(miss) else 1 - miss


def critical_at(per_unit: Precision, critical: float, ratio: float) -> float:
    """The critical value of the statistic: without a prior the design's own.

    The posterior's distance from the null value is at least `critical` of its standard deviations where the
    estimate's is at least this many standard errors. It may be negative: then the prior shows it by itself,
    unless the estimate speaks against it.

    Args:
        per_unit: The precision of the test.
        critical: The design's critical value.
        ratio: The prior's standard deviation over the standard error at the planned size.
    """
    return critical * per_unit.inflation * math.hypot(1.0, 1 / ratio) - per_unit.prior_distance / ratio


def degrees_of_freedom(test: PlannedTest, per_unit: Precision, units: float) -> float:
    """Degrees of freedom of the t test at a size.

    Args:
        test: The planned test.
        per_unit: Its precision.
        units: Units of both arms together.
    """
    outcome, share = test.outcome, test.treatment_share
    clusters = units / outcome.cluster_size
    if outcome.reference == "pooled":
        return clusters - 2
    return welch_satterthwaite(
        per_unit.treatment, clusters * share - 1, 1 - per_unit.treatment, clusters * (1 - share) - 1
    )


def exits_at(test: PlannedTest, per_unit: Precision, drift: float) -> ExitProbabilities:
    """When a planned test stops, in the direction of the effect (`upper`) and in the other one.

    Args:
        test: The planned test.
        per_unit: Its precision.
        drift: Mean of its statistic at the end, in true standard errors.
    """
    upper, lower = _bounds(test.design, per_unit.inflation)
    return exit_probabilities(
        test.design.fractions, upper, lower, drift=float(np.clip(drift, -_LARGEST_DRIFT, _LARGEST_DRIFT))
    )


def needed_drift(test: PlannedTest, per_unit: Precision, power: float) -> float:
    """The drift at the end with which a test has a given power, its reference being normal.

    Args:
        test: The planned test.
        per_unit: Its precision.
        power: The power.

    Raises:
        ValueError: The power is not above what the design rejects without an effect.
    """
    design = test.design
    if len(design.critical) == 1:
        return design.critical[0] * per_unit.inflation - normal_upper_quantile(power)
    upper, lower = _bounds(design, per_unit.inflation)
    return drift_for_power(design.fractions, upper, lower, power=power)


def check_power(power: float, design: Design) -> float:
    """Returns a power between the design's level and 1.

    Raises:
        ValueError: It is not.
    """
    if not design.alpha < power < 1:
        raise ValueError(
            f"power is {power!r}; it must lie between alpha, {design.alpha!r}, and 1, for example 0.8."
        )
    return power


def _bounds(design: Design, inflation: float) -> tuple[list[float], list[float] | None]:
    upper = [value * inflation for value in design.critical]
    return upper, [-value for value in upper] if design.two_sided else None


def _variance_of_the_test(test: PlannedTest, true: float) -> float:
    """The variance, for one unit of both arms, that the test divides by."""
    outcome, share = test.outcome, test.treatment_share
    if outcome.reference == "baseline":
        return outcome.variance * outcome.factor / (share * (1 - share))
    if outcome.reference != "score":
        return true
    n_t = round(share * _FINE)
    n_c = _FINE - n_t
    x_t, x_c = round(n_t * (outcome.baseline + test.difference)), round(n_c * outcome.baseline)
    if test.scale == "lift":
        variance = variance_at_ratio(x_t, n_t, x_c, n_c, 1 + test.null)
    else:
        variance = variance_at_difference(x_t, n_t, x_c, n_c, test.null)
    return variance * _FINE * outcome.factor
