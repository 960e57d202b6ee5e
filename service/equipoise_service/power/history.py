"""The past as planning takes it: its units as if they had been exposed when they first came."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.expression import analysed_units
from equipoise_service.analysis.identity import joined_facts
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import reading, source_events
from equipoise_service.analysis.statistics import ArmStatistics, ArmValues, StepCounts
from equipoise_service.analysis.store import analyse_tables
from equipoise_service.errors import Conflict
from equipoise_service.events.stores.store import EventStore
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.readouts.pairs import pair_of
from equipoise_service.readouts.pauses import Stretch, is_paused_between
from equipoise_service.readouts.population import asked_bots, asked_identity
from equipoise_service.readouts.sides import Cuts, Side
from equipoise_service.readouts.unanswered import why_no_estimate
from equipoise_service.sources.deadlines import TooSlow, deadline
from equipoise_service.sources.schemas import SourceIn
from equipoise_service.texts.saying import say
from equipoise_stats import Counts, Estimate, Outcome, Status, observed_outcome, proportion_outcome

_EXPERIMENT, _ARM = "-", "all"
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A time in which an experiment took a share of the units.

    Attributes:
        experiment: Its key.
        begin: Its beginning.
        end: Its end; None while it goes on.
        share: The share.
    """

    experiment: str
    begin: datetime
    end: datetime | None
    share: float


