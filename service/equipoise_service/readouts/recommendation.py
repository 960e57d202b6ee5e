"""What the plan's rule recommends, for each treatment and altogether."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.schemas import MarginScale, Method
from equipoise_service.readouts.advice import (
    Finding,
    Reason,
    Recommendation,
    TreatmentRecommendation,
    Until,
)
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.progress import Moment
from equipoise_service.readouts.standing import Concluded, overrides
from equipoise_service.readouts.unanswered import why_no_test
from equipoise_service.texts.checks import CHECKS
from equipoise_service.texts.saying import say
from equipoise_stats import (
    CheckStatus,
    Compare,
    DecisionMetric,
    DecisionOutcome,
    DecisionRule,
    MetricFinding,
    ReasonCode,
    decide,
)
from equipoise_stats import Reason as Found

_Item = TypeVar("_Item")

# Of several treatments' outcomes, the one that the experiment as a whole has.
_FIRST = (
    DecisionOutcome.SHIP,
    DecisionOutcome.KEEP_RUNNING,
    DecisionOutcome.INVESTIGATE,
    DecisionOutcome.DO_NOT_SHIP,
)


def decision_metric(metric: PlannedMetric) -> DecisionMetric | None:
    """A metric as the rule takes it; None for one that decides nothing.

    A guardrail without a margin has nothing to show, so it is watched for harm.
    """
    if metric.role is Role.QUALITY:
        return None
    better = "higher" if metric.direction is Direction.INCREASE else "lower"
    scale = "lift" if metric.scale is MarginScale.LIFT else "difference"
    if metric.role is Role.GUARDRAIL and metric.margin is not None:
        return DecisionMetric(metric.key, "guardrail", better, metric.margin, scale)  # type: ignore[arg-type]
    role = "success" if metric.role is Role.SUCCESS else "deterioration"
    return DecisionMetric(metric.key, role, better, None, scale)  # type: ignore[arg-type]


def recommend(
    plan: Plan,
    moment: Moment,
    questions: Mapping[str, Mapping[str, Compare]],
    *,
    quality: Mapping[str, CheckStatus],
    gains: Mapping[str, float],
    ends_at: str | None,
    concluded: Concluded | None = None,
) -> Recommendation:
    """Applies the rule.

    Without a success metric nothing is ever shipped by it: it says only which treatments are shown to be
    worse, and that a check failed.

    Args:
        plan: The plan.
        moment: Where it stands.
        questions: For each treatment and metric, the inference as the rule asks it.
        quality: The status of each check.
        gains: For each treatment, the gain on the first success metric: the largest is shipped.
        ends_at: When the planned days are over.
        concluded: What an earlier readout concluded for good; None without one.
    """
    metrics = [found for metric in plan.metrics if (found := decision_metric(metric)) is not None]
    succeeds = any(metric.role == "success" for metric in metrics)
    rule = DecisionRule(
        tuple(metrics),
        alpha=plan.alpha / 2,
        deterioration_alpha=plan.deterioration_alpha / max(1, len(questions)),
    )
    each = [
        _treatment(plan, rule, variant, asked, quality, moment.complete)
        for variant, asked in questions.items()
    ]
    if not succeeds:
        each = [one for one in each if overrides(one)]
    stands = None
    if concluded is not None:
        each = [concluded.instead_of(one) for one in each]
        stands = concluded.standing if any(one.stands for one in each) else None
    outcome = next((found for found in _FIRST if any(one.outcome is found for one in each)), None)
    if not succeeds and len(each) < len(questions):
        # Of the other treatments nothing is recommended.
        return nothing_recommended("outcome.none").model_copy(update={"treatments": each})
    deciding = [one for one in each if one.outcome is outcome]
    variant = None
    if outcome is DecisionOutcome.SHIP:
        shipped = None if stands is None else stands.variant
        deciding = [max(deciding, key=lambda one: (one.variant == shipped, gains.get(one.variant, 0.0)))]
        variant = deciding[0].variant
    until = _until(plan, moment, ends_at) if outcome is DecisionOutcome.KEEP_RUNNING else None
    head = _head(plan, outcome, variant, until, last_look_due=moment.last_look_due)
    if concluded is not None and stands is not None and all(one.stands for one in deciding):
        head = _standing(head, concluded)
    elif moment.stopped is not None:
        head = say(_stopped(plan, moment), outcome=head, share=percent(moment.stopped, decimals=1))
    several = len(plan.treatments) > 1 and outcome is not DecisionOutcome.SHIP
    reasons = _distinct(
        reason.model_copy(update={"message": say("reason.of", variant=one.variant, reason=reason.message)})
        if several and not _is_check(reason)
        else reason
        for one in deciding
        for reason in one.reasons
        if reason.decisive
    )
    return Recommendation(
        outcome=outcome,
        variant=variant,
        text=head,
        reasons=reasons,
        would_change=_would_change(plan, outcome, reasons),
        until=until,
        treatments=each,
        stands=stands,
    )


def _standing(head: str, concluded: Concluded) -> str:
    """The outcome, and which earlier readout it is of."""
    found = concluded.standing
    if concluded.once:
        return say("outcome.analysis_stands", outcome=head, at=_minute(found.at))
    if concluded.final:
        return say("outcome.stands", outcome=head, number=found.look)
    if found.look is not None:
        return say("outcome.look_found", outcome=head, number=found.look)
    return say("outcome.readout_found", outcome=head, at=_minute(found.at))


def _minute(at: str | None) -> str:
    return (at or "")[:16].replace("T", " ")


def _stopped(plan: Plan, moment: Moment) -> str:
    """The key of what is said of an experiment that was stopped before its end."""
    if not moment.at_look:
        return "outcome.stopped_once"
    once = plan.method is Method.FIXED_HORIZON
    return "outcome.stopped_analysed" if once else "outcome.stopped_looked"


def nothing_recommended(key: str, **fields: str) -> Recommendation:
    """No recommendation.

    Args:
        key: The key of the text that says why.
        fields: What the text names.
    """
    return Recommendation(
        outcome=None,
        variant=None,
        text=say(key, **fields),
        reasons=[],
        would_change=[],
        until=None,
        treatments=[],
    )


def _treatment(
    plan: Plan,
    rule: DecisionRule,
    variant: str,
    asked: Mapping[str, Compare],
    quality: Mapping[str, CheckStatus],
    complete: bool,
) -> TreatmentRecommendation:
    found = decide(rule, asked, quality=quality, complete=complete)
    return TreatmentRecommendation(
        variant=variant,
        outcome=found.outcome,
        reasons=[_reason(plan, reason, found.findings) for reason in found.reasons],
        findings=[
            Finding(metric=one.metric.name, role=one.metric.role, claim=one.claim, harm=one.harm)
            for one in found.findings
        ],
    )


def _reason(plan: Plan, reason: Found, findings: Iterable[MetricFinding]) -> Reason:
    subject = CHECKS[reason.subject].title if reason.code.value.startswith("quality") else reason.subject
    message = say(
        f"reason.{reason.code.value}",
        subject=subject,
        margin=_margin(plan, reason.subject),
        why=_why_no_answer(reason.subject, findings),
    )
    return Reason(code=reason.code, subject=reason.subject, message=message, decisive=reason.decisive)


def _why_no_answer(metric: str, findings: Iterable[MetricFinding]) -> str:
    """Why nothing is tested of a metric, of its claim or else of its harm; empty where something is."""
    tests = (
        why_no_test(asked)
        for each in findings
        if each.metric.name == metric
        for asked in (each.claim_comparison, each.harm_comparison)
        if asked is not None
    )
    return next((why for why in tests if why is not None), "")


def _margin(plan: Plan, key: str) -> str:
    metric = next((each for each in plan.metrics if each.key == key), None)
    return "" if metric is None else margin_text(metric)


def margin_text(metric: PlannedMetric) -> str:
    """The margin of a metric in words; empty where it has none."""
    if metric.margin is None:
        return ""
    if metric.scale is MarginScale.LIFT or metric.type.is_share:
        margin = percent(metric.margin)
        return say("margin.points", margin=margin) if metric.scale is MarginScale.DIFFERENCE else margin
    return f"{metric.margin:g}"


def _until(plan: Plan, moment: Moment, ends_at: str | None) -> Until:
    units = plan.horizon.units if plan.horizon is not None else None
    left = None if units is None else max(0, units - moment.units)
    return Until(units=units, units_left=left, at=ends_at)


def _head(
    plan: Plan,
    outcome: DecisionOutcome | None,
    variant: str | None,
    until: Until | None,
    *,
    last_look_due: bool,
) -> str:
    if outcome is None:
        return say("outcome.none")
    text = ""
    if until is not None:
        known = [name for name, value in (("units", until.units), ("date", until.at)) if value is not None]
        due = "until.analysis" if plan.method is Method.FIXED_HORIZON else "until.final_look"
        key = due if last_look_due else f"until.{'_or_'.join(known) or 'open'}"
        text = say(
            key,
            units=f"{until.units or 0:,}",
            left=f"{until.units_left or 0:,}",
            date=(until.at or "")[:10],
        )
    return say(f"outcome.{outcome.value}", variant=variant, until=text)


def _would_change(plan: Plan, outcome: DecisionOutcome | None, reasons: Sequence[Reason]) -> list[str]:
    if outcome is DecisionOutcome.SHIP:
        return [say("change.shown")]
    return _distinct(
        say(
            _change(plan, reason),
            subject=CHECKS[reason.subject].title if _is_check(reason) else reason.subject,
            margin=_margin(plan, reason.subject),
        )
        for reason in reasons
        if reason.code is not ReasonCode.QUALITY_WARNING
    )


def _change(plan: Plan, reason: Reason) -> str:
    """The key of what would change a reason: a plan without looks has its end only to wait for."""
    if reason.code is ReasonCode.WAITS_FOR_THE_END and plan.method is not Method.GROUP_SEQUENTIAL:
        return "at_the_end"
    return f"change.{reason.code.value}"


def _is_check(reason: Reason) -> bool:
    return reason.code.value.startswith("quality")


def _distinct(items: Iterable[_Item]) -> list[_Item]:
    found: list[_Item] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found
