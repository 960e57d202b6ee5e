"""What a decision rule recommends, and why."""

from dataclasses import dataclass
from enum import StrEnum

from equipoise_stats.decision.rule import DecisionMetric
from equipoise_stats.inference.comparison import Comparison
from equipoise_stats.results import Serialisable


class DecisionOutcome(StrEnum):
    """What to do."""

    SHIP = "ship"
    DO_NOT_SHIP = "do_not_ship"
    KEEP_RUNNING = "keep_running"
    INVESTIGATE = "investigate"


class ClaimOutcome(StrEnum):
    """Whether something is shown of a metric."""

    SHOWN = "shown"
    NOT_SHOWN = "not_shown"
    WAITING = "waiting"
    UNAVAILABLE = "unavailable"


class ReasonCode(StrEnum):
    """Why."""

    QUALITY_FAILED = "quality_failed"
    QUALITY_UNAVAILABLE = "quality_unavailable"
    QUALITY_WARNING = "quality_warning"
    DETERIORATED = "deteriorated"
    SUCCESS_SHOWN = "success_shown"
    SUCCESS_NOT_SHOWN = "success_not_shown"
    GUARDRAIL_SHOWN = "guardrail_shown"
    GUARDRAIL_NOT_SHOWN = "guardrail_not_shown"
    WAITS_FOR_THE_END = "waits_for_the_end"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class Reason(Serialisable):
    """A reason.

    Attributes:
        code: What it is.
        subject: Name of the metric or of the quality check.
        message: A sentence for a person.
        decisive: Whether the recommendation follows from it; the others are said beside it.
    """

    code: ReasonCode
    subject: str
    message: str
    decisive: bool = False


@dataclass(frozen=True, slots=True)
class MetricFinding(Serialisable):
    """What was found of one metric.

    Attributes:
        metric: The metric and its role.
        claim: Whether its superiority or non-inferiority is shown; None for a metric only watched for harm.
        harm: Whether it is shown to be worse.
        claim_comparison: The comparison behind `claim`: one-sided, at the rule's level; None as there.
        harm_comparison: The comparison behind `harm`.
    """

    metric: DecisionMetric
    claim: ClaimOutcome | None
    harm: ClaimOutcome
    claim_comparison: Comparison | None
    harm_comparison: Comparison


@dataclass(frozen=True, slots=True)
class Recommendation(Serialisable):
    """What the rule recommends.

    Attributes:
        outcome: What to do.
        reasons: Why, the decisive ones first.
        findings: Each metric's tests.
        complete: Whether this was the planned end.
    """

    outcome: DecisionOutcome
    reasons: tuple[Reason, ...]
    findings: tuple[MetricFinding, ...]
    complete: bool

    @property
    def summary(self) -> str:
        """The recommendation in one paragraph: the outcome, then the decisive reasons."""
        said = " ".join(reason.message for reason in self.reasons if reason.decisive)
        return f"{_WORDS[self.outcome]}: {said}"


_WORDS = {
    DecisionOutcome.SHIP: "Ship",
    DecisionOutcome.DO_NOT_SHIP: "Do not ship",
    DecisionOutcome.KEEP_RUNNING: "Keep running",
    DecisionOutcome.INVESTIGATE: "Investigate",
}
