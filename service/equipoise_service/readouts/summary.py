"""The summary of a readout: a few plain sentences, by rules.

It begins with what decides whether anything can be read (no units, a failed check), then says what the plan
recommends, what happened to the first success metric, what happened to the others, and what was left out.
The texts are in `texts.summary`.
"""

from collections.abc import Sequence

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.looks import leading_metric
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
from equipoise_service.readouts.others import ALL, few, not_yet, of_changes, of_others
from equipoise_service.readouts.outcomes import Advised, Outcome, advised_by, is_since, outcome, told
from equipoise_service.readouts.repeat import Repeat
from equipoise_service.readouts.schemas import Arm, Comparison, MetricResult, SegmentResult
from equipoise_service.texts.saying import counted, listing, say
from equipoise_stats import CheckStatus, ReasonCode

_TOLD_BY_RESULTS = (
    ReasonCode.SUCCESS_SHOWN,
    ReasonCode.SUCCESS_NOT_SHOWN,
    ReasonCode.WAITS_FOR_THE_END,
    ReasonCode.NO_ANSWER,
)


# With more treatments than this, the headline groups them instead of giving each a sentence.
_MOST_SENTENCES = 2

# Half a minute of reading. What is longer names fewer of a kind, and counts the rest.
_MOST_WORDS = 120
_ROOMS = (ALL, 3, 2, 1)
_FEWEST_SHARES = 5


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
    for most in _ROOMS:
        sentences = _blocked(plan, arms, health, most)
        if not sentences and repeat is not None:
            sentences = [repeat.text, *not_yet(metrics, leading_metric(plan), most)]
        elif not sentences:
            sentences = _advice(recommendation, most)
            sentences += _results(plan, arms, metrics, advised_by(recommendation), most)
            sentences += not_yet(metrics, leading_metric(plan), most)
            sentences += of_changes(segments, by_age, health.interactions, most)
        sentences += _left_out(health, population)
        if deviations:
            sentences.append(counted("deviations", deviations))
        text = " ".join(sentences)
        if len(text.split()) <= _MOST_WORDS:
            break
    return text


def _advice(recommendation: Recommendation, most: int) -> list[str]:
    """What is recommended, with the reasons that the results after it do not tell."""
    if recommendation.outcome is None:
        return []
    reasons = [each.message for each in recommendation.reasons if each.code not in _TOLD_BY_RESULTS]
    rest = len(reasons) - most
    more = [counted("advice.more", rest)] if rest > 0 else []
    return [recommendation.text, *reasons[:most], *more]


def _blocked(plan: Plan, arms: Sequence[Arm], health: Health, most: int) -> list[str]:
    """Why nothing may be read, if so."""
    exposed = [arm.variant for arm in arms if arm.units]
    if not exposed:
        return [say("blocked.no_units")]
    failed = [check for check in health.all.values() if check.status is CheckStatus.FAILED]
    if failed:
        ratios = (health.sample_ratio, health.sequential_sample_ratio)
        reasons = list(dict.fromkeys(check.reason or "" for check in failed))
        rest = len(reasons) - most
        what = " ".join([*reasons[:most], *([counted("blocked.more", rest)] if rest > 0 else [])])
        broken = next((check for check in ratios if check.status is CheckStatus.FAILED), None)
        if broken is not None:
            shares = few(
                [
                    say(
                        "blocked.share",
                        arm=arm.variant,
                        units=f"{arm.units:,}",
                        planned=percent(arm.expected_share),
                    )
                    for arm in arms
                ],
                max(most, _FEWEST_SHARES),
            )
            p = "" if broken.p_value is None else say("result.p", relation=_relation(broken.p_value))
            what = say("blocked.sample_ratio", shares=shares, p=p)
        return [say("blocked.failed", what=what)]
    if plan.control not in exposed:
        return [say("blocked.no_control", control=plan.control)]
    if exposed == [plan.control]:
        return [say("blocked.only_control", control=plan.control)]
    return []


def _results(
    plan: Plan, arms: Sequence[Arm], metrics: Sequence[MetricResult], advised: Advised, most: int
) -> list[str]:
    if not plan.metrics:
        return [say("no_metric", units=listing([f"{arm.variant} {arm.units:,}" for arm in arms]))]
    first = next((i for i, metric in enumerate(plan.metrics) if metric.role is Role.SUCCESS), 0)
    headline = _headline(plan, plan.metrics[first], metrics[first].comparisons, advised, most)
    little = little_adjusted(plan.metrics[first], metrics[first].comparisons)
    others = [pair for i, pair in enumerate(zip(plan.metrics, metrics, strict=True)) if i != first]
    return [headline, *([little] if little and most > 1 else []), *of_others(others, advised, most)]


def _headline(
    plan: Plan, metric: PlannedMetric, comparisons: Sequence[Comparison], advised: Advised, most: int
) -> str:
    if len(comparisons) <= min(_MOST_SENTENCES, most):
        return " ".join(_sentence(plan, metric, comparison, advised, most) for comparison in comparisons)
    parts = []
    for each in (Outcome.BETTER, Outcome.WORSE, Outcome.FLAT, Outcome.WAITING, Outcome.UNKNOWN):
        who = [
            _named(metric, c, each)
            for c in comparisons
            if told(metric, c, advised) is each and not is_since(metric, c, advised)
        ]
        parts += [f"{say(f'group.{each}', control=plan.control)}: {few(who, most)}"] if who else []
    since = [c.variant for c in comparisons if is_since(metric, c, advised)]
    parts += [f"{say('group.since')}: {few(since, most)}"] if since else []
    return say("group", metric=metric.key, parts="; ".join(parts))


def _named(metric: PlannedMetric, comparison: Comparison, found: Outcome) -> str:
    """A variant, with its effect where it has a detectable one."""
    # What the test for harm finds may have no interval at this look.
    if found not in (Outcome.BETTER, Outcome.WORSE) or comparison.difference.interval is None:
        return comparison.variant
    sign = "+" if (comparison.difference.estimate or 0) > 0 else MINUS
    return f"{comparison.variant} ({sign}{_effect(metric, comparison)[0]})"


def _sentence(plan: Plan, metric: PlannedMetric, comparison: Comparison, advised: Advised, most: int) -> str:
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
    is_harm = found is not Outcome.WORSE and told(metric, comparison, advised) is Outcome.WORSE
    key = "since" if is_since(metric, comparison, advised) else found.value
    flat = key == Outcome.FLAT and not is_harm
    if flat and most == 1:
        key = "flat_briefly"
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
    extra = [_correction(plan, comparison), _underpowered(metric, comparison)] if flat else []
    care = [say("result.care", message=comparison.warnings[0].message)] if comparison.warnings else []
    # The nearer the sentence has to come to its number, the less is told beside it.
    return " ".join([text, *[each for each in (*extra, *care) if each][: most - 1]])


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
