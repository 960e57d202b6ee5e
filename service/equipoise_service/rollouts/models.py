"""The table of progressive rollouts."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson


class Rollout(SQLModel, table=True):
    """A flag's way from one variant to another in an environment.

    The salt never changes and the share only grows, so no unit goes back and forth. `step` counts from 0;
    while it runs, the step ends at `due_at`; while it is held, `seconds_left` remain of the step.
    """

    __tablename__ = "progressive_rollout"
    __table_args__ = (UniqueConstraint("flag_id", "environment_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    flag_id: int = Field(foreign_key="flag.id")
    environment_id: int = Field(foreign_key="environment.id", index=True)
    key: str
    from_variant: str
    to_variant: str
    audience: dict[str, Any] | None = Field(default=None, sa_type=ExactJson(none_as_null=True))
    steps: list[dict[str, Any]] = Field(sa_type=ExactJson)
    guardrails: list[dict[str, Any]] = Field(sa_type=ExactJson)
    salt: str
    status: str
    step: int = Field(default=0)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    seconds_left: float | None = Field(default=None)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
