"""The queue: jobs are added, found, cancelled and at last forgotten. `leases` is what workers do with them.

All of it is conditional updates in the metadata database, without the turn of those who change definitions.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from equipoise_service.database import Database
from equipoise_service.errors import problem_type
from equipoise_service.jobs.clock import now_of
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import ENDED, Kind, Status
from equipoise_service.texts.saying import say

TOLD_FOR = timedelta(minutes=1)
"""How long after a readout failed who asks for it is told why, and nothing is tried again."""

_KEPT_FOR = timedelta(days=30)
_INSERTS: Mapping[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

CANCELLED: dict[str, Any] = {
    "type": problem_type("job-cancelled"),
    "title": "Conflict",
    "status": 409,
    "detail": "The job was cancelled before it was done.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done.

    Attributes:
        kind: What.
        environment_id: Internal id of the environment.
        revision_id: Internal id of the revision.
        experiment: The experiment's key.
        revision: The revision's number.
        requested_by: Who asks: the public id of a key, or `schedule`.
    """

    kind: Kind
    environment_id: int
    revision_id: int
    experiment: str
    revision: int
    requested_by: str


def add(database: Database, wanted: Wanted) -> Job:
    """Add a job, or find the one that is there for it already.

    A refresh that runs has perhaps read already what was sent meanwhile, so another may wait behind it; of a
    look there is one until it ended.
    """
    while True:
        with Session(database.engine, expire_on_commit=False) as session:
            added = put(session, wanted)
            session.commit()
            its = Job.slot == _slot(wanted) if added is None else Job.public_id == added
            found = session.exec(select(Job).where(its)).first()
        # It may have been taken, or have ended, in this very moment: then there is room for another.
        if found is not None:
            return found


def put(session: Session, wanted: Wanted) -> str | None:
    """Add a job in a transaction, unless there is one for it already; the public id of what was added."""
    insert = _INSERTS[session.get_bind().dialect.name](Job).values(
        public_id=secrets.token_hex(8),
        environment_id=wanted.environment_id,
        revision_id=wanted.revision_id,
        experiment=wanted.experiment,
        revision=wanted.revision,
        kind=wanted.kind,
        status=Status.QUEUED,
        slot=_slot(wanted),
        percent=0,
        stage=say("job.waiting"),
        attempts=0,
        cancelling=False,
        requested_by=wanted.requested_by,
        requested_at=now_of(session),
    )
    added = insert.on_conflict_do_nothing(index_elements=["slot"]).returning(col(Job.public_id))
    return session.connection().execute(added).scalar_one_or_none()


def find(database: Database, environment_id: int, public_id: str) -> Job | None:
    """An environment's job of an id."""
    with Session(database.engine, expire_on_commit=False) as session:
        return session.exec(
            select(Job).where(Job.environment_id == environment_id, Job.public_id == public_id)
        ).first()


def underway(database: Database, revision_id: int) -> Job | None:
    """The oldest job of a revision that did not end yet."""
    with Session(database.engine, expire_on_commit=False) as session:
        return session.exec(
            select(Job)
            .where(Job.revision_id == revision_id, col(Job.status).not_in(ENDED))
            .order_by(col(Job.id))
        ).first()


def failed_lately(database: Database, revision_id: int) -> Job | None:
    """The last job that was to compute a revision's readout, if it failed a moment ago."""
    with Session(database.engine, expire_on_commit=False) as session:
        last = session.exec(
            select(Job)
            .where(Job.revision_id == revision_id, col(Job.kind).not_in((Kind.LOOK, Kind.REPEAT)))
            .order_by(col(Job.id).desc())
            .limit(1)
        ).first()
        now = now_of(session)
    if last is None or last.status != Status.FAILED or last.ended_at is None:
        return None
    return last if last.ended_at > now - TOLD_FOR else None


def cancel(database: Database, job: Job) -> None:
    """Cancel a job: at once where it waits; where it runs its worker is told."""
    with Session(database.engine) as session:
        waits = update(Job).where(col(Job.id) == job.id, col(Job.status) == Status.QUEUED)
        ended = {"status": Status.CANCELLED, "slot": None, "ended_at": now_of(session)}
        session.connection().execute(waits.values(**ended, stage=say("job.cancelled"), error=CANCELLED))
        runs = update(Job).where(col(Job.id) == job.id, col(Job.status) == Status.RUNNING)
        session.connection().execute(runs.values(cancelling=True))
        session.commit()


def forget_old(database: Database) -> None:
    """Forget the jobs that ended long ago."""
    with Session(database.engine) as session:
        session.connection().execute(delete(Job).where(col(Job.ended_at) < now_of(session) - _KEPT_FOR))
        session.commit()


def _slot(wanted: Wanted) -> str:
    return f"{wanted.kind}:{wanted.revision_id}"
