"""Futility: stopping because success has become unlikely, and how likely it still is.

Futility bounds are *non-binding*: the critical values do not lean on them, so going on past one costs no
error rate. They concern one direction, that of the effect one hopes for.
"""

import math
from collections.abc import Sequence

import numpy as np

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.comparison import Alternative
from equipoise_stats.inference.group_sequential.exits import exit_probabilities
from equipoise_stats.inference.group_sequential.looks import O_BRIEN_FLEMING, LookHistory
from equipoise_stats.inference.group_sequential.recursion import (
    Floats,
    Stage,
    grid_towards,
    log_exits,
    solve_exit,
)
from equipoise_stats.inference.group_sequential.spending import Spending
from equipoise_stats.inference.settings import tail_alpha

_SMALLEST_BETA = 1e-6
_OUT_OF_REACH = 60.0


def futility_bounds(
    history: LookHistory, *, drift: float, beta: float = 0.2, spending: Spending = O_BRIEN_FLEMING
) -> tuple[float, ...]:
    """Non-binding futility bounds at the looks of a history, by spending β under a planned effect.

    Stopping where the statistic, its sign turned so that the hoped-for effect is positive, lies below the
    bound costs at most the spent part of β in power.

    Args:
        history: The looks, their critical values unaffected; of a two-sided test, one side.
        drift: The planned effect: mean of the statistic at full information, positive.
        beta: Error rate to spend, 1 − power; below 1 − α.
        spending: How to spend it.

    Returns:
        A bound for each look: −∞ where there is nothing to spend yet, the critical value from the end on
        (and before it, where what may be spent covers everything below it).

    Raises:
        ValueError: drift or beta is out of range.

    Source:
        Pampallona, Tsiatis and Kim 2001 (Drug Inf. J. 35, 1113–1121); gsDesign's `test.type = 4`.

    Example:
        >>> from equipoise_stats import Spending, plan_looks
        >>> plan = plan_looks([1 / 3, 2 / 3, 1.0], spending=Spending("hwang_shih_decani", -4.0))
        >>> bounds = futility_bounds(
        ...     plan, drift=3.352802, beta=0.1, spending=Spending("hwang_shih_decani", -2.0)
        ... )
        >>> [round(bound, 3) for bound in bounds]
        [-0.239, 0.941, 1.999]
    """
    _check(history, beta)
    if not 0 < drift <= 50:
        raise ValueError(f"The drift is {drift!r}; it must lie in (0, 50].")
    bounds, _ = _futility(history, drift, beta, spending)
    return bounds


def futility_drift(history: LookHistory, *, beta: float = 0.2, spending: Spending = O_BRIEN_FLEMING) -> float:
    """The drift at which a design with futility bounds that are kept has power 1 − β.

    Args:
        history: The planned looks, the last one included (`plan_looks`).
        beta: 1 − power.
        spending: How β is spent.

    Returns:
        The drift for `futility_bounds`; its square over that of the fixed design's is the inflation factor.

    Raises:
        ValueError: beta is out of range, or the last look is not at full information.

    Example:
        >>> from equipoise_stats import Spending, plan_looks
        >>> plan = plan_looks([1 / 3, 2 / 3, 1.0], spending=Spending("hwang_shih_decani", -4.0))
        >>> round(futility_drift(plan, beta=0.1, spending=Spending("hwang_shih_decani", -2.0)), 4)
        3.3529
    """
    from scipy.optimize import brentq

    _check(history, beta)
    if history.current.spending_time < 1 or math.isinf(history.current.critical):
        raise ValueError("The last look does not end the plan; plan looks up to the information fraction 1.")
    tail = tail_alpha(history.alpha, history.alternative)
    fixed = (normal_upper_quantile(tail) + normal_upper_quantile(beta)) / math.sqrt(history.current.fraction)
    return float(brentq(lambda d: _futility(history, d, beta, spending)[1], 0.9 * fixed, 50.0, xtol=1e-12))


def conditional_power(
    z: float,
    fraction: float,
    *,
    future_fractions: Sequence[float],
    future_critical: Sequence[float],
    drift: float | None = None,
    alternative: Alternative = "greater",
) -> float:
    """The probability of rejecting at a future look, given the data so far and an effect.

    Args:
        z: The statistic now.
        fraction: Information fraction now, positive.
        future_fractions: Information fractions of the looks to come.
        future_critical: Their critical values.
        drift: The effect: mean of the statistic at full information. None takes the one seen so far, z/√t.
        alternative: `greater` or `less` counts rejections on that side, `two-sided` on both.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Lan, Simon and Halperin 1982 (Commun. Stat. C 1, 207–219); Jennison and Turnbull 2000, chapter 10.

    Example:
        >>> round(
        ...     conditional_power(1.0, 0.5, future_fractions=[1.0], future_critical=[1.969], drift=2.8), 4
        ... )
        0.5774
    """
    times, highs, lows, start = _future(z, fraction, future_fractions, future_critical, alternative)
    steps = times - fraction
    roots = np.sqrt(steps)
    upper, lower = (highs * np.sqrt(times) - start) / roots, (lows * np.sqrt(times) - start) / roots
    mean = start / fraction if drift is None else (-drift if alternative == "less" else drift)
    exits = exit_probabilities(list(steps), list(upper), list(lower), drift=mean)
    return float(exits.upper.sum() + exits.lower.sum())


