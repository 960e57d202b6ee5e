"""A job as it is shown."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from equipoise_service.jobs.models import Job


class Kind(StrEnum):
    """What a job does."""

    REFRESH = "refresh"
    LOOK = "look"
    SCHEDULED = "scheduled"
    REPEAT = "repeat"


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (Status.DONE, Status.FAILED, Status.CANCELLED)


class JobOut(BaseModel):
    """A job."""

    id: str = Field(description="Its id.")
    kind: Kind = Field(
        description="`refresh` computes the readout; `look` takes the look that is due; `scheduled` takes it "
        "where one is due, else it computes the readout; `repeat` makes what is due on a holdback."
    )
    status: Status = Field(description="`queued`, `running`, `done`, `failed` or `cancelled`.")
    experiment: str = Field(description="The experiment's key.")
    revision: int = Field(description="Number of the revision.")
    percent: int = Field(ge=0, le=100, description="How much is done.")
    stage: str = Field(description="What is being done.")
    attempts: int = Field(ge=0, description="How many times a worker took it up.")
    requested_by: str = Field(description="Public id of the key that asked, or `schedule`.")
    requested_at: datetime = Field(description="When it was asked for.")
    started_at: datetime | None = Field(description="When a worker took it up, the last time.")
    ended_at: datetime | None = Field(description="When it ended.")
    error: dict[str, Any] | None = Field(description="Why it failed, as a problem document.")
    readout: str = Field(description="Where the readout is when it is done.")


def job_out(job: Job) -> JobOut:
    """A job's representation."""
    experiment = f"/v1/experiments/{job.experiment}"
    made = f"{experiment}/readout?revision={job.revision}"
    return JobOut(
        id=job.public_id,
        kind=Kind(job.kind),
        status=Status(job.status),
        experiment=job.experiment,
        revision=job.revision,
        percent=job.percent,
        stage=job.stage,
        attempts=job.attempts,
        requested_by=job.requested_by,
        requested_at=job.requested_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        error=job.error,
        readout=f"{experiment}/repeats" if job.kind == Kind.REPEAT else made,
    )
