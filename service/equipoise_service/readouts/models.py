"""Tables of readouts: the latest one of each revision, and when the next is due."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from equipoise_service.database import UtcDateTime


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
