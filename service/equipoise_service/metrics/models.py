"""Tables of metrics."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime


class StoredMetric(SQLModel, table=True):
    """A metric of a project. What it is stands in its versions; `version` is the number of the latest."""

    __tablename__ = "metric"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    key: str
    version: int
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    archived_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class MetricVersion(SQLModel, table=True):
    """What a metric is from one change of it to the next. Rows are only ever added."""

    __tablename__ = "metric_version"
    __table_args__ = (UniqueConstraint("metric_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    metric_id: int = Field(foreign_key="metric.id")
    number: int
    definition: dict[str, Any] = Field(sa_type=JSON)
    made_by: str
    made_at: datetime = Field(sa_type=UtcDateTime)


class MetricUse(SQLModel, table=True):
    """That an experiment names a stored metric, at a version, or a metric with a source."""

    __tablename__ = "metric_use"

    experiment_id: int = Field(foreign_key="experiment.id", primary_key=True)
    metric: str = Field(primary_key=True)
    experiment: str
    project_id: int = Field(foreign_key="project.id", index=True)
    version: int | None = Field(default=None)
    source: str | None = Field(default=None)
