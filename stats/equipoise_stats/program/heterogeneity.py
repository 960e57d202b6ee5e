"""Heterogeneity: does the effect differ between segments, and only then, where?"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from equipoise_stats.distributions import (
    chi_square_log_upper_tail,
    normal_upper_quantile,
    p_value_from_log,
)
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.bayes.belief import NormalBelief
from equipoise_stats.inference.comparison import Interval
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.multiplicity.adjust import benjamini_hochberg
from equipoise_stats.program.between_variance import between_variance, cochran_q, weighted_mean
from equipoise_stats.program.studies import Floats
from equipoise_stats.results import Serialisable, Status


@dataclass(frozen=True, slots=True)
class SegmentEffect(Serialisable):
    """The effect in one segment.

    Attributes:
        segment: Name of the segment.
        status: `ok`, or why the segment has no estimate.
        reason: A sentence for a person, None when the status is `ok`.
        effect: Treatment − control in the segment.
        standard_error: Its standard error.
        deviation: The effect minus the combined effect of all other segments.
        deviation_standard_error: Its standard error.
        p_value: p-value of no deviation.
        adjusted_p_value: That, adjusted over the segments (Benjamini and Hochberg).
        differs: Whether the segment differs from the others: the effects are heterogeneous *and* the adjusted
            p-value is at most α.
        shrunken: Best guess of the segment's effect: pulled towards the combined one by what is noise.
        shrunken_interval: Interval of that guess, with 1 − α.
    """

    segment: str
    status: Status
    reason: str | None = None
    effect: float | None = None
    standard_error: float | None = None
    deviation: float | None = None
    deviation_standard_error: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    differs: bool | None = None
    shrunken: float | None = None
    shrunken_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Heterogeneity(Serialisable):
    """Whether the effect differs between segments.

    Attributes:
        status: `ok`, or `too_few_studies` where fewer than two segments have an estimate.
        reason: A sentence for a person, None when the status is `ok`.
        alpha: Level.
        effect: Combined effect, weighted by 1/se².
        standard_error: Its standard error if there is one effect for all.
        q: Cochran's Q.
        df: Its degrees of freedom.
        p_value: p-value of one effect for all.
        log_p_value: The natural logarithm of it.
        detected: Whether effects are heterogeneous: p ≤ α.
        i_squared: Share of Q beyond chance.
        tau: Standard deviation of the segments' true effects (Paule and Mandel).
        segments: Every segment, in the given order.
    """

    status: Status
    reason: str | None
    alpha: float
    effect: float | None = None
    standard_error: float | None = None
    q: float | None = None
    df: int | None = None
    p_value: float | None = None
    log_p_value: float | None = None
    detected: bool | None = None
    i_squared: float | None = None
    tau: float | None = None
    segments: tuple[SegmentEffect, ...] = ()


LogPValue = Callable[[Floats, Floats, Floats], float]
"""The natural logarithm of the p-value of one effect for all.

Its arguments are the effects, their standard errors, and the units that each counts for: 0 where it is too
early for it.
"""


def _cochran(effects: Floats, errors: Floats, _units: Floats) -> float:
    """By Cochran's Q, at one moment that the results do not choose."""
    return chi_square_log_upper_tail(cochran_q(effects, errors), effects.size - 1)


def heterogeneity(segments: Mapping[str, Estimate | NoEstimate], *, alpha: float = 0.05) -> Heterogeneity:
    """Compares the effects of disjoint segments: Cochran's Q first, then which segments differ.

    "Significant in one segment and not in the other" is no finding: their difference is what is tested. So
    each segment is compared with all others together, the p-values are adjusted over the segments, and none
    is called different unless Q says that there is something to find.

    Args:
        segments: The estimate of the effect in each segment (country, platform, …); the segments have no unit
            in common and are known before exposure. Standard errors are taken as known: every segment should
            have some dozens of units an arm.
        alpha: Level of Q and of the false discovery rate.

    Returns:
        The outcome; segments without an estimate are listed with their reason.

    Raises:
        ValueError: alpha is out of range.

    Source:
        Cochran 1954; Benjamini and Hochberg 1995; shrinkage: Efron and Morris 1975.

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> control = Moments.scalar(1000, 10.0, 9.0)
        >>> outcome = heterogeneity({
        ...     country: mean_difference(treatment=Moments.scalar(1000, mean, 9.0), control=control)
        ...     for country, mean in {"DE": 10.1, "FR": 10.2, "IT": 10.1, "UK": 10.2, "US": 11.0}.items()
        ... })
        >>> outcome.detected, [each.segment for each in outcome.segments if each.differs]
        (True, ['US'])
    """
    return heterogeneity_by(_cochran, segments, alpha=alpha, burn_in=0)


