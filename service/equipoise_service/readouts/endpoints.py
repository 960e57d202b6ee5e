"""The routes of readouts and of looks."""

from typing import Annotated

import anyio
import anyio.to_thread
import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import JsonValue
from starlette.datastructures import State

from equipoise_service.accounts.principals import Reader, Writer
from equipoise_service.analysis.sources import Limits
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.plans.looks import Look
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.service import compute_readout, readout_of_look, take_look, taken_looks

router = APIRouter(prefix="/v1", tags=["readouts"], responses=problems(503))

ExperimentKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The experiment's key.")]
RevisionNumber = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Number of the revision; the latest when absent.")
]


@router.get(
    "/experiments/{key}/readout",
    summary="Read the readout",
    response_model=Readout,
    responses=problems(401, 403, 404, 409, 422),
)
async def read(
    key: ExperimentKey, request: Request, principal: Reader, revision: RevisionNumber = None
) -> Response:
    """The results of one revision of an experiment in the key's environment, from all acknowledged facts.

    It is computed when you ask, and asking spends nothing: between the looks of a group-sequential plan it
    has no p-value. `equipoise verify` recomputes it from the statistics in it.
    """
    state = request.app.state
    document = await anyio.to_thread.run_sync(
        compute_readout,
        state.database,
        state.event_store,
        Limits(state.settings.source_seconds, state.settings.source_exposures),
        principal,
        key,
        revision,
        limiter=one_at_a_time(state),
    )
    return Response(msgspec.json.encode(document), media_type="application/json")


@router.post(
    "/experiments/{key}/looks",
    status_code=201,
    summary="Take the look that is due",
    response_model=Readout,
    responses=problems(401, 403, 404, 409, 422),
)
async def take(key: ExperimentKey, request: Request, principal: Writer) -> Response:
    """Look at a running experiment as its group-sequential plan says: this spends alpha, once and for good.

    The answer is the readout of the look, which is kept. Where no look is due it is refused, and nothing is
    spent.
    """
    state = request.app.state
    document = await anyio.to_thread.run_sync(
        take_look,
        state.database,
        state.event_store,
        Limits(state.settings.source_seconds, state.settings.source_exposures),
        principal,
        key,
        limiter=one_at_a_time(state),
    )
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


def one_at_a_time(state: State) -> anyio.CapacityLimiter:
    """Lets one analysis of this process run at a time; the others wait without holding a thread."""
    limiter = getattr(state, "readout_limiter", None)
    if limiter is None:
        limiter = state.readout_limiter = anyio.CapacityLimiter(1)
    return limiter
