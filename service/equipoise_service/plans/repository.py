"""All queries on plans, looks and what is left of the repeats when a holdback ends."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy.orm import QueryableAttribute, defer
from sqlmodel import Session, col, select

from equipoise_service.plans.models import LockedPlan, PlanDeviation, RepeatedReadout, TakenLook


def locked_plan(session: Session, revision_id: int) -> LockedPlan | None:
    """The plan that was locked when a revision began; absent for revisions from before plans."""
    return session.get(LockedPlan, revision_id)


def deviations(session: Session, revision_id: int) -> Sequence[PlanDeviation]:
    """What was changed of a revision's plan, oldest first."""
    statement = select(PlanDeviation).where(PlanDeviation.revision_id == revision_id)
    return session.exec(statement.order_by(col(PlanDeviation.number))).all()


def documents_in_force(session: Session, revision_ids: Collection[int]) -> dict[int, Mapping[str, Any]]:
    """The plans of revisions as they stand, their deviations included, by the revision's id."""
    locked = select(LockedPlan.revision_id, LockedPlan.plan)
    changed = select(PlanDeviation.revision_id, PlanDeviation.plan).order_by(col(PlanDeviation.number))
    found = dict(session.exec(locked.where(col(LockedPlan.revision_id).in_(revision_ids))).all())
    return found | dict(session.exec(changed.where(col(PlanDeviation.revision_id).in_(revision_ids))).all())


def looks(session: Session, revision_id: int) -> Sequence[TakenLook]:
    """The looks at a revision, oldest first; each readout is read when it is asked for in the session."""
    statement = select(TakenLook).where(TakenLook.revision_id == revision_id)
    statement = statement.options(defer(cast("QueryableAttribute[Any]", TakenLook.readout)))
    return session.exec(statement.order_by(col(TakenLook.number))).all()


def end_repeats(session: Session, revision_id: int, *, started_at: datetime, ended_at: datetime) -> None:
    """Put one repeat, due at the end of a holdback, in the place of those that are not due by then.

    It counts the whole days since the ship. Where that is none, or as many as the last repeat has, there is
    nothing new to tell, and none.

    Args:
        session: A session that writes.
        revision_id: The holdback's revision.
        started_at: When it began.
        ended_at: When it ended.
    """
    planned = session.exec(
        select(RepeatedReadout)
        .where(RepeatedReadout.revision_id == revision_id)
        .order_by(col(RepeatedReadout.days))
    ).all()
    due = [each.days for each in planned if each.due_at <= ended_at]
    to_come = [each for each in planned if each.due_at > ended_at]
    for each in to_come:
        session.delete(each)
    days = (ended_at - started_at).days
    if to_come and days > max(due, default=0):
        session.add(
            RepeatedReadout(
                revision_id=revision_id,
                days=days,
                decided=to_come[0].decided,
                due_at=ended_at,
                next_at=ended_at,
            )
        )
