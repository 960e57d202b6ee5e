"""Intervals of one proportion: Wilson's score interval and the exact one of Clopper and Pearson."""

import math
from collections.abc import Callable

from scipy.special import betaincinv

from equipoise_stats.counts import Counts
from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.comparison import Alternative, Interval
from equipoise_stats.inference.settings import check_alpha, tail_alpha


def wilson(counts: Counts, *, alpha: float = 0.05, alternative: Alternative = "two-sided") -> Interval:
    """Wilson's interval of a proportion: the values that the one-sample score test does not reject.

    Args:
        counts: Counts of one arm, with at least one unit.
        alpha: Level, below 0.5; the interval covers 1 − alpha.
        alternative: Two-sided, or which bound: `greater` gives a lower one, `less` an upper one.

    Returns:
        The interval, within [0, 1].

    Raises:
        ValueError: There is no unit, or alpha or alternative is out of range.

    Source:
        Wilson 1927, J. Am. Stat. Assoc. 22, 209–212; Newcombe 1998, Stat. Med. 17, 857–872 (method 3).

    Example:
        >>> interval = wilson(Counts(263, 81))
        >>> round(interval.lower, 4), round(interval.upper, 4)
        (0.2553, 0.3662)
    """
    z = normal_upper_quantile(tail_alpha(check_alpha(alpha), alternative))
    return _interval(counts, alternative, lambda x, n: wilson_lower(x, n, z))


def clopper_pearson(
    counts: Counts, *, alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> Interval:
    """The exact interval of a proportion: the values that neither one-sided binomial test rejects.

    It covers at least 1 − alpha whatever the proportion, and usually more.

    Args:
        counts: Counts of one arm, with at least one unit.
        alpha: Level, below 0.5.
        alternative: Two-sided, or which bound: `greater` gives a lower one, `less` an upper one.

    Returns:
        The interval, within [0, 1].

    Raises:
        ValueError: There is no unit, or alpha or alternative is out of range.

    Source:
        Clopper and Pearson 1934, Biometrika 26, 404–413.

    Example:
        >>> interval = clopper_pearson(Counts(29, 0))
        >>> interval.lower, round(interval.upper, 4)
        (0.0, 0.1194)
    """
    tail = tail_alpha(check_alpha(alpha), alternative)
    return _interval(
        counts, alternative, lambda x, n: float(betaincinv(x, n - x + 1, tail)) if x > 0 else 0.0
    )


def wilson_lower(x: int, n: int, z: float) -> float:
    """Wilson's lower limit, without cancellation. The upper limit is one minus the failures' lower one.

    Args:
        x: Successes.
        n: Units.
        z: Critical value of the score test, not negative.
    """
    return x / n * x / (x + _shift(x, n, z)) if x > 0 else 0.0


def wilson_reach(x: int, n: int, z: float) -> float:
    """How far Wilson's interval reaches below the proportion: exactly 0 where z is 0.

    Args:
        x: Successes.
        n: Units.
        z: Critical value of the score test, not negative.
    """
    shift = _shift(x, n, z)
    return x / n * shift / (x + shift) if x > 0 else 0.0


def _shift(x: int, n: int, z: float) -> float:
    """What the lower limit x² / n / (x + shift) adds to x: from the product of the two limits."""
    return z * z / 2 + z * math.sqrt(x * (n - x) / n + z * z / 4)


def _interval(counts: Counts, alternative: Alternative, lower: Callable[[int, int], float]) -> Interval:
    if counts.n < 1:
        raise ValueError("There are no units; an interval of a proportion needs at least one.")
    return Interval(
        0.0 if alternative == "less" else lower(counts.successes, counts.n),
        1.0 if alternative == "greater" else 1 - lower(counts.n - counts.successes, counts.n),
    )
