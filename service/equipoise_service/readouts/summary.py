"""The summary of a readout: a few plain sentences, by rules.

It begins with what decides whether anything can be read (no units, a broken sample ratio), then says what
happened to the first success metric, then what happened to the others, then what was left out.
"""

from collections.abc import Sequence
from enum import StrEnum

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.readouts.schemas import (
    Arm,
    Comparison,
    Health,
    MetricResult,
)
from equipoise_service.readouts.wording import (
    MINUS,
    count,
    decimals_for,
    listing,
    number,
    p_value,
    percent,
)
from equipoise_stats import CheckStatus

# With more treatments than this, the headline groups them instead of giving each a sentence.
_MOST_SENTENCES = 2


class Outcome(StrEnum):
    """What a comparison says, in the direction that the plan calls better."""

    BETTER = "better"
    WORSE = "worse"
    FLAT = "flat"
    UNKNOWN = "unknown"


def outcome(metric: PlannedMetric, comparison: Comparison, alpha: float) -> Outcome:
    """What a comparison says; `FLAT` is no detectable difference, not no difference."""
    difference = comparison.difference
    if difference.p_value is None or difference.estimate is None:
        return Outcome.UNKNOWN
    if difference.p_value > alpha:
        return Outcome.FLAT
    up = difference.estimate > 0
    return Outcome.BETTER if up == (metric.direction is Direction.INCREASE) else Outcome.WORSE


def summarise(plan: Plan, arms: Sequence[Arm], health: Health, metrics: Sequence[MetricResult]) -> str:
    """Writes the summary.

    Args:
        plan: The plan.
        arms: Every arm.
        health: The checks.
        metrics: The results, in the order of the plan's metrics.
    """
    blocked = _blocked(plan, arms, health)
    sentences = [blocked or _results(plan, arms, metrics), *([] if blocked else _not_yet(metrics))]
    sentences.append(_left_out(health))
    return " ".join(sentence for sentence in sentences if sentence)


def _blocked(plan: Plan, arms: Sequence[Arm], health: Health) -> str | None:
    """Why nothing may be read, if so."""
    exposed = [arm.variant for arm in arms if arm.units]
    ratio = health.sample_ratio
    if not exposed:
        return "No unit is in any arm yet, so there is nothing to read."
    if ratio.status is CheckStatus.FAILED:
        shares = listing(
            [f"{arm.variant} {arm.units:,} (planned {percent(arm.expected_share)})" for arm in arms]
        )
        p = "" if ratio.p_value is None else f", p {_p_relation(ratio.p_value)}"
        return (
            f"Do not rely on these results: the arms did not get their planned shares of the units "
            f"({shares}{p}). Find out why before deciding anything."
        )
    if plan.control not in exposed:
        return f"The control ({plan.control}) has no units yet, so there is nothing to compare with."
    if exposed == [plan.control]:
        return f"Only {plan.control}, the control, has units, so there is nothing to compare."
    return None


def _results(plan: Plan, arms: Sequence[Arm], metrics: Sequence[MetricResult]) -> str:
    if not plan.metrics:
        units = listing([f"{arm.variant} {arm.units:,}" for arm in arms])
        return f"The plan has no metric; the arms have these units: {units}."
    first = next((i for i, metric in enumerate(plan.metrics) if metric.role is Role.SUCCESS), 0)
    headline = _headline(plan, plan.metrics[first], metrics[first].comparisons)
    others = [pair for i, pair in enumerate(zip(plan.metrics, metrics, strict=True)) if i != first]
    return " ".join([headline, *_others(plan, others)])


def _headline(plan: Plan, metric: PlannedMetric, comparisons: Sequence[Comparison]) -> str:
    if len(comparisons) <= _MOST_SENTENCES:
        return " ".join(_sentence(plan, metric, comparison) for comparison in comparisons)
    texts = {
        Outcome.BETTER: f"better than {plan.control}",
        Outcome.WORSE: f"worse than {plan.control}",
        Outcome.FLAT: f"not detectably different from {plan.control}",
        Outcome.UNKNOWN: "no result yet",
    }
    parts = []
    for each, text in texts.items():
        who = [_named(metric, c, each) for c in comparisons if outcome(metric, c, plan.alpha) is each]
        parts += [f"{text}: {listing(who)}"] if who else []
    return f"On {metric.key}, {'; '.join(parts)}."


def _named(metric: PlannedMetric, comparison: Comparison, found: Outcome) -> str:
    """A variant, with its effect where it has a detectable one."""
    if found not in (Outcome.BETTER, Outcome.WORSE):
        return comparison.variant
    sign = "+" if (comparison.difference.estimate or 0) > 0 else MINUS
    return f"{comparison.variant} ({sign}{_effect(metric, comparison)[0]})"


