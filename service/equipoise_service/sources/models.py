"""The table of sources."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime


class Source(SQLModel, table=True):
    """Where facts lie. The connection is the name of an environment variable's middle, never its value."""

    __tablename__ = "source"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    name: str
    description: str
    connection: str
    events: dict[str, Any] = Field(sa_type=JSON)
    exposures: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
