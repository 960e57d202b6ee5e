"""Repeated and sequential p-values: the smallest level at which the looks so far would have rejected."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from scipy.special import log_ndtr, ndtri_exp

from equipoise_stats.distributions import p_value_from_log
from equipoise_stats.inference.group_sequential.bounds import last_critical
from equipoise_stats.inference.group_sequential.interpolation import UNIT_NODES, coefficients, evaluate
from equipoise_stats.inference.group_sequential.looks import LookHistory
from equipoise_stats.inference.group_sequential.spending import Spending
from equipoise_stats.results import Serialisable

_FARTHEST = 40
_NEAREST = -5
_TOLERANCE = 1e-11
_NARROWEST = 1 / 64


@dataclass(frozen=True, slots=True)
class PValue(Serialisable):
    """A p-value.

    Attributes:
        p_value: The p-value, never below the smallest normal double.
        log_p_value: Its natural logarithm, which goes on below that.
    """

    p_value: float
    log_p_value: float


def repeated_p_value(z: float, history: LookHistory) -> PValue:
    """The repeated p-value of the last look: the smallest α at which it would reject.

    Valid at every look, whenever one stops. It is at most `history.alpha` exactly when z lies beyond the
    look's critical value, and 1 where the look has nothing to spend at any level.

    Args:
        z: The standardised statistic at the last look, normal under the null value.
        history: The looks so far.

    Raises:
        ValueError: z is not finite, or there is no look.

    Source:
        Jennison and Turnbull 2000, section 9.5; Liu and Anderson 2008 (J. Am. Stat. Assoc. 103, 1621–1630).

    Example:
        >>> from equipoise_stats import plan_looks
        >>> looks = plan_looks([0.5, 1.0])
        >>> round(repeated_p_value(2.1, looks).p_value, 6)
        0.036285
        >>> round(repeated_p_value(looks.current.critical, looks).p_value, 9)
        0.05
    """
    if not math.isfinite(z):
        raise ValueError(f"z is {z!r}; it must be a finite number.")
    log_p = log_repeated_p(z, history)
    return PValue(p_value_from_log(log_p), log_p)


def sequential_p_value(zs: Sequence[float], history: LookHistory) -> PValue:
    """The sequential p-value: the smallest α at which any of the looks so far would have rejected.

    The smallest of the looks' repeated p-values: what a multiple-testing procedure over several
    group-sequential hypotheses takes (Maurer and Bretz 2013).

    Args:
        zs: The standardised statistic at each look.
        history: The looks so far, as many as statistics.

    Raises:
        ValueError: The numbers of statistics and looks differ, a statistic is not finite, or there is none.

    Source:
        Liu and Anderson 2008 (J. Am. Stat. Assoc. 103, 1621–1630).

    Example:
        >>> from equipoise_stats import plan_looks
        >>> round(sequential_p_value([3.2, 2.0], plan_looks([0.5, 1.0])).p_value, 6)
        0.032755
    """
    if len(zs) != len(history.looks) or not zs:
        raise ValueError(f"There are {len(zs)} statistics for {len(history.looks)} looks; give one for each.")
    prefixes = [
        LookHistory(history.spending, history.alpha, history.alternative, history.looks[: k + 1])
        for k in range(len(zs))
    ]
    return min(map(repeated_p_value, zs, prefixes), key=lambda p: p.log_p_value)


def log_repeated_p(z: float, history: LookHistory) -> float:
    """The natural logarithm of `repeated_p_value`."""
    critical = history.current.critical
    evidence = {"two-sided": abs(z), "greater": z, "less": -z}[history.alternative]
    key = _Family(
        history.spending,
        history.two_sided,
        history.fractions,
        tuple(look.spending_time for look in history.looks),
    )
    sides = 2 if history.two_sided else 1
    quantile = _quantile_at(
        key, evidence, start=math.floor(-float(ndtri_exp(math.log(history.alpha / sides))))
    )
    log_p = min(0.0, math.log(sides) + float(log_ndtr(-quantile)))
    # The bound that was announced decides which side of α the p-value lies on.
    level = math.log(history.alpha)
    return min(log_p, level) if evidence > critical else max(log_p, math.nextafter(level, 0.0))


@dataclass(frozen=True, slots=True)
class _Family:
    """What the critical value at a look is a function of, beside the level."""

    spending: Spending
    mirrored: bool
    times: tuple[float, ...]
    spending_times: tuple[float, ...]


@lru_cache(maxsize=8192)
def _critical_at(family: _Family, quantile: float) -> float:
    """The last look's critical value at the one-sided level Φ(−quantile)."""
    return last_critical(
        family.spending,
        float(log_ndtr(-quantile)),
        family.times,
        family.spending_times,
        family.mirrored,
    )


def _quantile_at(family: _Family, evidence: float, start: int) -> float:
    """The quantile whose critical value is `evidence`; −∞ below the range of levels."""
    floor = 0 if family.mirrored else _NEAREST
    low = start
    while low > floor and evidence < _critical_at(family, low):
        low -= 1
    if evidence <= _critical_at(family, low):
        return -math.inf
    while low < _FARTHEST and evidence > _critical_at(family, low + 1):
        low += 1
    if low == _FARTHEST:
        return _beyond(family, evidence)
    left, width = float(low), 1.0
    while (series := _panel(family, left, width)) is None:
        width /= 2
        if evidence > _critical_at(family, left + width):
            left += width
    return _root(series, evidence, left, width)


def _beyond(family: _Family, evidence: float) -> float:
    """The quantile far out, where critical values follow a q + b / q."""
    far, near = _FARTHEST, 0.8 * _FARTHEST
    at_far, at_near = _critical_at(family, far) * far, _critical_at(family, near) * near
    a = (at_far - at_near) / (far**2 - near**2)
    b = at_far - a * far**2
    return (evidence + math.sqrt(evidence**2 - 4 * a * b)) / (2 * a)


@lru_cache(maxsize=4096)
def _panel(family: _Family, left: float, width: float) -> tuple[float, ...] | None:
    """Chebyshev coefficients of the critical value on a range of quantiles; None where they do not suffice.

    With them, any number of metrics at a look share a few computations of its bounds.
    """
    series = coefficients([_critical_at(family, left + width * (node + 1) / 2) for node in UNIT_NODES])
    enough = max(abs(series[-1]), abs(series[-2])) < _TOLERANCE or width < _NARROWEST
    return series if enough else None


def _root(series: tuple[float, ...], value: float, left: float, width: float) -> float:
    """Where an increasing Chebyshev series reaches a value."""
    from scipy.optimize import brentq

    def excess(x: float) -> float:
        return evaluate(series, x) - value

    if excess(-1.0) >= 0 or excess(1.0) <= 0:  # the value is an end, to rounding
        return left if excess(-1.0) >= 0 else left + width
    return left + width * (float(brentq(excess, -1.0, 1.0, xtol=1e-14)) + 1) / 2
