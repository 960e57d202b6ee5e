"""The route of audits."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Request

from equipoise_service.accounts.principals import Reader
from equipoise_service.http.problems import problems
from equipoise_service.jobs.worker import one_at_a_time
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.recomputation.schemas import AuditOut
from equipoise_service.recomputation.service import audit_experiment

router = APIRouter(prefix="/v1/experiments", tags=["readouts"], responses=problems(503))


@router.get(
    "/{key}/audit", summary="Recompute every logged variant", responses=problems(401, 403, 404, 409, 422)
)
async def read_audit(
    key: Annotated[str, Path(max_length=MAX_LENGTH, description="The experiment's key.")],
    request: Request,
    principal: Reader,
) -> AuditOut:
    """Compare every logged exposure with the variant that its revision gives the unit.

    Exposures that disagree point at a client that buckets differently, logs another variant than it served,
    or changes unit ids on the way.
    """
    state = request.app.state
    return await anyio.to_thread.run_sync(
        audit_experiment, state.database, state.event_store, principal, key, limiter=one_at_a_time(state)
    )
