"""All queries on predictions and decisions."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy.orm import QueryableAttribute, defer
from sqlmodel import Session, col, select

from equipoise_service.decisions.models import Decision, Prediction


def predictions(session: Session, experiment_id: int, environment_id: int) -> Sequence[Prediction]:
    """What was predicted of an experiment in an environment, oldest first."""
    statement = select(Prediction).where(
        Prediction.experiment_id == experiment_id, Prediction.environment_id == environment_id
    )
    return session.exec(statement.order_by(col(Prediction.id))).all()


def decisions(session: Session, revision_id: int) -> Sequence[Decision]:
    """What was decided about a revision, oldest first; a readout is read when asked for in the session."""
    statement = select(Decision).where(Decision.revision_id == revision_id)
    statement = statement.options(defer(cast("QueryableAttribute[Any]", Decision.readout)))
    return session.exec(statement.order_by(col(Decision.number))).all()
