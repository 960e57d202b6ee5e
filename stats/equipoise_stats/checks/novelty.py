"""Novelty and primacy: does the effect fade or grow with the time since a unit's first exposure?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from equipoise_stats.estimates.estimate import Estimate
from equipoise_stats.estimates.mean import mean_difference
from equipoise_stats.inference.anytime.sequence import confidence_sequence
from equipoise_stats.inference.comparison import Comparison
from equipoise_stats.inference.fixed import fixed_horizon
from equipoise_stats.moments import Moments
from equipoise_stats.results import CheckStatus, Serialisable

_FEWEST_AGES = 3
_HALVES_ALPHA = 0.05


class NoveltyFinding(StrEnum):
    """How the effect changes with age."""

    FADING = "fading"
    GROWING = "growing"
    REVERSING = "reversing"


@dataclass(frozen=True, slots=True)
class EffectAtAge(Serialisable):
    """The effect at one age.

    Attributes:
        age: Time since first exposure, in the unit given (days).
        effect: Treatment − control at that age.
        standard_error: Its standard error; None where it has none.
    """

    age: float
    effect: float
    standard_error: float | None


@dataclass(frozen=True, slots=True)
class Novelty(Serialisable):
    """The outcome of the check.

    Attributes:
        status: `ok`, `warning`, or `unavailable` (too few units, or no variance).
        finding: With a warning, from the mean effects in the earlier and the later half of the ages: `fading`
            (novelty: the later one is nearer to 0), `growing` (primacy: it is farther away), or `reversing`
            (they are on opposite sides of 0, each at the level 0.05, and so are both ends of the line fitted
            through the effects, at the level of the test); None otherwise.
        reason: A sentence for a person, None when the status is `ok`.
        slope: The change of the effect per unit of ln(1 + age), tested against 0.
        late_minus_early: The effect in the later half of the ages minus that in the earlier half, of the same
            units.
        ages: The effect at each age.
    """

    status: CheckStatus
    finding: NoveltyFinding | None
    reason: str | None
    slope: Comparison
    late_minus_early: Comparison
    ages: tuple[EffectAtAge, ...]


def novelty(
    *,
    treatment: Moments,
    control: Moments,
    ages: Mapping[str, float],
    alpha: float = 0.01,
    tuning_units: float | None = None,
) -> Novelty:
    """Tests whether the effect changes with the time since first exposure.

    Every unit must have been observed at every age (a matured cohort): then age is not mixed up with the
    calendar or with who came early. Each unit's own values give a slope on ln(1 + age), and the slopes of the
    two arms are compared, so the correlation of a unit's days is taken into account.

    Args:
        treatment: Moments of the treatment arm: a row a unit, a column an age (its value on day 0, 1, …).
        control: Moments of the control arm.
        ages: The age of each column, three different ones at least, none negative.
        alpha: Level of the test of the slope.
        tuning_units: With it every test is that of `confidence_sequence`, tuned there for the level alpha, so
            that one may look at any moment. Without it they hold at one moment that the results did not
            choose.

    Raises:
        KeyError: A column is missing.
        ValueError: There are too few ages, one is negative or given twice, or alpha is out of range.

    Source:
        Kohavi, Tang and Xu 2020, Trustworthy Online Controlled Experiments, chapters 3 and 23; Chen, Liu and
        Xu 2019, How A/B Tests Could Go Wrong, WSDM.

    Example:
        >>> import numpy as np
        >>> g = np.random.default_rng(1)
        >>> def arm(effects):
        ...     return Moments.from_arrays(
        ...         {f"day{d}": g.normal(5 + effect, 2, 4000) for d, effect in enumerate(effects)}
        ...     )
        >>> check = novelty(
        ...     treatment=arm([1.0, 0.6, 0.4, 0.3, 0.2, 0.1, 0.1]), control=arm([0.0] * 7),
        ...     ages={f"day{d}": d for d in range(7)},
        ... )
        >>> check.status.value, check.finding.value
        ('warning', 'fading')
    """
    ordered = _ordered(ages)
    times = [math.log1p(age) for _, age in ordered]
    centre = math.fsum(times) / len(times)
    squares = math.fsum((time - centre) ** 2 for time in times)
    half = len(ordered) // 2
    slope_weights = [(time - centre) / squares for time in times]
    contrasts = {
        "slope": slope_weights,
        "late_minus_early": [-1 / half] * half + [0.0] * (len(times) - 2 * half) + [1 / half] * half,
        "first": [1 / len(times) + (times[0] - centre) * weight for weight in slope_weights],
        "last": [1 / len(times) + (times[-1] - centre) * weight for weight in slope_weights],
        "early": [1 / half] * half + [0.0] * (len(times) - half),
        "late": [0.0] * (len(times) - half) + [1 / half] * half,
    }
    names = [name for name, _ in ordered]
    combined = [
        arm.linear({what: dict(zip(names, weights, strict=True)) for what, weights in contrasts.items()})
        for arm in (treatment, control)
    ]
    conclude = (
        fixed_horizon if tuning_units is None else partial(confidence_sequence, tuning_units=tuning_units)
    )
    slope, late_minus_early, *ends, early, late = (
        conclude(mean_difference(treatment=combined[0], control=combined[1], column=what), alpha=alpha)
        for what in contrasts
    )
    effects = tuple(_at_age(treatment, control, name, age) for name, age in ordered)
    if slope.test.rejected is None:
        return Novelty(CheckStatus.UNAVAILABLE, None, slope.test.reason, slope, late_minus_early, effects)
    if not slope.test.rejected:
        return Novelty(CheckStatus.OK, None, None, slope, late_minus_early, effects)
    finding = _finding(ends, early, late)
    return Novelty(CheckStatus.WARNING, finding, _REASONS[finding], slope, late_minus_early, effects)


def _ordered(ages: Mapping[str, float]) -> list[tuple[str, float]]:
    if len(ages) < _FEWEST_AGES or len(set(ages.values())) < len(ages):
        raise ValueError(
            f"There are the ages {list(ages.values())}; three different ones at least are needed."
        )
    for name, age in ages.items():
        if not 0 <= age < math.inf:
            raise ValueError(f"The age of {name!r} is {age!r}; it must be a finite number, 0 or more.")
    return sorted(ages.items(), key=lambda item: item[1])


def _at_age(treatment: Moments, control: Moments, name: str, age: float) -> EffectAtAge:
    estimate = mean_difference(treatment=treatment, control=control, column=name)
    if isinstance(estimate, Estimate):
        return EffectAtAge(age, estimate.difference, estimate.standard_error)
    difference = treatment.mean[treatment.index(name)] - control.mean[control.index(name)]
    return EffectAtAge(age, difference, None)


def _finding(ends: Sequence[Comparison], early: Comparison, late: Comparison) -> NoveltyFinding:
    """What a slope means, from the fitted effects at both ends, and those in both halves of the ages."""
    # The line alone would not do: where an effect fades at once and stays at 0, its end is across 0.
    if _are_opposite(*ends, alpha=early.test.alpha) and _are_opposite(early, late, alpha=_HALVES_ALPHA):
        return NoveltyFinding.REVERSING
    shrinks = abs(late.difference.estimate or 0.0) < abs(early.difference.estimate or 0.0)
    return NoveltyFinding.FADING if shrinks else NoveltyFinding.GROWING


def _are_opposite(one: Comparison, other: Comparison, *, alpha: float) -> bool:
    """Whether two effects are on opposite sides of 0, each shown at this level."""
    shown = all((each.test.p_value or 0.0) <= alpha for each in (one, other))
    return shown and float(one.test.statistic or 0.0) * float(other.test.statistic or 0.0) < 0


_REASONS = {
    NoveltyFinding.FADING: "The effect fades with the time since first exposure (novelty): the average "
    "overstates what will last.",
    NoveltyFinding.GROWING: "The effect grows with the time since first exposure (primacy): the average "
    "understates what will last; run longer.",
    NoveltyFinding.REVERSING: "The effect changes its sign with the time since first exposure: the average "
    "says nothing about what will last; run longer.",
}
