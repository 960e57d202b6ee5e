"""Exit probabilities under an effect: power, expected information, the price of looking."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.group_sequential.looks import MOST_LOOKS, LookHistory
from equipoise_stats.inference.group_sequential.recursion import Floats, Stage, grid_towards, log_exits
from equipoise_stats.inference.settings import tail_alpha

_OUT_OF_REACH = 9.0
# To exceed it without a drift has a probability below every double.
_FARTHEST = 40.0
_LARGEST_DRIFT = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class ExitProbabilities:
    """Where and when a group-sequential test stops.

    Attributes:
        fractions: Information fraction of each look, of shape (looks,).
        upper: Probability of first crossing at each look, the upper bound: (looks,), or (drifts, looks) for
            several drifts.
        lower: The same for the lower bound.
    """

    fractions: Floats
    upper: Floats
    lower: Floats

    @property
    def power(self) -> Floats:
        """Probability of ever crossing the upper bound: a number, or (drifts,)."""
        total: Floats = self.upper.sum(axis=-1)
        return total

    @property
    def expected_fraction(self) -> Floats:
        """Expected information at the stop, as a fraction of the planned one: a number, or (drifts,)."""
        exits = self.upper + self.lower
        stays = 1 - exits.sum(axis=-1)
        expected: Floats = exits @ self.fractions + stays * self.fractions[-1]
        return expected


def exit_probabilities(
    fractions: Sequence[float],
    upper: Sequence[float],
    lower: Sequence[float] | None = None,
    *,
    drift: float | Sequence[float] | Floats = 0.0,
) -> ExitProbabilities:
    """Probabilities of first crossing the bounds at each look.

    Args:
        fractions: Information fraction of each look, ascending.
        upper: Upper bound of the normal statistic at each look; infinite for none.
        lower: Lower bound at each look, below the upper one; −infinite for none. None means no lower bounds;
            a two-sided test has the negative upper ones.
        drift: Mean of the statistic at full information: effect / standard error there. One, or several of
            shape (m,), each at most 50 in size.

    Returns:
        Probabilities for each look, and for each drift.

    Raises:
        ValueError: Lengths differ, fractions do not ascend, bounds cross or hold NaN, or a drift is too
            large.

    Source:
        Armitage, McPherson and Rowe 1969 (J. R. Stat. Soc. A 132, 235–244); Jennison and Turnbull 2000,
        chapter 19.

    Example:
        Looking five times at the fixed level of 5 %:

        >>> naive = exit_probabilities([0.2, 0.4, 0.6, 0.8, 1.0], [1.959964] * 5, [-1.959964] * 5)
        >>> round(float((naive.upper + naive.lower).sum()), 4)
        0.1417
    """
    times, highs = np.asarray(fractions, dtype=float), np.asarray(upper, dtype=float)
    lows = np.full(highs.shape, -math.inf) if lower is None else np.asarray(lower, dtype=float)
    drifts = np.atleast_1d(np.asarray(drift, dtype=float))
    _check(times, highs, lows, drifts)
    ups = _upper_exits(times, highs, lows, drifts)
    downs = _upper_exits(times, -lows, -highs, -drifts)
    if np.ndim(drift) == 0:
        ups, downs = ups[0], downs[0]
    return ExitProbabilities(times, ups, downs)


def drift_for_power(
    fractions: Sequence[float],
    upper: Sequence[float],
    lower: Sequence[float] | None = None,
    *,
    power: float = 0.8,
) -> float:
    """The drift at which a test crosses its upper bounds with a given probability.

    Args:
        fractions: Information fraction of each look, ascending.
        upper: Upper bound at each look.
        lower: Lower bound at each look; None for none.
        power: That probability, above the one without drift and below 1.

    Returns:
        The drift: mean of the statistic at full information (fraction 1).

    Raises:
        ValueError: No drift has that power, or bounds are out of range.

    Example:
        >>> round(drift_for_power([1.0], [1.959964], power=0.8), 4)
        2.8016
    """
    from scipy.optimize import brentq

    def shortfall(drift: float) -> float:
        return float(exit_probabilities(fractions, upper, lower, drift=drift).power) - power

    if not (shortfall(0.0) < 0 < shortfall(_LARGEST_DRIFT)):
        raise ValueError(
            f"The power {power!r} is out of reach: it must lie between that without an effect, "
            f"{shortfall(0.0) + power:.4g}, and that with a drift of {_LARGEST_DRIFT:g}, "
            f"{shortfall(_LARGEST_DRIFT) + power:.4g}."
        )
    return float(brentq(shortfall, 0.0, _LARGEST_DRIFT, xtol=1e-12))


def inflation_factor(history: LookHistory, *, power: float = 0.8) -> float:
    """How much more information a group-sequential design needs at most than a fixed one of equal power.

    Power is that of rejecting in the direction of the effect.

    Args:
        history: The planned looks, the last one included (`plan_looks`).
        power: Power of both designs.

    Returns:
        Largest information over that of the fixed design.

    Raises:
        ValueError: The power is out of reach, or there is no look.

    Source:
        Jennison and Turnbull 2000, tables 2.2 and 2.4.

    Example:
        >>> from equipoise_stats import plan_looks
        >>> round(inflation_factor(plan_looks([0.25, 0.5, 0.75, 1.0]), power=0.8), 4)
        1.0196
    """
    critical = history.critical_values
    last = history.current.fraction
    lower = [-value for value in critical] if history.two_sided else None
    drift = drift_for_power(history.fractions, critical, lower, power=power)
    tail = tail_alpha(history.alpha, history.alternative)
    return drift**2 * last / (normal_upper_quantile(tail) + normal_upper_quantile(1 - power)) ** 2


def _upper_exits(times: Floats, highs: Floats, lows: Floats, drifts: Floats) -> Floats:
    """Probabilities of first crossing the upper bound, of shape (drifts, looks)."""
    exits = np.zeros((drifts.size, times.size))
    if np.isinf(highs).all():
        return exits
    farthest = min(np.abs(highs[np.isfinite(highs)]).max(), _FARTHEST)
    out_of_reach = farthest + np.abs(drifts).max() + _OUT_OF_REACH
    stage: Stage | None = None
    for look, time in enumerate(times):
        high, low = highs[look], lows[look]
        if math.isinf(high) and math.isinf(low):
            continue
        grid, root = grid_towards(stage, time), math.sqrt(time)
        # No motion comes above it, and a grid up to a bound that is never met could fill all memory.
        ceiling = max(out_of_reach * max(1.0, root), low + 1)
        if high <= ceiling:
            exits[:, look] = np.exp(log_exits(grid, time, high * root, drifts))
        stage = Stage(float(time), low * root, min(high, ceiling) * root, grid)
    return exits


def _check(times: Floats, highs: Floats, lows: Floats, drifts: Floats) -> None:
    if not 1 <= times.size <= MOST_LOOKS or not times.size == highs.size == lows.size:
        raise ValueError(
            f"There are {times.size} fractions, {highs.size} upper and {lows.size} lower bounds; give as "
            f"many of each, 1 to {MOST_LOOKS}."
        )
    if not (times[0] > 0 and (np.diff(times) > 1e-6 * times[:-1]).all() and math.isfinite(times[-1])):
        raise ValueError(f"The fractions {times.tolist()} must be positive and ascend by a millionth each.")
    if not (lows < highs).all():
        raise ValueError(f"The lower bounds {lows.tolist()} must lie below the upper ones, {highs.tolist()}.")
    if not (np.abs(drifts) <= _LARGEST_DRIFT).all():
        raise ValueError(f"The drift is {drifts.tolist()}; it must lie within ±{_LARGEST_DRIFT:g}.")
