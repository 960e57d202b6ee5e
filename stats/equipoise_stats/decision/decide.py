"""Applies a decision rule to the metrics of an experiment."""

from collections.abc import Mapping

from equipoise_stats.decision.outcome import (
    ClaimOutcome,
    DecisionOutcome,
    MetricFinding,
    Reason,
    ReasonCode,
    Recommendation,
)
from equipoise_stats.decision.rule import DecisionMetric, DecisionRule
from equipoise_stats.inference.compare import Compare
from equipoise_stats.inference.comparison import Comparison
from equipoise_stats.results import CheckStatus

_VALID_WHILE_RUNNING = frozenset(
    {"group_sequential", "confidence_sequence", "mixture_sprt", "anytime_t", "adaptive_confidence_sequence"}
)

_SHOWN = {"success": ReasonCode.SUCCESS_SHOWN, "guardrail": ReasonCode.GUARDRAIL_SHOWN}
_NOT_SHOWN = {"success": ReasonCode.SUCCESS_NOT_SHOWN, "guardrail": ReasonCode.GUARDRAIL_NOT_SHOWN}


def decide(
    rule: DecisionRule,
    compare: Mapping[str, Compare],
    *,
    quality: Mapping[str, CheckStatus],
    complete: bool,
) -> Recommendation:
    """Recommends what to do: ship, do not ship, keep running or investigate.

    In this order:

    1. a quality check failed: **investigate**; no other number can be trusted;
    2. a metric is shown to be worse: **do not ship**;
    3. a success metric is shown to be better, every guardrail not to be worse by its margin, and all checks
       and tests for harm are there: **ship**, before the planned end too if the inference allows looking;
    4. before the planned end: **keep running**;
    5. a check or a test has no answer: **investigate**;
    6. else **do not ship**.

    Before the planned end a fixed-horizon result counts for nothing: it waits.

    Args:
        rule: The rule.
        compare: For each metric of the rule, an inference with its data bound: `partial(fixed_horizon,
            estimate)`, `partial(confidence_sequence, estimate, tuning_units=…)`, `at_looks(estimate, …)`. It
            is asked at the rule's levels, one-sided.
        quality: Status of each quality check, by name.
        complete: Whether the planned end is reached.

    Returns:
        The recommendation with its reasons and all comparisons.

    Raises:
        ValueError: A metric has no inference, or an inference no metric.

    Source:
        Schultzberg, Ankargren and Frånberg 2024, arXiv 2402.11609 (the conditions for shipping).

    Example:
        >>> from functools import partial
        >>> from equipoise_stats import Counts, fixed_horizon, proportion_difference
        >>> rule = DecisionRule((DecisionMetric("bookings", "success"),))
        >>> bookings = proportion_difference(treatment=Counts(9000, 980), control=Counts(9000, 900))
        >>> found = decide(
        ...     rule,
        ...     {"bookings": partial(fixed_horizon, bookings)},
        ...     quality={"sample ratio": CheckStatus.OK},
        ...     complete=True,
        ... )
        >>> found.outcome.value, found.summary
        ('ship', "Ship: 'bookings' is better.")
    """
    names = {metric.name for metric in rule.metrics}
    if names != set(compare):
        raise ValueError(
            f"Metrics without an inference: {sorted(names - set(compare))}; inferences without a metric: "
            f"{sorted(set(compare) - names)}."
        )
    findings = tuple(_finding(rule, metric, compare[metric.name], complete) for metric in rule.metrics)
    reasons = [*_quality_reasons(quality), *(reason for one in findings for reason in _reasons(one))]
    outcome, decisive = _outcome({reason.code for reason in reasons}, complete)
    marked = [_marked(reason, decisive) for reason in reasons]
    return Recommendation(
        outcome, tuple(sorted(marked, key=lambda reason: not reason.decisive)), findings, complete
    )


