"""When readouts are computed by themselves: at the first exposures, regularly, after ends, and for looks."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import anyio.to_thread
import ibis
from sqlalchemy import exists, func, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from equipoise_service.accounts import repository as accounts
from equipoise_service.database import Database
from equipoise_service.errors import problem_type
from equipoise_service.events.stores.store import EventStore
from equipoise_service.experiments.lifecycle import LIVE
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.jobs import queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Kind
from equipoise_service.jobs.slow import slow_in_a_row
from equipoise_service.plans.looks import Look, next_look_at
from equipoise_service.plans.models import PlanDeviation, RepeatedReadout, TakenLook
from equipoise_service.readouts import repeating
from equipoise_service.readouts.models import ReadoutSchedule, StoredReadout
from equipoise_service.readouts.service import Analysis

_log = logging.getLogger(__name__)

TICK_SECONDS = 5.0
"""How often what is due is looked for: an experiment's first readout is there well within a minute."""

NO_LOOK_DUE = problem_type("no-look-due")

_REQUESTED_BY = "schedule"
# What a store may show later than what it received after it, and what clocks differ by.
_MARGIN = timedelta(minutes=2)
# Of a source that does not answer in time. Whoever asks has the readout computed at once.
_LONGEST_WAIT = timedelta(days=1)


class _Due(NamedTuple):
    revision_id: int
    number: int
    started_at: datetime
    environment_id: int
    experiment: str
    ended_at: datetime | None


@dataclass(slots=True)
class Scheduler:
    """Adds the jobs that are due. Any number of processes may do this: each job is added once.

    What is noted about the schedule and the job are one transaction: a process that dies loses neither.

    Attributes:
        database: Where the experiments, the schedule and the queue are.
        event_store: Where exposures are looked for.
        every: How old the readout of a live experiment becomes until it is computed again.
        seen: Exposures received before are of experiments that are scheduled already.
    """

    database: Database
    event_store: EventStore
    every: timedelta
    seen: datetime | None = None

    def tick(self) -> int:
        """Add what is due; how many jobs."""
        now = datetime.now(UTC)
        return self._begin(now) + self._compute_anew(now) + self._repeat(now) + self._ask_again(now)

    def _begin(self, now: datetime) -> int:
        """The first readouts: of what has exposures now, or for long none, as those of a source are."""
        with self.database.read() as session:
            waiting = _not_scheduled(session, now)
            places = {
                each.id: f"{project.key}/{each.key}" for each, project in accounts.environments(session)
            }
        if not waiting:
            return 0
        exposed = self._exposed(waiting, now)
        begun = 0
        for each in waiting:
            met = (places[each.environment_id], each.experiment, each.number) in exposed
            if not met and (each.ended_at is not None or each.started_at > now - self.every):
                continue
            # A look may be due already: nobody worked, or what came first came in numbers.
            begun += self._schedule(each, now)
        return begun

    def _compute_anew(self, now: datetime) -> int:
        """The readouts that only somebody asked for, of what was planned or defined otherwise since."""
        with self.database.read() as session:
            waiting = _deviated_unscheduled(session, now)
        return sum(self._schedule(each, now) for each in waiting)

    def _schedule(self, due: _Due, now: datetime) -> bool:
        """Compute a first time by the schedule; whether this process was the first to."""
        try:
            with Session(self.database.engine) as session:
                session.add(ReadoutSchedule(revision_id=due.revision_id, next_at=now + self.every))
                session.flush()
                queue.put(session, _wanted(Kind.SCHEDULED, due))
                session.commit()
        except IntegrityError:
            return False
        return True

    def _repeat(self, now: datetime) -> int:
        """The readouts whose time has come."""
        with self.database.read() as session:
            due = [
                (each, next_at, self._wait(slow_in_a_row(session, each.revision_id)))
                for each, next_at in _due(session, now)
            ]
        added = 0
        for each, next_at, wait in due:
            later = (
                update(ReadoutSchedule)
                .where(
                    col(ReadoutSchedule.revision_id) == each.revision_id,
                    col(ReadoutSchedule.next_at) == next_at,
                )
                .values(next_at=now + wait)
            )
            with Session(self.database.engine) as session:
                is_first = session.connection().execute(later).rowcount == 1
                if is_first:
                    queue.put(session, _wanted(Kind.SCHEDULED, each))
                session.commit()
            added += is_first
        return added

    def _wait(self, slow: int) -> timedelta:
        """How long until the next one, twice as long for each time that the source was too slow."""
        return max(self.every, min(self.every * (1 << slow), _LONGEST_WAIT))

    def _ask_again(self, now: datetime) -> int:
        """The readouts on holdbacks that are due, so many days after the ships."""
        with self.database.read() as session:
            due = _due_again(session, now)
        added = 0
        for each, days, next_at in due:
            with Session(self.database.engine) as session:
                is_first = repeating.claim(session, each.revision_id, days, next_at, now + self.every)
                if is_first:
                    queue.put(session, _wanted(Kind.REPEAT, each))
                session.commit()
            added += is_first
        return added

    def _exposed(self, waiting: Sequence[_Due], now: datetime) -> set[tuple[str, str, int]]:
        """Place, experiment and revision of what was exposed since the last time."""
        since = min(each.started_at for each in waiting) - _MARGIN
        since = since if self.seen is None else max(since, self.seen)
        with self.event_store.ibis() as backend:
            exposures = backend.table("exposures")
            found = exposures.filter(
                exposures.received_at > ibis.timestamp(since.replace(tzinfo=None)),
                exposures.experiment.isin(sorted({each.experiment for each in waiting})),
            )
            rows = found.select("place", "experiment", "revision").distinct().to_pyarrow().to_pylist()
        self.seen = now - _MARGIN
        return {(row["place"], row["experiment"], row["revision"]) for row in rows}


