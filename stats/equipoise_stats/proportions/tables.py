"""The tables of two counts at least as extreme as the observed one, and their greatest probability."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlog1py, xlogy

from equipoise_stats.counts import Counts
from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.proportions.constrained import variance_at_difference, variance_at_ratio
from equipoise_stats.proportions.score import lower_difference, lower_ratio

Floats = npt.NDArray[np.float64]
PValue = tuple[int, int, int]
"""A conditional p-value as counts of arrangements: at least as many successes, out of, exactly as many."""

_Z = normal_upper_quantile(0.025)
_TIE = 1e-12
_FINEST = 1e-8  # At a maximum the value is off by the square of this.


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The tables at least as extreme as an observed one, in the direction of a larger first proportion.

    Attributes:
        n: Units of the first arm.
        m: Units of the second arm.
        x: Successes of the first arm of those tables: ascending, to n.
        most: For each of them, the largest number of successes of the second arm.
    """

    n: int
    m: int
    x: npt.NDArray[np.int64]
    most: npt.NDArray[np.int64]

    def p_of_difference(self, difference: float) -> float:
        """The region's greatest probability when first proportion − second proportion is `difference`.

        Args:
            difference: Between −1 and 1.
        """
        low, high = max(0.0, -difference), min(1.0, 1 - difference)

        def probability(angle: Floats) -> Floats:
            second = low + (high - low) * np.sin(angle) ** 2
            return self._probability(np.clip(second + difference, 0.0, 1.0), second)

        return self._greatest(probability)

    def p_of_ratio(self, share: float) -> float:
        """The region's greatest probability when the two proportions are as share : 1 − share.

        Args:
            share: Ratio / (1 + ratio), between 0 and 1.
        """
        longest = 1 / max(share, 1 - share)

        def probability(angle: Floats) -> Floats:
            u = longest * np.sin(angle) ** 2
            return self._probability(np.minimum(1.0, share * u), np.minimum(1.0, (1 - share) * u))

        return self._greatest(probability)

    def _probability(self, first: Floats, second: Floats) -> Floats:
        below = np.cumsum(_binomial(np.arange(self.m + 1), self.m, second), axis=1)
        terms = _binomial(self.x, self.n, first) * below[:, self.most]
        probability: Floats = np.minimum(1.0, terms.sum(axis=1))
        return probability

    def _greatest(self, probability: Callable[[Floats], Floats]) -> float:
        """The maximum over angles in [0, π/2], on which binomial probabilities are equally smooth."""
        angles = np.linspace(0.0, math.pi / 2, 16 * math.isqrt(self.n + self.m) + 33)
        values = probability(angles)
        best = float(values.max())
        padded = np.concatenate(([-1.0], values, [-1.0]))
        peaks = np.flatnonzero((values >= padded[:-2]) & (values >= padded[2:]) & (values > 0.9 * best))
        # A plateau (probability 1, or 0) has nothing to refine.
        peaks = peaks[(values[peaks] > padded[peaks]) | (values[peaks] > padded[peaks + 2])]
        return max([best, *(_refined(probability, float(angles[k]), float(angles[1])) for k in peaks)])


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """The tables at least as extreme as an observed one, which depend on the null value for some.

    Attributes:
        fisher: Those whose Fisher p-value is at most the observed one's: Boschloo's test.
        farther: Those for null values below no effect: the same, unless the observed table speaks against
            this direction more than Fisher's order can tell.
    """

    fisher: Region
    farther: Region

    def p_of_difference(self, difference: float) -> float:
        """The p-value when first proportion − second proportion is `difference`; it never falls with it.

        Args:
            difference: Between −1 and 1.
        """
        return self._p(Region.p_of_difference, difference, 0.0)

    def p_of_ratio(self, share: float) -> float:
        """The p-value when the two proportions are as share : 1 − share; it never falls with the share.

        Args:
            share: Ratio / (1 + ratio), between 0 and 1.
        """
        return self._p(Region.p_of_ratio, share, 0.5)

    def _p(self, p: Callable[[Region, float], float], null: float, no_effect: float) -> float:
        if null >= no_effect or self.farther is self.fisher:
            return p(self.fisher, null)
        far = p(self.farther, null)
        # Where the two differ, both regions hold all tables that speak for this direction, and the observed
        # one. At p = 1/2 as many speak for the other (swap successes and failures), so that the p-value of
        # no effect is 1/2 or more, which no level is. Up there the second term keeps p-values from falling,
        # at the price of being slightly too small.
        return far if far < 0.5 else min(far, p(self.fisher, no_effect))


