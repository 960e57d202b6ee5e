"""Whether effects fade or grow with the days since a unit's first exposure.

It is asked once, at the planned end; beside confidence sequences once a day, by tests that hold whenever one
looks.

An effect changes with age only where it changes by both measures: as a difference, and as a share of what
the control does. Most units do more on the day on which they are exposed than later, so that the difference
that a constant lift makes fades by itself, and the lift that a constant difference makes grows by itself.
Both are tested, and the larger p-value is that of their union (Berger 1982, Technometrics 24).

The first measure is the slope of `equipoise_stats.novelty`. The second one compares at which age units do
what they do: the mean of ln(1 + age) over all that they do, a ratio of sums, is the same in both arms where
the treatment multiplies what is done at each age by the same number.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from equipoise_service.analysis.ages import Ages
from equipoise_service.analysis.statistics import ArmValues
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.readouts.ages import (
    FOLLOWED_DAYS,
    arm_out,
    followed_metrics,
    not_asked,
    success_metrics,
)
from equipoise_service.readouts.by_age import Age, AgeEffect, AgeMetric, ByAge, EffectAtAge
from equipoise_service.readouts.corrections import by_holm
from equipoise_service.readouts.metric_units import units_of_metrics
from equipoise_service.readouts.numerals import decimals_for, number, p_value
from equipoise_service.readouts.standing import Concluded
from equipoise_service.texts.saying import listing, say
from equipoise_stats import (
    CheckStatus,
    Comparison,
    Estimate,
    Moments,
    NoEstimate,
    NoveltyFinding,
    confidence_sequence,
    fixed_horizon,
    mean_difference,
    novelty,
    ratio_difference,
)

LEVEL = 0.01
"""The level of all tests together."""

# Where one row a unit says what it did, and not when, all of that is of the time of the exposure. A few units
# that come twice do not make a course of it.
_LATER = 0.01

_Asked = tuple[str, str]
"""A metric and a treatment."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What two arms say of a change.

    Attributes:
        log_p: Logarithm of the p-value of no change by one of the measures; None where there is no test.
        finding: How the effect changes, if it does.
        effects: The difference at each age and, where there is one, its interval.
        why_not: Why there is no test, at the end.
    """

    log_p: float | None
    finding: NoveltyFinding | None
    effects: list[EffectAtAge]
    why_not: str = "ages.too_few"


def by_age(
    plan: Plan,
    ages: Mapping[str, Ages],
    values: Mapping[str, Mapping[str, ArmValues]] | None,
    *,
    asked: bool,
    always_valid: bool | None,
    of_file: bool = False,
) -> ByAge | None:
    """The effects by days since exposure; None where nobody looked, or nothing is a success metric.

    Args:
        plan: The plan.
        ages: The ages of each metric that can be looked at so, see `ages.asked_ages`.
        values: For each of them the moments of each arm, a column an age.
        asked: Whether effects may be tested at this moment.
        always_valid: Whether the tests hold at any moment; None as in readouts from before there were any.
        of_file: Whether the data are a file, whose times, like those of a source, may be of rows alone.

    Raises:
        ValueError: The values are of other metrics or ages; only those of a source may lack.
    """
    if values is None or not success_metrics(plan):
        return None
    can_be, of_source = ages, {metric.key for metric in plan.metrics if metric.source is not None}
    ages = {metric: each for metric, each in can_be.items() if metric in values or metric not in of_source}
    if values.keys() != ages.keys():
        raise ValueError(f"by days since exposure there is {list(values)}, asked was for {list(ages)}")
    arms = {
        metric: {variant: arm_out(variant, values[metric].get(variant), each) for variant in plan.weights}
        for metric, each in ages.items()
    }
    moments = {
        metric: {arm: _moments(values[metric].get(arm), each) for arm in plan.weights}
        for metric, each in ages.items()
    }
    tests = {metric: _tests_of(plan, metric, always_valid=bool(always_valid)) for metric in ages}
    changes = {
        (metric, variant): _change(
            moments[metric][variant], moments[metric][plan.control], each, tests[metric]
        )
        for metric, each in ages.items()
        for variant in plan.treatments
    }
    elsewhere = ages if of_file else of_source & ages.keys()
    at_once = [metric for metric in elsewhere if _is_at_once(moments[metric].values())]
    changes |= {
        (metric, variant): replace(changes[metric, variant], log_p=None, finding=None, why_not="ages.at_once")
        for metric in at_once
        for variant in plan.treatments
    }
    logs: dict[_Asked, float | None] = {asked: each.log_p for asked, each in changes.items()}
    if always_valid:
        # What cannot be tested yet has its share of the level, or it would be taken from what was before.
        every = [(metric, variant) for metric in followed_metrics(plan) for variant in plan.treatments]
        logs = {asked: logs.get(asked) or 0.0 for asked in every}
    corrected = by_holm(logs) if asked else {}
    metrics = [
        AgeMetric(
            metric=metric,
            ages=[Age(first=each.days * i, last=each.days * (i + 1) - 1) for i in range(each.count)],
            arms=list(arms[metric].values()),
            effects=[
                _effect(variant, changes[metric, variant], corrected.get((metric, variant)), asked)
                for variant in plan.treatments
            ],
        )
        for metric, each in ages.items()
    ]
    return ByAge(
        always_valid=always_valid,
        text=_text(plan, metrics),
        metrics=metrics,
        not_asked=not_asked(plan, can_be, ages),
    )


def of_last_look(now: ByAge | None, concluded: Concluded) -> ByAge | None:
    """What the last look found, where no newer data can be asked; else what was found now."""
    if now is not None or not concluded.final or concluded.readout is None:
        return now
    then, look = concluded.readout.by_age, concluded.standing.look
    if then is None:
        return None
    return then.model_copy(update={"look": look, "text": concluded.told(then.text)})


def expect_ages(expected: dict[str, Any]) -> None:
    """No more units have reached an age than there are in the arm.

    Of what was asked earlier there may be: units that met a second variant since then are in no arm any more.

    Args:
        expected: The readout as it was recomputed.
    """
    found = expected["by_age"]
    is_earlier = expected["asked_at"] not in (None, expected["generated_at"])
    if found is None or found["look"] is not None or is_earlier:
        return
    units = units_of_metrics(expected)
    for metric in found["metrics"]:
        for arm in metric["arms"]:
            arm["n"] = min(arm["n"], units[metric["metric"]][arm["variant"]])


def age_name(age: Age) -> str:
    """How an age is called."""
    key = "ages.day" if age.first == age.last else "ages.days"
    return say(key, first=age.first, last=age.last)


def _moments(values: ArmValues | None, ages: Ages) -> Moments | None:
    if values is None:
        return Moments.empty(tuple(f"a{age}" for age in range(ages.count)))
    return values if isinstance(values, Moments) else None


def _is_at_once(arms: Iterable[Moments | None]) -> bool:
    """Whether nearly all that units do is of the first age."""
    known = [arm for arm in arms if arm is not None and arm.n]
    by_age = [
        sum(arm.comoments[age][age] + arm.n * arm.mean[age] * arm.mean[age] for arm in known)
        for age in range(len(known[0].columns) if known else 0)
    ]
    return sum(by_age[1:]) < _LATER * sum(by_age)


@dataclass(frozen=True, slots=True)
class _Tests:
    """How effects are tested.

    Attributes:
        alpha: Level of the interval of an age.
        tuning_units: Where confidence sequences are tightest; None for tests at one moment.
        sets: How many sets of ages there are, of which the largest is asked that has passed.
    """

    alpha: float
    tuning_units: int | None
    sets: int

    def conclude(self, estimate: Estimate | NoEstimate, alpha: float) -> Comparison:
        """The comparison of two arms."""
        if self.tuning_units is None:
            return fixed_horizon(estimate, alpha=alpha)
        return confidence_sequence(estimate, tuning_units=self.tuning_units, alpha=alpha)


def _tests_of(plan: Plan, metric: str, *, always_valid: bool) -> _Tests:
    if not always_valid:
        return _Tests(plan.alpha, None, 1)
    has_window = next(each for each in plan.metrics if each.key == metric).hours()[1] is not None
    return _Tests(plan.alpha, plan.tuning_units, 1 if has_window else len(FOLLOWED_DAYS))


def _change(treatment: Moments | None, control: Moments | None, ages: Ages, tests: _Tests) -> _Change:
    if treatment is None or control is None:
        return _Change(None, None, [EffectAtAge(difference=None, interval=None)] * ages.count)
    middles = dict(zip(treatment.columns, ages.middles, strict=True))
    try:
        effects = [_at(treatment, control, column, tests) for column in middles]
        found = novelty(
            treatment=treatment,
            control=control,
            ages=middles,
            alpha=LEVEL,
            tuning_units=tests.tuning_units,
        )
        times = {column: math.log1p(middle) for column, middle in middles.items()}
        whole = dict.fromkeys(middles, 1.0)
        late, early = (arm.linear({"time": times, "done": whole}) for arm in (treatment, control))
        shift = tests.conclude(
            ratio_difference(treatment=late, control=early, numerator="time", denominator="done"), LEVEL
        )
    except OverflowError:
        return _Change(None, None, [EffectAtAge(difference=None, interval=None)] * ages.count)
    slope = found.slope
    if slope.test.log_p_value is None or shift.test.log_p_value is None:
        return _Change(None, None, effects)
    if (slope.difference.estimate or 0.0) * (shift.difference.estimate or 0.0) <= 0:
        # As a difference it changes one way, as a share the other way: neither is shown by both.
        return _Change(0.0, None, effects)
    # Each set of ages has its share of the level (Bonferroni), whichever is asked when.
    log_p = max(slope.test.log_p_value, shift.test.log_p_value) + math.log(tests.sets)
    return _Change(min(0.0, log_p), found.finding, effects)


def _at(treatment: Moments, control: Moments, column: str, tests: _Tests) -> EffectAtAge:
    estimate = mean_difference(treatment=treatment, control=control, column=column)
    if not isinstance(estimate, Estimate):
        return EffectAtAge(difference=None, interval=None)
    interval = tests.conclude(estimate, tests.alpha).difference.interval
    return EffectAtAge(
        difference=estimate.difference,
        interval=None if interval is None else [interval.lower, interval.upper],
    )


def _effect(variant: str, change: _Change, corrected: float | None, asked: bool) -> AgeEffect:
    if corrected is None or change.log_p is None:
        effects = change.effects if asked else [_without_interval(each) for each in change.effects]
        return AgeEffect(
            variant=variant,
            status=CheckStatus.UNAVAILABLE,
            reason=say(change.why_not if asked else "ages.at_the_end"),
            finding=None,
            p_value=None,
            corrected_p_value=None,
            detected=None,
            at=effects,
        )
    detected = corrected <= LEVEL
    return AgeEffect(
        variant=variant,
        status=CheckStatus.WARNING if detected else CheckStatus.OK,
        reason=None,
        finding=change.finding if detected else None,
        p_value=math.exp(change.log_p),
        corrected_p_value=corrected,
        detected=detected,
        at=change.effects,
    )


def _without_interval(effect: EffectAtAge) -> EffectAtAge:
    return effect.model_copy(update={"interval": None})


def _text(plan: Plan, metrics: list[AgeMetric]) -> str:
    by_key = {metric.key: metric for metric in plan.metrics}
    effects = [(metric, effect) for metric in metrics for effect in metric.effects]
    found = [_said(by_key[metric.metric], metric, effect) for metric, effect in effects if effect.detected]
    if found:
        return " ".join(found)
    tested = list(dict.fromkeys(metric.metric for metric, effect in effects if effect.detected is not None))
    if tested:
        return say("ages.alike", metrics=listing(tested))
    if not metrics:
        return say("ages.not_asked")
    return say("ages.unknown", reason=effects[0][1].reason or "")


def _said(metric: PlannedMetric, found: AgeMetric, effect: AgeEffect) -> str:
    """How an effect changes: where it begins, where it ends, and what that means."""
    ends = [(found.ages[i], effect.at[i].difference) for i in (0, -1)]
    scale, unit = (100.0, f" {say('percentage_points')}") if metric.type.is_share else (1.0, "")
    shown = [scale * (difference or 0.0) for _, difference in ends]
    # An effect that has faded to a rounding error is 0.
    decimals = decimals_for([max(map(abs, shown)), 0.0])
    first, last = (number(value, decimals=decimals, signed=True) + unit for value in shown)
    p = p_value(effect.corrected_p_value or 0.0)
    said = say(
        f"ages.{effect.finding}",
        variant=effect.variant,
        metric=metric.key,
        first=say("ages.at", effect=first, age=age_name(ends[0][0])),
        last=say("ages.at", effect=last, age=age_name(ends[1][0])),
        p=p if p.startswith("<") else say("relation.equal", p=p),
    )
    delay = metric.hours()[0]
    means = (
        say("ages.left_out", metric=metric.key, hours=delay) if delay else say(f"ages.{effect.finding}.means")
    )
    return f"{said} {means}"
