"""The table of layers."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime


class Layer(SQLModel, table=True):
    """A space of 10,000 slots with a salt that never changes."""

    __tablename__ = "layer"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    salt: str
    created_at: datetime = Field(sa_type=UtcDateTime)
