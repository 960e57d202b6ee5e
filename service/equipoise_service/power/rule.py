"""A plan's decision rule as planning takes it: levels, designs, outcomes and targets of its metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.looks import spending_of
from equipoise_service.plans.schemas import DEFAULT_LOOK_HOURS, MarginScale, Method, Multiplicity
from equipoise_service.readouts.found import CHECK_ALPHA
from equipoise_stats import Design as TestDesign
from equipoise_stats import (
    NormalBelief,
    Outcome,
    PlannedTest,
    RuleLevels,
    Scale,
    Spending,
    confidence_sequence_design,
    fixed_design,
    group_sequential_design,
    rule_levels,
)

MOST_LOOKS = 30
"""Looks that are planned for at most: more of them cost next to no more units."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A plan as planning takes it.

    Attributes:
        plan: The plan.
        levels: One-sided levels of the tests, and their power.
        treatment_share: Share of the smallest treatment in itself and the control together.
        pair_share: Share of these two in all arms.
    """

    plan: Plan
    levels: RuleLevels
    treatment_share: float
    pair_share: float

    def design(self, metric: PlannedMetric, looks: int, pair_units: float) -> TestDesign:
        """When a metric is looked at, and what it takes to reject there: both sides, as it is shown.

        Args:
            metric: A success metric or a guardrail.
            looks: How many looks there are.
            pair_units: Units of the treatment and the control at the end.
        """
        success = metric.role is Role.SUCCESS
        alpha = 2 * (self.levels.success_alpha if success else self.levels.guardrail_alpha)
        if self.plan.method is Method.GROUP_SEQUENTIAL:
            return _group_sequential(looks, spending_of(self.plan), alpha)
        if self.plan.method is Method.CONFIDENCE_SEQUENCE:
            return confidence_sequence_design(
                looks,
                tuning_fraction=self.plan.tuning_units / pair_units,
                tuning_alpha=self.plan.alpha,
                alpha=alpha,
            )
        return fixed_design(alpha=alpha)

    def looks_by(self, days: float) -> int:
        """How many looks there are within a number of days."""
        plan = self.plan
        if plan.method not in (Method.GROUP_SEQUENTIAL, Method.CONFIDENCE_SEQUENCE):
            return 1
        if plan.looks is not None and plan.looks.count is not None:
            return min(plan.looks.count, MOST_LOOKS)
        hours = DEFAULT_LOOK_HOURS if plan.looks is None else plan.looks.every_hours or DEFAULT_LOOK_HOURS
        return max(1, min(int(days * 24 / hours), MOST_LOOKS))


def rule_of(plan: Plan) -> Rule:
    """The rule of a plan.

    Raises:
        ValueError: It has no success metric, or its levels leave nothing of the power.
    """
    roles = [metric.role for metric in plan.metrics]
    treatments = len(plan.treatments)
    successes = roles.count(Role.SUCCESS)
    if not successes:
        raise ValueError("the plan has no success metric, so there is nothing that it could show")
    family = 1 if plan.multiplicity is Multiplicity.NONE else successes * treatments
    if plan.method is Method.BAYESIAN:
        # Posteriors are not corrected: the decision rule alone divides the level, by the metrics.
        family = successes
    # The tests of the sample ratio, each quality metric, and the balance where there is a pre-period.
    checks = 2 + bool(plan.segments) + roles.count(Role.QUALITY) * treatments
    checks += any(metric.measure.days_before is not None for metric in plan.metrics)
    false_alarms = plan.deterioration_alpha / treatments + checks * CHECK_ALPHA
    if false_alarms >= 1 - plan.power:
        raise ValueError(
            f"a good change is stopped by chance with a probability of {false_alarms:.4g}: by its "
            f"deterioration_alpha, {plan.deterioration_alpha:g}, and by the checks, {CHECK_ALPHA:g} each. So "
            f"no number of units has the power {plan.power:g}; ask for less than {1 - false_alarms:.4g}"
        )
    levels = rule_levels(
        successes=family,
        guardrails=sum(decides(metric) for metric in plan.metrics) - successes,
        alpha=plan.alpha / 2,
        power=plan.power,
        false_alarms=false_alarms,
    )
    weights = plan.weights
    smallest = min(weights[variant] for variant in plan.treatments)
    pair = smallest + weights[plan.control]
    return Rule(plan, levels, smallest / pair, pair / sum(weights.values()))


def decides(metric: PlannedMetric) -> bool:
    """Whether something has to be shown of a metric before a change is shipped."""
    return metric.role is Role.SUCCESS or (metric.role is Role.GUARDRAIL and metric.margin is not None)


def planned_test(
    rule: Rule, metric: PlannedMetric, outcome: Outcome, design: TestDesign
) -> PlannedTest | None:
    """The test of a metric at its target; None for a success metric without an effect to find.

    Raises:
        ValueError: The target is impossible for the outcome.
    """
    better = 1.0 if metric.direction is Direction.INCREASE else -1.0
    scale: Scale = "lift" if metric.scale is MarginScale.LIFT else "difference"
    if metric.role is Role.SUCCESS:
        if metric.mde is None:
            return None
        effect, null = better * metric.mde, 0.0
    else:
        effect, null = 0.0, -better * (metric.margin or 0.0)
    prior = believed(rule, 1.0 if scale == "lift" else outcome.baseline)
    return PlannedTest(outcome, effect, null, scale, design, rule.treatment_share, prior)


def believed(rule: Rule, unit: float) -> NormalBelief | None:
    """The prior of a Bayesian plan, None of another.

    Args:
        rule: The rule.
        unit: What it is asked in: 1 for a lift, the metric's value for a difference.

    Raises:
        ValueError: The unit is not positive, or too small for the prior.
    """
    prior = rule.plan.prior
    return None if prior is None else NormalBelief(prior.mean, prior.standard_deviation).scaled(unit)


def window_days(metric: PlannedMetric) -> float:
    """Days from a unit's first exposure until it counts."""
    return metric.measure.matures_after / 24


Outcomes = Mapping[str, Outcome | str]
"""For each metric what is known of it, or why nothing is."""


@lru_cache(maxsize=256)  # levels come from requests
def _group_sequential(looks: int, spending: Spending, alpha: float) -> TestDesign:
    return group_sequential_design(looks, spending=spending, alpha=alpha)
