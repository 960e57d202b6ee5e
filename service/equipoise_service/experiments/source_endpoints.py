"""Routes of sources that concern the experiments which read them."""

from fastapi import APIRouter, Response

from equipoise_service.accounts.principals import Admin, Reader
from equipoise_service.experiments import source_users
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import IfMatch, check_if_match, etag_of
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.sources import service
from equipoise_service.sources.endpoints import SourceKey, answer
from equipoise_service.sources.schemas import SourceOut, SourcePatch, SourceUse

router = APIRouter(prefix="/v1/sources", tags=["sources"], responses=problems(503))


@router.patch(
    "/{key}",
    summary="Change a source",
    responses=problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 428),
)
def change(
    key: SourceKey,
    payload: SourcePatch,
    principal: Admin,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> SourceOut:
    """Change where facts lie. `events` and `exposures` replace all of what was there.

    Readouts that are computed from now on read it as it is now. Where a locked plan names it, what is read
    changes with a `reason` only, and is a deviation that those readouts list.
    """
    source = service.find(session, principal, key)
    check_if_match(if_match, etag_of(service.present(source)), required=True)
    source_users.change(session, principal, source, payload)
    return answer(session, source, response)


@router.delete(
    "/{key}",
    status_code=204,
    summary="Delete a source",
    responses=problems(401, 403, 404, 409, 412, 422),
)
def delete(key: SourceKey, principal: Admin, session: WriteSession, if_match: IfMatch = None) -> None:
    """Delete a source that no metric reads, and that no locked plan names."""
    source = service.find(session, principal, key)
    check_if_match(if_match, etag_of(service.present(source)), required=False)
    source_users.delete(session, principal, source)


@router.get(
    "/{key}/experiments", summary="List who reads a source", responses=problems(400, 401, 403, 404, 422)
)
def list_experiments(
    key: SourceKey, principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[SourceUse]:
    """The revisions of started experiments whose locked plans name the source, oldest first.

    They are of all environments. A change of what the source reads is put on record in the readouts of all
    but the archived ones.
    """
    source, after = service.find(session, principal, key), page_start(cursor)
    readers = source_users.readers_of(session, principal.project_id, source.key)
    rows = [each for each in readers if each.revision_id > after]
    return build_page(rows[: limit + 1], limit, lambda row: row.revision_id, lambda row: row.use)
