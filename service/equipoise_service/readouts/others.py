"""What a summary says beside the effect on the leading metric: of the others, and of what may change effects.

Where there is little room only some of a kind are named, and the rest is counted.
"""

from collections.abc import Sequence

from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.by_age import ByAge
from equipoise_service.readouts.checks import Interactions
from equipoise_service.readouts.outcomes import Advised, Outcome, outcome, told
from equipoise_service.readouts.schemas import MetricResult, SegmentResult
from equipoise_service.texts.checks import CHECKS
from equipoise_service.texts.saying import counted, listing, say
from equipoise_stats import CheckStatus

ALL = 1_000
"""As many names as there can be."""

_LOUD = ("others.worse", "others.better", "others.not_harmed")
"""What is named in the smallest room, too: of the other metrics nothing is shown."""

_IN_FULL = 3
"""With room for as many names, findings are told in full."""


def few(names: Sequence[str], most: int) -> str:
    """So many of the names as a phrase, and how many more there are."""
    rest = len(names) - most
    return listing([*names[:most], counted("more", rest)]) if rest > 0 else listing(names)


def of_others(pairs: Sequence[tuple[PlannedMetric, MetricResult]], advised: Advised, most: int) -> list[str]:
    """What happened to the other metrics, by outcome, of each of which so many are named."""
    found = {
        f"others.{each}": [_name(metric, result, each, advised, most) for metric, result in pairs]
        for each in Outcome
    }
    found["others.not_harmed"] = [
        _of_variants(metric, result, _unwanted(metric, result, advised), most) for metric, result in pairs
    ]
    quiet = 0
    if most == 1:
        found = {key: found[key] for key in _LOUD}
        quiet = sum(not any(names) for names in zip(*found.values(), strict=True))
    named = {key: [name for name in names if name] for key, names in found.items()}
    sentences = [say(key, names=few(names, most)) for key, names in named.items() if names]
    return [*sentences, counted("others.quiet", quiet)] if quiet else sentences


def not_yet(metrics: Sequence[MetricResult], lead: str | None, most: int) -> list[str]:
    """Which metrics leave out units whose window has not passed: the leading one first, where it does."""
    immature: dict[str, int] = {}
    for metric in sorted(metrics, key=lambda each: each.metric != lead) if most < len(metrics) else metrics:
        sides = {c.variant: c.statistics.variant for c in metric.comparisons}
        sides |= {c.baseline: c.statistics.baseline for c in metric.comparisons}
        immature[metric.metric] = sum(side.immature for side in sides.values())
    of = [(metric, units) for metric, units in immature.items() if units]
    # One sentence alone is short enough to name its metric in any room.
    shown = of if most == ALL else of[:1]
    sentences = [counted("left_out.immature", units, metric=metric) for metric, units in shown]
    rest = len(of) - len(shown)
    return [*sentences, counted("left_out.immature_too", rest)] if rest and most > 1 else sentences


def of_changes(
    segments: Sequence[SegmentResult], by_age: ByAge | None, beside: Interactions | None, most: int
) -> list[str]:
    """What is found of effects that differ between units, change, or depend on other experiments."""
    if by_age is not None and not any(one.detected for each in by_age.metrics for one in each.effects):
        by_age = None
    if beside is not None and beside.status is not CheckStatus.WARNING:
        beside = None
    if most < _IN_FULL:
        return [*_briefly_of_segments(segments, most), *_briefly_of_ages(by_age, most), *_briefly_of(beside)]
    asked = [each.text for each in segments if any(one.detected is not None for one in each.heterogeneity)]
    return [
        *asked,
        *([] if by_age is None else [by_age.text]),
        *([] if beside is None else [beside.reason or ""]),
    ]


def _briefly_of_segments(segments: Sequence[SegmentResult], most: int) -> list[str]:
    names = [
        each.segment if each.declared else say("briefly.exploratory", segment=each.segment)
        for each in segments
        if any(one.detected for one in each.heterogeneity)
    ]
    return [say("briefly.segments", names=few(names, most))] if names else []


def _briefly_of_ages(by_age: ByAge | None, most: int) -> list[str]:
    found = [
        say(f"briefly.{effect.finding}", variant=effect.variant, metric=each.metric)
        for each in (() if by_age is None else by_age.metrics)
        for effect in each.effects
        if effect.detected
    ]
    rest = len(found) - most
    return [*found[:most], counted("briefly.changes", rest)] if rest > 0 else found


def _briefly_of(beside: Interactions | None) -> list[str]:
    return [] if beside is None else [say("briefly.interactions", check=CHECKS["interactions"].title)]


def _unwanted(metric: PlannedMetric, result: MetricResult, advised: Advised) -> list[str]:
    """For which variants a metric differs in the unwanted direction, and is not shown to be harmed."""
    return [
        each.variant
        for each in result.comparisons
        if outcome(metric, each) is Outcome.WORSE and (metric.key, each.variant) in advised.unharmed
    ]


def _name(
    metric: PlannedMetric, result: MetricResult, wanted: Outcome, advised: Advised, most: int
) -> str | None:
    """A metric and for which variants it has an outcome; None for none of them."""
    variants = [
        c.variant
        for c in result.comparisons
        if told(metric, c, advised) is wanted
        and not (wanted is Outcome.WAITING and c.variant in advised.stands)
        and not (wanted is Outcome.WORSE and (metric.key, c.variant) in advised.unharmed)
    ]
    return _of_variants(metric, result, variants, most)


def _of_variants(
    metric: PlannedMetric, result: MetricResult, variants: Sequence[str], most: int
) -> str | None:
    """A metric, its role, and some of its variants where they are not all; None for none of them."""
    if not variants:
        return None
    notes = [] if metric.role is Role.SUCCESS else [say(f"role.{metric.role}")]
    notes += [few(variants, most)] if len(variants) < len(result.comparisons) else []
    return f"{metric.key} ({', '.join(notes)})" if notes else metric.key
