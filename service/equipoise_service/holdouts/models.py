"""The tables of holdouts and of the experiments that keep them out."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime


class Holdout(SQLModel, table=True):
    """A share of units, in basis points, with a salt that never changes. `version` grows with each change."""

    __tablename__ = "holdout"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    name: str
    description: str
    unit_type: str
    share: int
    salt: str
    version: int = Field(default=1)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class HeldOutExperiment(SQLModel, table=True):
    """An experiment that keeps out the units of a holdout."""

    __tablename__ = "held_out_experiment"

    experiment_id: int = Field(foreign_key="experiment.id", primary_key=True)
    holdout_id: int = Field(foreign_key="holdout.id", primary_key=True, index=True)
