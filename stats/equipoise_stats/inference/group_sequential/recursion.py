"""Where a Brownian motion leaves its bounds: the quadrature under everything group-sequential.

The statistic after a fraction t of the planned information is Z = B(t) / √t, where B is a Brownian motion
with drift η; η is the mean of Z at full information. Bounds stop it at times t₁ < t₂ < …

Armitage, McPherson and Rowe (1969) carry the density of the motions that have not stopped from look to
look. Here it is carried as *survival*: the probability of not having stopped before, given where the motion
is now. A Brownian bridge has no drift, so one recursion serves every drift; and survival lies between 0 and
1, so nothing underflows however far out a bound lies (Jennison and Turnbull 2000, chapter 19, for the
recursion).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri_exp

Floats = NDArray[np.float64]

_REACH = 8.7
"""Standard deviations beyond which a normal density is left out: a mass below 2e-18."""

_NODES_PER_SPREAD = 1.85
"""Gauss–Legendre nodes over a width that equals the narrowest spread of the integrand."""

_SPARE_NODES = 16
"""Nodes over and above these, for what the ends of a narrow interval need."""

_PANEL = 96
"""Most nodes of one panel; wider grids are composed of several."""

_CHUNK = 256
"""Values at which survival is evaluated together; bounds the memory of fine grids."""

_LAST_STEP = 1e-9
"""Relative size of a Newton step after which, convergence being quadratic, no other is needed."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The motions that go on after a look, on quadrature nodes.

    Attributes:
        time: The look's time.
        nodes: Values of the motion between the bounds, ascending.
        weights: Quadrature weight × survival at each node.
    """

    time: float
    nodes: Floats
    weights: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A look whose bounds are known.

    Attributes:
        time: Its time.
        lower: Lower bound of the motion, −∞ for none.
        upper: Upper bound of the motion.
        behind: The grid of the stage before; None at the first one.
    """

    time: float
    lower: float
    upper: float
    behind: Grid | None


def grid_towards(stage: Stage | None, time: float) -> Grid | None:
    """The motions that go on after a stage, fine enough for a step to `time`.

    Args:
        stage: The stage; None before the first.
        time: A later time.
    """
    if stage is None:
        return None
    now, behind = stage.time, stage.behind
    spread = _bridge_spread(now, time)
    if behind is not None:
        spread = min(spread, _bridge_spread(behind.time, now) * now / behind.time)
    low = max(stage.lower, -_REACH * math.sqrt(now) + min(0.0, stage.upper))
    nodes, weights = _quadrature(low, stage.upper, spread)
    return Grid(now, nodes, weights * _survival(nodes, now, behind))


def log_exits(grid: Grid | None, time: float, bound: float, drifts: Floats) -> Floats:
    """Natural logarithms of P(B(time) > bound, not stopped before), one for each drift.

    Args:
        grid: The motions that go on before; None if no look came before.
        time: The look's time.
        bound: Its upper bound, on the scale of the motion.
        drifts: Drifts, of shape (m,).
    """
    if grid is None:
        tails: Floats = log_ndtr((drifts * time - bound) / math.sqrt(time))
        return tails
    drifts, gap = drifts[:, None], time - grid.time
    terms = _log_density(grid, drifts) + log_ndtr((grid.nodes + drifts * gap - bound) / math.sqrt(gap))
    peak = terms.max(axis=1)
    exits: Floats = peak + np.log(np.exp(terms - peak[:, None]) @ grid.weights)
    return exits


def solve_exit(grid: Grid | None, time: float, log_probability: float, drift: float = 0.0) -> float:
    """The bound that a motion not stopped before exceeds at a time with a given probability.

    Args:
        grid: The motions that go on before; None if no look came before.
        time: The look's time.
        log_probability: Natural logarithm of the probability.
        drift: Drift of the motion.

    Returns:
        The bound on the scale of the motion.
    """
    root = math.sqrt(time)
    bound = drift * time - root * float(ndtri_exp(log_probability))
    if grid is None:
        return bound
    # The surviving density is log-concave (Prékopa), so the logarithm of its tail is concave and Newton's
    # steps from the right, where they start, approach the root without passing it.
    gap = time - grid.time
    spread, density = math.sqrt(gap), _log_density(grid, drift)
    starts = (grid.nodes + drift * gap) / spread
    scale, step = 1 / (spread * math.sqrt(2 * math.pi)), math.inf
    while step > _LAST_STEP * (root + abs(bound)):
        distance = starts - bound / spread
        terms = density + log_ndtr(distance)
        peak = float(terms.max())
        exit_mass = float(np.exp(terms - peak) @ grid.weights)
        exit_slope = scale * float(np.exp(density - peak - distance * distance / 2) @ grid.weights)
        step = (log_probability - peak - math.log(exit_mass)) * exit_mass / exit_slope
        bound -= step
    return bound


def _log_density(grid: Grid, drift: Any) -> Floats:
    """Logarithm of the density of B(grid.time) at the nodes, without any stopping."""
    density: Floats = (grid.nodes - drift * grid.time) ** 2 * (-0.5 / grid.time) - 0.5 * math.log(
        2 * math.pi * grid.time
    )
    return density


def _survival(values: Floats, time: float, behind: Grid | None) -> Floats:
    """P(not stopped before | the motion is at `values` at `time`); the bridge to there has no drift."""
    if behind is None:
        return np.ones_like(values)
    spread = _bridge_spread(behind.time, time)
    centres = values * (behind.time / time)
    survival = np.empty_like(values)
    scale = 1 / (spread * math.sqrt(2 * math.pi))
    for start in range(0, values.size, _CHUNK):
        centre = centres[start : start + _CHUNK]
        first, last = np.searchsorted(
            behind.nodes, (centre[0] - _REACH * spread, centre[-1] + _REACH * spread)
        )
        distance = (centre[:, None] - behind.nodes[first:last]) * (1 / spread)
        kernel = np.exp(-0.5 * distance * distance)
        survival[start : start + _CHUNK] = scale * (kernel @ behind.weights[first:last])
    return survival


def _bridge_spread(earlier: float, later: float) -> float:
    """Standard deviation of B(earlier) given B(later)."""
    return math.sqrt(earlier * (later - earlier) / later)


def _quadrature(low: float, high: float, spread: float) -> tuple[Floats, Floats]:
    """Nodes and weights on an interval that integrate what varies over `spread` and wider."""
    needed = _NODES_PER_SPREAD * (high - low) / spread + _SPARE_NODES
    panels = math.ceil(needed / _PANEL)
    unit, weights = _rule(8 * math.ceil(needed / panels / 8))
    half = (high - low) / (2 * panels)
    middles = low + half * (2 * np.arange(panels) + 1)
    return (middles[:, None] + half * unit).ravel(), np.tile(half * weights, panels)


@lru_cache(maxsize=32)
def _rule(nodes: int) -> tuple[Floats, Floats]:
    unit, weights = np.polynomial.legendre.leggauss(nodes)
    return unit, weights
