"""The route of previews."""

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request

from equipoise_service.accounts.principals import Reader
from equipoise_service.http.problems import problems
from equipoise_service.previews.schemas import PreviewIn, PreviewOut
from equipoise_service.previews.service import preview

router = APIRouter(prefix="/v1/metrics", tags=["metrics"], responses=problems(503))


@router.post("/preview", summary="Try a metric", responses=problems(400, 401, 403, 404, 409, 413, 415, 422))
async def try_metric(payload: PreviewIn, request: Request, principal: Reader) -> PreviewOut:
    """Try a metric on the facts that are there, without an experiment. It stores nothing."""
    state = request.app.state
    return await anyio.to_thread.run_sync(
        preview,
        state.database,
        state.event_store,
        principal,
        payload,
        state.settings.preview_seconds,
        limiter=_few_at_once(state),
    )


def _few_at_once(state: object) -> anyio.CapacityLimiter:
    """Two previews at a time in a process: they must not starve what else it does."""
    limiter: anyio.CapacityLimiter | None = getattr(state, "preview_limiter", None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(2)
        state.preview_limiter = limiter  # type: ignore[attr-defined]
    return limiter
