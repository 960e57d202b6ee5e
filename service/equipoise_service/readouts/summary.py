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
from equipoise_service.readouts.recorded import Deviation
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
    deviations: Sequence[Deviation] = (),
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
        deviations: What was changed after the lock of the plan.
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
        sentences += _deviated(deviations, most)
        text = " ".join(sentences)
        if len(text.split()) <= _MOST_WORDS:
            break
    return text


def _deviated(deviations: Sequence[Deviation], most: int) -> list[str]:
    """How often the plan was changed, and which sources read something else."""
    of_plan = [each for each in deviations if not each.redefined]
    redefined = sorted({key for each in deviations for key in each.redefined})
    said = [counted("deviations", len(of_plan))] if of_plan else []
    return [*said, say("redefined", sources=few(redefined, most))] if redefined else said


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
    comparisons = metrics[first].comparisons
    headline = _headline(plan, plan.metrics[first], comparisons, advised, most)
    little = little_adjusted(plan.metrics[first], comparisons)
    others = [pair for i, pair in enumerate(zip(plan.metrics, metrics, strict=True)) if i != first]
    return [*headline, *([little] if little and most > 1 else []), *of_others(others, advised, most)]


def _headline(
    plan: Plan, metric: PlannedMetric, comparisons: Sequence[Comparison], advised: Advised, most: int
) -> list[str]:
    flat = [each for each in comparisons if _is_flat(metric, each, advised)]
    if len(comparisons) <= min(_MOST_SENTENCES, most):
        sentences = [_sentence(plan, metric, each, advised, most) for each in comparisons]
    else:
        sentences = [
            _groups(plan, metric, comparisons, advised, most),
            *_of_flat(plan, metric, flat, most),
        ]
    is_bounded = any(each.difference.interval is not None for each in flat)
    if is_bounded and metric.role is Role.SUCCESS and metric.mde is None and most > 1:
        sentences.append(say("result.to_judge"))
    return sentences


def _is_flat(metric: PlannedMetric, comparison: Comparison, advised: Advised) -> bool:
    """Whether it is said that no difference is detectable."""
    is_told = told(metric, comparison, advised) is Outcome.FLAT
    return is_told and not is_since(metric, comparison, advised)


def _groups(
    plan: Plan, metric: PlannedMetric, comparisons: Sequence[Comparison], advised: Advised, most: int
) -> str:
    """What happened to many treatments, by outcome."""
    parts = []
    for each in (Outcome.BETTER, Outcome.WORSE, Outcome.FLAT, Outcome.WAITING, Outcome.UNKNOWN):
        found = [
            c for c in comparisons if told(metric, c, advised) is each and not is_since(metric, c, advised)
        ]
        if found:
            who = few([_named(metric, c, each) for c in found], most)
            who = _within(plan, metric, found, who) if each is Outcome.FLAT else who
            parts.append(f"{say(f'group.{each}', control=plan.control)}: {who}")
    since = [c.variant for c in comparisons if is_since(metric, c, advised)]
    parts += [f"{say('group.since')}: {few(since, most)}"] if since else []
    return say("group", metric=metric.key, parts="; ".join(parts))


def _within(plan: Plan, metric: PlannedMetric, flat: Sequence[Comparison], names: str) -> str:
    """The names of treatments without a detectable effect, with what is excluded for each of them."""
    bounded = [each for each in flat if each.difference.interval is not None]
    if not bounded:
        return names
    low, high = _span(metric, bounded)
    return say("group.flat_within", names=names, certainty=_certainty(plan), low=low, high=high)


