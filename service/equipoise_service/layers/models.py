"""The tables of layers and of the slots that experiments hold in them."""

from datetime import datetime

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime


class Layer(SQLModel, table=True):
    """A space of 10,000 slots with a salt that never changes. `version` grows with each change."""

    __tablename__ = "layer"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    name: str
    description: str
    salt: str
    version: int = Field(default=1)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class Holding(SQLModel, table=True):
    """The slots of a layer that an experiment holds in an environment, from its start to its end.

    `taken` and `former` are half-open intervals: the slots held, in the order they were taken, and those that
    ramps down gave back, in the order to take them again.
    """

    __tablename__ = "slot_holding"
    __table_args__ = (UniqueConstraint("layer_id", "environment_id", "experiment"),)

    id: int | None = Field(default=None, primary_key=True)
    layer_id: int = Field(foreign_key="layer.id")
    environment_id: int = Field(foreign_key="environment.id")
    experiment: str
    taken: list[list[int]] = Field(sa_type=JSON)
    former: list[list[int]] = Field(sa_type=JSON)
