"""The clock of the queue: one for all processes, however their own differ."""

from datetime import UTC, datetime

from sqlalchemy import func
from sqlmodel import Session, select


def now_of(session: Session) -> datetime:
    """The time by the database server's clock; by this machine's where the database is a file on it."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    found: datetime = session.exec(select(func.clock_timestamp())).one()
    return found
