"""All queries on published configuration documents."""

from collections.abc import Sequence

from sqlalchemy import func
from sqlmodel import Session, col, select

from equipoise_service.evaluation.models import PublishedConfiguration


def latest(session: Session, environment_id: int) -> PublishedConfiguration | None:
    """An environment's present configuration; absent before the first one."""
    statement = (
        select(PublishedConfiguration)
        .where(PublishedConfiguration.environment_id == environment_id)
        .order_by(col(PublishedConfiguration.version).desc())
        .limit(1)
    )
    return session.exec(statement).first()


def latest_versions(session: Session) -> Sequence[tuple[int, int]]:
    """Id and present version of every environment that has a configuration."""
    statement = select(
        PublishedConfiguration.environment_id, func.max(PublishedConfiguration.version)
    ).group_by(col(PublishedConfiguration.environment_id))
    return session.exec(statement).all()
