"""Integrals over two beta distributions, without underflow and without random numbers.

In the log odds a beta density is log-concave for all parameters, with exponential tails. Panels are halved
until the logarithm of the integrand bends little in each, so sixteen Gauss–Legendre nodes a panel give about
twelve digits, in the far tails too.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logsumexp

from equipoise_stats.incomplete_beta import beta_log_kernel, beta_log_lower

Parameters = tuple[float, float]
"""Both parameters of a beta distribution."""

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_STEPS = np.array([0.0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32])
_RELEVANT = 45.0
_BEND = 0.3
_RISE = 6.0
_NARROWEST = 1e-13


def log_probability_beyond(
    first: Parameters, second: Parameters, *, shift: float = 0.0, ratio: float = 1.0
) -> float:
    """The natural logarithm of P(A > shift + ratio × B) for independent beta variables.

    Args:
        first: Parameters of A.
        second: Parameters of B.
        shift: Between −1 and 1.
        ratio: Positive.

    Returns:
        The logarithm; −∞ where the event is impossible.

    Example:
        >>> round(math.exp(log_probability_beyond((121.0, 881.0), (101.0, 901.0))), 6)
        0.923183
    """
    # Where A itself varies, in the log odds of B.
    mapped = (expit(_grid(first)) - shift) / ratio
    mapped = mapped[(mapped > 0) & (mapped < 1)]
    nodes, log_weights = _panels(
        lambda u: beta_log_kernel(u, *second) + _log_above(first, u, shift, ratio),
        np.concatenate([_grid(second), np.log(mapped) - np.log1p(-mapped)]),
    )
    logs = log_weights + beta_log_kernel(nodes, *second) + _log_above(first, nodes, shift, ratio)
    return min(0.0, float(logsumexp(logs)))


def log_expected_gap(first: Parameters, second: Parameters) -> float:
    """The natural logarithm of E[max(B − A, 0)] for independent beta variables A and B.

    It is the integral of P(A < x) P(B > x), in which nothing cancels.

    Args:
        first: Parameters of A.
        second: Parameters of B.

    Example:
        >>> round(math.exp(log_expected_gap((1.0, 1.0), (1.0, 1.0))), 9)
        0.166666667
    """

    def log_integrand(u: Floats) -> Floats:
        return (
            beta_log_lower(u, *first)
            + beta_log_lower(-u, second[1], second[0])
            + (log_expit(u) + log_expit(-u))
        )

    nodes, log_weights = _panels(log_integrand, np.concatenate([_grid(first), _grid(second)]))
    return float(logsumexp(log_integrand(nodes) + log_weights))


def _log_above(first: Parameters, u: Floats, shift: float, ratio: float) -> Floats:
    """The logarithm of P(A > shift + ratio × b), b with log odds u."""
    a, b = first
    if shift == 0 and ratio == 1:
        return beta_log_lower(-u, b, a)
    value = shift + ratio * expit(u)
    rest = (1 - ratio - shift) + ratio * expit(-u)
    inside = (value > 0) & (rest > 0)
    log_tail = np.where(value <= 0, 0.0, -np.inf)
    log_tail[inside] = beta_log_lower(np.log(rest[inside]) - np.log(value[inside]), b, a)
    return log_tail


def _grid(parameters: Parameters) -> Floats:
    """Log odds about the mode and out to where nothing of a beta distribution is left."""
    a, b = parameters
    mode = math.log(a) - math.log(b)
    width = math.hypot(1 / math.sqrt(a), 1 / math.sqrt(b))
    steps = width * _STEPS
    left, right = steps[-1] + _RELEVANT / a + 3, steps[-1] + _RELEVANT / b + 3
    return np.concatenate([[mode - left], mode - steps[:0:-1], mode + steps, [mode + right]])


def _panels(log_integrand: Callable[[Floats], Floats], points: Floats) -> tuple[Floats, Floats]:
    """Nodes, and the logarithms of their weights, for an integral over the range of the points."""
    edges = np.unique(points)
    values = log_integrand(edges)
    while True:
        middles = (edges[1:] + edges[:-1]) / 2
        at_middles = log_integrand(middles)
        best = np.maximum(np.maximum(values[1:], values[:-1]), at_middles)
        matter = best > best.max() - _RELEVANT
        split = matter & _too_bent(values, at_middles, edges)
        if not split.any():
            break
        edges = np.concatenate([edges, middles[split]])
        order = np.argsort(edges)
        edges, values = edges[order], np.concatenate([values, at_middles[split]])[order]
    half = np.diff(edges)[matter, np.newaxis] / 2
    nodes = edges[:-1][matter, np.newaxis] + half * (1 + _NODES)
    return nodes.ravel(), np.log(half * _WEIGHTS).ravel()


def _too_bent(values: Floats, at_middles: Floats, edges: Floats) -> NDArray[np.bool_]:
    """Which panels are not yet close to exponential."""
    with np.errstate(invalid="ignore"):
        rise = np.abs(np.diff(values))
        bend = np.abs(at_middles - (values[1:] + values[:-1]) / 2)
    # Written so that panels with an end at −∞ are bent.
    straight = (rise < _RISE) & (bend < _BEND)
    wide = np.diff(edges) > _NARROWEST * (1 + np.abs(edges[1:]))
    return np.asarray(~straight & wide)