async def keep_schedule(scheduler: Scheduler, wake: asyncio.Event, ended: asyncio.Event) -> None:
    """Add what is due, again and again until it ends.

    Args:
        scheduler: It.
        wake: Set when something was added.
        ended: Set when the process stops.
    """
    is_cut_off, last = False, None
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), TICK_SECONDS)
        if ended.is_set():
            return
        try:
            if await anyio.to_thread.run_sync(scheduler.tick):
                wake.set()
            if (day := datetime.now(UTC).date()) != last:
                await anyio.to_thread.run_sync(queue.forget_old, scheduler.database)
                last = day
        except Exception:
            # Each engine has errors of its own; readouts that were asked for are computed all the same.
            if not is_cut_off:
                _log.exception("cannot look for readouts that are due; trying again every %g s", TICK_SECONDS)
            is_cut_off = True
        else:
            is_cut_off = False


def _wanted(kind: Kind, due: _Due) -> queue.Wanted:
    return queue.Wanted(kind, due.environment_id, due.revision_id, due.experiment, due.number, _REQUESTED_BY)


def may_look(found: Analysis) -> bool:
    """Whether a look that is due may be taken by itself: of what ended not before all units are mature."""
    ended_at = found.revision.ended_at
    return ended_at is None or found.provenance.generated_at >= _settled_at(found, ended_at)


def plan_next(session: Session, found: Analysis, look: TakenLook | None, every: timedelta) -> None:
    """Note when the readout of an analysis is to be computed again."""
    revision_id, now = found.revision.id or 0, found.provenance.generated_at
    looks = found.looks
    if look is not None:
        looks = (*looks, Look.model_validate(look.look))
    schedule = session.get(ReadoutSchedule, revision_id) or ReadoutSchedule(revision_id=revision_id)
    ended_at = found.revision.ended_at
    if ended_at is not None:
        settled_at = _settled_at(found, ended_at)
        schedule.next_at = min(settled_at, now + every) if now < settled_at else None
    else:
        due = next_look_at(found.plan, looks, found.revision.started_at)
        schedule.next_at = now + every if due is None or due <= now else min(due, now + every)
    session.add(schedule)


def _settled_at(found: Analysis, ended_at: datetime) -> datetime:
    hours = max((measure.matures_after for measure in found.plan.measures), default=0)
    # What happened in the last window may come late.
    return ended_at + timedelta(hours=hours) + _LATE


