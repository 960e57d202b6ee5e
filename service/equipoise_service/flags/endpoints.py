"""Routes of flags."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal, Reader, Writer
from equipoise_service.flags import repository, service
from equipoise_service.flags.models import Flag
from equipoise_service.flags.presentation import present
from equipoise_service.flags.schemas import FlagIn, FlagOut, FlagPatch
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import IfMatch, check_if_match, etag_of
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH

router = APIRouter(prefix="/v1/flags", tags=["flags"], responses=problems(503))

FlagKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The flag's key.")]


@router.post(
    "",
    status_code=201,
    summary="Make a flag",
    response_model=FlagOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def make(
    payload: FlagIn, principal: Writer, session: WriteSession, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a flag. Its rules and prerequisites are those of the key's environment; elsewhere it has none."""

    def create() -> Created:
        shown = _show(session, principal, service.make_flag(session, principal, payload))
        return Created(shown, {"ETag": etag_of(shown), "Location": f"/v1/flags/{shown.key}"})

    return create_once(session, principal.public_id, idempotency_key, ("POST /v1/flags", payload), create)


@router.get("", summary="List the flags", responses=problems(400, 401, 403, 422))
def list_flags(
    principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[FlagOut]:
    """The flags of your project, oldest first, as they stand in the key's environment."""
    rows = repository.flags_page(session, principal.project_id, page_start(cursor), limit + 1)
    shown = {each.key: each for each in present(session, principal, rows[:limit])}
    return build_page(rows, limit, lambda row: row.id or 0, lambda row: shown[row.key])


@router.get("/{key}", summary="Read a flag", responses=problems(401, 403, 404, 422))
def read(key: FlagKey, principal: Reader, session: ReadSession, response: Response) -> FlagOut:
    """One flag, with the ETag that an update needs."""
    return _answer(session, principal, service.find(session, principal, key), response)


@router.patch(
    "/{key}",
    summary="Change a flag",
    responses=problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 428),
)
def change(
    key: FlagKey,
    payload: FlagPatch,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> FlagOut:
    """Change a flag. Rules keep their rollouts' salts by their keys: growing a share moves nobody back."""
    flag = service.find(session, principal, key)
    check_if_match(if_match, etag_of(_show(session, principal, flag)), required=True)
    service.change(session, principal, flag, payload)
    return _answer(session, principal, flag, response)


@router.post("/{key}/archive", summary="Archive a flag", responses=problems(401, 403, 404, 409, 412, 422))
def archive(
    key: FlagKey, principal: Writer, session: WriteSession, response: Response, if_match: IfMatch = None
) -> FlagOut:
    """Put a flag away for good, with its experiments.

    It leaves the configuration of every environment. Where an experiment ran on it, both stay for 30 days,
    the flag off, so that exposures that arrive late are taken.
    """
    flag = service.find(session, principal, key)
    check_if_match(if_match, etag_of(_show(session, principal, flag)), required=False)
    service.archive(session, flag)
    return _answer(session, principal, flag, response)


def _show(session: Session, principal: Principal, flag: Flag) -> FlagOut:
    return present(session, principal, [flag])[0]


def _answer(session: Session, principal: Principal, flag: Flag, response: Response) -> FlagOut:
    session.flush()
    shown = _show(session, principal, flag)
    response.headers["ETag"] = etag_of(shown)
    return shown
