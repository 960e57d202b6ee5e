"""The route of stored readouts: what is stored is served as bytes, what is not there yet is a job."""

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, ValidationError

from equipoise_service.accounts.principals import SECURITY, Principal, Principals, Scope
from equipoise_service.database import Database
from equipoise_service.http.preconditions import matches_none
from equipoise_service.http.problems import payload_error, problems
from equipoise_service.http.routes import PlainRoute
from equipoise_service.jobs import queue
from equipoise_service.jobs.answers import ended_within, not_done
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import JobOut, Kind, Status
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.storage import Asked, Found, Served, StoredReadouts

router = APIRouter(prefix="/v1", tags=["readouts"], responses=problems(503), route_class=PlainRoute)

ExperimentKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The experiment's key.")]
RevisionNumber = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Number of the revision; the latest when absent.")
]
MOST_SECONDS = 60

JOB: dict[int | str, dict[str, Any]] = {
    202: {
        "model": JobOut,
        "description": "A job that makes it; `Location` is where to ask how far it is.",
        "headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}},
    }
}


class _Question(BaseModel):
    """What may be said about the readout that is asked for."""

    revision: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Number of the revision; the latest when absent."
    )
    wait: float = Field(
        0,
        ge=0,
        le=MOST_SECONDS,
        description="Compute it anew, from all facts acknowledged by now, and wait so many seconds for it; 0 "
        "reads the latest one at once.",
    )


_NOTHING_SAID = _Question()
_PARAMETERS = [
    {
        "name": "key",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "maxLength": MAX_LENGTH},
        "description": "The experiment's key.",
    },
    *(
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _Question.model_json_schema()["properties"].items()
    ),
    {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The ETag of the readout that you have.",
    },
]


@router.get(
    "/experiments/{key}/readout",
    summary="Read the readout",
    response_model=Readout,
    openapi_extra={"security": SECURITY, "parameters": _PARAMETERS},
    responses={
        200: {"headers": {"ETag": {"description": "The readout's digest.", "schema": {"type": "string"}}}},
        304: {"description": "The readout is the one that If-None-Match names."},
        **JOB,
        **problems(401, 403, 404, 409, 422, 429),
    },
)
async def read(request: Request) -> Response:
    """The latest readout of one revision of an experiment in the key's environment.

    Workers compute it, and reading spends nothing: between the looks of a group-sequential plan it has no
    p-value. Where none is there yet, or it is not there in time, the answer is the job that makes it (202).
    `equipoise verify` recomputes it from the statistics in it.
    """
    state = request.app.state
    principals: Principals = state.principals
    stored: StoredReadouts = state.stored_readouts
    # Not as parameters: this is read more often than all else about an experiment.
    principal = principals.authenticate(request, Scope.READ)
    key, (revision, wait) = request.path_params["key"], _asked(request)
    asked = Asked(principal.environment_id, key, revision)
    if not wait and (kept := stored.in_memory(asked)):
        return _answer(request, kept)
    found = await anyio.to_thread.run_sync(stored.read, principal, asked)
    if not wait:
        if found.served is not None:
            return _answer(request, found.served)
        there = await anyio.to_thread.run_sync(_there, state.database, found.revision_id)
        return not_done(there or await add_job(request, principal, Kind.REFRESH, key, found))
    job = await add_job(request, principal, Kind.REFRESH, key, found)
    job = await ended_within(state, principal, job, wait)
    if job.status == Status.DONE:
        found = await anyio.to_thread.run_sync(stored.read, principal, asked)
        if found.served is not None:
            return _answer(request, found.served)
    return not_done(job)


def _there(database: Database, revision_id: int) -> Job | None:
    """A job that is worked at, or that has failed so lately that the next one would, too."""
    return queue.underway(database, revision_id) or queue.failed_lately(database, revision_id)


def _asked(request: Request) -> tuple[int | None, float]:
    """The revision, and how long to wait.

    Raises:
        InvalidPayload: One of them cannot be.
    """
    question = _NOTHING_SAID
    if request.scope["query_string"]:
        try:
            question = _Question.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise payload_error(
                [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
            ) from None
    return question.revision, question.wait


async def add_job(request: Request, principal: Principal, kind: Kind, key: str, found: Found) -> Job:
    """Add a job, and wake the worker of this process if it has one."""
    state = request.app.state
    wanted = queue.Wanted(
        kind, principal.environment_id, found.revision_id, key, found.number, principal.public_id
    )
    job = await anyio.to_thread.run_sync(queue.add, state.database, wanted)
    state.wake_worker.set()
    return job


def _answer(request: Request, served: Served) -> Response:
    headers = {"ETag": served.etag, "Cache-Control": "private, no-cache"}
    if matches_none(request.headers.get("if-none-match"), served.etag):
        return Response(status_code=304, headers=headers)
    return Response(served.body, media_type="application/json", headers=headers)