def _of_flat(plan: Plan, metric: PlannedMetric, flat: Sequence[Comparison], most: int) -> list[str]:
    """Of which treatments without a detectable effect the data are too few, or the correction decides."""
    unbounded = [each.variant for each in flat if each.difference.interval is None]
    possible = [each.variant for each in flat if _is_possible(metric, each)]
    corrected = [each.variant for each in flat if _correction(plan, each)]
    sentences = []
    if unbounded:
        sentences.append(say("group.open", names=few(unbounded, most)))
    if possible:
        sentences.append(say("group.underpowered", mde=_wanted(metric), names=few(possible, most)))
    if corrected and most > 1:
        sentences.append(say("group.corrected", names=few(corrected, most)))
    return sentences


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
    flat = _is_flat(metric, comparison, advised)
    if flat and most == 1:
        key = "flat_briefly"
    text = say(
        f"result.{'harmed' if is_harm else key}",
        **subject,
        verb=say("result.raises" if up else "result.lowers"),
        effect=effect,
        values=_arm_values(metric, comparison),
        certainty=_certainty(plan),
        low=low,
        high=high,
        p="" if p is None else say("result.p", relation=_relation(p)),
    )
    too_few = _underpowered(metric, comparison, most) if flat else ""
    correction = _correction(plan, comparison) if flat else ""
    care = say("result.care", message=comparison.warnings[0].message) if comparison.warnings else ""
    # The nearer the sentence has to come to its number, the less is told beside it. Without that data are too
    # few it would mislead.
    spare = max(0, most - 1 - bool(too_few))
    kept = [too_few, *[each for each in (correction, care) if each][:spare]]
    return " ".join([text, *[each for each in (correction, too_few, care) if each and each in kept]])


def _certainty(plan: Plan) -> str:
    return say("interval", level=f"{100 * (1 - plan.alpha):g} %")


def _correction(plan: Plan, comparison: Comparison) -> str:
    """That it is the correction for several tests by which nothing is detected, where it is."""
    alone, corrected = comparison.difference.p_value, comparison.corrected
    if alone is None or alone > plan.alpha or corrected is None or corrected.p_value is None:
        return ""
    return say("result.corrected", p=_relation(corrected.p_value))


def _underpowered(metric: PlannedMetric, comparison: Comparison, most: int) -> str:
    """That the effect which the plan wants found is still possible, where it is."""
    if not _is_possible(metric, comparison):
        return ""
    return say("result.underpowered_briefly" if most == 1 else "result.underpowered", mde=_wanted(metric))


def _is_possible(metric: PlannedMetric, comparison: Comparison) -> bool:
    """Whether the plan wants an effect found that is not excluded."""
    of = comparison.lift if metric.scale is MarginScale.LIFT else comparison.difference
    if metric.mde is None or of.interval is None:
        return False
    return of.interval[0] <= _sign(metric) * metric.mde <= of.interval[1]


def _wanted(metric: PlannedMetric) -> str:
    """The effect that the plan wants found, with its sign."""
    mde = metric.mde or 0.0
    if metric.scale is MarginScale.LIFT:
        return percent(_sign(metric) * mde, decimals=decimals_for([100 * mde, 0.0]), signed=True)
    scale, unit = _unit(metric)
    decimals = decimals_for([scale * mde, 0.0])
    return number(_sign(metric) * scale * mde, decimals=decimals, signed=True) + unit


def _sign(metric: PlannedMetric) -> int:
    """Of a better effect."""
    return 1 if metric.direction is Direction.INCREASE else -1


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
    low, high, decimals = _ends(bounds, scale, unit)
    return number(abs(scale * estimate), decimals=decimals) + unit, low, high


def _span(metric: PlannedMetric, comparisons: Sequence[Comparison]) -> tuple[str, str]:
    """The ends between which all of several effects lie: as lifts where each has one."""
    lifts = [each.lift.interval for each in comparisons if each.lift.interval is not None]
    scale, unit = (100.0, " %") if len(lifts) == len(comparisons) else _unit(metric)
    bounds = lifts if len(lifts) == len(comparisons) else [c.difference.interval or [] for c in comparisons]
    low, high, _ = _ends([min(low for low, _ in bounds), max(high for _, high in bounds)], scale, unit)
    return low, high


def _ends(bounds: Sequence[float], scale: float, unit: str) -> tuple[str, str, int]:
    """The ends of an interval with signs, and with how many decimals they are shown."""
    shown = [scale * bound for bound in bounds]
    decimals = decimals_for(shown)
    low, high = (number(bound, decimals=decimals, signed=True) + unit for bound in shown)
    return low, high, decimals


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
    if dropped is not None and dropped.items:
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
