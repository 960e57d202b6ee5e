"""Boschloo's exact test of two proportions, with the exact intervals that invert it.

Boschloo orders all tables of these arm sizes by Fisher's one-sided p-value; the p-value is the greatest
probability, over all proportions that the null value allows, of a table as extreme as the one observed. The
ordering does not follow the null value (Buehler's construction), so one-sided p-values only grow with the
difference or ratio that is tested, and the intervals are exactly the values that are not rejected.

Any ordering is valid as long as one more success in the first arm, or one less in the second, never makes a
table less extreme. Fisher's p-value orders well the tables that speak for a difference in its direction. It
puts tables without successes, or without failures, last of all, and an interval's far end would be of no use.
So, for null values on that far side, the tables that speak against the direction come after the others in the
order of their 95 % score limits (Mee's for the difference, Koopman's for the ratio). The p-value of no
effect is Boschloo's for every table; for these it is 1/2 or more, so that no level below 1/2 sees the change.
"""

import math
from collections.abc import Callable

from equipoise_stats.counts import Counts
from equipoise_stats.inference.comparison import Alternative, Comparison, HypothesisTest, Scale
from equipoise_stats.proportions.answer import Question, answer, refuse, too_few
from equipoise_stats.proportions.root import root
from equipoise_stats.proportions.tables import Extremes, by_difference, by_ratio
from equipoise_stats.results import Status

MOST_TABLES = 40_000
"""The most tables, (n_t + 1)(n_c + 1), that the exact test goes through."""


def boschloo(
    *,
    treatment: Counts,
    control: Counts,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Compares two proportions exactly, for arms too small for an approximation.

    The test never exceeds its level and is uniformly more powerful than Fisher's. Two-sided, the p-value is
    twice the smaller one-sided one, so that it agrees with the interval in each tail.

    Args:
        treatment: Counts of the treatment arm.
        control: Counts of the control arm. (n_t + 1)(n_c + 1) is at most 40,000: 199 units in each arm.
        alpha: Level, below 0.5.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value: a difference between −1 and 1, or a lift above −1.
        scale: The scale of the null value.

    Returns:
        The comparison, with the statuses of `score_test`; its test has no statistic.

    Raises:
        ValueError: There are too many tables, or alpha, alternative, null or scale is out of range.

    Source:
        Boschloo 1970, Stat. Neerl. 24, 1–35; Buehler 1957, J. Am. Stat. Assoc. 52, 482–493.

    Example:
        >>> result = boschloo(treatment=Counts(34, 7), control=Counts(34, 1))
        >>> round(result.test.p_value, 4), round(result.difference.interval.lower, 4)
        (0.0385, 0.0134)
    """
    question = Question("boschloo", alpha, alternative, null, scale)
    nobody = too_few(treatment, control)
    if nobody is not None:
        return refuse(nobody, question)
    tables = (treatment.n + 1) * (control.n + 1)
    if tables > MOST_TABLES:
        raise ValueError(
            f"Arms of {treatment.n} and {control.n} units make {tables} tables; the exact test goes through "
            f"at most {MOST_TABLES}. Use miettinen_nurminen for arms as large as these."
        )
    tail = question.tail
    return answer(
        treatment,
        control,
        question,
        lower_difference=lambda first, second: _lower_difference(by_difference(first, second), tail),
        lower_ratio=lambda first, second: _lower_ratio(by_ratio(first, second), tail),
        test=_test(treatment, control, question),
    )


def _test(t: Counts, c: Counts, question: Question) -> HypothesisTest:
    null, sides = question.null, []
    if question.alternative != "less":
        sides.append(
            by_difference(t, c).p_of_difference(null)
            if question.scale == "difference"
            else by_ratio(t, c).p_of_ratio((1 + null) / (2 + null))
        )
    if question.alternative != "greater":
        sides.append(
            by_difference(c, t).p_of_difference(-null)
            if question.scale == "difference"
            else by_ratio(c, t).p_of_ratio(1 / (2 + null))
        )
    p = min(1.0, min(sides) * len(sides))
    return HypothesisTest(
        Status.OK,
        question.scale,
        null,
        question.alternative,
        question.alpha,
        p_value=p,
        log_p_value=math.log(p),
        rejected=p <= question.alpha,
    )


def _lower_difference(tables: Extremes, tail: float) -> float:
    return _limit(tables.p_of_difference, -1.0, tail)


def _lower_ratio(tables: Extremes, tail: float) -> float:
    share = _limit(tables.p_of_ratio, 0.0, tail)
    return share / (1 - share)


def _limit(p: Callable[[float], float], low: float, tail: float) -> float:
    """The value at which a p-value that never falls reaches `tail`; `low` where it starts above."""
    if p(low) > tail:
        return low
    return root(lambda value: p(value) - tail, low, 1.0)
