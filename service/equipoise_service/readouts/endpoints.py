"""The route of readouts."""

from typing import Annotated

import anyio
import anyio.to_thread
import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.datastructures import State

from equipoise_service.accounts.principals import Reader
from equipoise_service.analysis.sources import Limits
from equipoise_service.http.problems import problems
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.service import compute_readout

router = APIRouter(prefix="/v1/experiments", tags=["readouts"], responses=problems(503))


@router.get(
    "/{key}/readout",
    summary="Read the readout",
    response_model=Readout,
    responses=problems(401, 403, 404, 409, 422),
)
async def read(
    key: Annotated[str, Path(max_length=MAX_LENGTH, description="The experiment's key.")],
    request: Request,
    principal: Reader,
    revision: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Number of the revision; the latest when absent.")
    ] = None,
) -> Response:
    """The results of one revision of an experiment in the key's environment, from all acknowledged facts.

    It is computed when you ask. `equipoise verify` recomputes it from the statistics in it.
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


def one_at_a_time(state: State) -> anyio.CapacityLimiter:
    """Lets one analysis of this process run at a time; the others wait without holding a thread."""
    limiter = getattr(state, "readout_limiter", None)
    if limiter is None:
        limiter = state.readout_limiter = anyio.CapacityLimiter(1)
    return limiter
