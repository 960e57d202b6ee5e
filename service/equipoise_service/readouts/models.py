"""Tables of readouts: the latest one of each revision, when the next is due, and what was repeated."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson


class StoredReadout(SQLModel, table=True):
    """The latest readout of a revision, as the bytes that are served."""

    __tablename__ = "stored_readout"

    revision_id: int = Field(foreign_key="revision.id", primary_key=True)
    generated_at: datetime = Field(sa_type=UtcDateTime)
    digest: str
    body: bytes


class ReadoutSchedule(SQLModel, table=True):
    """When a revision's readout is computed again by itself; null when nothing new is to come."""

    __tablename__ = "readout_schedule"

    revision_id: int = Field(foreign_key="revision.id", primary_key=True)
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)


class RepeatedReadout(SQLModel, table=True):
    """The readout that is repeated on a holdback, so many days after the ship. Once made it never changes.

    `decided` is what was decided on: see `repeat.Decided`. What it counts ends at `due_at`; `next_at` is when
    it is made or tried again, and null when it is there.
    """

    __tablename__ = "repeated_readout"

    revision_id: int = Field(foreign_key="revision.id", primary_key=True)
    days: int = Field(primary_key=True)
    decided: dict[str, Any] = Field(sa_type=ExactJson)
    due_at: datetime = Field(sa_type=UtcDateTime)
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    generated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    digest: str | None = Field(default=None)
    body: bytes | None = Field(default=None)
