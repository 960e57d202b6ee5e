"""Tables of experiments.

The definition belongs to the project. The status and the revisions belong to an environment, so that an
experiment can run in `staging` while it is a draft in `production`.
"""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson


class Experiment(SQLModel, table=True):
    """The definition of an experiment. `version` grows with each change of it.

    `made_flag` says whether the flag was made with it, so that its variants are the flag's. `retired` are the
    variants that were taken out after the first start; their exposures may still arrive.
    """

    __tablename__ = "experiment"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="project.id")
    flag_id: int = Field(foreign_key="flag.id", index=True)
    made_flag: bool
    layer_id: int = Field(foreign_key="layer.id", index=True)
    key: str
    name: str
    hypothesis: str
    unit_type: str
    traffic: int
    arms: list[dict[str, Any]] = Field(sa_type=ExactJson)
    retired: list[str] = Field(default_factory=list, sa_type=ExactJson)
    audience: dict[str, Any] | None = Field(default=None, sa_type=ExactJson(none_as_null=True))
    overrides: dict[str, str] = Field(default_factory=dict, sa_type=ExactJson)
    sticky: bool = Field(default=False)
    metrics: list[dict[str, Any]] = Field(sa_type=ExactJson)
    plan: dict[str, Any] = Field(default_factory=dict, sa_type=ExactJson)
    version: int = Field(default=1)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class Run(SQLModel, table=True):
    """An experiment's status in one environment. An environment without a row has it as a draft.

    `shipped` is the variant that was shipped, once one was.
    """

    __tablename__ = "run"
    __table_args__ = (UniqueConstraint("experiment_id", "environment_id"),)

    id: int | None = Field(default=None, primary_key=True)
    experiment_id: int = Field(foreign_key="experiment.id")
    environment_id: int = Field(foreign_key="environment.id")
    status: str
    version: int = Field(default=1)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    stopped_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    archived_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    shipped: str | None = Field(default=None)


class Revision(SQLModel, table=True):
    """One iteration of a run's randomisation: salt and ranges never change, slots follow the traffic.

    `holdback` is set of one that only holds back: how many basis points of the units go on with the control.
    """

    __tablename__ = "revision"
    __table_args__ = (UniqueConstraint("run_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    number: int
    salt: str
    slots: list[list[int]] = Field(sa_type=ExactJson)
    ranges: list[list[Any]] = Field(sa_type=ExactJson)
    control: str
    holdback: int | None = Field(default=None)
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Pause(SQLModel, table=True):
    """A stretch of time of a revision in which it served the control to everybody.

    It ends with the revision at the latest; the experiment may go on being paused in the next one, as a pause
    of that. Null are the ends of one that goes on, and who began one from before they were on record.
    """

    __tablename__ = "pause"

    revision_id: int = Field(foreign_key="revision.id", primary_key=True)
    number: int = Field(primary_key=True)
    started_at: datetime = Field(sa_type=UtcDateTime)
    started_by: str | None = Field(default=None)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_by: str | None = Field(default=None)


class Ramp(SQLModel, table=True):
    """A moment from which on a revision had so many slots: its start is the first one.

    A revision from before ramps were on record has none where nobody could tell what its traffic had been.
    """

    __tablename__ = "ramp"

    revision_id: int = Field(foreign_key="revision.id", primary_key=True)
    number: int = Field(primary_key=True)
    since: datetime = Field(sa_type=UtcDateTime)
    slots: int


class OverriddenUnit(SQLModel, table=True):
    """A unit that had an override at any time in a revision, so that its analysis leaves it out."""

    __tablename__ = "overridden_unit"

    revision_id: int = Field(foreign_key="revision.id", primary_key=True)
    unit: str = Field(primary_key=True)
