"""Routes of holdouts."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlmodel import Session

from equipoise_service.accounts.principals import Reader, Writer
from equipoise_service.holdouts import repository, service
from equipoise_service.holdouts.models import Holdout
from equipoise_service.holdouts.schemas import HoldoutIn, HoldoutOut, HoldoutPatch
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import IfMatch, check_if_match
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH

router = APIRouter(prefix="/v1/holdouts", tags=["holdouts"], responses=problems(503))

HoldoutKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The holdout's key.")]


@router.post(
    "",
    status_code=201,
    summary="Make a holdout",
    response_model=HoldoutOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def make(
    payload: HoldoutIn, principal: Writer, session: WriteSession, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a holdout. It keeps its units out of every experiment that names it."""

    def create() -> Created:
        holdout = service.make(session, principal, payload)
        shown = service.present(session, [holdout])[0]
        return Created(shown, {"ETag": service.etag(holdout), "Location": f"/v1/holdouts/{shown.key}"})

    return create_once(session, principal.public_id, idempotency_key, ("POST /v1/holdouts", payload), create)


@router.get("", summary="List the holdouts", responses=problems(400, 401, 403, 422))
def list_holdouts(
    principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[HoldoutOut]:
    """The holdouts of your project, oldest first."""
    rows = repository.holdouts_page(session, principal.project_id, page_start(cursor), limit + 1)
    shown = {each.key: each for each in service.present(session, rows[:limit])}
    return build_page(rows, limit, lambda row: row.id or 0, lambda row: shown[row.key])


@router.get("/{key}", summary="Read a holdout", responses=problems(401, 403, 404, 422))
def read(key: HoldoutKey, principal: Reader, session: ReadSession, response: Response) -> HoldoutOut:
    """One holdout, with the ETag that an update needs."""
    return _answer(session, service.find(session, principal, key), response)


@router.patch(
    "/{key}",
    summary="Change a holdout",
    responses=problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 428),
)
def change(
    key: HoldoutKey,
    payload: HoldoutPatch,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> HoldoutOut:
    """Change name and description, or hold out more units. A larger share keeps every unit that it had."""
    holdout = service.find(session, principal, key)
    check_if_match(if_match, service.etag(holdout), required=True)
    service.change(session, holdout, payload)
    return _answer(session, holdout, response)


@router.delete(
    "/{key}",
    status_code=204,
    summary="Delete a holdout",
    responses=problems(401, 403, 404, 409, 412, 422),
)
def delete(key: HoldoutKey, principal: Writer, session: WriteSession, if_match: IfMatch = None) -> None:
    """Delete a holdout that no experiment names."""
    holdout = service.find(session, principal, key)
    check_if_match(if_match, service.etag(holdout), required=False)
    service.delete(session, holdout)


def _answer(session: Session, holdout: Holdout, response: Response) -> HoldoutOut:
    response.headers["ETag"] = service.etag(holdout)
    return service.present(session, [holdout])[0]
