"""All queries on plans and looks."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy.orm import QueryableAttribute, defer
from sqlmodel import Session, col, select

from equipoise_service.plans.models import LockedPlan, PlanDeviation, TakenLook


def locked_plan(session: Session, revision_id: int) -> LockedPlan | None:
    """The plan that was locked when a revision began; absent for revisions from before plans."""
    return session.get(LockedPlan, revision_id)


def deviations(session: Session, revision_id: int) -> Sequence[PlanDeviation]:
    """What was changed of a revision's plan, oldest first."""
    statement = select(PlanDeviation).where(PlanDeviation.revision_id == revision_id)
    return session.exec(statement.order_by(col(PlanDeviation.number))).all()


def looks(session: Session, revision_id: int) -> Sequence[TakenLook]:
    """The looks at a revision, oldest first; each readout is read when it is asked for in the session."""
    statement = select(TakenLook).where(TakenLook.revision_id == revision_id)
    statement = statement.options(defer(cast("QueryableAttribute[Any]", TakenLook.readout)))
    return session.exec(statement.order_by(col(TakenLook.number))).all()
