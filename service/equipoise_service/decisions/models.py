"""Tables of predictions and decisions. What is in them is only added to: nothing is overwritten."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson


class Prediction(SQLModel, table=True):
    """What somebody expected of a revision before it began."""

    __tablename__ = "prediction"

    id: int | None = Field(default=None, primary_key=True)
    experiment_id: int = Field(foreign_key="experiment.id", index=True)
    environment_id: int = Field(foreign_key="environment.id")
    revision: int
    outcome: str | None
    variant: str | None
    lifts: dict[str, Any] = Field(sa_type=ExactJson)
    reason: str
    made_by: str
    made_at: datetime = Field(sa_type=UtcDateTime)


class Decision(SQLModel, table=True):
    """What was decided on a readout, and what the plan recommended in it.

    `holdback` are the basis points that a ship holds back. `readout` is that readout as canonical JSON.
    `settled_*` say who confirmed or withdrew a decision that waited for a second person.
    """

    __tablename__ = "decision"
    __table_args__ = (UniqueConstraint("revision_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    revision_id: int = Field(foreign_key="revision.id")
    number: int
    outcome: str
    variant: str | None
    holdback: int | None = Field(default=None)
    reason: str
    recommended: str | None
    recommended_variant: str | None
    against: bool
    status: str
    readout_digest: str
    readout: bytes
    made_by: str
    made_at: datetime = Field(sa_type=UtcDateTime)
    settled_by: str | None = Field(default=None)
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    settled_reason: str | None = Field(default=None)
