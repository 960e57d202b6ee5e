"""The difference of two rates: events per unit, per session, per hour of exposure."""

import math
from dataclasses import replace
from typing import Literal, get_args

from equipoise_stats.estimates.estimate import (
    ArmEstimate,
    Estimate,
    NoEstimate,
    contrast,
    too_few_units,
)
from equipoise_stats.estimates.mean import mean_difference
from equipoise_stats.estimates.ratio import linearised_ratio
from equipoise_stats.estimates.score import Weights, score_squares, without_denominator
from equipoise_stats.moments import Moments
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice

RateVariance = Literal["robust", "poisson"]
"""From the spread between units (any counts), or from the Poisson model (independent events)."""

_FEWEST_EVENTS = 5
_OVERDISPERSED = 4.0


def rate_difference(
    *,
    treatment: Moments,
    control: Moments,
    events: str = "events",
    exposure: str | None = None,
    variance: RateVariance = "robust",
) -> Estimate | NoEstimate:
    """Estimates the difference of two rates, Σ events / Σ exposure, treatment − control.

    Args:
        treatment: Moments of the treatment arm, a row a randomised unit.
        control: Moments of the control arm.
        events: Column of the number of events of the unit.
        exposure: Column of the unit's time (or sessions, or volume) at risk; left out, each unit counts 1.
        variance: `robust` (default) takes it from the spread between units, so that events of one unit may
            come in bursts; `poisson` takes events for independent and needs no spread, as with errors per
            request.

    Returns:
        The estimate in events per unit of exposure, or `NoEstimate` (`too_few_units`,
        `denominator_not_positive`, `no_variance`). Under `poisson` it warns of fewer than five events in an
        arm (`few_events`), and where the spread between units is clearly above that of the model
        (`overdispersed`): the interval is too narrow then.

    Raises:
        ValueError: `variance` is unknown, or events are negative.
        KeyError: A column is missing.

    Source:
        Rothman, Greenland and Lash 2008, Modern Epidemiology, chapter 14 (Poisson); Deng, Knoblich and Lu
        2018, arXiv 1803.06336 (robust).

    Example:
        >>> arms = [
        ...     Moments.from_aggregates(
        ...         500, {"events": events / 500, "hours": 2.0}, {"events": 0.1, "hours": 0.0},
        ...         {("events", "hours"): 0.0},
        ...     )
        ...     for events in (60, 40)
        ... ]
        >>> e = rate_difference(
        ...     treatment=arms[0], control=arms[1], events="events", exposure="hours", variance="poisson"
        ... )
        >>> round(e.difference, 9), round(e.standard_error, 9)
        (0.02, 0.01)
    """
    if variance not in get_args(RateVariance):
        raise ValueError(f"variance is {variance!r}; it must be one of {', '.join(get_args(RateVariance))}.")
    if variance == "robust":
        return _robust(treatment, control, events, exposure)
    if treatment.n < 2 or control.n < 2:
        return too_few_units("rate_poisson", treatment=treatment.n, control=control.n)
    if exposure is not None:
        refused = without_denominator(
            "rate_poisson", treatment=treatment, control=control, denominator=exposure
        )
        if refused is not None:
            return refused
    arm_t, total_t = _poisson(treatment, events, exposure)
    arm_c, total_c = _poisson(control, events, exposure)
    spread = arm_t.variance + arm_c.variance
    third = arm_t.variance / total_t - arm_c.variance / total_c
    return contrast(
        "rate_poisson",
        treatment=arm_t,
        control=arm_c,
        skewness=third / spread**1.5 if spread > 0 else None,
        warnings=_few_events(arm_t.value * total_t, arm_c.value * total_c)
        + _overdispersion(treatment, control, events, exposure),
    )


def _robust(treatment: Moments, control: Moments, events: str, exposure: str | None) -> Estimate | NoEstimate:
    if exposure is None:
        mean = mean_difference(treatment=treatment, control=control, column=events)
        return replace(mean, estimator="rate_robust")
    return linearised_ratio(
        "rate_robust", treatment=treatment, control=control, numerator=events, denominator=exposure
    )


def _poisson(arm: Moments, events: str, exposure: str | None) -> tuple[ArmEstimate, float]:
    """An arm under the Poisson model, and its total exposure."""
    mean = arm.mean[arm.index(events)]
    if mean < 0:
        raise ValueError(f"The mean of {events!r} is {mean!r}; a number of events cannot be negative.")
    total = arm.n * (1.0 if exposure is None else arm.mean[arm.index(exposure)])
    rate = arm.n * mean / total
    return ArmEstimate(arm.n, rate, rate / total), total


def _few_events(*events: float) -> tuple[Notice, ...]:
    fewest = round(min(events))
    if fewest >= _FEWEST_EVENTS:
        return ()
    return (notice("few_events", events=fewest, needed=_FEWEST_EVENTS),)


def _overdispersion(
    treatment: Moments, control: Moments, events: str, exposure: str | None
) -> tuple[Notice, ...]:
    """A warning where an arm's variance is above the model's by more than four standard errors.

    Under the model the variance of y − r d is the mean λ of y, whatever the exposures d, and the sample
    variance of n such values has variance (2 λ² + λ)/n, nearly.
    """
    for arm in (treatment, control):
        i = arm.index(events)
        mean = arm.mean[i]
        weights: Weights = ((i, 1.0),)
        if exposure is not None:
            j = arm.index(exposure)
            weights = ((i, 1.0), (j, -mean / arm.mean[j]))
        variance = score_squares(arm, weights) / (arm.n - 1)
        if variance - mean > _OVERDISPERSED * math.sqrt((2 * mean**2 + mean) / arm.n):
            return (notice("overdispersed", events=events, factor=variance / mean),)
    return ()
