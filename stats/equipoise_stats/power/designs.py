"""Designs: when an experiment is looked at, and what it takes to reject there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.anytime.mixture import normal_mixture_critical, optimal_mixture_ratio
from equipoise_stats.inference.comparison import Alternative
from equipoise_stats.inference.group_sequential.looks import MOST_LOOKS, O_BRIEN_FLEMING, plan_looks
from equipoise_stats.inference.group_sequential.spending import Spending
from equipoise_stats.inference.settings import check_alpha, tail_alpha
from equipoise_stats.results import Serialisable


@dataclass(frozen=True, slots=True)
class Design(Serialisable):
    """The looks of an experiment with their critical values.

    Build one with `fixed_design`, `group_sequential_design` or `confidence_sequence_design`; bounds of any
    other kind can be given directly.

    Attributes:
        name: Name of the inference.
        alpha: Level of all looks together.
        alternative: `two-sided`, `greater` or `less`.
        fractions: Information fraction of each look, ascending; the last one is 1.
        critical: Critical value of a normal statistic at each look; infinite where it cannot reject.

    Raises:
        ValueError: A part is out of range.

    Example:
        >>> Design("by_hand", 0.05, "two-sided", (0.5, 1.0), (2.178272, 2.178272)).two_sided
        True
    """

    name: str
    alpha: float
    alternative: Alternative
    fractions: tuple[float, ...]
    critical: tuple[float, ...]

    def __post_init__(self) -> None:
        tail_alpha(check_alpha(self.alpha), self.alternative)
        times = self.fractions
        if not 1 <= len(times) <= MOST_LOOKS or len(times) != len(self.critical):
            raise ValueError(
                f"There are {len(times)} fractions and {len(self.critical)} critical values; give as many of "
                f"each, 1 to {MOST_LOOKS}."
            )
        ascending = all(a < b for a, b in zip((0.0, *times), times, strict=False))
        if not (ascending and times[-1] == 1):
            raise ValueError(f"The information fractions are {times}; they must ascend from above 0 to 1.")
        if not (all(value > 0 for value in self.critical) and math.isfinite(min(self.critical))):
            raise ValueError(
                f"The critical values are {self.critical}; they must be positive, one at least finite."
            )

    @property
    def two_sided(self) -> bool:
        """Whether there are bounds on both sides."""
        return self.alternative == "two-sided"


def fixed_design(*, alpha: float = 0.05, alternative: Alternative = "two-sided") -> Design:
    """One analysis, at the end.

    Args:
        alpha: Level, below 0.5; two-sided, α/2 lies on each side.
        alternative: `two-sided`, `greater` or `less`.

    Raises:
        ValueError: alpha or alternative is out of range.

    Example:
        >>> round(fixed_design().critical[0], 6)
        1.959964
    """
    critical = normal_upper_quantile(tail_alpha(check_alpha(alpha), alternative))
    return Design("fixed_horizon", alpha, alternative, (1.0,), (critical,))


def group_sequential_design(
    looks: int | Sequence[float],
    *,
    spending: Spending = O_BRIEN_FLEMING,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> Design:
    """Planned looks under alpha spending.

    Args:
        looks: Number of looks, evenly spaced, or their information fractions, the last one 1.
        spending: The spending function.
        alpha: Level of all looks together; two-sided, α/2 is spent on each side.
        alternative: `two-sided`, `greater` or `less`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> [round(critical, 4) for critical in group_sequential_design(3).critical]
        [3.7103, 2.5114, 1.993]
    """
    fractions = _fractions(looks)
    plan = plan_looks(fractions, spending=spending, alpha=alpha, alternative=alternative)
    return Design("group_sequential", alpha, alternative, fractions, plan.critical_values)


def confidence_sequence_design(
    looks: int | Sequence[float],
    *,
    tuning_fraction: float = 0.5,
    tuning_alpha: float | None = None,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> Design:
    """Looks under a confidence sequence, up to a largest size.

    Args:
        looks: Number of looks, evenly spaced, or their information fractions, the last one 1. The sequence
            allows any others too; these are the ones that power is counted at.
        tuning_fraction: Where the sequence is tightest, as a fraction of the largest size: `tuning_units` of
            `confidence_sequence` over the planned units of both arms.
        tuning_alpha: Level for which it is tightest there; the test's own unless given.
        alpha: Level over all looks.
        alternative: `two-sided`, `greater` or `less`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> design = confidence_sequence_design(4)
        >>> [round(critical, 4) for critical in design.critical]
        [3.0787, 3.0351, 3.0458, 3.064]
    """
    if not (tuning_fraction > 0 and math.isfinite(tuning_fraction)):
        raise ValueError(f"tuning_fraction is {tuning_fraction!r}; it must be positive, for example 0.5.")
    fractions = _fractions(looks)
    best = optimal_mixture_ratio(alpha if tuning_alpha is None else tuning_alpha, alternative)
    critical = normal_mixture_critical(
        [time * best / tuning_fraction for time in fractions], alpha=alpha, alternative=alternative
    )
    return Design("confidence_sequence", alpha, alternative, fractions, tuple(critical.tolist()))


def _fractions(looks: int | Sequence[float]) -> tuple[float, ...]:
    if not isinstance(looks, int):
        return tuple(map(float, looks))
    if not 1 <= looks <= MOST_LOOKS:
        raise ValueError(f"There are {looks} looks; there may be 1 to {MOST_LOOKS}.")
    return tuple((look + 1) / looks for look in range(looks))
