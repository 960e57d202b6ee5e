"""Tables of segments."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson


class Segment(SQLModel, table=True):
    """A named audience: a condition, or else ids, and the `attribute` that they are of."""

    __tablename__ = "segment"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    name: str
    description: str
    condition: dict[str, Any] | None = Field(default=None, sa_type=ExactJson(none_as_null=True))
    attribute: str | None = Field(default=None)
    ids_count: int = Field(default=0)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class SegmentIds(SQLModel, table=True):
    """The ids of a segment, apart from it because they are megabytes: a JSON array, sorted, each id once."""

    __tablename__ = "segment_ids"

    segment_id: int = Field(primary_key=True, foreign_key="segment.id")
    ids: bytes
