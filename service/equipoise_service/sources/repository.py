"""All queries on sources."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from equipoise_service.sources.models import Source


def source_by_key(session: Session, project_id: int, key: str) -> Source | None:
    """A project's source of a key."""
    return session.exec(select(Source).where(Source.project_id == project_id, Source.key == key)).first()


def sources_page(session: Session, project_id: int, after: int, limit: int) -> Sequence[Source]:
    """A project's sources with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(Source)
        .where(Source.project_id == project_id, col(Source.id) > after)
        .order_by(col(Source.id))
        .limit(limit)
    )
    return session.exec(statement).all()