def _outcome(codes: set[ReasonCode], complete: bool) -> tuple[DecisionOutcome, set[ReasonCode]]:
    """The outcome, and the codes of the reasons from which it follows."""
    unanswered = {ReasonCode.NO_ANSWER, ReasonCode.QUALITY_UNAVAILABLE}
    missing = {*unanswered, ReasonCode.WAITS_FOR_THE_END, ReasonCode.GUARDRAIL_NOT_SHOWN}
    better = ReasonCode.SUCCESS_SHOWN in codes
    if ReasonCode.QUALITY_FAILED in codes:
        return DecisionOutcome.INVESTIGATE, {ReasonCode.QUALITY_FAILED}
    if ReasonCode.DETERIORATED in codes:
        return DecisionOutcome.DO_NOT_SHIP, {ReasonCode.DETERIORATED}
    if better and not codes & missing:
        return DecisionOutcome.SHIP, {ReasonCode.SUCCESS_SHOWN, ReasonCode.GUARDRAIL_SHOWN}
    lacking = missing if better else {*missing, ReasonCode.SUCCESS_NOT_SHOWN}
    if not complete:
        return DecisionOutcome.KEEP_RUNNING, lacking
    if codes & unanswered:
        return DecisionOutcome.INVESTIGATE, unanswered
    return DecisionOutcome.DO_NOT_SHIP, lacking


def _finding(rule: DecisionRule, metric: DecisionMetric, compare: Compare, complete: bool) -> MetricFinding:
    harm = compare(alpha=rule.harm_alpha, alternative=metric.harm)
    if metric.role == "deterioration":
        return MetricFinding(metric, None, _shown(harm, complete), None, harm)
    side, null = metric.claim
    scale = metric.scale if metric.role == "guardrail" else "difference"
    claim = compare(alpha=rule.alpha_of(metric), alternative=side, null=null, scale=scale)
    return MetricFinding(metric, _shown(claim, complete), _shown(harm, complete), claim, harm)


def _shown(comparison: Comparison, complete: bool) -> ClaimOutcome:
    if not complete and comparison.method.name.removeprefix("running_") not in _VALID_WHILE_RUNNING:
        return ClaimOutcome.WAITING
    if comparison.test.rejected is None:
        return ClaimOutcome.UNAVAILABLE
    return ClaimOutcome.SHOWN if comparison.test.rejected else ClaimOutcome.NOT_SHOWN


def _quality_reasons(quality: Mapping[str, CheckStatus]) -> list[Reason]:
    said = {
        CheckStatus.FAILED: (ReasonCode.QUALITY_FAILED, "The check {!r} failed; results cannot be trusted."),
        CheckStatus.UNAVAILABLE: (ReasonCode.QUALITY_UNAVAILABLE, "The check {!r} has no result."),
        CheckStatus.WARNING: (ReasonCode.QUALITY_WARNING, "The check {!r} warns."),
    }
    return [
        Reason(said[status][0], name, said[status][1].format(name))
        for name, status in quality.items()
        if status in said
    ]


def _reasons(finding: MetricFinding) -> list[Reason]:
    name, role = finding.metric.name, finding.metric.role
    reasons = []
    if finding.harm is ClaimOutcome.SHOWN:
        reasons.append(Reason(ReasonCode.DETERIORATED, name, f"{name!r} is worse."))
    if ClaimOutcome.WAITING in (finding.claim, finding.harm):
        message = f"{name!r} is tested at the planned end only."
        reasons.append(Reason(ReasonCode.WAITS_FOR_THE_END, name, message))
    if ClaimOutcome.UNAVAILABLE in (finding.claim, finding.harm):
        comparisons = (finding.claim_comparison, finding.harm_comparison)
        why = next(one.test.reason for one in comparisons if one is not None and one.test.reason)
        reasons.append(Reason(ReasonCode.NO_ANSWER, name, f"{name!r} has no answer: {why}"))
    if finding.claim is ClaimOutcome.SHOWN:
        reasons.append(Reason(_SHOWN[role], name, f"{name!r} is {_claimed(finding.metric)}."))
    if finding.claim is ClaimOutcome.NOT_SHOWN:
        message = f"{name!r} is not shown to be {_claimed(finding.metric)}."
        reasons.append(Reason(_NOT_SHOWN[role], name, message))
    return reasons


def _claimed(metric: DecisionMetric) -> str:
    if metric.margin is None:
        return "better"
    margin = f"{metric.margin:.4g}" if metric.scale == "difference" else f"{metric.margin:.4g} of the control"
    return f"less than {margin} worse"


def _marked(reason: Reason, decisive: set[ReasonCode]) -> Reason:
    return Reason(reason.code, reason.subject, reason.message, reason.code in decisive)
