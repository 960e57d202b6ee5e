"""The routes of readouts and of looks: what is stored is served, and what is to be computed is a job."""

from typing import Annotated, Any

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import JsonValue

from equipoise_service.accounts.principals import SECURITY, Principal, Principals, Reader, Scope, Writer
from equipoise_service.http.preconditions import matches_none
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession
from equipoise_service.jobs import queue
from equipoise_service.jobs.answers import ended_within, not_done
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import JobOut, Kind, Status
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.plans.looks import Look
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.service import readout_of_last_look, readout_of_look, taken_looks
from equipoise_service.readouts.storage import Asked, Found, Served, StoredReadouts

router = APIRouter(prefix="/v1", tags=["readouts"], responses=problems(503))

ExperimentKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The experiment's key.")]
RevisionNumber = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Number of the revision; the latest when absent.")
]
_MOST_SECONDS = 60

_JOB: dict[int | str, dict[str, Any]] = {
    202: {
        "model": JobOut,
        "description": "A job that makes it; `Location` is where to ask how far it is.",
        "headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}},
    }
}


@router.get(
    "/experiments/{key}/readout",
    summary="Read the readout",
    response_model=Readout,
    openapi_extra={
        "security": SECURITY,
        "parameters": [
            {
                "name": "If-None-Match",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "The ETag of the readout that you have.",
            }
        ],
    },
    responses={
        200: {"headers": {"ETag": {"description": "The readout's digest.", "schema": {"type": "string"}}}},
        304: {"description": "The readout is the one that If-None-Match names."},
        **_JOB,
        **problems(401, 403, 404, 409, 422),
    },
)
async def read(
    key: ExperimentKey,
    request: Request,
    revision: RevisionNumber = None,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=_MOST_SECONDS,
            description="Compute it anew, from all facts acknowledged by now, and wait so many seconds for "
            "it; 0 reads the latest one at once.",
        ),
    ] = 0,
) -> Response:
    """The latest readout of one revision of an experiment in the key's environment.

    Workers compute it, and reading spends nothing: between the looks of a group-sequential plan it has no
    p-value. Where none is there yet, or it is not there in time, the answer is the job that makes it (202).
    `equipoise verify` recomputes it from the statistics in it.
    """
    state = request.app.state
    principals: Principals = state.principals
    stored: StoredReadouts = state.stored_readouts
    # Not as a dependency: this is read more often than all else about an experiment.
    principal = principals.authenticate(request, Scope.READ)
    asked = Asked(principal.environment_id, key, revision)
    if not wait and (kept := stored.in_memory(asked)):
        return _answer(request, kept)
    found = await anyio.to_thread.run_sync(stored.read, principal, asked)
    if not wait:
        if found.served is not None:
            return _answer(request, found.served)
        underway = await anyio.to_thread.run_sync(queue.underway, state.database, found.revision_id)
        return not_done(underway or await _add(request, principal, Kind.REFRESH, key, found))
    job = await _add(request, principal, Kind.REFRESH, key, found)
    job = await ended_within(state.database, job, wait)
    if job.status == Status.DONE:
        found = await anyio.to_thread.run_sync(stored.read, principal, asked)
        if found.served is not None:
            return _answer(request, found.served)
    return not_done(job)


@router.post(
    "/experiments/{key}/readout/refresh",
    status_code=202,
    summary="Compute the readout anew",
    response_model=JobOut,
    responses=problems(401, 403, 404, 409, 422),
)
async def refresh(
    key: ExperimentKey, request: Request, principal: Reader, revision: RevisionNumber = None
) -> Response:
    """Have the readout computed from all facts that are acknowledged by now. It spends nothing.

    The answer is the job that does it, which can be followed and cancelled; one that waits already serves all
    who ask.
    """
    asked = Asked(principal.environment_id, key, revision)
    stored: StoredReadouts = request.app.state.stored_readouts
    found = await anyio.to_thread.run_sync(stored.read, principal, asked)
    return not_done(await _add(request, principal, Kind.REFRESH, key, found))


@router.post(
    "/experiments/{key}/looks",
    status_code=201,
    summary="Take the look that is due",
    response_model=Readout,
    responses={**_JOB, **problems(401, 403, 404, 409, 422)},
)
async def take(
    key: ExperimentKey,
    request: Request,
    principal: Writer,
    wait: Annotated[
        float, Query(ge=0, le=_MOST_SECONDS, description="Seconds to wait for it.")
    ] = _MOST_SECONDS,
) -> Response:
    """Look at a running experiment as its group-sequential plan says: this spends alpha, once and for good.

    The answer is the readout of the look, which is kept, or the job that takes it where that is not there in
    time (202). Where no look is due it is refused, and nothing is spent. Workers take looks by themselves,
    too.
    """
    state = request.app.state
    stored: StoredReadouts = state.stored_readouts
    asked = Asked(principal.environment_id, key, None)
    found = await anyio.to_thread.run_sync(stored.read, principal, asked)
    job = await _add(request, principal, Kind.LOOK, key, found)
    job = await ended_within(state.database, job, wait)
    if job.status != Status.DONE:
        return not_done(job)
    document = await anyio.to_thread.run_sync(readout_of_last_look, state.database, found.revision_id)
    return Response(msgspec.json.encode(document), status_code=201, media_type="application/json")


@router.get("/experiments/{key}/looks", summary="List the looks", responses=problems(401, 403, 404, 409, 422))
def list_looks(
    key: ExperimentKey, principal: Reader, session: ReadSession, revision: RevisionNumber = None
) -> list[Look]:
    """The looks that were taken at a revision of an experiment, with what they spent, oldest first."""
    return taken_looks(session, principal, key, revision)


@router.get(
    "/experiments/{key}/looks/{number}",
    summary="Read the readout of a look",
    response_model=Readout,
    responses=problems(401, 403, 404, 409, 422),
)
def read_look(
    key: ExperimentKey,
    number: Annotated[int, Path(ge=1, le=2**31 - 1, description="1 for the first look.")],
    principal: Reader,
    session: ReadSession,
    revision: RevisionNumber = None,
) -> Response:
    """The readout of a look, as it was when the look was taken; it never changes."""
    document = readout_of_look(session, principal, key, number, revision)
    return Response(msgspec.json.encode(document), media_type="application/json")


@router.get("/schemas/readout", summary="Read the schema of readouts", responses=problems(401, 403))
def schema(_: Reader) -> dict[str, JsonValue]:
    """The JSON schema of a readout, whose `schema` says the version."""
    return Readout.model_json_schema(by_alias=True)


def _answer(request: Request, served: Served) -> Response:
    headers = {"ETag": served.etag, "Cache-Control": "private, no-cache"}
    if matches_none(request.headers.get("if-none-match"), served.etag):
        return Response(status_code=304, headers=headers)
    return Response(served.body, media_type="application/json", headers=headers)


async def _add(request: Request, principal: Principal, kind: Kind, key: str, found: Found) -> Job:
    """Add a job, and wake the worker of this process if it has one."""
    state = request.app.state
    wanted = queue.Wanted(
        kind, principal.environment_id, found.revision_id, key, found.number, principal.public_id
    )
    job = await anyio.to_thread.run_sync(queue.add, state.database, wanted)
    state.wake_worker.set()
    return job
