"""Tables of flags.

The definition belongs to the project. Whether a flag is on, its rules and its prerequisites belong to an
environment, so that a flag can be tried in `staging` before it changes anything in `production`.
"""

from datetime import UTC, datetime
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson


def _now() -> datetime:
    return datetime.now(UTC)


class Flag(SQLModel, table=True):
    """A flag: its type, the value of each variant, and the variant served by default.

    A flag that was made by registering an experiment has no `unit_type`: it is about the experiment's units.
    """

    __tablename__ = "flag"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    name: str = Field(default="")
    description: str = Field(default="")
    type: str
    unit_type: str | None = Field(default=None)
    values: dict[str, Any] = Field(sa_type=ExactJson)
    default_variant: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=_now, sa_type=UtcDateTime)
    archived_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FlagState(SQLModel, table=True):
    """A flag in one environment. Without a row it is on, has no prerequisites and no rules of its own.

    `rules` are in order, in the form of the configuration document, except that a rule of a progressive
    rollout names it (`progressive_rollout`): its ranges and audience are the rollout's.
    """

    __tablename__ = "flag_state"
    __table_args__ = (UniqueConstraint("flag_id", "environment_id"),)

    id: int | None = Field(default=None, primary_key=True)
    flag_id: int = Field(foreign_key="flag.id")
    environment_id: int = Field(foreign_key="environment.id", index=True)
    enabled: bool = Field(default=True)
    rules: list[dict[str, Any]] = Field(default_factory=list, sa_type=ExactJson)
    prerequisites: list[dict[str, Any]] = Field(default_factory=list, sa_type=ExactJson)
    updated_at: datetime = Field(default_factory=_now, sa_type=UtcDateTime)