@dataclass(frozen=True, slots=True)
class Past:
    """What is looked at.

    Attributes:
        place: Project and environment.
        begin: The beginning of the history, UTC.
        end: Its end: now.
        experiments: Experiments whose exposed units are meant; None for those with events.
        pauses: When any of these experiments was paused: such days tell nothing of the days to come.
        event: Name of the events whose units are meant; None for any.
        enrolments: What shares of the units these experiments took: who was exposed is only one of so many.
    """

    place: str
    begin: datetime
    end: datetime
    experiments: tuple[str, ...] | None = None
    pauses: tuple[Stretch, ...] = ()
    event: str | None = None
    enrolments: tuple[Enrolment, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What was found of it.

    Attributes:
        new: New units of each day that had any before it, the first day first; without days of a pause.
        eligible: The same at full traffic: what was exposed, over the share of the units that was enrolled.
        arm: The units and their values; None without units.
        cuts: For each winsorized metric, where its values were cut.
    """

    new: tuple[int, ...]
    eligible: tuple[float, ...]
    arm: ArmStatistics | None
    cuts: dict[str, Cuts]


def history_of(
    store: EventStore,
    source: SourceIn | None,
    plan: Plan,
    metrics: Sequence[PlannedMetric],
    past: Past,
    seconds: float,
) -> History:
    """Measures metrics of one source over the units of the past.

    Args:
        store: The service's own store.
        source: Where the facts lie; None: in the store.
        plan: Says who is counted.
        metrics: What is measured; may be empty.
        past: What is looked at.
        seconds: How long it may take.

    Raises:
        Conflict: The source cannot be read, or time was over.
    """
    request = StoreRequest(
        past.place,
        _EXPERIMENT,
        1,
        plan.unit_type,
        tuple(metric.measure for metric in metrics),
        past.end,
        bots=asked_bots(plan),
        identity=asked_identity(plan),
    )
    with _tables(store, source, past, seconds) as (backend, exposures, events):
        events = events.filter(events.time < _naive(past.end))
        shown = _as_if_exposed(events if exposures is None else exposures, plan, past, exposures is None)
        by_day = _new_units(backend, shown, events, request, past)
        found = analyse_tables(backend, shown, events, request)
    cuts = {key: Cuts(each) for key, each in found.cuts.items()}
    return History(
        tuple(by_day.values()),
        tuple(units / _enrolled(past, day) for day, units in by_day.items()),
        found.arms.get(_ARM),
        cuts,
    )


def outcome_of(history: History, metric: PlannedMetric) -> Outcome | str:
    """What the history says of a metric; why nothing, where it says nothing."""
    if history.arm is None:
        return say("past.no_units")
    values: ArmValues = history.arm.values[metric.key]
    if isinstance(values, StepCounts):
        values = values.completed
    if isinstance(values, Counts):
        if not 0 < values.successes < values.n:
            return say("past.all" if values.successes else "past.none", units=f"{values.n:,}")
        return proportion_outcome(values.successes / values.n)
    side = Side(_ARM, values, 0)
    # Compared with itself, an arm shows what any comparison of such units would vary by.
    pair = pair_of(side, side, history.cuts.get(metric.key, Cuts()))
    if isinstance(pair.found, Estimate):
        return observed_outcome(pair.found) if pair.found.variance > 0 else say("past.no_variance")
    # Units that vary, but as their pre-period says, have a reason of their own.
    if pair.found.status is Status.NO_VARIANCE and not isinstance(pair.plain, Estimate):
        return say("past.no_variance")
    return say("past.no_estimate", units=f"{values.n:,}", reason=why_no_estimate(pair.found))


@contextmanager
def _tables(
    store: EventStore, source: SourceIn | None, past: Past, seconds: float
) -> Iterator[tuple[Any, ir.Table | None, ir.Table]]:
    """A backend, its exposures where they are asked for, and its events, for as long as the time allows."""
    if source is not None:
        with reading(source, seconds) as warehouse:
            yield warehouse.backend, None, source_events(warehouse, source, past.place)
        return
    with store.ibis() as backend:
        exposures = None if past.experiments is None else backend.table("exposures")
        try:
            with deadline(backend, seconds):
                yield backend, exposures, backend.table("events")
        except TooSlow as error:
            raise Conflict(
                f"The history was given up: {error}. Ask for fewer history_days, give baselines, or raise "
                "EQUIPOISE_PREVIEW_SECONDS.",
                type="source-too-slow",
            ) from None


def _as_if_exposed(facts: ir.Table, plan: Plan, past: Past, of_events: bool) -> ir.Table:
    """Exposures to one arm, of each unit when it first came."""
    types = {plan.unit_type} if plan.identity is None else {plan.unit_type, plan.identity.anonymous}
    came = facts.filter(
        facts.place == past.place,
        facts.unit_type.isin(sorted(types)),
        facts.time >= _naive(past.begin),
        facts.time < _naive(past.end),
    )
    if not of_events:
        came = came.filter(came.experiment.isin(list(past.experiments or ())))
    elif past.event is not None:
        came = came.filter(came.name == past.event)
    first = came.group_by("place", "unit_type", "unit").agg(
        time=came.time.min(), received_at=came.received_at.max()
    )
    return first.mutate(
        experiment=ibis.literal(_EXPERIMENT), variant=ibis.literal(_ARM), revision=ibis.literal(1)
    )


def _new_units(
    backend: Any, exposures: ir.Table, events: ir.Table, request: StoreRequest, past: Past
) -> dict[int, int]:
    """New units by the day of the history, from the first day that has any; without days of a pause."""
    if request.identity is not None:
        exposures, events = joined_facts(exposures, events, request)
    units = analysed_units(exposures, events, replace(request, measures=()))
    since = units.first_time.epoch_seconds() - int(past.begin.timestamp())
    days = units.select(day=(since // _DAY).cast("int64")).group_by("day").agg(units=ibis._.count())
    found = {row["day"]: row["units"] for row in backend.to_pyarrow(days).to_pylist()}
    whole = max(1, round((past.end - past.begin) / timedelta(days=1)))
    return {
        day: found.get(day, 0) for day in range(min(found, default=whole), whole) if not _is_paused(past, day)
    }


def _enrolled(past: Past, day: int) -> float:
    """The share of the units that was enrolled on a day, while any was; 1 where nobody knows of any.

    Of several experiments of a flag the shares add up: they have slots of their own.
    """
    begin = past.begin + timedelta(days=day)
    end = begin + timedelta(days=1)
    lasted, weighed = defaultdict[str, float](float), defaultdict[str, float](float)
    for each in past.enrolments:
        seconds = (min(end, each.end or end) - max(begin, each.begin)).total_seconds()
        if seconds > 0:
            lasted[each.experiment] += seconds
            weighed[each.experiment] += seconds * each.share
    return min(1.0, sum(weighed[key] / lasted[key] for key in lasted)) or 1.0


def _is_paused(past: Past, day: int) -> bool:
    begin = past.begin + timedelta(days=day)
    return is_paused_between(begin, begin + timedelta(days=1), past.pauses)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
