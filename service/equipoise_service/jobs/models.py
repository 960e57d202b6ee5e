"""The table of jobs."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson

_RUNNING = text("status = 'running'")


class Job(SQLModel, table=True):
    """A job of one revision of an experiment. Of each revision one runs at a time.

    `slot` says what it is for: while a job has it, nobody adds another. `worker` is who runs it, by a name
    that no other process has, and `lease_until` when it is taken for dead unless it is heard of before.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index(
            "uq_job_running",
            "revision_id",
            unique=True,
            sqlite_where=_RUNNING,
            postgresql_where=_RUNNING,
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    public_id: str = Field(unique=True)
    environment_id: int = Field(foreign_key="environment.id")
    revision_id: int = Field(foreign_key="revision.id", index=True)
    experiment: str
    revision: int
    kind: str
    status: str = Field(index=True)
    slot: str | None = Field(default=None, unique=True)
    percent: int = Field(default=0)
    stage: str
    attempts: int = Field(default=0)
    worker: str | None = Field(default=None)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancelling: bool = Field(default=False)
    requested_by: str
    requested_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    error: dict[str, Any] | None = Field(default=None, sa_type=ExactJson(none_as_null=True))
