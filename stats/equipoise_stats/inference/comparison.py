"""What every frequentist inference returns: a `Comparison` of two arms on both scales."""

import math
from dataclasses import dataclass
from typing import Literal

from equipoise_stats.estimates.estimate import ArmSummary, Detail
from equipoise_stats.results import Notice, Serialisable, Status

Alternative = Literal["two-sided", "greater", "less"]
"""Which departures from the null value count: both, only above it, only below it."""

Scale = Literal["difference", "lift"]
"""Where a null value stands: on treatment − control, or on treatment / control − 1."""

Parameter = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Interval(Serialisable):
    """A confidence interval; an infinite end is open (and None in JSON).

    Attributes:
        lower: Lower end.
        upper: Upper end.
    """

    lower: float
    upper: float

    def excludes(self, value: float) -> bool:
        """Whether a value lies outside the closed interval.

        Example:
            >>> Interval(0.1, math.inf).excludes(0.0)
            True
        """
        return value < self.lower or value > self.upper


@dataclass(frozen=True, slots=True)
class Effect(Serialisable):
    """The effect on one scale.

    Attributes:
        status: `ok`, or why there is no interval.
        reason: A sentence for a person, None when the status is `ok`.
        estimate: Point estimate: in the metric's unit, or for a lift a fraction of the control's value.
        standard_error: Standard error of it (for a lift by the delta method; its interval does not use it).
        interval: Confidence interval.
    """

    status: Status
    reason: str | None = None
    estimate: float | None = None
    standard_error: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class HypothesisTest(Serialisable):
    """The test of one null value.

    Attributes:
        status: `ok`, or why there is no test.
        reason: A sentence for a person, None when the status is `ok`.
        scale: The scale of the null value.
        null: The null value: 0, or a margin.
        alternative: Which departures count.
        alpha: Level of the test; two-sided, α/2 lies on each side; one-sided, all of it on that side.
        statistic: Standardised distance of the estimate from the null value.
        df: Degrees of freedom of the reference distribution, infinite for the normal one.
        critical: The distance beyond which the test rejects; infinite where an inference cannot reject yet.
        p_value: The p-value, never below the smallest normal double (about 2.2e-308).
        log_p_value: Its natural logarithm, exact below that too.
        rejected: Whether the null value is rejected: p ≤ α, which is when the interval on its scale excludes
            it.
    """

    status: Status
    scale: Scale
    null: float
    alternative: Alternative
    alpha: float
    reason: str | None = None
    statistic: float | None = None
    df: float | None = None
    critical: float | None = None
    p_value: float | None = None
    log_p_value: float | None = None
    rejected: bool | None = None


@dataclass(frozen=True, slots=True)
class Method(Serialisable):
    """How a result was computed, enough to compute it again.

    Attributes:
        name: Name of the inference, in snake case.
        version: Changes when the numbers of the method change.
        parameters: Names and values of what was chosen.
    """

    name: str
    version: int
    parameters: tuple[tuple[str, Parameter], ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The method as JSON types, its parameters as an object."""
        finite = {
            name: None if isinstance(value, float) and math.isinf(value) else value
            for name, value in self.parameters
        }
        return {"name": self.name, "version": self.version, "parameters": finite}


@dataclass(frozen=True, slots=True)
class Comparison(Serialisable):
    """A treatment compared with its control.

    Attributes:
        method: The inference, its version and parameters.
        estimator: Name of the estimator.
        treatment: The treatment arm.
        control: The control arm.
        difference: Treatment − control.
        lift: Treatment / control − 1, with the interval that agrees with the test (Fieller).
        test: The test of the null value.
        warnings: Notices of the estimator and of the inference.
        details: Figures of the estimator.
    """

    method: Method
    estimator: str
    treatment: ArmSummary
    control: ArmSummary
    difference: Effect
    lift: Effect
    test: HypothesisTest
    warnings: tuple[Notice, ...] = ()
    details: tuple[Detail, ...] = ()
