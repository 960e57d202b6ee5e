"""The route of power."""

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request

from equipoise_service.accounts.principals import Reader
from equipoise_service.http.problems import problems
from equipoise_service.power.schemas import PowerIn, PowerOut
from equipoise_service.power.service import plan_power

router = APIRouter(prefix="/v1/plans", tags=["plans"], responses=problems(503))


@router.post(
    "/power",
    summary="Ask what a plan needs",
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
)
async def power(payload: PowerIn, request: Request, principal: Reader) -> PowerOut:
    """Units and days that a plan needs for its whole decision, and the smallest effect by horizon.

    Baselines and variances come from the units of the past, as if they had been exposed when they first came,
    or from the request. It stores nothing.
    """
    state = request.app.state
    return await anyio.to_thread.run_sync(
        plan_power,
        state.database,
        state.event_store,
        principal,
        payload,
        state.settings.preview_seconds,
        limiter=_one_at_a_time(state),
    )


def _one_at_a_time(state: object) -> anyio.CapacityLimiter:
    """One at a time in a process: it reads weeks of facts, and must not starve what else there is to do."""
    limiter: anyio.CapacityLimiter | None = getattr(state, "power_limiter", None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(1)
        state.power_limiter = limiter  # type: ignore[attr-defined]
    return limiter
