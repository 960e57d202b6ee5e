"""Tables of plans: what was locked, what was changed since, and the looks and repeats that were taken."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson


class LockedPlan(SQLModel, table=True):
    """The plan of a revision as it was locked at its start. It never changes."""

    __tablename__ = "locked_plan"

    revision_id: int = Field(foreign_key="revision.id", primary_key=True)
    plan: dict[str, Any] = Field(sa_type=ExactJson)
    digest: str
    locked_at: datetime = Field(sa_type=UtcDateTime)


class PlanDeviation(SQLModel, table=True):
    """A change of a locked plan, or of what it reads. `plan` is the whole plan from then on."""

    __tablename__ = "plan_deviation"
    __table_args__ = (UniqueConstraint("revision_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    revision_id: int = Field(foreign_key="revision.id")
    number: int
    plan: dict[str, Any] = Field(sa_type=ExactJson)
    digest: str
    changed: list[str] = Field(sa_type=ExactJson)
    reason: str
    made_by: str
    made_at: datetime = Field(sa_type=UtcDateTime)


class TakenLook(SQLModel, table=True):
    """A look that was taken: what it spent, and the readout that it gave. It never changes."""

    __tablename__ = "look"
    __table_args__ = (UniqueConstraint("revision_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    revision_id: int = Field(foreign_key="revision.id")
    number: int
    look: dict[str, Any] = Field(sa_type=ExactJson)
    readout: dict[str, Any] = Field(sa_type=ExactJson)


class RepeatedReadout(SQLModel, table=True):
    """The readout that is repeated on a holdback, so many days after the ship. Once made it never changes.

    `decided` is what was decided on. What it counts ends at `due_at`, for the last one that of the holdback;
    `next_at` is when it is made or tried again, and null when it is there.
    """

    __tablename__ = "repeated_readout"

    revision_id: int = Field(foreign_key="revision.id", primary_key=True)
    days: int = Field(primary_key=True)
    decided: dict[str, Any] = Field(sa_type=ExactJson)
    due_at: datetime = Field(sa_type=UtcDateTime)
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    generated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    digest: str | None = Field(default=None)
    body: bytes | None = Field(default=None)
