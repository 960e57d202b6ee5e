"""Newcombe's hybrid score intervals of two proportions, with the test that they are the inversion of."""

import math
from collections.abc import Callable

from equipoise_stats.counts import Counts
from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.comparison import Alternative, Comparison, Scale
from equipoise_stats.proportions.answer import Question, answer, normal_test, refuse, too_few
from equipoise_stats.proportions.one_arm import wilson_lower, wilson_reach
from equipoise_stats.proportions.root import root


def newcombe(
    *,
    treatment: Counts,
    control: Counts,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Compares two proportions by combining their Wilson intervals (MOVER).

    The difference's limits are Newcombe's: the distance to each limit is the hypotenuse of the two Wilson
    distances. The lift's limits are the ratios R at which the same limit of p_t − R p_c is 0. The p-value is
    the level at which the interval's end meets the null value, so p-value and interval never disagree; its
    statistic is the critical value of that level.

    Args:
        treatment: Counts of the treatment arm.
        control: Counts of the control arm.
        alpha: Level, below 0.5.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value: a difference between −1 and 1, or a lift above −1.
        scale: The scale of the null value.

    Returns:
        The comparison, with the statuses of `score_test`. A null value so extreme that no level's interval
        reaches it has an infinite statistic.

    Raises:
        ValueError: alpha, alternative, null or scale is out of range.

    Source:
        Newcombe 1998, Stat. Med. 17, 873–890 (method 10); Donner and Zou 2012, Stat. Methods Med. Res. 21,
        347–359 (ratio).

    Example:
        >>> result = newcombe(treatment=Counts(70, 56), control=Counts(80, 48))
        >>> round(result.difference.interval.lower, 4), round(result.difference.interval.upper, 4)
        (0.0524, 0.3339)
    """
    question = Question("newcombe", alpha, alternative, null, scale)
    nobody = too_few(treatment, control)
    if nobody is not None:
        return refuse(nobody, question)
    z = normal_upper_quantile(question.tail)
    return answer(
        treatment,
        control,
        question,
        lower_difference=lambda first, second: _lower_difference(first, second, z),
        lower_ratio=lambda first, second: _lower_ratio(first, second, z),
        test=normal_test(_statistic(treatment, control, question), question),
    )


def _below(arm: Counts, z: float) -> float:
    """How far the Wilson interval reaches below the proportion."""
    return wilson_reach(arm.successes, arm.n, z)


def _above(arm: Counts, z: float) -> float:
    """How far the Wilson interval reaches above the proportion."""
    return wilson_reach(arm.n - arm.successes, arm.n, z)


def _lower_difference(t: Counts, c: Counts, z: float) -> float:
    return t.successes / t.n - c.successes / c.n - math.hypot(_below(t, z), _above(c, z))


def _lower_ratio(t: Counts, c: Counts, z: float) -> float:
    """The smaller root of (p_c² − a²) R² − 2 p_t p_c R + p_t² − b² = 0, a and b the Wilson distances.

    Written so that nothing cancels, and so that it holds where p_c² < a², too.
    """
    if t.successes == 0:
        return 0.0
    p_t, p_c = t.successes / t.n, c.successes / c.n
    l_t, b, a = wilson_lower(t.successes, t.n, z), _below(t, z), _above(c, z)
    radical = math.sqrt((p_c * b) ** 2 + a * a * l_t * (p_t + b))
    return l_t * (p_t + b) / (p_t * p_c + radical)


def _statistic(t: Counts, c: Counts, question: Question) -> float:
    """The critical value at which the interval's end meets the null value, with the sign of the distance."""
    p_t, p_c = t.successes / t.n, c.successes / c.n
    if question.scale == "difference":
        ratio, distance = 1.0, p_t - p_c - question.null
    else:
        ratio, distance = 1 + question.null, p_t - p_c - question.null * p_c
    if distance == 0:
        return 0.0
    up = distance > 0

    def shortfall(z: float) -> float:
        reach_t, reach_c = (_below(t, z), _above(c, z)) if up else (_above(t, z), _below(c, z))
        return abs(distance) - math.hypot(reach_t, ratio * reach_c)

    farthest = math.hypot(p_t, ratio * (1 - p_c)) if up else math.hypot(1 - p_t, ratio * p_c)
    if abs(distance) >= farthest:
        return math.copysign(math.inf, distance)
    return math.copysign(_root_of_decreasing(shortfall), distance)


def _root_of_decreasing(function: Callable[[float], float]) -> float:
    high = 1.0
    while function(high) > 0:
        high *= 2
    return root(function, 0.0, high)
