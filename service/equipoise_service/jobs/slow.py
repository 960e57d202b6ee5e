"""Jobs whose source did not answer in time: each holds a worker for all of that time."""

from typing import Any

from sqlalchemy import String, cast
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from equipoise_service.errors import problem_type
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Status

MOST_COUNTED = 16
"""More of them in a row are told as so many."""

_TYPE = problem_type("source-too-slow")


def last_was_slow() -> Any:
    """SQL: whether the last job of the revision that ended by itself found its source too slow, or null."""
    last = aliased(Job)
    return (
        select(_is_slow(last))
        .where(col(last.revision_id) == Job.revision_id, _came_to_an_end(last))
        .order_by(col(last.id).desc())
        .limit(1)
        .correlate(Job)
        .scalar_subquery()
    )


def slow_in_a_row(session: Session, revision_id: int) -> int:
    """How many of a revision's last jobs, one after the other, found its source too slow."""
    statement = (
        select(_is_slow(Job))
        .where(Job.revision_id == revision_id, _came_to_an_end(Job))
        .order_by(col(Job.id).desc())
        .limit(MOST_COUNTED)
    )
    count = 0
    for is_slow in session.exec(statement):
        if not is_slow:
            break
        count += 1
    return count


def _is_slow(job: Any) -> Any:
    # A done job has no error, and null is not slow.
    return cast(col(job.error), String).contains(f'"{_TYPE}"', autoescape=True)


def _came_to_an_end(job: Any) -> Any:
    return col(job.status).in_((Status.DONE, Status.FAILED))
