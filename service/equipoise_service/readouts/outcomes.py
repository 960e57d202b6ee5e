"""What a comparison says, in the direction that the plan calls better, and what the recommendation adds."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.advice import Recommendation
from equipoise_service.readouts.schemas import Comparison
from equipoise_stats import ClaimOutcome, DecisionOutcome


class Outcome(StrEnum):
    """What a comparison says, in the direction that the plan calls better."""

    WORSE = "worse"
    BETTER = "better"
    FLAT = "flat"
    WAITING = "waiting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Advised:
    """What the recommendation says that the comparisons do not say by themselves.

    Attributes:
        harmed: Metrics and treatments that are shown to be worse.
        unharmed: Metrics that decide by harm alone, and treatments, of which that is not shown.
        stands: Beside an earlier conclusion that stands, the treatments of which nothing is waited for.
    """

    harmed: AbstractSet[tuple[str, str]]
    unharmed: AbstractSet[tuple[str, str]]
    stands: AbstractSet[str]


def outcome(metric: PlannedMetric, comparison: Comparison) -> Outcome:
    """What a comparison says; `FLAT` is no detectable difference, not no difference.

    `WAITING` is one that cannot be concluded from at this moment, `UNKNOWN` one that has no result.
    """
    difference = comparison.difference
    if difference.estimate is None or (comparison.detected is None and difference.status != "ok"):
        return Outcome.UNKNOWN
    if comparison.detected is None:
        return Outcome.WAITING
    if not comparison.detected:
        return Outcome.FLAT
    up = difference.estimate > 0
    return Outcome.BETTER if up == (metric.direction is Direction.INCREASE) else Outcome.WORSE


def advised_by(recommendation: Recommendation) -> Advised:
    """What is shown to be worse, by a test of its own that may see more than the plan's at this moment."""
    found = [(each.variant, one) for each in recommendation.treatments for one in each.findings]
    harmed = {(one.metric, variant) for variant, one in found if one.harm == ClaimOutcome.SHOWN}
    unharmed = {
        (one.metric, variant)
        for variant, one in found
        if one.role != "success" and one.harm != ClaimOutcome.SHOWN
    }
    waiting = (DecisionOutcome.SHIP, DecisionOutcome.KEEP_RUNNING)
    stands = {
        each.variant
        for each in recommendation.treatments
        if each.stands or (recommendation.stands is not None and each.outcome not in waiting)
    }
    return Advised(harmed, unharmed, stands)


def told(metric: PlannedMetric, comparison: Comparison, advised: Advised) -> Outcome:
    """What is said of a comparison with the control: never less than that it is shown to be worse."""
    return (
        Outcome.WORSE if (metric.key, comparison.variant) in advised.harmed else outcome(metric, comparison)
    )


def is_since(metric: PlannedMetric, comparison: Comparison, advised: Advised) -> bool:
    """Whether newer data show nothing beside an earlier conclusion, so that they are told as they are."""
    found = told(metric, comparison, advised)
    shows_nothing = found is Outcome.WAITING or (found is Outcome.FLAT and metric.role is Role.SUCCESS)
    return shows_nothing and comparison.variant in advised.stands
