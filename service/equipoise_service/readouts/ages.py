"""Which days since exposure are looked at, and the statistics of them that a readout holds."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from equipoise_service.aggregates.facts import bring_left_out, settled_facts
from equipoise_service.analysis.ages import FEWEST_AGES, Ages, ages_in, analyse_ages, has_ages
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import Limits, ages_of_source
from equipoise_service.analysis.statistics import ArmValues, NotFinite
from equipoise_service.errors import Conflict
from equipoise_service.events.stores.store import EventStore
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.readouts.by_age import AgeArm, ByAge
from equipoise_service.readouts.checks import NotAsked
from equipoise_service.sources.schemas import SourceIn
from equipoise_service.texts.saying import say
from equipoise_stats import Moments

ReadAges = Callable[[str | None, Mapping[str, Ages]], dict[str, dict[str, ArmValues]]]
"""Reads what the units of a source did at each age: its key, None for the event store, and the ages."""

_log = logging.getLogger(__name__)

# Without a window, so many days are followed at most, and half of those that it ran: then most of the units
# have been there for as long.
_MOST_DAYS = 28

FOLLOWED_DAYS = (3, 7, 14, 28)
"""The same where effects may be tested at any moment: of these the most that half of the time has."""


def success_metrics(plan: Plan) -> list[PlannedMetric]:
    """The metrics whose effects are followed."""
    return [metric for metric in plan.metrics if metric.role is Role.SUCCESS]


def followed_metrics(plan: Plan) -> list[str]:
    """The keys of the success metrics that have ages, once the experiment has run for long enough."""
    long = timedelta(days=2 * _MOST_DAYS)
    return [
        metric.key
        for metric in success_metrics(plan)
        if _can_be_asked(metric) and ages_in(_days(metric, long, always_valid=True)) is not None
    ]


def asked_ages(
    plan: Plan, started_at: datetime | None, until: datetime, *, always_valid: bool
) -> dict[str, Ages]:
    """The ages of each success metric that can be looked at so, by key.

    A metric with a window is followed to its end; one without for half of the time that it ran.

    Args:
        plan: The plan.
        started_at: When the randomisation began; None where nobody knows, and there are no ages.
        until: When it ended, or now.
        always_valid: Whether effects may be tested at any moment: then there are few sets of ages, as each
            has a share of the level.
    """
    if started_at is None:
        return {}
    found = {}
    for metric in success_metrics(plan):
        ages = (
            ages_in(_days(metric, until - started_at, always_valid=always_valid))
            if _can_be_asked(metric)
            else None
        )
        if ages is not None:
            found[metric.key] = ages
    return found


def not_asked(plan: Plan, asked: Mapping[str, Ages], followed: Mapping[str, Ages]) -> list[NotAsked]:
    """The success metrics that are not followed, and why not.

    Args:
        plan: The plan.
        asked: The ages of those that can be.
        followed: The ages of those that are: not of those whose source was not read for it.
    """
    return [
        NotAsked(
            metric=metric.key,
            reason=say("ages.not_asked.source", source=metric.source)
            if metric.key in asked
            else _why_not(metric),
        )
        for metric in success_metrics(plan)
        if metric.key not in followed
    ]


def read_ages(
    store: EventStore,
    plan: Plan,
    request: StoreRequest,
    sources: Mapping[str, SourceIn],
    limits: Limits,
) -> dict[str, dict[str, ArmValues]]:
    """Reads what the units did at each age.

    Args:
        store: The service's own store.
        plan: What is measured.
        request: The analysis.
        sources: The sources that the plan names, by key.
        limits: What reading a source may take.

    Returns:
        What `ages_by_source` gives.
    """
    ages = asked_ages(plan, request.since, request.until or request.as_of, always_valid=plan.is_always_valid)

    def read(key: str | None, asked: Mapping[str, Ages]) -> dict[str, dict[str, ArmValues]]:
        if key is None:
            return _of_store(store, request, asked)
        return ages_of_source(sources[key], store, request.until_now(), limits, asked)

    return ages_by_source(plan, ages, read)


def ages_by_source(plan: Plan, ages: Mapping[str, Ages], read: ReadAges) -> dict[str, dict[str, ArmValues]]:
    """Reads what the units did at each age, where each metric is measured.

    Args:
        plan: What is measured.
        ages: For each metric that is looked at, by key, its ages.
        read: Reads those of a source, or of the event store where that is None.

    Returns:
        For each metric and each planned arm the moments of the ages; not of those whose source cannot be read
        once more, which the readout then says of them.
    """
    of_source = {metric.key: metric.source for metric in plan.metrics if metric.key in ages}
    found: dict[str, dict[str, ArmValues]] = {}
    for key in dict.fromkeys(of_source.values()):
        asked = {metric: each for metric, each in ages.items() if of_source[metric] == key}
        try:
            found |= read(key, asked)
        except Conflict as problem:
            if key is None:
                raise
            # All else was read a moment ago: that stands, whatever became of this.
            _log.warning("effects by days since exposure are left out: %s", problem)
    return {
        metric: {variant: values for variant, values in arms.items() if variant in plan.weights}
        for metric, arms in found.items()
    }


def _of_store(
    store: EventStore, request: StoreRequest, ages: Mapping[str, Ages]
) -> dict[str, dict[str, ArmValues]]:
    with store.workspace() as workspace:
        left_out = bring_left_out(workspace, request)
        facts = settled_facts(workspace)
        return analyse_ages(workspace.backend, facts.exposures, facts.events, request, ages, left_out)


def ages_held(found: ByAge | None) -> dict[str, dict[str, ArmValues]] | None:
    """Reads what a readout holds of the ages; None where the last look answered for it."""
    if found is None or found.look is not None:
        return None
    return {
        metric.metric: {arm.variant: _values(arm, len(metric.ages)) for arm in metric.arms}
        for metric in found.metrics
    }


def arm_out(variant: str, values: ArmValues | None, ages: Ages) -> AgeArm:
    """What a readout holds of one arm.

    Raises:
        ValueError: The values are of other ages.
    """
    columns = tuple(f"a{age}" for age in range(ages.count))
    if values is None:
        values = Moments.empty(columns)
    if not isinstance(values, Moments | NotFinite) or values.columns != columns:
        raise ValueError(f"the values of {variant} by days since exposure are not of {ages.count} ages")
    known = values if isinstance(values, Moments) else None
    return AgeArm(
        variant=variant,
        n=values.n,
        means=None if known is None else list(known.mean),
        comoments=None if known is None else [list(row) for row in known.comoments],
    )


def _values(arm: AgeArm, count: int) -> ArmValues:
    columns = tuple(f"a{age}" for age in range(count))
    if arm.means is None or arm.comoments is None:
        return NotFinite(arm.n, columns)
    return Moments(arm.n, columns, tuple(arm.means), tuple(map(tuple, arm.comoments)))


def _can_be_asked(metric: PlannedMetric) -> bool:
    return metric.event is not None and has_ages(metric.measure)


def _days(metric: PlannedMetric, ran: timedelta, *, always_valid: bool) -> int:
    window, half = metric.hours()[1], ran.days // 2
    if window is not None:
        return window // 24
    if always_valid:
        return max((days for days in FOLLOWED_DAYS if days <= half), default=0)
    return min(_MOST_DAYS, half)


def _why_not(metric: PlannedMetric) -> str:
    if not has_ages(metric.measure):
        return say("ages.not_asked.type")
    if metric.hours()[1] is None:
        return say("ages.not_asked.ran", days=2 * FEWEST_AGES)
    return say("ages.not_asked.window", days=FEWEST_AGES)