def predictive_power(
    z: float,
    fraction: float,
    *,
    future_fractions: Sequence[float],
    future_critical: Sequence[float],
    alternative: Alternative = "greater",
) -> float:
    """Conditional power averaged over what the data say about the effect, under a flat prior.

    Args:
        z: The statistic now.
        fraction: Information fraction now, positive.
        future_fractions: Information fractions of the looks to come.
        future_critical: Their critical values.
        alternative: `greater` or `less` counts rejections on that side, `two-sided` on both.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Spiegelhalter, Freedman and Blackburn 1986 (Control. Clin. Trials 7, 8–17).

    Example:
        >>> round(predictive_power(1.0, 0.5, future_fractions=[1.0], future_critical=[1.969]), 4)
        0.2895
    """
    times, highs, lows, start = _future(z, fraction, future_fractions, future_critical, alternative)
    # The posterior mean B(t)/t is a martingale: a Brownian motion without drift in the time 1/fraction − 1/t.
    clock = 1 / fraction - 1 / times
    roots, mean = np.sqrt(clock), start / fraction
    upper, lower = (highs / np.sqrt(times) - mean) / roots, (lows / np.sqrt(times) - mean) / roots
    exits = exit_probabilities(list(clock), list(upper), list(lower))
    return float(exits.upper.sum() + exits.lower.sum())


def _futility(
    history: LookHistory, drift: float, beta: float, spending: Spending
) -> tuple[tuple[float, ...], float]:
    """The bounds, and the logarithm of (probability of ending below the last critical value / β left)."""
    bounds: list[float] = []
    stage: Stage | None = None
    log_spent, shortfall = -math.inf, math.inf
    for look in history.looks:
        # The motion is turned upside down, because the recursion solves for upper bounds.
        root, grid = math.sqrt(look.fraction), grid_towards(stage, look.fraction)
        target, bound = spending.log_spent(look.spending_time, math.log(beta)), -math.inf
        if target > log_spent:
            log_increment = target + math.log(-math.expm1(log_spent - target))
            log_spent = target
            ceiling = min(look.critical, _OUT_OF_REACH)
            below = log_exits(grid, look.fraction, -ceiling * root, np.array([-drift]))
            shortfall = float(below[0]) - log_increment
            if shortfall > 0:
                bound = -solve_exit(grid, look.fraction, log_increment, -drift) / root
        if look.spending_time == 1 or shortfall <= 0:
            break
        bounds.append(bound)
        low = max(bound, -_OUT_OF_REACH) if look.critical < math.inf else bound
        if math.isfinite(low):
            stage = Stage(look.fraction, -look.critical * root, -low * root, grid)
    return (*bounds, *history.critical_values[len(bounds) :]), shortfall


def _future(
    z: float, fraction: float, fractions: Sequence[float], critical: Sequence[float], alternative: Alternative
) -> tuple[Floats, Floats, Floats, float]:
    """Times, upper and lower critical values of the looks to come, and the motion's value now."""
    tail_alpha(0.05, alternative)
    if not (math.isfinite(z) and fraction > 0):
        raise ValueError(f"z is {z!r} at the fraction {fraction!r}; z must be finite, the fraction positive.")
    times, highs = np.asarray(fractions, dtype=float), np.asarray(critical, dtype=float)
    if times.size != highs.size or not times.size or not times[0] > fraction:
        raise ValueError(
            f"There are {highs.size} critical values for future looks at {times.tolist()}; give one for each "
            f"look, and looks after the fraction {fraction!r}."
        )
    lows = -highs if alternative == "two-sided" else np.full(highs.shape, -math.inf)
    return times, highs, lows, (-z if alternative == "less" else z) * math.sqrt(fraction)


def _check(history: LookHistory, beta: float) -> None:
    if not _SMALLEST_BETA <= beta <= 0.5:
        raise ValueError(f"beta is {beta!r}; it must lie between {_SMALLEST_BETA:g} and 0.5.")
    if not history.looks:
        raise ValueError("The history has no look; plan some with plan_looks(fractions).")
