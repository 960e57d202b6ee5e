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

_Z = normal_upper_quantile(0.025)
_TIE = 1e-12
_ROUNDING = 1e-14


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


def by_difference(first: Counts, second: Counts) -> Region:
    """The region in the order of Fisher's p-value to 1/2, and of the lower limits of the difference beyond.

    Args:
        first: Observed counts of the first arm.
        second: Observed counts of the second arm.

    Example:
        >>> region = by_difference(Counts(2, 2), Counts(2, 0))
        >>> region.x.tolist(), region.most.tolist(), region.p_of_difference(0.0)
        ([2], [0], 0.0625)
    """

    def beyond(x: int, y: int, limit: float) -> bool:
        spread = _Z * math.sqrt(variance_at_difference(x, first.n, y, second.n, limit))
        return x / first.n - y / second.n - limit >= spread - _TIE

    return _region(first, second, lower_difference(first, second, _Z), -1.0, beyond)


def by_ratio(first: Counts, second: Counts) -> Region:
    """The region in the order of Fisher's p-value to 1/2, and of the lower limits of the ratio beyond.

    Args:
        first: Observed counts of the first arm.
        second: Observed counts of the second arm.
    """

    def beyond(x: int, y: int, limit: float) -> bool:
        spread = _Z * math.sqrt(variance_at_ratio(x, first.n, y, second.n, limit))
        return x > 0 and x / first.n - limit * y / second.n >= spread - _TIE

    return _region(first, second, lower_ratio(first, second, _Z), 0.0, beyond)


def _region(
    first: Counts,
    second: Counts,
    limit: float,
    smallest: float,
    beyond: Callable[[int, int, float], bool],
) -> Region:
    n, m = first.n, second.n
    most, of_evidence = _at_most_fisher(first, second)
    if not of_evidence:
        j = -1
        for i in range(n + 1):
            while j < m and (limit <= smallest or beyond(i, j + 1, limit)):
                j += 1
            most[i] = max(most[i], j)
    x = np.flatnonzero(most >= 0)
    return Region(n, m, x, most[x])


def _at_most_fisher(first: Counts, second: Counts) -> tuple[npt.NDArray[np.int64], bool]:
    """Tables whose Fisher p-value is at most the observed one's, or 1/2 where that is above 1/2.

    In whole numbers, so that ties are ties.

    Returns:
        For each number of successes of the first arm the largest of the second, −1 where there is none; and
        whether the observed p-value is at most 1/2.
    """
    n, m = first.n, second.n
    ways_n = [math.comb(n, i) for i in range(n + 1)]
    ways_m = [math.comb(m, j) for j in range(m + 1)]
    observed = first.successes + second.successes
    bound = sum(ways_n[i] * ways_m[observed - i] for i in range(first.successes, min(n, observed) + 1))
    out_of = math.comb(n + m, observed)
    of_evidence = 2 * bound <= out_of
    if not of_evidence:
        bound, out_of = 1, 2
    most = np.full(n + 1, -1, dtype=np.int64)
    for successes in range(n + m + 1):
        limit = bound * math.comb(n + m, successes)
        tail = 0
        for i in range(min(n, successes), max(0, successes - m) - 1, -1):
            tail += ways_n[i] * ways_m[successes - i]
            if tail * out_of > limit:
                break
            most[i] = max(most[i], successes - i)
    return most, of_evidence


def _refined(function: Callable[[Floats], Floats], centre: float, step: float) -> float:
    """The maximum near a grid point: a finer grid about the best point, again and again."""
    best = 0.0
    while True:
        grid = np.clip(np.linspace(centre - step, centre + step, 9), 0.0, math.pi / 2)
        values = function(grid)
        place = int(values.argmax())
        value = float(values[place])
        if value <= best * (1 + _ROUNDING):
            return max(best, value)
        best, centre, step = value, float(grid[place]), step / 4


def _binomial(x: npt.NDArray[np.int64], n: int, p: Floats) -> Floats:
    """P(X = x) for X binomial of n and p, shape (len(p), len(x))."""
    ways = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    chances: Floats = np.exp(ways + xlogy(x, p[:, None]) + xlog1py(n - x, -p[:, None]))
    return chances
