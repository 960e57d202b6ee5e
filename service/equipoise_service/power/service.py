"""What a plan needs: its rule, the history of its metrics and the traffic, put together."""

from collections.abc import Mapping, Sequence

from equipoise_service.accounts.principals import Principal
from equipoise_service.database import Database
from equipoise_service.events.stores.store import EventStore
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.schemas import Method, Multiplicity
from equipoise_service.power.asking import Asked, invalid, read_request
from equipoise_service.power.history import History, history_of, outcome_of
from equipoise_service.power.rule import MOST_LOOKS, Outcomes, Rule, rule_of
from equipoise_service.power.schemas import (
    BaselineIn,
    LevelsOut,
    MetricPower,
    PowerIn,
    PowerOut,
    TrafficOut,
)
from equipoise_service.power.sizing import (
    NO_TARGET,
    NOT_ASKED,
    SHOWN_BY_PRIOR,
    days_for,
    horizon_of,
    metric_power,
    planned_looks,
)
from equipoise_service.power.traffic import Traffic, traffic_of
from equipoise_service.texts.saying import say
from equipoise_stats import Outcome, proportion_outcome


def plan_power(
    database: Database, store: EventStore, principal: Principal, payload: PowerIn, seconds: float
) -> PowerOut:
    """What a plan needs, and what it can show by when. It changes nothing.

    Args:
        database: Where experiments, metrics and sources are defined.
        store: The service's own store.
        principal: Who asks.
        payload: The plan, and what is known.
        seconds: How long each source may take to be read.

    Raises:
        InvalidPayload: It names what does not exist, or the plan cannot be planned for.
        NotFound: There is no such experiment or flag.
        Conflict: A source cannot be read, or time was over.
    """
    with database.read() as session:
        asked = read_request(session, principal, payload)
    try:
        rule = rule_of(asked.plan)
    except ValueError as error:
        raise invalid("/plan", str(error)) from None
    histories = _histories(store, asked, payload, seconds)
    outcomes = _outcomes(asked.plan, payload.baselines, histories)
    first = None if asked.daily_units is not None else next(iter(histories.values()))
    seen = () if first is None else first.new
    traffic = _expected(asked, first)
    looks = planned_looks(rule, outcomes, traffic)
    found = [
        metric_power(rule, metric, outcomes, looks, _units(metric, histories, payload.baselines))
        for metric in rule.plan.metrics
    ]
    reason = _unanswered(found)
    binding = None if reason else max(found, key=lambda each: each.units or 0)
    return PowerOut(
        units=binding.units if binding else None,
        days=_days(rule, found, traffic) if binding else None,
        binding=binding.metric if binding else None,
        reason=reason,
        looks=looks,
        levels=LevelsOut(
            success_alpha=2 * rule.levels.success_alpha,
            guardrail_alpha=2 * rule.levels.guardrail_alpha,
            power=rule.levels.power,
        ),
        traffic=TrafficOut(
            units=sum(seen) if seen else None,
            days=len(seen) or None,
            daily_units=None if traffic is None else traffic.rate / asked.share,
        ),
        metrics=found,
        horizons=[]
        if traffic is None
        else [horizon_of(rule, outcomes, traffic, day) for day in payload.days],
        notes=_notes(rule, asked, payload, looks),
    )


def _expected(asked: Asked, history: History | None) -> Traffic | None:
    """The traffic by the first source's history, or as it is given."""
    if asked.daily_units is not None:
        return Traffic((), asked.daily_units * asked.share)
    return traffic_of(history.eligible, share=asked.share) if history and history.eligible else None


def _unanswered(found: Sequence[MetricPower]) -> str | None:
    """Why the units of the whole rule are not known; None where they are."""
    needless = (NOT_ASKED, NO_TARGET, SHOWN_BY_PRIOR)
    missing = [each for each in found if each.units is None and each.reason not in needless]
    successes = [each for each in found if each.role is Role.SUCCESS]
    if not any(each.units is not None for each in successes):
        missing += [each for each in successes if each.reason in needless]
    reasons = [say("planning.of_metric", metric=each.metric, reason=each.reason) for each in missing]
    return say("planning.between").join(reasons) or None


def _days(rule: Rule, found: Sequence[MetricPower], traffic: Traffic | None) -> int | None:
    """Days until every metric has its units; None where that never happens."""
    if traffic is None:
        return None
    days = [
        days_for(metric, each.units, traffic)
        for metric, each in zip(rule.plan.metrics, found, strict=True)
        if each.units is not None
    ]
    known = [day for day in days if day is not None]
    return max(known) if len(known) == len(days) else None


def _notes(rule: Rule, asked: Asked, payload: PowerIn, looks: int) -> list[str]:
    plan, notes = rule.plan, []
    if asked.of_everybody:
        notes.append(say("planning.of_everybody"))
    if asked.held_out:
        notes.append(say("planning.held_out", holdouts=", ".join(asked.held_out)))
    family = sum(metric.role == "success" for metric in plan.metrics) * len(plan.treatments)
    corrected = plan.multiplicity is not Multiplicity.NONE and plan.method is not Method.BAYESIAN
    if family > 1 and corrected:
        notes.append(say("planning.several", family=family, correction=plan.multiplicity))
    if looks == MOST_LOOKS:
        notes.append(say("planning.many_looks", looks=MOST_LOOKS))
    unbounded = [
        metric.key
        for metric in plan.metrics
        if metric.measure.window_hours is None and metric.key not in payload.baselines
    ]
    if unbounded:
        notes.append(say("planning.no_window", metrics=", ".join(unbounded), days=payload.history_days))
    return notes


def _histories(
    store: EventStore, asked: Asked, payload: PowerIn, seconds: float
) -> dict[str | None, History]:
    """By source, what the past says; the first one's units are the traffic."""
    histories = {}
    for key, source in asked.sources.items():
        measured = [
            metric
            for metric in asked.plan.metrics
            if metric.source == key and metric.key not in payload.baselines
        ]
        if measured or asked.daily_units is None:
            histories[key] = history_of(store, source, asked.plan, measured, asked.past, seconds)
    return histories


def _outcomes(
    plan: Plan, given: Mapping[str, BaselineIn], histories: Mapping[str | None, History]
) -> Outcomes:
    return {
        metric.key: _given(metric, given[metric.key])
        if metric.key in given
        else outcome_of(histories[metric.source], metric)
        for metric in plan.metrics
    }


def _given(metric: PlannedMetric, baseline: BaselineIn) -> Outcome:
    """A baseline that came with the request.

    Raises:
        InvalidPayload: It is impossible for the metric.
    """
    pointer = f"/baselines/{metric.key}"
    if metric.type.is_share:
        if not 0 < baseline.value < 1:
            raise invalid(f"{pointer}/value", "a share lies between 0 and 1")
        return proportion_outcome(baseline.value).adjusted(baseline.variance_removed)
    if baseline.standard_deviation is None:
        raise invalid(f"{pointer}/standard_deviation", f"a {metric.type} needs one")
    outcome = Outcome(metric.type.value, baseline.value, baseline.standard_deviation**2)
    return outcome.adjusted(baseline.variance_removed)


def _units(
    metric: PlannedMetric, histories: Mapping[str | None, History], given: Mapping[str, BaselineIn]
) -> int | None:
    if metric.key in given:
        return None
    arm = histories[metric.source].arm
    return 0 if arm is None else arm.values[metric.key].n
