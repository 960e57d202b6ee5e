"""The table of published configuration documents."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime


class PublishedConfiguration(SQLModel, table=True):
    """One immutable version of an environment's configuration document."""

    __tablename__ = "published_configuration"
    __table_args__ = (UniqueConstraint("environment_id", "version"),)

    id: int | None = Field(default=None, primary_key=True)
    environment_id: int = Field(foreign_key="environment.id")
    version: int
    content_digest: str
    document: bytes
    published_at: datetime = Field(sa_type=UtcDateTime)
