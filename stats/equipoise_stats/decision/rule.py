"""The rule: which metrics decide, in which role, at which levels."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from equipoise_stats.inference.comparison import Alternative, Scale
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.margins import Better
from equipoise_stats.power.rule import RuleLevels, rule_levels
from equipoise_stats.results import Serialisable

Role = Literal["success", "guardrail", "deterioration"]
"""What a metric is for: to be improved; not to get worse by a margin; only to be watched for harm."""


@dataclass(frozen=True, slots=True)
class DecisionMetric(Serialisable):
    """A metric in a decision.

    Attributes:
        name: Name of the metric.
        role: `success`, `guardrail` or `deterioration`. Every metric is watched for harm.
        better: Whether higher or lower values are better.
        margin: A guardrail's margin, the largest acceptable loss: positive, on its scale. None for
            the others.
        scale: The margin's scale.

    Raises:
        ValueError: A guardrail has no margin, another metric has one, or a part is out of range.

    Example:
        >>> DecisionMetric("latency", "guardrail", better="lower", margin=0.02, scale="lift").claim
        ('less', 0.02)
    """

    name: str
    role: Role
    better: Better = "higher"
    margin: float | None = None
    scale: Scale = "lift"

    def __post_init__(self) -> None:
        for what, value, known in (
            ("role", self.role, get_args(Role)),
            ("better", self.better, get_args(Better)),
            ("scale", self.scale, get_args(Scale)),
        ):
            if value not in known:
                raise ValueError(
                    f"{what} of {self.name!r} is {value!r}; it must be one of {', '.join(known)}."
                )
        if self.role != "guardrail":
            if self.margin is not None:
                raise ValueError(f"{self.name!r} is a {self.role} metric; only guardrails have a margin.")
            return
        if self.margin is None or not (self.margin > 0 and math.isfinite(self.margin)):
            raise ValueError(
                f"The margin of the guardrail {self.name!r} is {self.margin!r}; give the largest acceptable "
                "loss, a positive number."
            )
        if self.scale == "lift" and self.better == "higher" and self.margin >= 1:
            raise ValueError(
                f"The margin of {self.name!r} is {self.margin!r}; nothing can lose 100 % or more."
            )

    @property
    def claim(self) -> tuple[Alternative, float]:
        """What is to be shown: the side, and the null value on the metric's scale."""
        loss = 0.0 if self.margin is None else self.margin
        return ("greater", 0.0 - loss) if self.better == "higher" else ("less", loss)

    @property
    def harm(self) -> Alternative:
        """The side on which the metric gets worse."""
        return "less" if self.better == "higher" else "greater"


@dataclass(frozen=True, slots=True)
class DecisionRule(Serialisable):
    """When to ship.

    At least one success metric is better, no guardrail is worse by its margin, no metric is shown to be worse
    than without the change, and no quality check fails.

    Attributes:
        metrics: The metrics. Without a success metric among them nothing is shipped.
        alpha: One-sided level. Each of S success metrics is tested at α/S, each guardrail at α.
        deterioration_alpha: One-sided level of all tests for harm together; each has an equal part.

    Raises:
        ValueError: A name stands twice, or a level is out of range.

    Source:
        Schultzberg, Ankargren and Frånberg 2024, arXiv 2402.11609.

    Example:
        >>> rule = DecisionRule(
        ...     (DecisionMetric("bookings", "success"), DecisionMetric("returns", "guardrail", margin=0.01))
        ... )
        >>> rule.levels(power=0.8).success_alpha, rule.harm_alpha
        (0.05, 0.005)
    """

    metrics: tuple[DecisionMetric, ...]
    alpha: float = 0.05
    deterioration_alpha: float = 0.01

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_alpha(self.deterioration_alpha)
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"A metric is named twice: {names}.")

    @property
    def harm_alpha(self) -> float:
        """One-sided level of each test for harm."""
        return self.deterioration_alpha / len(self.metrics)

    def alpha_of(self, metric: DecisionMetric) -> float:
        """One-sided level of what a success metric or a guardrail is to show."""
        return self.alpha / self._count("success") if metric.role == "success" else self.alpha

    def levels(self, *, power: float = 0.8, quality_alpha: float = 0.0) -> RuleLevels:
        """The levels and the power to plan each metric with, so that the rule as a whole has its power.

        Args:
            power: Probability of shipping a change as planned.
            quality_alpha: Sum of the levels of the quality checks. It and the level of the tests for harm
                are taken out of β, as both can stop a good change.

        Raises:
            ValueError: There is no success metric, power is out of range, or these levels use up all of β.
        """
        return rule_levels(
            successes=self._count("success"),
            guardrails=self._count("guardrail"),
            alpha=self.alpha,
            power=power,
            false_alarms=self.deterioration_alpha + quality_alpha,
        )

    def _count(self, role: Role) -> int:
        return sum(metric.role == role for metric in self.metrics)
