"""Leases: a job is one worker's while that is heard of, taken up again once where it died, and ended by one.

A worker that lost its job, because it was silent for longer than the lease, can neither end nor finish it.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, false, func, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, or_, select

from equipoise_service.database import Database
from equipoise_service.errors import problem_type
from equipoise_service.jobs.clock import now_of
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.queue import CANCELLED
from equipoise_service.jobs.schemas import Kind, Status
from equipoise_service.jobs.slow import last_was_slow
from equipoise_service.texts.saying import say

LEASE = timedelta(seconds=20)
"""How long a worker may be silent until it is taken for dead."""

MOST_ATTEMPTS = 2
"""A job whose worker died is taken up again once."""


class Lost(Exception):
    """The job is no longer this worker's: it was silent for too long, and another one has taken it up."""


def is_any_waiting(database: Database) -> bool:
    """Whether it is worth trying to take a job."""
    with Session(database.engine) as session:
        waits = or_(
            col(Job.status) == Status.QUEUED,
            (col(Job.status) == Status.RUNNING) & (col(Job.lease_until) < now_of(session)),
        )
        return session.exec(select(Job.id).where(waits).limit(1)).first() is not None


def claim(database: Database, worker: str) -> Job | None:
    """Take the oldest job that waits, unless another one of its revision runs.

    Those whose source was too slow the last time come after all others: each takes as long as it may.

    Args:
        database: Where the queue is.
        worker: Who takes it.
    """
    running = aliased(Job)
    oldest = (
        select(Job.id)
        .where(
            Job.status == Status.QUEUED,
            ~exists().where(
                col(running.revision_id) == Job.revision_id, col(running.status) == Status.RUNNING
            ),
        )
        .order_by(func.coalesce(last_was_slow(), false()), col(Job.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    try:
        with Session(database.engine, expire_on_commit=False) as session:
            now = now_of(session)
            _give_up_dead(session, now)
            taken = session.connection().execute(
                update(Job)
                .where(col(Job.id) == oldest.scalar_subquery(), col(Job.status) == Status.QUEUED)
                .values(
                    status=Status.RUNNING,
                    worker=worker,
                    lease_until=now + LEASE,
                    attempts=Job.attempts + 1,
                    started_at=now,
                    percent=0,
                    stage=say("job.starting"),
                )
                .returning(col(Job.id))
            )
            id = taken.scalar_one_or_none()
            if id is not None:
                # From here on what is sent may be too late for it.
                free = update(Job).where(col(Job.id) == id, col(Job.kind) != Kind.LOOK)
                session.connection().execute(free.values(slot=None))
            session.commit()
            return None if id is None else session.get(Job, id)
    except IntegrityError:
        # Another worker took another job of the same revision at this moment.
        return None


def beat(database: Database, job: Job, percent: int, stage: str) -> bool:
    """Say that a job is being worked at, and how far it is.

    Returns:
        Whether it is to be cancelled.

    Raises:
        Lost: It is another worker's by now.
    """
    with Session(database.engine) as session:
        values = {"percent": percent, "stage": stage, "lease_until": now_of(session) + LEASE}
        found = session.connection().execute(
            update(Job).where(_is_its_own(job)).values(**values).returning(col(Job.cancelling))
        )
        cancelling = found.scalar_one_or_none()
        session.commit()
    if cancelling is None:
        raise Lost
    return bool(cancelling)


def is_cancelling(database: Database, job: Job) -> bool:
    """Whether a job is to be cancelled.

    Raises:
        Lost: It is another worker's by now.
    """
    with Session(database.engine) as session:
        cancelling = session.exec(select(Job.cancelling).where(_is_its_own(job))).first()
    if cancelling is None:
        raise Lost
    return cancelling


def finish(session: Session, job: Job) -> None:
    """End a job as done, in the transaction that stores what it made.

    Raises:
        Lost: It is another worker's by now, so nothing of it may be stored.
    """
    _end(session, job, Status.DONE, say("job.done"), None, percent=100)


def fail(database: Database, job: Job, error: dict[str, Any]) -> None:
    """End a job with a problem document.

    Raises:
        Lost: It is another worker's by now.
    """
    with Session(database.engine) as session:
        _end(session, job, Status.FAILED, say("job.failed"), error)
        session.commit()


def stop(database: Database, job: Job) -> None:
    """End a job that was cancelled while it ran.

    Raises:
        Lost: It is another worker's by now.
    """
    with Session(database.engine) as session:
        _end(session, job, Status.CANCELLED, say("job.cancelled"), CANCELLED)
        session.commit()


def give_back(database: Database, job: Job) -> None:
    """Let another worker have a job, as if it had not been taken."""
    with Session(database.engine) as session:
        session.connection().execute(
            update(Job)
            .where(_is_its_own(job))
            .values(
                status=Status.QUEUED,
                worker=None,
                lease_until=None,
                attempts=Job.attempts - 1,
                stage=say("job.waiting"),
            )
        )
        session.commit()


def _give_up_dead(session: Session, now: datetime) -> None:
    """Let the jobs of workers that were not heard of be taken again, once."""
    dead = update(Job).where(col(Job.status) == Status.RUNNING, col(Job.lease_until) < now)
    error = {
        "type": problem_type("internal"),
        "title": "Internal Server Error",
        "status": 500,
        "detail": f"The worker died {MOST_ATTEMPTS} times at this job, which is not taken up again. Its log, "
        "or the system's, says why: often memory ran out.",
    }
    failed = {"status": Status.FAILED, "stage": say("job.failed"), "error": error}
    ended = {**failed, "slot": None, "ended_at": now}
    session.connection().execute(dead.where(col(Job.attempts) >= MOST_ATTEMPTS).values(**ended))
    waits = {"status": Status.QUEUED, "worker": None, "lease_until": None}
    session.connection().execute(dead.values(**waits, stage=say("job.waiting_again")))


def _end(
    session: Session, job: Job, status: Status, stage: str, error: dict[str, Any] | None, **more: Any
) -> None:
    values = {"status": status, "stage": stage, "error": error, "slot": None, "lease_until": None, **more}
    ended = session.connection().execute(
        update(Job).where(_is_its_own(job)).values(**values, ended_at=now_of(session))
    )
    if ended.rowcount != 1:
        raise Lost


def _is_its_own(job: Job) -> Any:
    # The number of the attempt, too: a worker may take up again what it lost itself.
    return (
        (col(Job.id) == job.id)
        & (col(Job.worker) == job.worker)
        & (col(Job.attempts) == job.attempts)
        & (col(Job.status) == Status.RUNNING)
    )
