"""From a rule, what is known of its metrics, and the traffic, to units, days and smallest effects."""

import math
from dataclasses import replace

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import MAX_DAYS, Method
from equipoise_service.power.rule import Outcomes, Rule, believed, decides, planned_test, window_days
from equipoise_service.power.schemas import HorizonOut, MetricPower, Reach
from equipoise_service.power.traffic import Traffic
from equipoise_service.texts.saying import say
from equipoise_stats import (
    MinimumEffect,
    NormalBelief,
    Outcome,
    SampleSize,
    Status,
    minimum_effect,
    planned_power,
    sample_size,
    ship_probability,
)

NOT_ASKED = say("planning.not_asked")
NO_TARGET = say("planning.no_target")
SHOWN_BY_PRIOR = say("planning.shown_by_prior")
_TOO_FAR = say("planning.too_far")

_WEEK = 7
_ROUNDS = 20
_CLOSE = 1e-6
_LEAST_UNITS = 4.0
_WITHOUT_TRAFFIC_DAYS = 28.0


def needed(rule: Rule, metric: PlannedMetric, outcome: Outcome, looks: int) -> SampleSize | None:
    """What a metric needs, of its smallest treatment and the control; None without a target.

    Raises:
        ValueError: The target is impossible for the outcome.
    """
    test = planned_test(rule, metric, outcome, rule.design(metric, looks, 2.0 * rule.plan.tuning_units))
    if test is None:
        return None
    found = sample_size(test, power=rule.levels.power)
    if rule.plan.method is not Method.CONFIDENCE_SEQUENCE:
        return found
    # How much a confidence sequence costs depends on where it is tightest, in units.
    for _ in range(_ROUNDS):
        before = found.units
        test = replace(test, design=rule.design(metric, looks, before))
        found = sample_size(test, power=rule.levels.power)
        if abs(found.units - before) <= _CLOSE * before:
            break
    return found


def metric_power(
    rule: Rule, metric: PlannedMetric, outcomes: Outcomes, looks: int, history_units: int | None
) -> MetricPower:
    """What one metric needs, in units of all arms."""
    outcome = outcomes[metric.key]
    known = None if isinstance(outcome, str) else outcome
    found, reason = None, None
    if not decides(metric):
        reason = NOT_ASKED
    elif known is None:
        reason = str(outcome)
    elif (reason := _without_lift(rule, known)) is None:
        try:
            found = needed(rule, metric, known, looks)
        except (ValueError, ArithmeticError) as error:
            reason = _why(error, known)
        if found is None and reason is None:
            reason = NO_TARGET
    whole = 1 / rule.pair_share
    prior_units = _up(found.prior_units * whole) if found and rule.plan.prior else None
    if found is not None and not found.units:
        found, reason = None, SHOWN_BY_PRIOR
    return MetricPower(
        metric=metric.key,
        role=metric.role,
        value=known.baseline if known else None,
        standard_deviation=math.sqrt(known.variance * known.factor) if known else None,
        history_units=history_units,
        units=_up(found.units * whole) if found else None,
        expected_units=_up(found.expected_units * whole) if found else None,
        prior_units=prior_units,
        reason=reason,
    )


def days_for(metric: PlannedMetric, units: int, traffic: Traffic) -> int | None:
    """Days until so many units of a metric are mature, enrolment in whole weeks; None for never."""
    enrolled = traffic.day_of(units)
    if enrolled is None:
        return None
    days = math.ceil(enrolled / _WEEK - _CLOSE) * _WEEK + math.ceil(window_days(metric))
    return days if days <= MAX_DAYS else None


def planned_looks(rule: Rule, outcomes: Outcomes, traffic: Traffic | None) -> int:
    """The looks that the units are planned for: their number follows from the days, and the days from it."""
    horizon = rule.plan.horizon
    if horizon is not None and horizon.days is not None:
        return rule.looks_by(horizon.days)
    if traffic is None:
        return rule.looks_by(_WITHOUT_TRAFFIC_DAYS)
    if horizon is not None and horizon.units is not None:
        return rule.looks_by(traffic.day_of(horizon.units) or _WITHOUT_TRAFFIC_DAYS)
    looks = rule.looks_by(_WITHOUT_TRAFFIC_DAYS)
    for _ in range(3):
        sizes = [metric_power(rule, metric, outcomes, looks, None) for metric in rule.plan.metrics]
        days = traffic.day_of(max((each.units for each in sizes if each.units is not None), default=0))
        after = looks if not days else rule.looks_by(days)
        if after == looks:
            break
        looks = after
    return looks


def horizon_of(rule: Rule, outcomes: Outcomes, traffic: Traffic, days: int) -> HorizonOut:
    """What the plan can show within a number of days."""
    looks = rule.looks_by(days)
    reaches = [
        _reach(rule, metric, outcomes[metric.key], traffic, days, looks)
        for metric in rule.plan.metrics
        if decides(metric)
    ]
    powers = {each.metric: each.power for each in reaches}
    successes = [powers[metric.key] for metric in rule.plan.metrics if metric.role is Role.SUCCESS]
    guardrails = [
        powers[metric.key]
        for metric in rule.plan.metrics
        if metric.key in powers and metric.margin is not None
    ]
    planned = [power for power in successes if power is not None]
    safe = [power for power in guardrails if power is not None]
    power = None
    if planned and len(safe) == len(guardrails):
        power = ship_probability(successes=planned, guardrails=safe)
    return HorizonOut(days=days, units=int(traffic.by(days)), looks=looks, power=power, metrics=reaches)


