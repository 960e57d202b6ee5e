"""Routes of experiments."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal, Reader, Writer
from equipoise_service.experiments import repository, runs, service
from equipoise_service.experiments.lifecycle import Move
from equipoise_service.experiments.models import Experiment
from equipoise_service.experiments.presentation import present, present_all
from equipoise_service.experiments.schemas import ExperimentIn, ExperimentOut, ExperimentPatch
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import IfMatch, check_if_match
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], responses=problems(503))

ExperimentKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The experiment's key.")]


@router.post(
    "",
    status_code=201,
    summary="Register an experiment",
    response_model=ExperimentOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def register(
    payload: ExperimentIn, principal: Writer, session: WriteSession, idempotency_key: IdempotencyKey = None
) -> Response:
    """Register an experiment as a draft, on an existing flag or layer where you name one.

    Without, the flag of the same key and a layer of its own are made with it.
    """

    def create() -> Created:
        shown, etag = present(session, principal, service.register(session, principal, payload))
        return Created(shown, {"ETag": etag, "Location": f"/v1/experiments/{shown.key}"})

    return create_once(
        session, principal.public_id, idempotency_key, ("POST /v1/experiments", payload), create
    )


@router.get("", summary="List the experiments", responses=problems(400, 401, 403, 422))
def list_experiments(
    principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[ExperimentOut]:
    """The experiments of your project, oldest first, as they stand in the key's environment."""
    rows = repository.experiments_page(session, principal.project_id, page_start(cursor), limit + 1)
    shown = {out.key: out for out, _ in present_all(session, principal, rows[:limit])}
    return build_page(rows, limit, lambda row: row.id or 0, lambda row: shown[row.key])


@router.get("/{key}", summary="Read an experiment", responses=problems(401, 403, 404, 422))
def read(key: ExperimentKey, principal: Reader, session: ReadSession, response: Response) -> ExperimentOut:
    """One experiment, with the ETag that an update needs."""
    return _answer(session, principal, service.find(session, principal, key), response)


@router.patch(
    "/{key}",
    summary="Change an experiment",
    responses=problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 428),
)
def change(
    key: ExperimentKey,
    payload: ExperimentPatch,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> ExperimentOut:
    """Change the definition. Other traffic moves nobody between arms.

    Other variants, another audience and other holdouts begin a new revision where it runs or is paused.
    """
    experiment = service.find(session, principal, key)
    check_if_match(if_match, present(session, principal, experiment)[1], required=True)
    service.change(session, principal, experiment, payload)
    return _answer(session, principal, experiment, response)


def _answer(
    session: Session, principal: Principal, experiment: Experiment, response: Response
) -> ExperimentOut:
    session.flush()
    shown, etag = present(session, principal, experiment)
    response.headers["ETag"] = etag
    return shown


_MOVES = {
    Move.START: ("Start an experiment", "Begin a new revision and assign units."),
    Move.PAUSE: ("Pause an experiment", "Serve the control to everybody; the revision stays."),
    Move.RESUME: ("Resume an experiment", "Go on with the same revision: every unit keeps its arm."),
    Move.STOP: ("Stop an experiment", "End the revision and serve the control to everybody."),
    Move.END_HOLDBACK: (
        "End a holdback",
        "Serve what was shipped to those, too, who were held back from it, and give the slots back.",
    ),
    Move.ARCHIVE: (
        "Archive an experiment",
        "Put a draft, stopped or shipped experiment away for good. A holdback ends.",
    ),
}


def _add_move(move: Move, summary: str, description: str) -> None:
    def endpoint(
        key: ExperimentKey,
        principal: Writer,
        session: WriteSession,
        response: Response,
        if_match: IfMatch = None,
    ) -> ExperimentOut:
        experiment = service.find(session, principal, key)
        check_if_match(if_match, present(session, principal, experiment)[1], required=False)
        runs.move(session, principal, experiment, move)
        return _answer(session, principal, experiment, response)

    router.post(
        f"/{{key}}/{move}",
        name=f"{move.replace('-', '_')}_experiment",
        summary=summary,
        description=f"{description} It happens in the key's environment.",
        responses=problems(401, 403, 404, 409, 412, 422),
    )(endpoint)


for _move, (_summary, _description) in _MOVES.items():
    _add_move(_move, _summary, _description)
