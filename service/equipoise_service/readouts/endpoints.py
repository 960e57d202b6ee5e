"""The routes of refreshes and of looks."""

from contextlib import suppress
from typing import Annotated

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import JsonValue
from pydantic.json_schema import GenerateJsonSchema

from equipoise_service.accounts.principals import Reader, Writer
from equipoise_service.errors import TooManyRequests
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession
from equipoise_service.jobs.answers import ended_within, not_done
from equipoise_service.jobs.schemas import JobOut, Kind, Status
from equipoise_service.plans.looks import Look
from equipoise_service.readouts.repeat import RepeatOut
from equipoise_service.readouts.repeating import repeat_after, repeats_of
from equipoise_service.readouts.schemas import SCHEMA, Readout
from equipoise_service.readouts.service import readout_of_last_look, readout_of_look, taken_looks
from equipoise_service.readouts.serving import JOB, MOST_SECONDS, ExperimentKey, RevisionNumber, add_job
from equipoise_service.readouts.storage import Asked, StoredReadouts

router = APIRouter(prefix="/v1", tags=["readouts"], responses=problems(503))


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
    return not_done(await add_job(request, principal, Kind.REFRESH, key, found))


@router.post(
    "/experiments/{key}/looks",
    status_code=201,
    summary="Take the look that is due",
    response_model=Readout,
    responses={**JOB, **problems(401, 403, 404, 409, 422)},
)
async def take(
    key: ExperimentKey,
    request: Request,
    principal: Writer,
    wait: Annotated[
        float, Query(ge=0, le=MOST_SECONDS, description="Seconds to wait for it.")
    ] = MOST_SECONDS,
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
    job = await add_job(request, principal, Kind.LOOK, key, found)
    # Who may not wait is told of the job all the same: a refusal would say that nothing is spent.
    with suppress(TooManyRequests):
        job = await ended_within(state, principal, job, wait)
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


@router.get("/experiments/{key}/repeats", summary="List the repeats", responses=problems(401, 403, 404, 422))
def list_repeats(key: ExperimentKey, principal: Reader, session: ReadSession) -> list[RepeatOut]:
    """The readouts that are repeated by themselves after the experiment was shipped with a holdback.

    They are made once, 30 and 90 days after the ship, or when the holdback ends before, and say what became
    of the effects that were decided on. Those to come have a date.
    """
    return repeats_of(session, principal, key)


@router.get(
    "/experiments/{key}/repeats/{days}",
    summary="Read a repeated readout",
    response_model=Readout,
    responses=problems(401, 403, 404, 422),
)
def read_repeat(
    key: ExperimentKey,
    days: Annotated[int, Path(ge=1, le=3660, description="How many days after the ship.")],
    principal: Reader,
    session: ReadSession,
) -> Response:
    """A readout that was repeated on a holdback, as it was made; it never changes.

    Its `repeat` holds the effects against those that were decided on. It recommends nothing.
    """
    return Response(repeat_after(session, principal, key, days), media_type="application/json")


@router.get("/schemas/readout", summary="Read the schema of readouts", responses=problems(401, 403))
def schema(_: Reader) -> dict[str, JsonValue]:
    """The JSON schema of a readout; its `$id` has the version that `schema` has in each readout."""
    # See RFC 8141: a URN has no slash there, so the version follows a colon.
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:equipoise:schema:{SCHEMA.partition('.')[2].replace('/', ':')}",
        **Readout.model_json_schema(by_alias=True),
    }
