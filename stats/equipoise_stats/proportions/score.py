"""Score tests of two proportions with the intervals that invert them: the pooled z test and its relatives."""

import math

from equipoise_stats.counts import Counts
from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.comparison import Alternative, Comparison, Scale
from equipoise_stats.proportions.answer import Question, answer, normal_test, refuse, too_few
from equipoise_stats.proportions.constrained import variance_at_difference, variance_at_ratio
from equipoise_stats.proportions.root import root


def score_test(
    *,
    treatment: Counts,
    control: Counts,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Compares two proportions by the score test, and inverts it to intervals on both scales.

    At the null value 0 this is the pooled z test, whose square is Pearson's chi-square without a continuity
    correction; at a margin it is Farrington and Manning's test. The interval of the difference is Mee's, that
    of the lift Koopman's. All are one test, so they agree wherever the null value lies.

    Args:
        treatment: Counts of the treatment arm.
        control: Counts of the control arm.
        alpha: Level, below 0.5.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value: a difference between −1 and 1, or a lift above −1.
        scale: The scale of the null value.

    Returns:
        The comparison; `too_few_units` where an arm is empty. Arms without a success, or without a failure,
        have intervals like any others: where the control has no success, the lift has a lower limit only
        (`unbounded`), and where neither arm has one, no limit at all (`control_not_positive`).

    Raises:
        ValueError: alpha, alternative, null or scale is out of range.

    Source:
        Pearson 1900; Mee 1984, Biometrics 40, 1175–1176; Koopman 1984, Biometrics 40, 513–517; Farrington and
        Manning 1990, Stat. Med. 9, 1447–1454.

    Example:
        >>> result = score_test(treatment=Counts(34, 7), control=Counts(34, 1))
        >>> interval, ratio = result.difference.interval, result.lift.interval
        >>> round(interval.lower, 4), round(interval.upper, 4)
        (0.0284, 0.3439)
        >>> round(1 + ratio.lower, 4), round(1 + ratio.upper, 4)
        (1.2209, 42.5757)
    """
    return _compare(treatment, control, Question("score", alpha, alternative, null, scale), 1.0)


def miettinen_nurminen(
    *,
    treatment: Counts,
    control: Counts,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Compares two proportions by Miettinen and Nurminen's score test, and inverts it on both scales.

    `score_test` with the variance multiplied by N/(N − 1), N the units of both arms: slightly wider, and
    nearer to its level where arms are small.

    Args:
        treatment: Counts of the treatment arm.
        control: Counts of the control arm.
        alpha: Level, below 0.5.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value: a difference between −1 and 1, or a lift above −1.
        scale: The scale of the null value.

    Returns:
        The comparison, with the statuses of `score_test`.

    Raises:
        ValueError: alpha, alternative, null or scale is out of range.

    Source:
        Miettinen and Nurminen 1985, Stat. Med. 4, 213–226; Newcombe 1998, Stat. Med. 17, 873–890 (method 6).

    Example:
        >>> result = miettinen_nurminen(treatment=Counts(70, 56), control=Counts(80, 48))
        >>> round(result.difference.interval.lower, 4), round(result.difference.interval.upper, 4)
        (0.0528, 0.3382)
    """
    units = treatment.n + control.n
    factor = units / (units - 1) if units > 1 else 1.0
    return _compare(
        treatment, control, Question("miettinen_nurminen", alpha, alternative, null, scale), factor
    )


def _compare(treatment: Counts, control: Counts, question: Question, factor: float) -> Comparison:
    nobody = too_few(treatment, control)
    if nobody is not None:
        return refuse(nobody, question)
    spread = normal_upper_quantile(question.tail) * math.sqrt(factor)
    return answer(
        treatment,
        control,
        question,
        lower_difference=lambda first, second: lower_difference(first, second, spread),
        lower_ratio=lambda first, second: lower_ratio(first, second, spread),
        test=normal_test(_statistic(treatment, control, question, factor), question),
    )


def _statistic(t: Counts, c: Counts, question: Question, factor: float) -> float:
    """The score statistic; 0 where both arms are all success or all failure, its limit at the null value."""
    p_t, p_c = t.successes / t.n, c.successes / c.n
    if question.scale == "difference":
        distance = p_t - p_c - question.null
        variance = variance_at_difference(t.successes, t.n, c.successes, c.n, question.null)
    else:
        distance = p_t - p_c - question.null * p_c
        variance = variance_at_ratio(t.successes, t.n, c.successes, c.n, 1 + question.null)
    return distance / math.sqrt(factor * variance) if variance > 0 else 0.0


def lower_difference(t: Counts, c: Counts, spread: float) -> float:
    """The difference below the estimate that the score test at critical value `spread` just does not reject.

    Args:
        t: Counts of the treatment arm.
        c: Counts of the control arm.
        spread: Critical value, times the root of the variance's factor.
    """
    estimate = t.successes / t.n - c.successes / c.n

    def excess(difference: float) -> float:
        if difference == estimate:
            return -1.0
        variance = variance_at_difference(t.successes, t.n, c.successes, c.n, difference)
        return estimate - difference - spread * math.sqrt(variance)

    return -1.0 if estimate == -1 else root(excess, -1.0, estimate)


def lower_ratio(t: Counts, c: Counts, spread: float) -> float:
    """The ratio below the estimate that the score test at critical value `spread` just does not reject.

    Args:
        t: Counts of the treatment arm.
        c: Counts of the control arm.
        spread: Critical value, times the root of the variance's factor.

    Searched for as ratio / (1 + ratio), which is bounded where the control has no success.
    """
    p_t, p_c = t.successes / t.n, c.successes / c.n
    estimate = p_t / (p_t + p_c) if p_t > 0 else 0.0

    def excess(share: float) -> float:
        if share == estimate:
            return -1.0
        ratio = share / (1 - share)
        variance = variance_at_ratio(t.successes, t.n, c.successes, c.n, ratio)
        return p_t - ratio * p_c - spread * math.sqrt(variance)

    if estimate == 0:
        return 0.0
    share = root(excess, 0.0, estimate)
    return share / (1 - share)
