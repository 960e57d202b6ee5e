"""Whether what was shipped still does what it did: the effects of a repeated readout, and those of then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.schemas import MarginScale
from equipoise_service.readouts.recommendation import margin_text
from equipoise_service.readouts.repeat import (
    Decided,
    DecidedEffect,
    EffectNumbers,
    Lasting,
    LastingEffect,
    Repeat,
)
from equipoise_service.readouts.repeat_cells import effect_text
from equipoise_service.readouts.schemas import Comparison, Difference, Lift, MetricResult
from equipoise_service.texts.saying import counted, say
from equipoise_stats import Effect, Interval, Status, change_of_effect


@dataclass(frozen=True, slots=True)
class RepeatOf:
    """What a readout repeats.

    Attributes:
        days: How many days after the ship.
        decided: The readout that was decided on.
    """

    days: int
    decided: Decided


def decided_on(readout: Mapping[str, Any], variant: str, control: str) -> Decided:
    """What is kept of a readout that a variant was shipped on.

    Args:
        readout: The readout, as its JSON parses.
        variant: What was shipped.
        control: What it is compared with.
    """
    shown = [
        (metric["metric"], each)
        for metric in readout["metrics"]
        for each in metric["comparisons"]
        if (each["variant"], each["baseline"]) == (variant, control)
    ]
    return Decided(
        revision=readout["revision"],
        readout_digest=readout["digest"],
        generated_at=readout["generated_at"],
        variant=variant,
        effects=[
            DecidedEffect(
                metric=metric,
                difference=_numbers(each["difference"]["estimate"], each["difference"]["interval"]),
                lift=_numbers(each["lift"]["estimate"], each["lift"]["interval"]),
            )
            for metric, each in shown
        ],
    )


def repeat_of(plan: Plan, asked: RepeatOf, metrics: Sequence[MetricResult], *, failed: bool) -> Repeat:
    """Holds the effects of now against those of then.

    Args:
        plan: The plan of the repeated readout.
        asked: What it repeats.
        metrics: Its results, in the plan's order.
        failed: Whether a check failed, so that nothing can be told.
    """
    then = {each.metric: each for each in asked.decided.effects}
    effects = [
        _effect(metric, then.get(metric.key), result, failed)
        for metric, result in zip(plan.metrics, metrics, strict=True)
        if metric.role is not Role.QUALITY and result.comparisons
    ]
    head = say("repeat.head", days=counted("days", asked.days), variant=asked.decided.variant)
    return Repeat(
        days=asked.days,
        decided=asked.decided,
        effects=effects,
        text=" ".join([head, *(each.text for each in effects)]),
    )


def _effect(
    metric: PlannedMetric, decided: DecidedEffect | None, result: MetricResult, failed: bool
) -> LastingEffect:
    before = decided or DecidedEffect(metric=metric.key, difference=None, lift=None)
    known = _on_one_scale(metric, before, result.comparisons[0])
    if known is None:
        missing = before.lift is None and before.difference is None
        when = say("repeat.unknown.then" if missing else "repeat.unknown.now")
        return LastingEffect(
            metric=metric.key,
            role=metric.role,
            scale=None,
            then=None,
            now=None,
            change=None,
            then_holds_now=None,
            now_holds_then=None,
            finding=Lasting.CANNOT_TELL,
            text=say("repeat.unknown", metric=metric.key, when=when),
        )
    scale, then, now = known
    found = change_of_effect(earlier=_as_effect(then), later=_as_effect(now))
    interval = found.interval
    change = None if interval is None else _numbers(found.estimate, [interval.lower, interval.upper])
    finding, key = _judged(metric, then, now, change)
    if failed:
        finding, key = Lasting.CANNOT_TELL, "repeat.failed"
    return LastingEffect(
        metric=metric.key,
        role=metric.role,
        scale=scale,
        then=then,
        now=now,
        change=change,
        then_holds_now=_holds(then, now.estimate),
        now_holds_then=_holds(now, then.estimate),
        finding=finding,
        text=" ".join(
            [
                say(key, metric=metric.key, margin=margin_text(metric)),
                say(
                    "repeat.numbers",
                    then=effect_text(metric, scale, then),
                    now=effect_text(metric, scale, now),
                ),
            ]
        ),
    )


def _on_one_scale(
    metric: PlannedMetric, decided: DecidedEffect, comparison: Comparison
) -> tuple[MarginScale, EffectNumbers, EffectNumbers] | None:
    """Both effects on the margin's scale; without a margin as lifts, as values change from month to month."""
    pairs = {
        MarginScale.LIFT: (decided.lift, _found(comparison.lift)),
        MarginScale.DIFFERENCE: (decided.difference, _found(comparison.difference)),
    }
    for scale in [metric.scale] if metric.margin is not None else MarginScale:
        then, now = pairs[scale]
        if then is not None and now is not None:
            return scale, then, now
    return None


class _Side(StrEnum):
    """On which side of no effect an interval lies."""

    BETTER = "better"
    WORSE = "worse"
    BOTH = "both"


def _judged(
    metric: PlannedMetric, then: EffectNumbers, now: EffectNumbers, change: EffectNumbers | None
) -> tuple[Lasting, str]:
    """What became of an effect, and the key of its text."""
    before, after = _side(metric, then), _side(metric, now)
    if metric.margin is not None:
        if _worst(metric, now) > -metric.margin:
            return Lasting.HOLDS, "repeat.within"
        if after is _Side.WORSE:
            return Lasting.TURNED, "repeat.within.turned"
        return Lasting.CANNOT_TELL, "repeat.within.cannot_tell"
    if metric.role is not Role.SUCCESS and before is not _Side.WORSE and after is not _Side.WORSE:
        return Lasting.HOLDS, "repeat.harmless"
    if before is _Side.BOTH:
        if after is _Side.BOTH:
            return Lasting.CANNOT_TELL, "repeat.cannot_tell"
        better = "repeat.appeared.better" if after is _Side.BETTER else "repeat.appeared.worse"
        return Lasting.APPEARED, better
    if after not in (before, _Side.BOTH):
        return Lasting.TURNED, "repeat.turned"
    if change is not None and _side(metric, change) not in (before, _Side.BOTH):
        return Lasting.FADED, "repeat.faded"
    if after is before:
        return Lasting.HOLDS, "repeat.holds"
    return Lasting.CANNOT_TELL, "repeat.cannot_tell"


def _side(metric: PlannedMetric, effect: EffectNumbers) -> _Side:
    low, high = effect.interval
    if low <= 0 <= high:
        return _Side.BOTH
    return _Side.BETTER if (low > 0) == (metric.direction is Direction.INCREASE) else _Side.WORSE


def _worst(metric: PlannedMetric, effect: EffectNumbers) -> float:
    """The end of the interval that is worse, as a gain."""
    low, high = effect.interval
    return low if metric.direction is Direction.INCREASE else -high


def _holds(effect: EffectNumbers, value: float) -> bool:
    low, high = effect.interval
    return low <= value <= high


def _found(effect: Difference | Lift) -> EffectNumbers | None:
    return _numbers(effect.estimate, effect.interval)


def _numbers(estimate: float | None, interval: Sequence[float] | None) -> EffectNumbers | None:
    if estimate is None or interval is None:
        return None
    return EffectNumbers(estimate=estimate, interval=list(interval))


def _as_effect(effect: EffectNumbers) -> Effect:
    return Effect(Status.OK, None, effect.estimate, None, Interval(*effect.interval))
