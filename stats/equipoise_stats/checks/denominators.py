"""Moved denominators: a ratio means little when the treatment changes what it is divided by."""

from dataclasses import dataclass

from equipoise_stats.estimates.mean import mean_difference
from equipoise_stats.inference.comparison import Comparison
from equipoise_stats.inference.fixed import fixed_horizon
from equipoise_stats.moments import Moments
from equipoise_stats.results import CheckStatus, Serialisable


@dataclass(frozen=True, slots=True)
class MovedDenominator(Serialisable):
    """The outcome of the check.

    Attributes:
        status: `ok`, `warning`, or `unavailable` where the denominator cannot be compared.
        reason: A sentence for a person, None when the status is `ok`.
        denominator: Column of the denominator.
        comparison: The denominator per unit, compared between the arms.
    """

    status: CheckStatus
    reason: str | None
    denominator: str
    comparison: Comparison


def moved_denominator(
    *, treatment: Moments, control: Moments, denominator: str, alpha: float = 0.01
) -> MovedDenominator:
    """Checks whether the treatment changes the denominator of a ratio metric.

    Clicks per view can rise because there are fewer views. Where the denominator moved, read the ratio
    together with its two parts per unit.

    Args:
        treatment: Moments of the treatment arm, a row a randomised unit.
        control: Moments of the control arm.
        denominator: Column of the denominator.
        alpha: Level of Welch's two-sided test of the denominator per unit.

    Raises:
        KeyError: The column is missing.
        ValueError: alpha is out of range.

    Source:
        Deng and Shi 2016, Data-Driven Metric Development for Online Controlled Experiments, KDD; Dmitriev et
        al. 2017, A Dirty Dozen, KDD (metric interpretation pitfalls).

    Example:
        >>> check = moved_denominator(
        ...     treatment=Moments.scalar(1000, 9.0, 25.0, column="views"),
        ...     control=Moments.scalar(1000, 10.0, 25.0, column="views"),
        ...     denominator="views",
        ... )
        >>> check.status.value, round(check.comparison.lift.estimate, 3)
        ('warning', -0.1)
    """
    comparison = fixed_horizon(
        mean_difference(treatment=treatment, control=control, column=denominator), alpha=alpha
    )
    if comparison.test.rejected is None:
        return MovedDenominator(CheckStatus.UNAVAILABLE, comparison.test.reason, denominator, comparison)
    if not comparison.test.rejected:
        return MovedDenominator(CheckStatus.OK, None, denominator, comparison)
    return MovedDenominator(
        CheckStatus.WARNING,
        f"The treatment changes the denominator {denominator!r} itself (from {comparison.control.value:.6g} "
        f"to {comparison.treatment.value:.6g} a unit): read the ratio together with its two parts.",
        denominator,
        comparison,
    )
