"""What a request is answered with that asked for a job. While it waits it holds no thread."""

import asyncio
import time

import anyio.to_thread
import msgspec
from fastapi import Response
from starlette.datastructures import State

from equipoise_service.accounts.principals import Principal
from equipoise_service.database import Database
from equipoise_service.evaluation.changes import Changes
from equipoise_service.http.problems import MEDIA_TYPE
from equipoise_service.jobs import queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import ENDED, Status, job_out

_FIRST_SECONDS, _MOST_SECONDS = 0.01, 0.25


async def ended_within(state: State, principal: Principal, job: Job, seconds: float) -> Job:
    """A job when it has ended, or as it is after so many seconds.

    Raises:
        TooManyRequests: Too many wait, or have streams, at once.
    """
    changes: Changes = state.changes
    deadline, pause = time.monotonic() + seconds, _FIRST_SECONDS
    with changes.subscribe(principal.environment_id, principal.public_id):
        while job.status not in ENDED and time.monotonic() < deadline and not changes.closed:
            await asyncio.sleep(min(pause, max(deadline - time.monotonic(), 0)))
            pause = min(2 * pause, _MOST_SECONDS)
            database: Database = state.database
            found = await anyio.to_thread.run_sync(queue.find, database, job.environment_id, job.public_id)
            # Ended jobs are forgotten, but not within the time that a request waits.
            job = found or job
    return job


def not_done(job: Job) -> Response:
    """The answer where a job was not done: that it goes on (202), or why it cannot be done."""
    if job.status in (Status.FAILED, Status.CANCELLED) and job.error is not None:
        return Response(
            msgspec.json.encode(job.error), status_code=int(job.error["status"]), media_type=MEDIA_TYPE
        )
    return Response(
        job_out(job).model_dump_json(),
        status_code=202,
        media_type="application/json",
        headers={"Location": f"/v1/jobs/{job.public_id}", "Retry-After": "1"},
    )
