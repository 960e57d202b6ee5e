"""Routes of sources, but for those that change them under plans: `experiments.source_endpoints` has these."""

from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response
from sqlmodel import Session

from equipoise_service.accounts.principals import Admin, Reader, Writer
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import etag_of
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.settings import Settings
from equipoise_service.sources import repository, service
from equipoise_service.sources.models import Source
from equipoise_service.sources.probe import probe
from equipoise_service.sources.schemas import SourceIn, SourceOut, SourceTestOut

router = APIRouter(prefix="/v1/sources", tags=["sources"], responses=problems(503))

SourceKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The source's key.")]


@router.post(
    "",
    status_code=201,
    summary="Make a source",
    response_model=SourceOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def make(
    payload: SourceIn, principal: Admin, session: WriteSession, idempotency_key: IdempotencyKey = None
) -> Response:
    """Say where facts lie. It needs an admin's key: a query reads whatever the connection's user may read."""

    def create() -> Created:
        shown = service.present(service.make_source(session, principal, payload))
        return Created(shown, {"ETag": etag_of(shown), "Location": f"/v1/sources/{shown.key}"})

    return create_once(session, principal.public_id, idempotency_key, ("POST /v1/sources", payload), create)


@router.get("", summary="List the sources", responses=problems(400, 401, 403, 422))
def list_sources(
    principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[SourceOut]:
    """The sources of your project, oldest first."""
    rows = repository.sources_page(session, principal.project_id, page_start(cursor), limit + 1)
    return build_page(rows, limit, lambda row: row.id or 0, service.present)


@router.get("/{key}", summary="Read a source", responses=problems(401, 403, 404, 422))
def read(key: SourceKey, principal: Reader, session: ReadSession, response: Response) -> SourceOut:
    """One source, with the ETag that an update needs."""
    return answer(session, service.find(session, principal, key), response)


@router.post("/{key}/test", summary="Test a source", responses=problems(401, 403, 404, 422))
async def test(key: SourceKey, request: Request, principal: Writer) -> SourceTestOut:
    """Connect, look at columns, types and rows, and say what is wrong. It changes nothing."""
    settings: Settings = request.app.state.settings

    def run() -> SourceTestOut:
        with request.app.state.database.read() as session:
            source = service.definition(service.find(session, principal, key))
        return probe(source, settings.source_seconds)

    return await anyio.to_thread.run_sync(run, limiter=_few_at_once(request.app.state))


def _few_at_once(state: object) -> anyio.CapacityLimiter:
    """Two tests at a time in a process: each may take minutes, and a thread that others need."""
    limiter: anyio.CapacityLimiter | None = getattr(state, "probe_limiter", None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(2)
        state.probe_limiter = limiter  # type: ignore[attr-defined]
    return limiter


def answer(session: Session, source: Source, response: Response) -> SourceOut:
    """A source as it is answered, with its ETag."""
    session.flush()
    shown = service.present(source)
    response.headers["ETag"] = etag_of(shown)
    return shown
