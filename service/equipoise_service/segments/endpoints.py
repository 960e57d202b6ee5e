"""Routes of segments."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlmodel import Session

from equipoise_service.accounts.principals import Reader, Writer
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import IfMatch, check_if_match, etag_of
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.segments import repository, service
from equipoise_service.segments.models import Segment
from equipoise_service.segments.schemas import IdsPatch, SegmentIdsOut, SegmentIn, SegmentOut, SegmentPatch

router = APIRouter(prefix="/v1/segments", tags=["segments"], responses=problems(503))

SegmentKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The segment's key.")]


@router.post(
    "",
    status_code=201,
    summary="Make a segment",
    response_model=SegmentOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def make(
    payload: SegmentIn, principal: Writer, session: WriteSession, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a reusable audience: a condition on attributes, or a list of ids."""

    def create() -> Created:
        shown = service.present(service.make_segment(session, principal, payload))
        return Created(shown, {"ETag": etag_of(shown), "Location": f"/v1/segments/{shown.key}"})

    return create_once(session, principal.public_id, idempotency_key, ("POST /v1/segments", payload), create)


@router.get("", summary="List the segments", responses=problems(400, 401, 403, 422))
def list_segments(
    principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[SegmentOut]:
    """The segments of your project, oldest first."""
    rows = repository.segments_page(session, principal.project_id, page_start(cursor), limit + 1)
    return build_page(rows, limit, lambda row: row.id or 0, service.present)


@router.get("/{key}", summary="Read a segment", responses=problems(401, 403, 404, 422))
def read(key: SegmentKey, principal: Reader, session: ReadSession, response: Response) -> SegmentOut:
    """One segment, with the ETag that an update needs."""
    return _answer(session, service.find(session, principal, key), response)


@router.patch(
    "/{key}",
    summary="Change a segment",
    responses=problems(400, 401, 403, 404, 412, 413, 415, 422, 428),
)
def change(
    key: SegmentKey,
    payload: SegmentPatch,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> SegmentOut:
    """Change a segment in every environment. `ids` replaces all of them."""
    segment = service.find(session, principal, key)
    check_if_match(if_match, etag_of(service.present(segment)), required=True)
    service.change(session, segment, payload)
    return _answer(session, segment, response)


@router.get("/{key}/ids", summary="Read the ids of a segment", responses=problems(401, 403, 404, 409, 422))
def read_ids(key: SegmentKey, principal: Reader, session: ReadSession) -> SegmentIdsOut:
    """All ids of a segment, sorted."""
    return service.ids(session, service.find(session, principal, key))


@router.post(
    "/{key}/ids",
    summary="Add and remove ids",
    responses=problems(400, 401, 403, 404, 409, 412, 413, 415, 422),
)
def change_ids(
    key: SegmentKey,
    payload: IdsPatch,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> SegmentOut:
    """Add ids to a segment and remove others. Sending the same again changes nothing."""
    segment = service.find(session, principal, key)
    check_if_match(if_match, etag_of(service.present(segment)), required=False)
    service.change_ids(session, segment, payload)
    return _answer(session, segment, response)


@router.delete(
    "/{key}",
    status_code=204,
    summary="Delete a segment",
    responses=problems(401, 403, 404, 409, 412, 422),
)
def delete(key: SegmentKey, principal: Writer, session: WriteSession, if_match: IfMatch = None) -> None:
    """Delete a segment that no flag, experiment, rollout or other segment refers to."""
    segment = service.find(session, principal, key)
    check_if_match(if_match, etag_of(service.present(segment)), required=False)
    service.delete(session, principal, segment)


def _answer(session: Session, segment: Segment, response: Response) -> SegmentOut:
    session.flush()
    shown = service.present(segment)
    response.headers["ETag"] = etag_of(shown)
    return shown
