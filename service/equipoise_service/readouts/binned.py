"""Whether values that are counted in bins can have a mean and a spread."""

import math
from collections.abc import Sequence
from itertools import pairwise

# A value less than a billionth below an edge is counted as at it, and one nearer to zero than that as zero.
_ROUNDING = 1e-8


def can_have(
    counts: Sequence[int],
    edges: Sequence[float],
    *,
    units: int,
    mean: float,
    m2: float,
    cut: float | None = None,
) -> bool:
    """Whether any values in these bins have this mean and this sum of squared deviations.

    Of all values in the bins with one sum, those have the smallest sum of squares that are as near to one
    number as their bins let them be: all below it at the upper ends, all above it at the lower ones. No other
    numbers are refused than those with a smaller sum of squares: the outer bins have no end.

    Args:
        counts: How many values are in each bin; there may be others, which are zero.
        edges: Where one bin ends and the next begins, ascending: one less than the bins.
        units: How many values there are, those at zero included.
        mean: The mean of all.
        m2: The sum of the squared deviations from it.
        cut: What values above it were set to, after they were counted.

    Example:
        >>> can_have([0, 10], [5.0], units=10, mean=6.0, m2=2.0)
        True
        >>> can_have([0, 10], [5.0], units=10, mean=4.0, m2=2.0)
        False
    """
    most = math.inf if cut is None else cut
    ends = [-math.inf, *(min(edge, most) for edge in edges), most]
    bins = [(low, high, n) for (low, high), n in zip(pairwise(ends), counts, strict=True) if n]
    total, squares = units * mean, m2 + units * mean * mean
    slack = _ROUNDING * (units + math.sqrt(units * squares))
    if not bins:
        return abs(total) <= slack
    for place, (low, high, n) in enumerate(bins):
        below = [(end, count) for _, end, count in bins[:place]]
        others = below + [(end, count) for end, _, count in bins[place + 1 :]]
        here = (total - sum(end * count for end, count in others)) / n
        if low - slack / n <= here <= high + slack / n:
            least = n * here * here + sum(end * end * count for end, count in others)
            return least <= squares * (1 + _ROUNDING) + slack * abs(here)
    return False