def _reach(
    rule: Rule, metric: PlannedMetric, outcome: Outcome | str, traffic: Traffic, days: int, looks: int
) -> Reach:
    units = traffic.by(days - window_days(metric))
    pair_units = units * rule.pair_share
    least = _LEAST_UNITS / min(rule.treatment_share, 1 - rule.treatment_share)
    unknown = outcome if isinstance(outcome, str) else _without_lift(rule, outcome)
    if isinstance(outcome, str) or unknown is not None or pair_units < least:
        why = say("planning.too_few") if unknown is None else unknown
        hopeless = 0.0 if _has_target(metric) and unknown is None else None
        return Reach(
            metric=metric.key, units=int(units), difference=None, lift=None, power=hopeless, reason=why
        )
    design = rule.design(metric, looks, pair_units)
    increase = (metric.direction is Direction.INCREASE) == (metric.role is Role.SUCCESS)
    # For a margin the treated units vary as the others do: what is planned for is that nothing changes.
    of = outcome if metric.role is Role.SUCCESS else replace(outcome, response="constant")
    difference, lift, power, reason = None, None, None, None
    try:
        prior = believed(rule, outcome.baseline)
        if prior is not None and metric.role is Role.GUARDRAIL:
            # A margin is excluded from its other side.
            prior = replace(prior, mean=-prior.mean)
        found = minimum_effect(
            of,
            units=pair_units,
            power=rule.levels.power,
            design=design,
            direction="increase" if increase else "decrease",
            treatment_share=rule.treatment_share,
            prior=prior,
        )
        if found.status is Status.OUT_OF_REACH:
            reason = say("planning.out_of_reach", units=f"{int(units):,}", value=f"{outcome.baseline:.6g}")
        difference, lift = found.difference, found.lift
        if metric.role is Role.GUARDRAIL:
            difference, lift = _margin(rule, found, _prior_weight(rule, of, prior, pair_units))
        if difference == 0:
            difference, lift, reason = None, None, SHOWN_BY_PRIOR
        test = planned_test(rule, metric, outcome, design)
        power = None if test is None else planned_power(test, units=pair_units)
        if power is not None and math.isnan(power):
            power, reason = None, _TOO_FAR
    except (ValueError, ArithmeticError) as error:
        reason = _why(error, outcome)
    return Reach(
        metric=metric.key, units=int(units), difference=difference, lift=lift, power=power, reason=reason
    )


def _has_target(metric: PlannedMetric) -> bool:
    return metric.mde is not None or metric.margin is not None


def _prior_weight(rule: Rule, outcome: Outcome, prior: NormalBelief | None, units: float) -> float:
    """How much the prior tells beside what so many units do, when nothing changes."""
    if prior is None:
        return 0.0
    treated, control = outcome.unit_variances(0.0)
    error = math.sqrt((treated / rule.treatment_share + control / (1 - rule.treatment_share)) / units)
    return (error / prior.standard_deviation) ** 2


def _margin(rule: Rule, found: MinimumEffect, prior_weight: float) -> tuple[float | None, float | None]:
    """The smallest margin as a difference and as a lift, both positive.

    A difference that is found from 0 is a margin that is excluded from its other side. From the margin a
    prior is farther away, by as much as the margin is wide, which counts with its weight. On the scale of
    lifts the linear form m_t − (1 + λ) m_c is tested, whose variance depends on the margin λ itself.
    """
    if found.difference is None:
        return None, None
    difference = abs(found.difference) / (1 + prior_weight)
    if found.lift is None:
        return difference, None
    share, sign = rule.treatment_share, math.copysign(1.0, found.difference)
    lift = first = abs(found.lift) / (1 + prior_weight)
    for _ in range(_ROUNDS):
        control = (1 + sign * lift) ** 2 / (1 - share)
        lift = first * math.sqrt((1 / share + control) / (1 / share + 1 / (1 - share)))
    return difference, lift


def _without_lift(rule: Rule, outcome: Outcome) -> str | None:
    """Why the plan's prior says nothing of a metric; None where it does, or there is none."""
    if rule.plan.prior is None or outcome.baseline > 0:
        return None
    return say("planning.no_lift", value=f"{outcome.baseline:.6g}")


def _why(error: ValueError | ArithmeticError, outcome: Outcome) -> str:
    """Why there is no number, in words."""
    # What is no number that overflows is a target that such a metric cannot have.
    if isinstance(error, ValueError):
        return say("planning.impossible", value=f"{outcome.baseline:.6g}")
    return _TOO_FAR


def _up(units: float) -> int:
    return math.ceil(units * (1 - 1e-9))
