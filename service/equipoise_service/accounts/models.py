"""Tables of projects, environments and API keys."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime


class Project(SQLModel, table=True):
    """Owns everything else."""

    __tablename__ = "project"

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Environment(SQLModel, table=True):
    """A place where a project's experiments run, for example `production`: its own keys, its own state."""

    __tablename__ = "environment"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class ApiKey(SQLModel, table=True):
    """An API key: its public id and the hash of its secret, never the secret."""

    __tablename__ = "api_key"

    id: int | None = Field(default=None, primary_key=True)
    public_id: str = Field(unique=True)
    secret_hash: bytes
    name: str
    environment_id: int = Field(foreign_key="environment.id", index=True)
    scopes: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