def by_difference(first: Counts, second: Counts) -> Extremes:
    """The extremes in the order of Fisher's p-values, and of the difference's lower limits beyond them.

    Args:
        first: Observed counts of the first arm.
        second: Observed counts of the second arm.

    Example:
        >>> tables = by_difference(Counts(2, 2), Counts(2, 0))
        >>> tables.fisher.x.tolist(), tables.fisher.most.tolist(), tables.p_of_difference(0.0)
        ([2], [0], 0.0625)
    """

    def beyond(x: int, y: int, limit: float) -> bool:
        spread = _Z * math.sqrt(variance_at_difference(x, first.n, y, second.n, limit))
        return x / first.n - y / second.n - limit >= spread - _TIE

    return _extremes(first, second, lower_difference(first, second, _Z), -1.0, beyond)


def by_ratio(first: Counts, second: Counts) -> Extremes:
    """The extremes in the order of Fisher's p-values, and of the ratio's lower limits beyond them.

    Args:
        first: Observed counts of the first arm.
        second: Observed counts of the second arm.
    """

    def beyond(x: int, y: int, limit: float) -> bool:
        spread = _Z * math.sqrt(variance_at_ratio(x, first.n, y, second.n, limit))
        return x > 0 and x / first.n - limit * y / second.n >= spread - _TIE

    return _extremes(first, second, lower_ratio(first, second, _Z), 0.0, beyond)


def _extremes(
    first: Counts,
    second: Counts,
    limit: float,
    smallest: float,
    beyond: Callable[[int, int, float], bool],
) -> Extremes:
    n, m = first.n, second.n
    p_values = _fisher(n, m)
    observed = p_values[first.successes + second.successes][first.successes]
    most = _at_most(p_values, n, observed)
    fisher = _region(n, m, most)
    if _speaks(observed):
        return Extremes(fisher, fisher)
    farthest = _farthest(p_values)
    if _below(observed, farthest):
        return Extremes(fisher, fisher)
    most = _at_most(p_values, n, farthest)
    j = -1
    for i in range(n + 1):
        while j < m and (limit <= smallest or beyond(i, j + 1, limit)):
            j += 1
        most[i] = max(most[i], j)
    return Extremes(fisher, _region(n, m, most))


def _region(n: int, m: int, most: npt.NDArray[np.int64]) -> Region:
    x = np.flatnonzero(most >= 0)
    return Region(n, m, x, most[x])


def _at_most(p_values: list[dict[int, PValue]], n: int, bound: PValue) -> npt.NDArray[np.int64]:
    """The tables whose Fisher p-value in this direction is at most a bound.

    Returns:
        For each number of successes of the first arm the largest of the second, −1 where there is none.
    """
    most = np.full(n + 1, -1, dtype=np.int64)
    for total, of_total in enumerate(p_values):
        for x, p_value in of_total.items():
            if _below(p_value, bound):
                most[x] = max(most[x], total - x)
    return most


def _farthest(p_values: list[dict[int, PValue]]) -> PValue:
    """The largest p-value of a table that speaks for this direction."""
    farthest = (0, 1, 0)
    for of_total in p_values:
        for p_value in of_total.values():
            if _speaks(p_value) and not _below(p_value, farthest):
                farthest = p_value
    return farthest


def _below(p_value: PValue, bound: PValue) -> bool:
    """Whether a p-value is at most another, in whole numbers, so that ties are ties."""
    return p_value[0] * bound[1] <= bound[0] * p_value[1]


def _speaks(p_value: PValue) -> bool:
    """Whether Fisher's p-value in this direction is at most that in the other, and below 1."""
    p, ways, chance = p_value
    return p < ways and 2 * p <= ways + chance


def _fisher(n: int, m: int) -> list[dict[int, PValue]]:
    """Fisher's p-values of all tables, by total and the first arm's successes."""
    ways_n = [math.comb(n, i) for i in range(n + 1)]
    ways_m = [math.comb(m, j) for j in range(m + 1)]
    found = []
    for total in range(n + m + 1):
        ways, tail, of_total = math.comb(n + m, total), 0, {}
        for x in range(min(n, total), max(0, total - m) - 1, -1):
            chance = ways_n[x] * ways_m[total - x]
            tail += chance
            of_total[x] = (tail, ways, chance)
        found.append(of_total)
    return found


def _refined(function: Callable[[Floats], Floats], centre: float, step: float) -> float:
    """The maximum near a grid point: a finer grid about the best point, again and again."""
    best = 0.0
    while step > _FINEST:
        grid = np.clip(np.linspace(centre - step, centre + step, 9), 0.0, math.pi / 2)
        values = function(grid)
        place = int(values.argmax())
        best, centre, step = max(best, float(values[place])), float(grid[place]), step / 4
    return best


def _binomial(x: npt.NDArray[np.int64], n: int, p: Floats) -> Floats:
    """P(X = x) for X binomial of n and p, shape (len(p), len(x))."""
    ways = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    chances: Floats = np.exp(ways + xlogy(x, p[:, None]) + xlog1py(n - x, -p[:, None]))
    return chances
