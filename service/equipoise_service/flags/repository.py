"""All queries on flags."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from equipoise_service.flags.models import Flag


def flag_by_key(session: Session, project_id: int, key: str) -> Flag | None:
    """A project's flag of a key."""
    return session.exec(select(Flag).where(Flag.project_id == project_id, Flag.key == key)).first()


def flags(session: Session, project_id: int) -> Sequence[Flag]:
    """All flags of a project, by key."""
    return session.exec(select(Flag).where(Flag.project_id == project_id).order_by(col(Flag.key))).all()
