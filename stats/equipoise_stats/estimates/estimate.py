"""The contract between estimates and inference: `Estimate`, or `NoEstimate` where there is no answer."""

import math
from dataclasses import dataclass, replace

from equipoise_stats.results import Notice, Serialisable, Status


@dataclass(frozen=True, slots=True)
class ArmEstimate(Serialisable):
    """The estimate of one arm.

    Attributes:
        n: Number of units of the arm.
        value: The arm's mean, proportion, ratio, quantile, adjusted mean, … in the metric's unit.
        variance: Sampling variance of `value` (not of the units), in that unit squared.
    """

    n: int
    value: float
    variance: float

    def summary(self) -> "ArmSummary":
        """The form in which an arm stands in a result."""
        return ArmSummary(self.n, self.value, math.sqrt(self.variance))


@dataclass(frozen=True, slots=True)
class ArmSummary(Serialisable):
    """One arm in a result; None is what is not known.

    Attributes:
        n: Number of units of the arm.
        value: The arm's estimate.
        standard_error: Standard error of `value`.
    """

    n: int
    value: float | None = None
    standard_error: float | None = None


@dataclass(frozen=True, slots=True)
class Detail(Serialisable):
    """A figure that explains an estimate: the variance an adjustment removed, the cut of a winsorization.

    Attributes:
        name: Stable identifier, in snake case.
        value: The figure; infinite where something is unlimited.
    """

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Estimate(Serialisable):
    """An effect, treatment − control, with all that inference, lifts and later methods need.

    Whatever the estimator (mean, proportion, ratio, regression-adjusted, …), the effect is the difference of
    two arm estimates whose 2 × 2 covariance matrix is known. Every inference of this package starts from
    here.

    Attributes:
        estimator: Name of the estimator, in snake case.
        treatment: The treatment arm.
        control: The control arm.
        covariance: Covariance of the two arm estimates: 0 for independent arms, not so after regression
            adjustment.
        df: Degrees of freedom of the variance estimate; infinite where the reference distribution is normal.
        skewness: Third cumulant of the difference over the cube of its standard error, where known; of means
            and ratios see `difference_skewness`.
        warnings: Notices that any result built on the estimate repeats.
        details: Figures of the estimator, which any result built on the estimate repeats.

    Raises:
        ValueError: A number is not finite, or the variances make no covariance matrix or no positive
            standard error. Use `contrast`, which answers with `NoEstimate`, where the data may have no
            variance.

    Example:
        >>> e = Estimate("mean", ArmEstimate(100, 5.0, 0.03), ArmEstimate(100, 4.0, 0.01))
        >>> e.difference, e.standard_error, e.information
        (1.0, 0.2, 25.0)
    """

    estimator: str
    treatment: ArmEstimate
    control: ArmEstimate
    covariance: float = 0.0
    df: float = math.inf
    skewness: float | None = None
    warnings: tuple[Notice, ...] = ()
    details: tuple[Detail, ...] = ()

    def __post_init__(self) -> None:
        v_t, v_c = self.treatment.variance, self.control.variance
        numbers = (self.treatment.value, self.control.value, v_t, v_c, self.covariance)
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"The estimate {self.estimator!r} holds numbers that are not finite: {numbers}.")
        if v_t < 0 or v_c < 0 or abs(self.covariance) > math.sqrt(v_t) * math.sqrt(v_c) * (1 + 1e-9):
            raise ValueError(
                f"Variances {v_t!r} and {v_c!r} with covariance {self.covariance!r} are impossible."
            )
        if not self.variance > 0:
            raise ValueError(f"The variance of the difference is {self.variance!r}; it must be positive.")
        if not self.df > 0:
            raise ValueError(f"There are {self.df!r} degrees of freedom; they must be positive.")

    @property
    def difference(self) -> float:
        """Treatment − control, in the metric's unit."""
        return self.treatment.value - self.control.value

    @property
    def variance(self) -> float:
        """Sampling variance of the difference."""
        return self.treatment.variance + self.control.variance - 2 * self.covariance

    @property
    def standard_error(self) -> float:
        """Standard error of the difference, in the metric's unit."""
        return math.sqrt(self.variance)

    @property
    def information(self) -> float:
        """Statistical information about the difference, 1 / variance."""
        return 1 / self.variance

    @property
    def n(self) -> int:
        """Units of both arms."""
        return self.treatment.n + self.control.n

    def with_warning(self, warning: Notice) -> "Estimate":
        """The same estimate with one more notice."""
        return replace(self, warnings=(*self.warnings, warning))


@dataclass(frozen=True, slots=True)
class NoEstimate(Serialisable):
    """The answer where there is no estimate; inference passes it on as a result with this status and reason.

    Attributes:
        estimator: Name of the estimator that was asked.
        status: Why there is no estimate.
        reason: A sentence for a person.
        treatment: What is known of the treatment arm.
        control: What is known of the control arm.
        warnings: Notices of the estimator.
        details: Figures of the estimator.
    """

    estimator: str
    status: Status
    reason: str
    treatment: ArmSummary
    control: ArmSummary
    warnings: tuple[Notice, ...] = ()
    details: tuple[Detail, ...] = ()


def contrast(
    estimator: str,
    *,
    treatment: ArmEstimate,
    control: ArmEstimate,
    covariance: float = 0.0,
    df: float = math.inf,
    skewness: float | None = None,
    warnings: tuple[Notice, ...] = (),
    details: tuple[Detail, ...] = (),
) -> Estimate | NoEstimate:
    """Contrasts two arms: what every estimator returns.

    Returns:
        An `Estimate`, or `NoEstimate` with status `no_variance` when the difference has no variance.

    Example:
        >>> contrast("mean", treatment=ArmEstimate(9, 1.0, 0.0), control=ArmEstimate(9, 1.0, 0.0)).status
        <Status.NO_VARIANCE: 'no_variance'>
    """
    if not treatment.variance + control.variance - 2 * covariance > 0:
        return NoEstimate(
            estimator,
            Status.NO_VARIANCE,
            "All units of an arm have the same value, in both arms: nothing measures the uncertainty.",
            treatment.summary(),
            control.summary(),
            warnings,
            details,
        )
    return Estimate(estimator, treatment, control, covariance, df, skewness, warnings, details)


def too_few_units(estimator: str, *, treatment: int, control: int, needed: int = 2) -> NoEstimate:
    """The answer when an arm has fewer units than the estimator needs.

    Args:
        estimator: Name of the estimator.
        treatment: Units of the treatment arm.
        control: Units of the control arm.
        needed: Units that each arm needs.
    """
    return NoEstimate(
        estimator,
        Status.TOO_FEW_UNITS,
        f"Each arm needs at least {needed} units; treatment has {treatment}, control has {control}.",
        ArmSummary(treatment),
        ArmSummary(control),
    )


def welch_satterthwaite(first: float, first_df: float, second: float, second_df: float) -> float:
    """Degrees of freedom of the sum of two independent variance estimates (Satterthwaite 1946, Welch 1947).

    Args:
        first: Variance estimate of the first arm's value.
        first_df: Its degrees of freedom.
        second: Variance estimate of the second arm's value.
        second_df: Its degrees of freedom.

    Example:
        >>> round(welch_satterthwaite(1.0, 9, 1.0, 9), 9)
        18.0
    """
    share = first / (first + second)
    rest = 1 - share
    return 1 / (share * share / first_df + rest * rest / second_df)
