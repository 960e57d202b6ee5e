"""The difference of two ratios of sums, Σy/Σd, where the unit that was randomised has several events."""

import math

from equipoise_stats.estimates.estimate import (
    ArmEstimate,
    Estimate,
    NoEstimate,
    contrast,
    too_few_units,
    welch_satterthwaite,
)
from equipoise_stats.estimates.score import (
    Score,
    ratio_score,
    score_skewness,
    score_squares,
    without_denominator,
)
from equipoise_stats.moments import Moments
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice

_NOISY = 0.1


def ratio_difference(
    *, treatment: Moments, control: Moments, numerator: str, denominator: str
) -> Estimate | NoEstimate:
    """Estimates the difference of two ratios of sums, treatment − control, as clicks per view.

    Each arm's ratio is r = ȳ/d̄ over the units that were randomised, and its variance that of the mean of the
    scores (y − r d)/d̄ (delta method). Counting each event as a unit instead would take the events of one unit
    for independent and find effects that are not there.

    Args:
        treatment: Moments of the treatment arm, a row a randomised unit.
        control: Moments of the control arm.
        numerator: Column of the unit's sum of y.
        denominator: Column of the unit's sum of d; its mean must be positive in each arm.

    Returns:
        The estimate in units of y per d, or `NoEstimate` (`too_few_units`, `denominator_not_positive`,
        `no_variance`). It warns (`noisy_denominator`) where the standard error of an arm's d̄ is above a tenth
        of it: the linear approximation is not reliable then (Cochran 1977, section 6.5).

    Raises:
        KeyError: A column is missing.

    Source:
        Deng, Knoblich and Lu 2018, KDD, arXiv 1803.06336, section 3.

    Example:
        >>> arm = Moments.from_aggregates(
        ...     1000, {"clicks": 2.0, "views": 10.0}, {"clicks": 4.0, "views": 25.0},
        ...     {("clicks", "views"): 8.0},
        ... )
        >>> e = ratio_difference(treatment=arm, control=arm, numerator="clicks", denominator="views")
        >>> e.treatment.value, round(e.treatment.variance, 9)
        (0.2, 1.8e-05)
    """
    return linearised_ratio(
        "ratio", treatment=treatment, control=control, numerator=numerator, denominator=denominator
    )


def linearised_ratio(
    estimator: str,
    *,
    treatment: Moments,
    control: Moments,
    numerator: str,
    denominator: str,
    warnings: tuple[Notice, ...] = (),
) -> Estimate | NoEstimate:
    """What `ratio_difference` does, under the name of the estimator that asks.

    Args:
        estimator: Name of the estimator.
        treatment: Moments of the treatment arm.
        control: Moments of the control arm.
        numerator: Column of y.
        denominator: Column of d.
        warnings: Notices of the estimator.
    """
    if treatment.n < 2 or control.n < 2:
        return too_few_units(estimator, treatment=treatment.n, control=control.n)
    refused = without_denominator(estimator, treatment=treatment, control=control, denominator=denominator)
    if refused is not None:
        return refused
    score_t, score_c = (ratio_score(arm, numerator, denominator) for arm in (treatment, control))
    arm_t, arm_c = _arm(treatment, score_t), _arm(control, score_c)
    known = arm_t.variance + arm_c.variance > 0
    return contrast(
        estimator,
        treatment=arm_t,
        control=arm_c,
        df=welch_satterthwaite(arm_t.variance, treatment.n - 1, arm_c.variance, control.n - 1)
        if known
        else 1.0,
        skewness=score_skewness(
            treatment=treatment, of_treatment=score_t.weights, control=control, of_control=score_c.weights
        ),
        warnings=noisy_denominator(treatment, control, denominator) + warnings,
    )


def noisy_denominator(treatment: Moments, control: Moments, denominator: str) -> tuple[Notice, ...]:
    """The warning that the delta method is not reliable for these denominators, if it is not.

    Args:
        treatment: Moments of the treatment arm, at least two units.
        control: Moments of the control arm, at least two units.
        denominator: Column whose mean is positive in each arm.
    """
    noise = max(_relative_noise(arm, denominator) for arm in (treatment, control))
    if noise <= _NOISY:
        return ()
    return (notice("noisy_denominator", denominator=denominator, noise=noise, limit=_NOISY),)


def _relative_noise(arm: Moments, column: str) -> float:
    i = arm.index(column)
    return math.sqrt(arm.comoments[i][i] / (arm.n - 1) / arm.n) / arm.mean[i]


def _arm(arm: Moments, score: Score) -> ArmEstimate:
    return ArmEstimate(arm.n, score.value, score_squares(arm, score.weights) / (arm.n - 1) / arm.n)