_LATE = timedelta(hours=1)
# So long may every worker have been away.
_ENDED_LATELY = timedelta(days=7)


def _not_scheduled(session: Session, now: datetime) -> list[_Due]:
    """The latest revisions of what is live, and what ended lately, that have no schedule yet."""
    latest = select(func.max(Revision.id)).group_by(col(Revision.run_id))
    statement = (
        _revisions()
        .outerjoin(ReadoutSchedule, col(ReadoutSchedule.revision_id) == col(Revision.id))
        .where(
            # What ends within seconds of its first exposures, or while nobody works, has ended when they are
            # noticed.
            or_(
                col(Run.status).in_(LIVE) & col(Revision.id).in_(latest),
                col(Revision.ended_at) > now - _ENDED_LATELY,
            ),
            # On a holdback only the repeats are computed by themselves.
            col(Revision.holdback).is_(None),
            col(ReadoutSchedule.revision_id).is_(None),
        )
    )
    return [_Due(*row) for row in session.exec(statement)]


def _deviated_unscheduled(session: Session, now: datetime) -> list[_Due]:
    """What has a readout and no schedule, and was planned or defined otherwise since it was computed last."""
    statement = (
        _revisions()
        .join(StoredReadout, col(StoredReadout.revision_id) == col(Revision.id))
        .outerjoin(ReadoutSchedule, col(ReadoutSchedule.revision_id) == col(Revision.id))
        .where(
            col(Revision.holdback).is_(None),
            col(ReadoutSchedule.revision_id).is_(None),
            _deviated_since(now - _ENDED_LATELY),
        )
    )
    return [_Due(*row) for row in session.exec(statement)]


def _due(session: Session, now: datetime) -> list[tuple[_Due, datetime | None]]:
    """What is due by the clock, and what ended or was planned or defined otherwise since it was computed."""
    statement = (
        _revisions()
        .add_columns(ReadoutSchedule.next_at)
        .join(ReadoutSchedule, col(ReadoutSchedule.revision_id) == col(Revision.id))
        .where(
            or_(
                col(ReadoutSchedule.next_at) <= now,
                col(ReadoutSchedule.next_at).is_not(None)
                & col(Revision.ended_at).is_not(None)
                & ~_asked_since(Revision.ended_at),
                # What is settled, too, as long as the jobs are remembered.
                _deviated_since(now - _ENDED_LATELY),
            ),
        )
        .order_by(col(ReadoutSchedule.next_at))
    )
    return [(_Due(*row[:-1]), row[-1]) for row in session.exec(statement)]


def _due_again(session: Session, now: datetime) -> list[tuple[_Due, int, datetime]]:
    """What is due on holdbacks, and of how many days after the ship."""
    statement = (
        _revisions()
        .add_columns(RepeatedReadout.days, RepeatedReadout.next_at)
        .join(RepeatedReadout, col(RepeatedReadout.revision_id) == col(Revision.id))
        .where(col(RepeatedReadout.next_at) <= now, repeating.lasted())
        .order_by(col(RepeatedReadout.next_at))
    )
    return [(_Due(*row[:-2]), row[-2], row[-1]) for row in session.exec(statement)]


def _deviated_since(moment: datetime) -> Any:
    """Whether a revision was planned or defined otherwise after a moment, and nothing was computed then."""
    return exists().where(
        col(PlanDeviation.revision_id) == Revision.id,
        col(PlanDeviation.made_at) > moment,
        ~_asked_since(PlanDeviation.made_at),
    )


def _asked_since(moment: Any) -> Any:
    """Whether anything was to be computed for a revision since a moment, whatever came of it."""
    asked = exists().where(col(Job.revision_id) == Revision.id, col(Job.requested_at) >= moment)
    return asked.correlate(Revision, PlanDeviation)


def _revisions() -> Any:
    return (
        select(  # type: ignore[call-overload] # SQLModel types at most four columns
            Revision.id,
            Revision.number,
            Revision.started_at,
            Run.environment_id,
            Experiment.key,
            Revision.ended_at,
        )
        .join(Run, col(Run.id) == col(Revision.run_id))
        .join(Experiment, col(Experiment.id) == col(Run.experiment_id))
    )
