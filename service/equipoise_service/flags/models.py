"""The table of flags."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime


class Flag(SQLModel, table=True):
    """A flag: its type, the value of each variant, and the variant served by default."""

    __tablename__ = "flag"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    type: str
    values: dict[str, Any] = Field(sa_type=JSON)
    default_variant: str
    created_at: datetime = Field(sa_type=UtcDateTime)
