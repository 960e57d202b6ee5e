"""Which deletions of facts are under way, and how many have ended.

What is kept of facts is named by how many deletions had ended, and none is kept or read while one is under
way. The mark of one is stored before anything goes and taken away in the transaction that counts it: wherever
its process ends, the mark is still there or the count has grown.
"""

from datetime import UTC, datetime

from sqlmodel import Session, col, select, update

from equipoise_service.privacy.models import Deletion, UnitKeeping


def ended_deletions(session: Session) -> int:
    """How many deletions of facts have ended."""
    return session.get_one(UnitKeeping, 1).deletions


def settled_deletions(session: Session) -> int | None:
    """How many deletions of facts have ended; None while one is under way."""
    if session.exec(select(Deletion.id).limit(1)).first() is not None:
        return None
    return ended_deletions(session)


def begin_deletion(session: Session) -> int:
    """Mark that facts are going to be deleted; the mark's id."""
    mark = Deletion(begun_at=datetime.now(UTC))
    session.add(mark)
    session.flush()
    return mark.id or 0


def end_deletion(session: Session, mark_id: int, *, counts: bool = True) -> None:
    """Take a mark away.

    Args:
        session: The transaction.
        mark_id: The mark's id. It may be gone: who took its process for dead has counted it.
        counts: Whether facts may have gone, so that what was made of them before is outdated.
    """
    mark = session.get(Deletion, mark_id)
    if mark is not None:
        session.delete(mark)
    if counts:
        grown = update(UnitKeeping).values(deletions=col(UnitKeeping.deletions) + 1)
        session.connection().execute(grown)


def begun_before(session: Session, moment: datetime) -> list[int]:
    """The ids of the marks of deletions that began before a moment."""
    return [
        each.id or 0 for each in session.exec(select(Deletion).where(col(Deletion.begun_at) < moment)).all()
    ]
