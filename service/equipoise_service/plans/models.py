"""Tables of plans: what was locked, what was changed since, and the looks that were taken."""

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
    """A change of a locked plan. `plan` is the whole plan from then on."""

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