def heterogeneity_by(
    test: LogPValue, segments: Mapping[str, Estimate | NoEstimate], *, alpha: float, burn_in: int
) -> Heterogeneity:
    """Compares the effects of disjoint segments by a test of one effect for all of them.

    Args:
        test: The test.
        segments: The estimate of the effect in each segment.
        alpha: Level of the test and of the false discovery rate.
        burn_in: Units that each arm of a segment needs to count in the test.

    Raises:
        ValueError: alpha is out of range.
    """
    check_alpha(alpha)
    known = {name: each for name, each in segments.items() if isinstance(each, Estimate)}
    if len(known) < 2:
        return Heterogeneity(
            Status.TOO_FEW_STUDIES,
            f"{len(known)} segments have an estimate; two at least are needed to compare.",
            alpha,
            segments=tuple(
                SegmentEffect(name, each.status, each.reason)
                if isinstance(each, NoEstimate)
                else SegmentEffect(name, Status.OK, None, each.difference, each.standard_error)
                for name, each in segments.items()
            ),
        )
    effects = np.array([each.difference for each in known.values()])
    errors = np.array([each.standard_error for each in known.values()])
    arms = [(each.treatment.n, each.control.n) for each in known.values()]
    units = np.array([float(sum(each)) if min(each) >= burn_in else 0.0 for each in arms])
    q, df = cochran_q(effects, errors), len(known) - 1
    log_p = test(effects, errors, units)
    p_value = p_value_from_log(log_p)
    effect, variance = weighted_mean(effects, errors, 0.0)
    tau = math.sqrt(between_variance(effects, errors, "paule_mandel"))
    found = _segment_effects(test, list(known), effects, errors, units, tau, p_value <= alpha, alpha)
    rows = dict(zip(known, found, strict=True))
    return Heterogeneity(
        Status.OK,
        None,
        alpha,
        effect,
        math.sqrt(variance),
        q,
        df,
        p_value,
        log_p,
        p_value <= alpha,
        max(0.0, 1 - df / q) if q > 0 else 0.0,
        tau,
        tuple(
            SegmentEffect(name, each.status, each.reason) if isinstance(each, NoEstimate) else rows[name]
            for name, each in segments.items()
        ),
    )


def _segment_effects(
    test: LogPValue,
    names: list[str],
    effects: Floats,
    errors: Floats,
    units: Floats,
    tau: float,
    detected: bool,
    alpha: float,
) -> list[SegmentEffect]:
    deviations, log_p = [], []
    for i in range(len(names)):
        others, variance = weighted_mean(np.delete(effects, i), np.delete(errors, i), 0.0)
        own, error = float(effects[i]), float(errors[i])
        deviations.append((own - others, math.hypot(error, math.sqrt(variance))))
        pair = np.array([own, others]), np.array([error, math.sqrt(variance)])
        log_p.append(test(*pair, np.array([units[i], units.sum() - units[i]])))
    adjusted = [p_value_from_log(value) for value in benjamini_hochberg(log_p, log=True).tolist()]
    centre, spread = weighted_mean(effects, errors, tau * tau)
    critical = normal_upper_quantile(alpha / 2)
    rows = []
    for i, (name, (deviation, error)) in enumerate(zip(names, deviations, strict=True)):
        shrunken, sd = _shrunken(float(effects[i]), float(errors[i]), centre, spread, tau)
        rows.append(
            SegmentEffect(
                name,
                Status.OK,
                None,
                float(effects[i]),
                float(errors[i]),
                deviation,
                error,
                p_value_from_log(log_p[i]),
                adjusted[i],
                detected and adjusted[i] <= alpha,
                shrunken,
                Interval(shrunken - critical * sd, shrunken + critical * sd),
            )
        )
    return rows


def _shrunken(effect: float, error: float, centre: float, spread: float, tau: float) -> tuple[float, float]:
    """Posterior mean and standard deviation; the latter counts that the centre is estimated too."""
    if tau == 0:
        return centre, math.sqrt(spread)
    belief = NormalBelief(centre, tau).updated(effect, error)
    on_centre = error * error / (error * error + tau * tau)
    return belief.mean, math.hypot(belief.standard_deviation, on_centre * math.sqrt(spread))
