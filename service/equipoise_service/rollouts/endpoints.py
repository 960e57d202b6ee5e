"""Routes of progressive rollouts."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal, Reader, Writer
from equipoise_service.flags import service as flags
from equipoise_service.flags.models import Flag
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import IfMatch, check_if_match, etag_of
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.rollouts import repository, service
from equipoise_service.rollouts.lifecycle import Move
from equipoise_service.rollouts.models import Rollout
from equipoise_service.rollouts.schemas import RolloutIn, RolloutOut

router = APIRouter(prefix="/v1/flags/{key}/rollouts", tags=["rollouts"], responses=problems(503))

FlagKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The flag's key.")]
RolloutKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The rollout's key.")]


@router.post(
    "",
    status_code=201,
    summary="Start a progressive rollout",
    response_model=RolloutOut,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
)
def start(
    key: FlagKey,
    payload: RolloutIn,
    principal: Writer,
    session: WriteSession,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Start to move the audience from one variant to another, in steps on a schedule.

    The flag gets a rule for it, before the first rule that leaves no unit to those after it, or at the end.
    """
    flag = flags.find(session, principal, key)

    def create() -> Created:
        shown = service.present(service.start(session, principal, flag, payload), flag, principal.environment)
        location = f"/v1/flags/{flag.key}/rollouts/{shown.key}"
        return Created(shown, {"ETag": etag_of(shown), "Location": location})

    request = (f"POST /v1/flags/{flag.key}/rollouts", payload)
    return create_once(session, principal.public_id, idempotency_key, request, create)


@router.get("", summary="List a flag's progressive rollouts", responses=problems(400, 401, 403, 404, 422))
def list_rollouts(
    key: FlagKey, principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[RolloutOut]:
    """The rollouts of a flag in the key's environment, oldest first, with those that ended."""
    flag = flags.find(session, principal, key)
    rows = repository.rollouts_page(
        session, flag.id or 0, principal.environment_id, page_start(cursor), limit + 1
    )
    return build_page(
        rows, limit, lambda row: row.id or 0, lambda row: service.present(row, flag, principal.environment)
    )


@router.get("/{rollout}", summary="Read a progressive rollout", responses=problems(401, 403, 404, 422))
def read(
    key: FlagKey, rollout: RolloutKey, principal: Reader, session: ReadSession, response: Response
) -> RolloutOut:
    """One rollout of a flag in the key's environment."""
    flag = flags.find(session, principal, key)
    return _answer(session, principal, flag, service.find(session, principal, flag, rollout), response)


def _answer(
    session: Session, principal: Principal, flag: Flag, rollout: Rollout, response: Response
) -> RolloutOut:
    session.flush()
    shown = service.present(rollout, flag, principal.environment)
    response.headers["ETag"] = etag_of(shown)
    return shown


_MOVES = {
    Move.HOLD: ("Hold a rollout", "Stay at the present share until it is resumed; its time stands still."),
    Move.RESUME: ("Resume a rollout", "Go on with what is left of the present step."),
    Move.ROLL_BACK: ("Roll a rollout back", "Give the whole audience the old variant again. This ends it."),
    Move.COMPLETE: ("Complete a rollout", "Give the whole audience the new variant at once. This ends it."),
}


def _add_move(move: Move, summary: str, description: str) -> None:
    def endpoint(
        key: FlagKey,
        rollout: RolloutKey,
        principal: Writer,
        session: WriteSession,
        response: Response,
        if_match: IfMatch = None,
    ) -> RolloutOut:
        flag = flags.find(session, principal, key)
        found = service.find(session, principal, flag, rollout)
        present = service.present(found, flag, principal.environment)
        check_if_match(if_match, etag_of(present), required=False)
        service.move(session, found, move)
        return _answer(session, principal, flag, found, response)

    router.post(
        f"/{{rollout}}/{move}",
        name=f"{move}_rollout",
        summary=summary,
        description=description,
        responses=problems(401, 403, 404, 409, 412, 422),
    )(endpoint)


for _move, (_summary, _description) in _MOVES.items():
    _add_move(_move, _summary, _description)