def _sentence(plan: Plan, metric: PlannedMetric, comparison: Comparison) -> str:
    found = outcome(metric, comparison, plan.alpha)
    if found is Outcome.UNKNOWN:
        return (
            f"There is no result for {metric.key} of {comparison.variant} yet: {comparison.difference.reason}"
        )
    effect, low, high = _effect(metric, comparison)
    certainty = f"{100 * (1 - plan.alpha):g} % interval"
    p = _p_relation(comparison.difference.p_value or 0)
    values = _arm_values(metric, comparison)
    care = f" Read this with care: {comparison.warnings[0].message}" if comparison.warnings else ""
    variant, baseline = comparison.variant, comparison.baseline
    if found is Outcome.FLAT:
        return (
            f"{variant} and {baseline} do not differ detectably on {metric.key} ({values}): the effect of "
            f"{variant} lies between {low} and {high} ({certainty}, p {p}), so larger effects either way are "
            f"excluded.{care}"
        )
    verb = "raises" if (comparison.difference.estimate or 0) > 0 else "lowers"
    return (
        f"{variant} {verb} {metric.key} by {effect} ({values}; {certainty} {low} to {high}, p {p}), "
        f"which is {found}.{care}"
    )


def _effect(metric: PlannedMetric, comparison: Comparison) -> tuple[str, str, str]:
    """The effect without its sign, and the ends of its interval with signs: as a lift where there is one."""
    lift, difference = comparison.lift, comparison.difference
    if lift.estimate is not None and lift.interval is not None:
        bounds, estimate, unit, scale = lift.interval, lift.estimate, " %", 100.0
    elif metric.type.is_share:
        bounds, estimate, unit, scale = (
            difference.interval or [],
            difference.estimate or 0.0,
            " percentage points",
            100.0,
        )
    else:
        bounds, estimate, unit, scale = difference.interval or [], difference.estimate or 0.0, "", 1.0
    shown = [scale * bound for bound in bounds]
    decimals = decimals_for(shown)
    low, high = (number(bound, decimals=decimals, signed=True) + unit for bound in shown)
    return number(abs(scale * estimate), decimals=decimals) + unit, low, high


def _arm_values(metric: PlannedMetric, comparison: Comparison) -> str:
    statistics = comparison.statistics
    both = [statistics.variant.value or 0.0, statistics.baseline.value or 0.0]
    if metric.type.is_share:
        shown = [percent(value) for value in both]
    else:
        largest = [max(map(abs, both)), 0.0]
        shown = [number(value, decimals=decimals_for(largest, digits=4)) for value in both]
    return f"{shown[0]} against {shown[1]}"


def _others(plan: Plan, pairs: Sequence[tuple[PlannedMetric, MetricResult]]) -> list[str]:
    """What happened to the other metrics, by outcome."""
    leads = {
        Outcome.WORSE: "Worse",
        Outcome.BETTER: "Better",
        Outcome.FLAT: "No detectable difference",
        Outcome.UNKNOWN: "No result yet",
    }
    sentences = []
    for each, lead in leads.items():
        names = [_name(plan, metric, result, each) for metric, result in pairs]
        if any(names):
            sentences.append(f"{lead}: {listing([name for name in names if name])}.")
    return sentences


def _name(plan: Plan, metric: PlannedMetric, result: MetricResult, wanted: Outcome) -> str | None:
    """A metric and for which variants it has an outcome; None for none of them."""
    variants = [c.variant for c in result.comparisons if outcome(metric, c, plan.alpha) is wanted]
    if not variants:
        return None
    notes = ["guardrail"] if metric.role is Role.GUARDRAIL else []
    notes += [listing(variants)] if len(variants) < len(result.comparisons) else []
    return f"{metric.key} ({', '.join(notes)})" if notes else metric.key


def _not_yet(metrics: Sequence[MetricResult]) -> list[str]:
    """Which metrics leave out units whose window has not passed."""
    sentences = []
    for metric in metrics:
        sides = {c.variant: c.statistics.variant for c in metric.comparisons}
        sides |= {c.baseline: c.statistics.baseline for c in metric.comparisons}
        units = sum(side.immature for side in sides.values())
        if units:
            what = f"{count(units, 'unit', 'units')} {_was(units)} not counted on {metric.metric} yet"
            sentences.append(f"{what}: {'its' if units == 1 else 'their'} window had not passed.")
    return sentences


def _left_out(health: Health) -> str:
    crossovers, rows = health.crossovers, health.incomplete_rows
    sentences = []
    if crossovers.status is not CheckStatus.OK:
        who = f"{count(crossovers.units, 'unit', 'units')} ({percent(crossovers.share or 0)} of all)"
        sentences.append(f"{who} met several variants and {_was(crossovers.units)} left out.")
    if rows is not None and rows.status is not CheckStatus.OK:
        what = f"{count(rows.rows, 'row', 'rows')} lacked a unit, a variant or a time"
        sentences.append(f"{what} and {_was(rows.rows)} left out.")
    return " ".join(sentences)


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _p_relation(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
