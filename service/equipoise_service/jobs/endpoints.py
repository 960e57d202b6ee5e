"""The routes of jobs."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response

from equipoise_service.accounts.principals import Principal, Reader, Writer
from equipoise_service.errors import NotFound
from equipoise_service.http.problems import problems
from equipoise_service.jobs import queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import JobOut, job_out
from equipoise_service.jobs.streams import stream_of_job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(503))

JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="The job's id.")]


@router.get("/{id}", summary="Read a job", responses=problems(401, 403, 404, 422))
async def read(id: JobId, request: Request, principal: Reader) -> JobOut:
    """How far a job is, and what came of it. Jobs are forgotten 30 days after their end."""
    return job_out(await _found(request, principal, id))


@router.get(
    "/{id}/events",
    summary="Follow a job",
    response_class=Response,
    responses={
        200: {
            "description": "Events `job`, whose data is the job, at first and whenever it changed.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(401, 403, 404, 422, 429),
    },
)
async def follow(id: JobId, request: Request, principal: Reader) -> Response:
    """Server-sent events until the job ended."""
    return stream_of_job(request, principal, await _found(request, principal, id))


@router.delete("/{id}", status_code=202, summary="Cancel a job", responses=problems(401, 403, 404, 422))
async def cancel(id: JobId, request: Request, principal: Writer) -> JobOut:
    """Cancel a job: its query is interrupted, and nothing of it is stored. One that ended stays as it is."""
    job = await _found(request, principal, id)
    await anyio.to_thread.run_sync(queue.cancel, request.app.state.database, job)
    return job_out(await _found(request, principal, id))


async def _found(request: Request, principal: Principal, id: str) -> Job:
    find = queue.find
    job = await anyio.to_thread.run_sync(find, request.app.state.database, principal.environment_id, id)
    if job is None:
        raise NotFound(f"There is no job {id} in {principal.place}.")
    return job
