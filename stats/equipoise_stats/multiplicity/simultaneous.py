"""Families of comparisons by any inference: adjusted p-values with intervals that agree with them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from equipoise_stats.distributions import p_value_from_log
from equipoise_stats.inference.compare import Compare
from equipoise_stats.inference.comparison import Alternative, Comparison, Effect, Interval, Scale
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha
from equipoise_stats.multiplicity.adjust import (
    Floats,
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    check_weights,
    harmonic,
    holm,
)
from equipoise_stats.results import Serialisable

Correction = Literal["bonferroni", "holm", "benjamini_hochberg", "benjamini_yekutieli"]
"""The corrections that have intervals."""


@dataclass(frozen=True, slots=True)
class Simultaneous(Serialisable):
    """One comparison of a family.

    Attributes:
        effect: The effect on the scale asked for, with the interval of the family. An end that is open at the
            null value is the number next to it.
        level: The interval covers 1 − level by itself. None where it says no more than that the null value is
            excluded.
        p_value: Adjusted p-value; None where there is no test.
        log_p_value: Its natural logarithm.
        rejected: Whether the adjusted p-value is at most alpha, which is when the interval excludes the null
            value.
    """

    effect: Effect
    level: float | None
    p_value: float | None
    log_p_value: float | None
    rejected: bool | None


def simultaneous(
    family: Mapping[str, Compare],
    *,
    correction: Correction = "bonferroni",
    weights: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> dict[str, Simultaneous]:
    """Corrects a family of comparisons and gives each an interval that agrees with its adjusted p-value.

    - `bonferroni`: intervals at α times the weight; all hold together with confidence 1 − α.
    - `holm`, one-sided: the same confidence. Unless all are rejected, what is rejected has no more than the
      null value for a bound: the price of Holm's power. Two-sided it has no such intervals.
    - `benjamini_hochberg`, `benjamini_yekutieli`: intervals at R α / m (the second: over 1 + 1/2 + … + 1/m),
      R the number rejected. Among the rejected, the expected share of intervals that miss is at most α.

    Args:
        family: The comparisons, each an inference with its data bound. Its p-value must not depend on
            alpha.
        correction: The correction.
        weights: For `bonferroni`: the share of alpha of each comparison; equal by default.
        alpha: Level of the family.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value of every comparison.
        scale: Its scale, and that of the intervals.

    Returns:
        For each comparison its corrected form. One without a test counts as not rejected.

    Raises:
        ValueError: The correction is unknown, weights go with another than `bonferroni` or are impossible,
            Holm is asked two-sided, or another argument is out of range.

    Source:
        Strassburger and Bretz 2008, Stat. Med. 27, 4914–4927 (Holm); Benjamini and Yekutieli 2005,
        J. Am. Stat. Assoc. 100, 71–81 (false coverage rate).

    Example:
        >>> from functools import partial
        >>> from equipoise_stats import ArmEstimate, Estimate, fixed_horizon
        >>> control = ArmEstimate(900, 10.0, 0.01)
        >>> family = {
        ...     name: partial(fixed_horizon, Estimate("mean", ArmEstimate(900, value, 0.01), control))
        ...     for name, value in {"a": 10.36, "b": 10.3, "c": 10.1}.items()
        ... }
        >>> corrected = simultaneous(family, correction="benjamini_hochberg")
        >>> {name: (one.rejected, round(one.p_value, 4)) for name, one in corrected.items()}
        {'a': (True, 0.0327), 'b': (False, 0.0508), 'c': (False, 0.4795)}
        >>> round(corrected["a"].effect.interval.lower, 4)
        0.0214
    """
    _check(family, correction, weights, alpha, alternative)
    check_null(null, scale)
    names = list(family)
    if not names:
        return {}
    first = [family[name](alpha=alpha, alternative=alternative, null=null, scale=scale) for name in names]
    # A comparison without a test was planned, so it counts; it cannot be rejected.
    log_p = np.array([0.0 if one.test.log_p_value is None else one.test.log_p_value for one in first])
    shares = None if weights is None else [weights[name] for name in names]
    adjusted = _adjusted(log_p, correction, shares)
    rejected = adjusted <= math.log(alpha)
    levels = _levels(rejected, correction, alpha, shares)
    results = {}
    for i, name in enumerate(names):
        level = levels[i]
        at_level = (
            first[i]
            if level is None
            else family[name](alpha=level, alternative=alternative, null=null, scale=scale)
        )
        effect = _effect(at_level, scale)
        if correction == "holm" and rejected[i]:
            effect = _not_beyond_null(effect, null, alternative, informative=level is not None)
        known = first[i].test.log_p_value is not None
        results[name] = Simultaneous(
            effect,
            level,
            p_value_from_log(float(adjusted[i])) if known else None,
            float(adjusted[i]) if known else None,
            bool(rejected[i]) if known else None,
        )
    return results


def _check(
    family: Mapping[str, Compare],
    correction: Correction,
    weights: Mapping[str, float] | None,
    alpha: float,
    alternative: Alternative,
) -> None:
    tail_alpha(check_alpha(alpha), alternative)
    if correction not in get_args(Correction):
        raise ValueError(
            f"correction is {correction!r}; it must be one of {', '.join(get_args(Correction))}."
        )
    if correction == "holm" and alternative == "two-sided":
        raise ValueError(
            "Holm's correction has no two-sided intervals; ask one-sided, or use bonferroni (or `holm` for "
            "p-values without intervals)."
        )
    if weights is not None:
        if correction != "bonferroni":
            raise ValueError(f"Weights go with bonferroni, not with {correction}.")
        if set(weights) != set(family):
            raise ValueError(f"The weights are of {sorted(weights)}, the comparisons are {sorted(family)}.")
        check_weights(list(weights.values()), len(family))


def _adjusted(log_p: Floats, correction: Correction, shares: Sequence[float] | None) -> Floats:
    if correction == "bonferroni":
        return bonferroni(log_p, weights=shares, log=True)
    return {"holm": holm, "benjamini_hochberg": benjamini_hochberg}.get(correction, benjamini_yekutieli)(
        log_p, log=True
    )


def _levels(
    rejected: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    correction: Correction,
    alpha: float,
    shares: Sequence[float] | None,
) -> list[float | None]:
    """The level of each interval, None for a bound at the null value."""
    m, count = len(rejected), int(rejected.sum())
    if correction == "bonferroni":
        return [alpha / m] * m if shares is None else [alpha * share for share in shares]
    if correction == "holm":
        if count == m:
            return [alpha / m] * m
        return [None if one else alpha / (m - count) for one in rejected]
    level = max(count, 1) * alpha / m
    return [level if correction == "benjamini_hochberg" else level / harmonic(m)] * m


def _effect(comparison: Comparison, scale: Scale) -> Effect:
    return comparison.difference if scale == "difference" else comparison.lift


def _not_beyond_null(effect: Effect, null: float, alternative: Alternative, *, informative: bool) -> Effect:
    """The effect with a bound just beyond the null value, or further where the interval says so."""
    if effect.interval is None:
        return effect
    lower, upper = effect.interval.lower, effect.interval.upper
    if alternative == "greater":
        edge = math.nextafter(null, math.inf)
        interval = Interval(max(edge, lower) if informative else edge, upper)
    else:
        edge = math.nextafter(null, -math.inf)
        interval = Interval(lower, min(edge, upper) if informative else edge)
    return Effect(effect.status, effect.reason, effect.estimate, effect.standard_error, interval)
