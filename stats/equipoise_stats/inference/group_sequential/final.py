"""After stopping: p-value, interval and estimate that account for having looked (stage-wise ordering)."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import ndtri_exp

from equipoise_stats.distributions import p_value_from_log
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.comparison import (
    Alternative,
    Comparison,
    Effect,
    HypothesisTest,
    Interval,
    Scale,
)
from equipoise_stats.inference.conclude import unanswered
from equipoise_stats.inference.group_sequential.analysis import (
    check_group_sequential,
    group_sequential_method,
    normal_from_t,
    t_from_normal,
)
from equipoise_stats.inference.group_sequential.interpolation import UNIT_NODES, coefficients, evaluate
from equipoise_stats.inference.group_sequential.looks import LookHistory
from equipoise_stats.inference.group_sequential.recursion import (
    Floats,
    Grid,
    Stage,
    grid_towards,
    log_exits,
)
from equipoise_stats.inference.intervals import CONTROL_NOT_POSITIVE, lift_effect, statistic
from equipoise_stats.inference.settings import tail_alpha
from equipoise_stats.results import Status

_TABULATED = 40.0
"""Standardised drifts up to which the chance of having stopped earlier is tabulated."""


def stage_wise(
    estimate: Estimate | NoEstimate,
    *,
    history: LookHistory,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Concludes an analysis that stopped at the last look of a history.

    After stopping early the naive estimate is too large on average and its interval covers too little. The
    stage-wise ordering calls a result more extreme the earlier it crossed a bound, and at the same look the
    larger its statistic. It gives an exact p-value, an interval with coverage 1 − α, and a median-unbiased
    estimate: the effect that would be exceeded half of the time.

    Valid once, when the analysis stops: because a bound was crossed, or at the last look; no look before may
    have crossed its bound. While it goes on, `group_sequential` is the answer.

    Args:
        estimate: Any estimate, from the data at the look that stopped.
        history: The looks up to it.
        alpha: Level of the whole analysis; that of the history.
        alternative: `two-sided`, `greater` or `less`; that of the history.
        null: The null value against which the looks were taken.
        scale: Its scale.

    Returns:
        The comparison: both effects hold the median-unbiased estimate and the stage-wise interval, the test
        the stage-wise p-value; p ≤ α exactly when the interval on the null value's scale excludes it. The
        standard errors of the effects are unknown (None); the naive estimate is treatment − control.

    Raises:
        ValueError: alpha or alternative is not the history's, there is no look, or null or scale is out of
            range.

    Source:
        Tsiatis, Rosner and Mehta 1984 (Biometrics 40, 797–803); Jennison and Turnbull 2000, sections 8.4
        and 8.5.

    Example:
        >>> from equipoise_stats import Counts, proportion_difference, plan_looks
        >>> effect = proportion_difference(treatment=Counts(7500, 690), control=Counts(7500, 600))
        >>> result = stage_wise(effect, history=plan_looks([0.25, 0.5, 0.75]))
        >>> round(effect.difference, 4), round(result.difference.estimate, 5), round(result.test.p_value, 5)
        (0.012, 0.01189, 0.01023)
    """
    check_group_sequential(history, alpha, alternative, null, scale)
    method = group_sequential_method("stage_wise", history, null, scale)
    distance = None if isinstance(estimate, NoEstimate) else statistic(estimate, null, scale)
    if isinstance(estimate, NoEstimate) or distance is None:
        missing = estimate if isinstance(estimate, NoEstimate) else _without_statistic(estimate)
        return unanswered(
            missing, method=method, alpha=alpha, alternative=alternative, null=null, scale=scale
        )
    # A test for smaller values is one for greater values of the mirrored statistic.
    sign = -1 if alternative == "less" else 1
    ordering = _Ordering(history, _passed(history)[1], sign * normal_from_t(distance, estimate.df))
    log_tail = math.log(tail_alpha(alpha, alternative))
    near, middle = (ordering.multiplier_above(level) for level in (log_tail, math.log(0.5)))
    far = ordering.multiplier_below(log_tail) if history.two_sided else -math.inf
    ends = _Multipliers(*(sign * t_from_normal(m, estimate.df) for m in (near, middle, far)[::sign]))
    log_p = ordering.log_p()
    test = HypothesisTest(
        Status.OK,
        scale,
        null,
        alternative,
        alpha,
        statistic=distance,
        df=estimate.df,
        p_value=p_value_from_log(log_p),
        log_p_value=log_p,
        rejected=log_p <= math.log(alpha),
    )
    return Comparison(
        method,
        estimate.estimator,
        estimate.treatment.summary(),
        estimate.control.summary(),
        _difference(estimate, ends),
        _lift(estimate, ends),
        test,
        estimate.warnings,
    )


@dataclass(frozen=True, slots=True)
class _Multipliers:
    """Standardised distances from the naive estimate down to the interval's ends and the estimate."""

    lower: float
    estimate: float
    upper: float


