"""The summary of a readout: a few plain sentences, by rules.

It begins with what decides whether anything can be read (no units, a failed check), then says what the plan
recommends, what happened to the first success metric, what happened to the others, and what was left out.
The texts are in `texts.summary`.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.schemas import MarginScale
from equipoise_service.readouts.advice import Recommendation
from equipoise_service.readouts.by_age import ByAge
from equipoise_service.readouts.checks import Health
from equipoise_service.readouts.counted import Population
from equipoise_service.readouts.notes import little_adjusted
from equipoise_service.readouts.numerals import (
    MINUS,
    decimals_for,
    number,
    p_value,
    percent,
)
from equipoise_service.readouts.repeat import Repeat
from equipoise_service.readouts.schemas import Arm, Comparison, MetricResult, SegmentResult
from equipoise_service.texts.saying import counted, listing, say
from equipoise_stats import CheckStatus, ClaimOutcome, DecisionOutcome, ReasonCode

_TOLD_BY_RESULTS = (
    ReasonCode.SUCCESS_SHOWN,
    ReasonCode.SUCCESS_NOT_SHOWN,
    ReasonCode.WAITS_FOR_THE_END,
    ReasonCode.NO_ANSWER,
)


@dataclass(frozen=True, slots=True)
class _Advised:
    """What the recommendation says that the comparisons do not say by themselves.

    Attributes:
        harmed: Metrics and treatments that are shown to be worse.
        unharmed: Metrics that decide by harm alone, and treatments, of which that is not shown.
        stands: Beside an earlier conclusion that stands, the treatments of which nothing is waited for.
    """

    harmed: AbstractSet[tuple[str, str]]
    unharmed: AbstractSet[tuple[str, str]]
    stands: AbstractSet[str]


# With more treatments than this, the headline groups them instead of giving each a sentence.
_MOST_SENTENCES = 2


class Outcome(StrEnum):
    """What a comparison says, in the direction that the plan calls better."""

    WORSE = "worse"
    BETTER = "better"
    FLAT = "flat"
    WAITING = "waiting"
    UNKNOWN = "unknown"


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


def summarise(
    plan: Plan,
    arms: Sequence[Arm],
    health: Health,
    metrics: Sequence[MetricResult],
    recommendation: Recommendation,
    *,
    segments: Sequence[SegmentResult],
    by_age: ByAge | None,
    population: Population,
    deviations: int = 0,
    repeat: Repeat | None = None,
) -> str:
    """Writes the summary.

    Args:
        plan: The plan.
        arms: Every arm.
        health: The checks.
        metrics: The results, in the order of the plan's metrics.
        recommendation: What the plan's rule recommends.
        segments: The segments.
        by_age: The effects by days since exposure, where somebody looked.
        population: Who was counted.
        deviations: How often the plan was changed after its lock.
        repeat: Of a readout that is repeated after a ship: what became of the effects.
    """
    sentences = _blocked(plan, arms, health)
    if not sentences and repeat is not None:
        sentences = [repeat.text, *_not_yet(metrics)]
    elif not sentences:
        sentences = _advice(recommendation)
        sentences += [_results(plan, arms, metrics, _advised(recommendation)), *_not_yet(metrics)]
        sentences += [
            each.text for each in segments if any(one.detected is not None for one in each.heterogeneity)
        ]
        if by_age is not None and any(one.detected for each in by_age.metrics for one in each.effects):
            sentences.append(by_age.text)
        beside = health.interactions
        if beside is not None and beside.status is CheckStatus.WARNING:
            sentences.append(beside.reason or "")
    sentences += _left_out(health, population)
    if deviations:
        sentences.append(counted("deviations", deviations))
    return " ".join(sentences)


def _advice(recommendation: Recommendation) -> list[str]:
    """What is recommended, with the reasons that the results after it do not tell."""
    if recommendation.outcome is None:
        return []
    reasons = [each.message for each in recommendation.reasons if each.code not in _TOLD_BY_RESULTS]
    return [recommendation.text, *reasons]


def _blocked(plan: Plan, arms: Sequence[Arm], health: Health) -> list[str]:
    """Why nothing may be read, if so."""
    exposed = [arm.variant for arm in arms if arm.units]
    if not exposed:
        return [say("blocked.no_units")]
    failed = [check for check in health.all.values() if check.status is CheckStatus.FAILED]
    if failed:
        ratios = (health.sample_ratio, health.sequential_sample_ratio)
        what = " ".join(dict.fromkeys(check.reason or "" for check in failed))
        broken = next((check for check in ratios if check.status is CheckStatus.FAILED), None)
        if broken is not None:
            shares = listing(
                [
                    say(
                        "blocked.share",
                        arm=arm.variant,
                        units=f"{arm.units:,}",
                        planned=percent(arm.expected_share),
                    )
                    for arm in arms
                ]
            )
            p = "" if broken.p_value is None else say("result.p", relation=_relation(broken.p_value))
            what = say("blocked.sample_ratio", shares=shares, p=p)
        return [say("blocked.failed", what=what)]
    if plan.control not in exposed:
        return [say("blocked.no_control", control=plan.control)]
    if exposed == [plan.control]:
        return [say("blocked.only_control", control=plan.control)]
    return []


def _advised(recommendation: Recommendation) -> _Advised:
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
    return _Advised(harmed, unharmed, stands)


def _told(metric: PlannedMetric, comparison: Comparison, advised: _Advised) -> Outcome:
    """What is said of a comparison with the control: never less than that it is shown to be worse."""
    return (
        Outcome.WORSE if (metric.key, comparison.variant) in advised.harmed else outcome(metric, comparison)
    )


def _results(plan: Plan, arms: Sequence[Arm], metrics: Sequence[MetricResult], advised: _Advised) -> str:
    if not plan.metrics:
        return say("no_metric", units=listing([f"{arm.variant} {arm.units:,}" for arm in arms]))
    first = next((i for i, metric in enumerate(plan.metrics) if metric.role is Role.SUCCESS), 0)
    headline = _headline(plan, plan.metrics[first], metrics[first].comparisons, advised)
    little = little_adjusted(plan.metrics[first], metrics[first].comparisons)
    others = [pair for i, pair in enumerate(zip(plan.metrics, metrics, strict=True)) if i != first]
    return " ".join([headline, *([little] if little else []), *_others(others, advised)])


def _headline(plan: Plan, metric: PlannedMetric, comparisons: Sequence[Comparison], advised: _Advised) -> str:
    if len(comparisons) <= _MOST_SENTENCES:
        return " ".join(_sentence(plan, metric, comparison, advised) for comparison in comparisons)
    parts = []
    for each in (Outcome.BETTER, Outcome.WORSE, Outcome.FLAT, Outcome.WAITING, Outcome.UNKNOWN):
        who = [
            _named(metric, c, each)
            for c in comparisons
            if _told(metric, c, advised) is each and not _is_since(metric, c, advised)
        ]
        parts += [f"{say(f'group.{each}', control=plan.control)}: {listing(who)}"] if who else []
    since = [c.variant for c in comparisons if _is_since(metric, c, advised)]
    parts += [f"{say('group.since')}: {listing(since)}"] if since else []
    return say("group", metric=metric.key, parts="; ".join(parts))


def _named(metric: PlannedMetric, comparison: Comparison, found: Outcome) -> str:
    """A variant, with its effect where it has a detectable one."""
    if found not in (Outcome.BETTER, Outcome.WORSE):
        return comparison.variant
    sign = "+" if (comparison.difference.estimate or 0) > 0 else MINUS
    return f"{comparison.variant} ({sign}{_effect(metric, comparison)[0]})"


def _sentence(plan: Plan, metric: PlannedMetric, comparison: Comparison, advised: _Advised) -> str:
    found = outcome(metric, comparison)
    subject = {"variant": comparison.variant, "baseline": comparison.baseline, "metric": metric.key}
    if found is Outcome.UNKNOWN:
        if comparison.difference.estimate is not None:
            return say("result.open", **subject, values=_arm_values(metric, comparison))
        return say("result.unknown", **subject, reason=comparison.difference.reason)
    if comparison.difference.interval is None:
        return say("result.open", **subject, values=_arm_values(metric, comparison))
    effect, low, high = _effect(metric, comparison)
    p = comparison.difference.p_value
    up = (comparison.difference.estimate or 0) > 0
    is_harm = found is not Outcome.WORSE and _told(metric, comparison, advised) is Outcome.WORSE
    key = "since" if _is_since(metric, comparison, advised) else found.value
    text = say(
        f"result.{'harmed' if is_harm else key}",
        **subject,
        verb=say("result.raises" if up else "result.lowers"),
        effect=effect,
        values=_arm_values(metric, comparison),
        certainty=say("interval", level=f"{100 * (1 - plan.alpha):g} %"),
        low=low,
        high=high,
        p="" if p is None else say("result.p", relation=_relation(p)),
    )
    flat = key == Outcome.FLAT and not is_harm
    extra = [_correction(plan, comparison), _underpowered(metric, comparison)] if flat else []
    care = [say("result.care", message=comparison.warnings[0].message)] if comparison.warnings else []
    return " ".join([text, *(each for each in extra if each), *care])


def _is_since(metric: PlannedMetric, comparison: Comparison, advised: _Advised) -> bool:
    """Whether newer data show nothing beside an earlier conclusion, so that they are told as they are."""
    told = _told(metric, comparison, advised)
    shows_nothing = told is Outcome.WAITING or (told is Outcome.FLAT and metric.role is Role.SUCCESS)
    return shows_nothing and comparison.variant in advised.stands


def _correction(plan: Plan, comparison: Comparison) -> str:
    """That it is the correction for several tests by which nothing is detected, where it is."""
    alone, corrected = comparison.difference.p_value, comparison.corrected
    if alone is None or alone > plan.alpha or corrected is None or corrected.p_value is None:
        return ""
    return say("result.corrected", p=_relation(corrected.p_value))


def _underpowered(metric: PlannedMetric, comparison: Comparison) -> str:
    """That the effect which the plan wants found is still possible, where it is."""
    if metric.mde is None:
        return ""
    lift = metric.scale is MarginScale.LIFT
    interval = comparison.lift.interval if lift else comparison.difference.interval
    sign = 1 if metric.direction is Direction.INCREASE else -1
    if interval is None or not interval[0] <= sign * metric.mde <= interval[1]:
        return ""
    if lift:
        mde = percent(sign * metric.mde, decimals=decimals_for([100 * metric.mde, 0.0]), signed=True)
    else:
        scale, unit = _unit(metric)
        decimals = decimals_for([scale * metric.mde, 0.0])
        mde = number(sign * scale * metric.mde, decimals=decimals, signed=True) + unit
    return say("result.underpowered", mde=mde)


def _unit(metric: PlannedMetric) -> tuple[float, str]:
    """What a difference is multiplied by to be shown, and its unit."""
    return (100.0, f" {say('percentage_points')}") if metric.type.is_share else (1.0, "")


def _effect(metric: PlannedMetric, comparison: Comparison) -> tuple[str, str, str]:
    """The effect without its sign, and the ends of its interval with signs: as a lift where there is one."""
    lift, difference = comparison.lift, comparison.difference
    if lift.estimate is not None and lift.interval is not None:
        bounds, estimate, unit, scale = lift.interval, lift.estimate, " %", 100.0
    else:
        scale, unit = _unit(metric)
        bounds, estimate = difference.interval or [], difference.estimate or 0.0
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
    return say("against", variant=shown[0], baseline=shown[1])


def _others(pairs: Sequence[tuple[PlannedMetric, MetricResult]], advised: _Advised) -> list[str]:
    """What happened to the other metrics, by outcome."""
    sentences = []
    for each in Outcome:
        names = [_name(metric, result, each, advised) for metric, result in pairs]
        if any(names):
            sentences.append(say(f"others.{each}", names=listing([name for name in names if name])))
    unwanted = [_of_variants(metric, result, _unwanted(metric, result, advised)) for metric, result in pairs]
    if any(unwanted):
        sentences.append(say("others.not_harmed", names=listing([name for name in unwanted if name])))
    return sentences


def _unwanted(metric: PlannedMetric, result: MetricResult, advised: _Advised) -> list[str]:
    """For which variants a metric differs in the unwanted direction, and is not shown to be harmed."""
    return [
        each.variant
        for each in result.comparisons
        if outcome(metric, each) is Outcome.WORSE and (metric.key, each.variant) in advised.unharmed
    ]


def _name(metric: PlannedMetric, result: MetricResult, wanted: Outcome, advised: _Advised) -> str | None:
    """A metric and for which variants it has an outcome; None for none of them."""
    variants = [
        c.variant
        for c in result.comparisons
        if _told(metric, c, advised) is wanted
        and not (wanted is Outcome.WAITING and c.variant in advised.stands)
        and not (wanted is Outcome.WORSE and (metric.key, c.variant) in advised.unharmed)
    ]
    return _of_variants(metric, result, variants)


def _of_variants(metric: PlannedMetric, result: MetricResult, variants: Sequence[str]) -> str | None:
    """A metric, its role, and some of its variants where they are not all; None for none of them."""
    if not variants:
        return None
    notes = [] if metric.role is Role.SUCCESS else [say(f"role.{metric.role}")]
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
            sentences.append(counted("left_out.immature", units, metric=metric.metric))
    return sentences


def _left_out(health: Health, population: Population) -> list[str]:
    crossovers, rows, dropped = health.crossovers, health.incomplete_rows, health.dropped_items
    sentences = []
    if crossovers.status is not CheckStatus.OK:
        share = percent(crossovers.share or 0)
        units = crossovers.units
        sentences.append(counted("left_out.crossovers", units, share=share))
    if rows is not None and rows.status is not CheckStatus.OK:
        sentences.append(counted("left_out.rows", rows.rows))
    if dropped is not None and dropped.status is not CheckStatus.OK:
        sentences.append(counted("left_out.dropped", dropped.items))
    bots, joined = population.bots, population.joined
    if population.overridden:
        sentences.append(counted("left_out.overridden", population.overridden))
    if bots:
        sentences.append(counted("left_out.bots", bots))
    if joined is not None and joined.left_out:
        sentences.append(counted("left_out.unknown_units", joined.left_out))
    return sentences


def _relation(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else say("relation.equal", p=text)
