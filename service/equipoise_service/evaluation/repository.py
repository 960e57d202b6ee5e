"""All queries on published configuration documents."""

from collections.abc import Sequence

from sqlalchemy import delete, func
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


def forget(session: Session, environment_id: int, *, before_version: int) -> None:
    """Drop an environment's documents of versions before one."""
    session.connection().execute(
        delete(PublishedConfiguration).where(
            col(PublishedConfiguration.environment_id) == environment_id,
            col(PublishedConfiguration.version) < before_version,
        )
    )