@dataclass(frozen=True, slots=True, eq=False)
class _Ordering:
    """The distribution of stopping, seen from a result.

    Attributes:
        history: The looks.
        grid: The motions that reach the look that stopped.
        z: Its statistic.
    """

    history: LookHistory
    grid: Grid | None
    z: float

    def log_above(self, drift: float) -> float:
        """Log probability of a result as extreme upwards or more so; below 0, whatever the rounding."""
        time = self.history.current.fraction
        now = float(log_exits(self.grid, time, self.z * math.sqrt(time), np.array([drift]))[0])
        return min(-1e-16, float(np.logaddexp(now, _log_earlier(self.history, drift))))

    def log_below(self, drift: float) -> float:
        """Log probability of a result as extreme downwards or more so, of a two-sided test."""
        return replace(self, z=-self.z).log_above(-drift)

    def log_p(self) -> float:
        """Natural logarithm of the p-value."""
        above = self.log_above(0.0)
        if not self.history.two_sided:
            return above
        return min(0.0, math.log(2) + min(above, self.log_below(0.0)))

    def multiplier_above(self, log_level: float) -> float:
        """Distance of the drift, below z in standard errors, at which `log_above` has a value."""
        from scipy.optimize import brentq

        target, root = float(ndtri_exp(log_level)), math.sqrt(self.history.current.fraction)

        def excess(multiplier: float) -> float:
            return float(ndtri_exp(self.log_above((self.z - multiplier) / root))) - target

        # Without earlier looks the excess is −target − multiplier exactly.
        low = high = -target
        while excess(low) < 0:
            low -= 1 + abs(low)
        while excess(high) > 0:
            high += 1 + abs(high)
        return float(brentq(excess, low, high, xtol=1e-13))

    def multiplier_below(self, log_level: float) -> float:
        """Distance of the drift, below z in standard errors, at which `log_below` has a value."""
        return -replace(self, z=-self.z).multiplier_above(log_level)


@lru_cache(maxsize=64)
def _passed(history: LookHistory) -> tuple[tuple[tuple[Grid | None, float, float], ...], Grid | None]:
    """Grid, time and bound of the looks before the last one that could stop; the grid before the last."""
    stage: Stage | None = None
    earlier: list[tuple[Grid | None, float, float]] = []
    for look in history.looks[:-1]:
        if math.isfinite(look.critical):
            bound, grid = look.critical * math.sqrt(look.fraction), grid_towards(stage, look.fraction)
            earlier.append((grid, look.fraction, bound))
            stage = Stage(look.fraction, -bound if history.two_sided else -math.inf, bound, grid)
    return tuple(earlier), grid_towards(stage, history.current.fraction)


def _log_earlier(history: LookHistory, drift: float) -> float:
    """Log probability of crossing the upper bound at an earlier look; −∞ if there was none."""
    if not _passed(history)[0]:
        return -math.inf
    position = drift * math.sqrt(history.current.fraction)
    if abs(position) > _TABULATED:
        return float(_log_crossed(history, np.array([drift]))[0])
    panel = math.floor(position)
    return evaluate(_earlier_panel(history, panel), 2 * (position - panel) - 1)


@lru_cache(maxsize=1024)
def _earlier_panel(history: LookHistory, panel: int) -> tuple[float, ...]:
    """The same as a Chebyshev series in drift × √time from `panel` to `panel` + 1."""
    drifts = (panel + (UNIT_NODES + 1) / 2) / math.sqrt(history.current.fraction)
    return coefficients(_log_crossed(history, drifts))


def _log_crossed(history: LookHistory, drifts: Floats) -> Floats:
    parts: Floats = np.logaddexp.reduce([log_exits(*look, drifts) for look in _passed(history)[0]])
    return parts


def _difference(estimate: Estimate, ends: _Multipliers) -> Effect:
    middle, spread = estimate.difference, estimate.standard_error
    interval = Interval(middle - ends.lower * spread, middle - ends.upper * spread)
    return Effect(Status.OK, None, middle - ends.estimate * spread, None, interval)


def _lift(estimate: Estimate, ends: _Multipliers) -> Effect:
    """The lifts whose linear form is that many standard errors from 0: ends of Fieller's intervals."""
    multipliers = (ends.lower, ends.estimate, ends.upper)
    widest = lift_effect(estimate, max(abs(m) for m in multipliers if math.isfinite(m)))
    if widest.interval is None:
        return Effect(widest.status, widest.reason)
    lower, middle, upper = (_lift_at(estimate, m) for m in multipliers)
    return Effect(Status.OK, None, middle, None, Interval(lower, upper))


def _lift_at(estimate: Estimate, multiplier: float) -> float:
    if math.isinf(multiplier):
        return -multiplier
    interval = lift_effect(estimate, abs(multiplier)).interval or Interval(math.nan, math.nan)
    return interval.lower if multiplier > 0 else interval.upper


def _without_statistic(estimate: Estimate) -> NoEstimate:
    return NoEstimate(
        estimate.estimator,
        Status.CONTROL_NOT_POSITIVE,
        CONTROL_NOT_POSITIVE.format(value=estimate.control.value),
        estimate.treatment.summary(),
        estimate.control.summary(),
        estimate.warnings,
    )
