"""Planning for a whole decision: ship if a success metric improves and no guardrail gets worse."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.power.planned import PlannedTest
from equipoise_stats.power.size import SampleSize, sample_size
from equipoise_stats.results import Serialisable


@dataclass(frozen=True, slots=True)
class RuleLevels(Serialisable):
    """The levels at which each test of a decision rule runs and is powered.

    Attributes:
        success_alpha: One-sided level of each success metric's test of superiority, α/S.
        guardrail_alpha: One-sided level of each guardrail's test of non-inferiority, α.
        power: Power of each of them, 1 − β/(G + 1).
    """

    success_alpha: float
    guardrail_alpha: float
    power: float


@dataclass(frozen=True, slots=True)
class RuleSize(Serialisable):
    """The size of an experiment that has to serve a whole decision.

    Attributes:
        units: Units of both arms together at the end, exact: what the most demanding metric needs.
        binding: Name of that metric.
        metrics: Size that each metric needs by itself, by name.
    """

    units: float
    binding: str
    metrics: Mapping[str, SampleSize]


def rule_levels(
    *, successes: int, guardrails: int, alpha: float = 0.05, power: float = 0.8, false_alarms: float = 0.0
) -> RuleLevels:
    """The levels with which a decision rule errs at most α of the time and ships a good change with power.

    Shipping needs *one* success metric, so their α is divided (a wrong decision has S chances). It needs
    *all* guardrails, so theirs is not (a wrong decision must get past each); but each may miss, so β is
    divided.

    Args:
        successes: Number of success metrics S, at least one.
        guardrails: Number of guardrail metrics G.
        alpha: Largest probability of shipping a change that improves no success metric, or that harms a
            guardrail by its margin; one-sided.
        power: Probability of shipping a change that improves one success metric as planned and leaves the
            guardrails as planned.
        false_alarms: Probability that tests for deterioration and of quality stop a good change: the sum of
            their levels. It is taken out of β.

    Raises:
        ValueError: An argument is out of range, or false alarms use up all of β.

    Source:
        Schultzberg, Ankargren and Frånberg 2024, Risk-aware product decisions in A/B tests with multiple
        metrics, arXiv 2402.11609.

    Example:
        >>> levels = rule_levels(successes=2, guardrails=3)
        >>> levels.success_alpha, levels.guardrail_alpha, round(levels.power, 4)
        (0.025, 0.05, 0.95)
    """
    check_alpha(alpha)
    if successes < 1 or guardrails < 0:
        raise ValueError(
            f"There are {successes} success and {guardrails} guardrail metrics; a rule needs one success "
            "metric at least."
        )
    if not alpha < power < 1:
        raise ValueError(f"power is {power!r}; it must lie between alpha, {alpha!r}, and 1, for example 0.8.")
    if not 0 <= false_alarms < 1 - power:
        raise ValueError(
            f"false_alarms is {false_alarms!r}; it must be 0 or more and leave something of 1 - power, "
            f"{1 - power:.4g}."
        )
    beta = (1 - power - false_alarms) / (guardrails + 1)
    return RuleLevels(alpha / successes, alpha, 1 - beta)


def rule_sample_size(
    *,
    successes: Mapping[str, PlannedTest],
    guardrails: Mapping[str, PlannedTest],
    alpha: float = 0.05,
    power: float = 0.8,
    false_alarms: float = 0.0,
) -> RuleSize:
    """The units that a whole decision needs: each metric at its corrected level and power.

    Args:
        successes: The success metrics by name, each with a one-sided design at level α/S.
        guardrails: The guardrails by name, each with its margin as the null value and a one-sided design at
            level α.
        alpha: As in `rule_levels`.
        power: As there.
        false_alarms: As there.

    Returns:
        The size. With it the rule ships a change as planned with probability `power` at least, however the
        metrics are correlated.

    Raises:
        ValueError: A design has another level than the rule gives it or is two-sided, a name stands in both
            groups, or another argument is out of range.

    Example:
        >>> from equipoise_stats import fixed_design, proportion_outcome
        >>> up = fixed_design(alpha=0.05, alternative="greater")
        >>> plan = rule_sample_size(
        ...     successes={"bookings": PlannedTest(proportion_outcome(0.1), 0.05, 0.0, "lift", up)},
        ...     guardrails={"returns": PlannedTest(proportion_outcome(0.6), 0.0, -0.01, "lift", up)},
        ... )
        >>> plan.binding, round(plan.units)
        ('returns', 226097)
    """
    levels = rule_levels(
        successes=len(successes),
        guardrails=len(guardrails),
        alpha=alpha,
        power=power,
        false_alarms=false_alarms,
    )
    both = sorted(set(successes) & set(guardrails))
    if both:
        raise ValueError(f"These metrics are success and guardrail metrics at once: {both}.")
    _check_levels(successes, levels.success_alpha)
    _check_levels(guardrails, levels.guardrail_alpha)
    sizes = {
        name: sample_size(test, power=levels.power) for name, test in {**successes, **guardrails}.items()
    }
    binding = max(sizes, key=lambda name: sizes[name].units)
    return RuleSize(sizes[binding].units, binding, sizes)


def ship_probability(*, successes: Sequence[float], guardrails: Sequence[float]) -> float:
    """The probability that a rule ships, if its metrics are independent.

    Args:
        successes: For each success metric, the probability that its superiority is shown.
        guardrails: For each guardrail, the probability that its non-inferiority is shown.

    Raises:
        ValueError: A number is no probability.

    Example:
        One success metric and three guardrails, each with a power of 80 %, ship two good changes in five:

        >>> round(ship_probability(successes=[0.8], guardrails=[0.8] * 3), 4)
        0.4096
    """
    for value in (*successes, *guardrails):
        if not 0 <= value <= 1:
            raise ValueError(f"{value!r} is no probability.")
    return (1 - math.prod(1 - value for value in successes)) * math.prod(guardrails)


def _check_levels(tests: Mapping[str, PlannedTest], alpha: float) -> None:
    for name, test in tests.items():
        if test.design.two_sided:
            raise ValueError(f"The design of {name!r} is two-sided; a decision asks one side of each metric.")
        if not math.isclose(test.design.alpha, alpha, rel_tol=1e-9):
            raise ValueError(
                f"The design of {name!r} has alpha {test.design.alpha!r}; the rule gives it {alpha!r} "
                "(`rule_levels`)."
            )
