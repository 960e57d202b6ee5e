"""Assembles a `Comparison` from one-sided limits that a test of two counts was inverted to."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from equipoise_stats.counts import Counts
from equipoise_stats.distributions import log_p_value, normal_upper_quantile, p_value_from_log
from equipoise_stats.estimates.estimate import ArmSummary, NoEstimate, too_few_units
from equipoise_stats.inference.comparison import (
    Alternative,
    Comparison,
    Effect,
    HypothesisTest,
    Interval,
    Method,
    Scale,
)
from equipoise_stats.inference.conclude import unanswered
from equipoise_stats.inference.intervals import CONTROL_NOT_POSITIVE
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha
from equipoise_stats.results import Status

ESTIMATOR = "proportion"

NO_EVENTS = "Neither arm has a success, so the data say nothing about their ratio."

Lower = Callable[[Counts, Counts], float]
"""From the counts of a first and a second arm to a lower limit of their difference or ratio."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a method for two proportions is asked; the constructor checks it.

    Attributes:
        name: Name of the method.
        alpha: Level of the test.
        alternative: Which departures count.
        null: The null value.
        scale: Its scale.

    Raises:
        ValueError: alpha, alternative, null or scale is out of range.
    """

    name: str
    alpha: float
    alternative: Alternative
    null: float
    scale: Scale

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        tail_alpha(self.alpha, self.alternative)
        check_null(self.null, self.scale)
        if self.scale == "difference" and not -1 < self.null < 1:
            raise ValueError(
                f"The null value is a difference of {self.null!r}; between two proportions it must lie "
                "above -1 and below 1."
            )

    @property
    def tail(self) -> float:
        """The part of alpha that lies on one side."""
        return tail_alpha(self.alpha, self.alternative)

    @property
    def method(self) -> Method:
        """How the answer says that it was computed."""
        parameters = (
            ("alpha", self.alpha),
            ("alternative", self.alternative),
            ("null", self.null),
            ("scale", self.scale),
        )
        return Method(self.name, 1, parameters)


def too_few(treatment: Counts, control: Counts) -> NoEstimate | None:
    """No estimate where an arm has no unit."""
    if treatment.n >= 1 and control.n >= 1:
        return None
    return too_few_units(ESTIMATOR, treatment=treatment.n, control=control.n, needed=1)


def refuse(estimate: NoEstimate, question: Question) -> Comparison:
    """The comparison where there is no estimate."""
    return unanswered(
        estimate,
        method=question.method,
        alpha=question.alpha,
        alternative=question.alternative,
        null=question.null,
        scale=question.scale,
    )


def normal_test(statistic: float, question: Question) -> HypothesisTest:
    """The test of a statistic that is standard normal under the null value."""
    critical = normal_upper_quantile(question.tail)
    log_p = log_p_value(statistic, math.inf, question.alternative)
    beyond = {"greater": statistic, "less": -statistic}.get(question.alternative, abs(statistic))
    return HypothesisTest(
        Status.OK,
        question.scale,
        question.null,
        question.alternative,
        question.alpha,
        statistic=statistic,
        df=math.inf,
        critical=critical,
        p_value=p_value_from_log(log_p),
        log_p_value=log_p,
        rejected=beyond > critical,
    )


def answer(
    treatment: Counts,
    control: Counts,
    question: Question,
    *,
    lower_difference: Lower,
    lower_ratio: Lower,
    test: HypothesisTest,
) -> Comparison:
    """Puts a comparison together; upper limits are the lower ones with the arms swapped.

    Args:
        treatment: Counts of the treatment arm.
        control: Counts of the control arm.
        question: What is asked.
        lower_difference: Lower limit of the difference at the question's level.
        lower_ratio: Lower limit of the ratio at that level.
        test: The test that both limits invert.
    """
    if question.scale == "lift" and treatment.successes == control.successes == 0:
        test = HypothesisTest(
            Status.CONTROL_NOT_POSITIVE,
            question.scale,
            question.null,
            question.alternative,
            question.alpha,
            NO_EVENTS,
        )
    return Comparison(
        question.method,
        ESTIMATOR,
        _summary(treatment),
        _summary(control),
        _difference(treatment, control, question, lower_difference),
        _lift(treatment, control, question, lower_ratio),
        test,
    )


def _difference(treatment: Counts, control: Counts, question: Question, lower: Lower) -> Effect:
    variance = _variance(treatment) + _variance(control)
    return Effect(
        Status.OK,
        None,
        treatment.successes / treatment.n - control.successes / control.n,
        math.sqrt(variance) if variance > 0 else None,
        Interval(
            -math.inf if question.alternative == "less" else lower(treatment, control),
            math.inf if question.alternative == "greater" else -lower(control, treatment),
        ),
    )


def _lift(treatment: Counts, control: Counts, question: Question, lower: Lower) -> Effect:
    if control.successes == 0:
        if treatment.successes == 0:
            return Effect(Status.CONTROL_NOT_POSITIVE, NO_EVENTS)
        if question.alternative == "less":
            return Effect(Status.CONTROL_NOT_POSITIVE, CONTROL_NOT_POSITIVE.format(value=0.0))
        return Effect(
            Status.UNBOUNDED,
            "The control has no success, so the lift has a lower limit only.",
            interval=Interval(lower(treatment, control) - 1, math.inf),
        )
    ratio = treatment.successes / treatment.n / (control.successes / control.n)
    variance = _variance(treatment) + ratio**2 * _variance(control)
    return Effect(
        Status.OK,
        None,
        ratio - 1,
        math.sqrt(variance) / (control.successes / control.n) if variance > 0 else None,
        Interval(
            -math.inf if question.alternative == "less" else lower(treatment, control) - 1,
            math.inf if question.alternative == "greater" else _inverse(lower(control, treatment)) - 1,
        ),
    )


def _inverse(ratio: float) -> float:
    return 1 / ratio if ratio > 0 else math.inf


def _variance(arm: Counts) -> float:
    p = arm.successes / arm.n
    return p * (1 - p) / arm.n


def _summary(arm: Counts) -> ArmSummary:
    variance = _variance(arm)
    return ArmSummary(arm.n, arm.successes / arm.n, math.sqrt(variance) if variance > 0 else None)
