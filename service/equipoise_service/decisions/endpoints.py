"""The routes of predictions and decisions."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from equipoise_service.accounts.principals import Reader, Writer
from equipoise_service.decisions import service, shipping
from equipoise_service.decisions.presentation import (
    decision_out,
    decisions_of,
    history_of,
    prediction_out,
    predictions_of,
)
from equipoise_service.decisions.schemas import (
    DecisionIn,
    DecisionOut,
    DecisionStatus,
    HistoryEntry,
    PredictionIn,
    PredictionOut,
    SettleIn,
    ShipIn,
)
from equipoise_service.experiments import service as experiments
from equipoise_service.experiments.presentation import present
from equipoise_service.experiments.schemas import ExperimentOut
from equipoise_service.http.preconditions import IfMatch, check_if_match
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH

router = APIRouter(prefix="/v1/experiments/{key}", tags=["decisions"], responses=problems(503))

ExperimentKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The experiment's key.")]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="1 for the first decision about the revision.")]
RevisionNumber = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Number of the revision; the latest when absent.")
]


@router.post(
    "/predictions",
    status_code=201,
    summary="Predict",
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
)
def predict(
    key: ExperimentKey, payload: PredictionIn, principal: Writer, session: WriteSession
) -> PredictionOut:
    """Put on record what you expect, before the experiment starts. It never changes."""
    return prediction_out(service.predict(session, principal, key, payload))


@router.get("/predictions", summary="List the predictions", responses=problems(401, 403, 404, 422))
def list_predictions(key: ExperimentKey, principal: Reader, session: ReadSession) -> list[PredictionOut]:
    """What was expected before the starts in the key's environment, oldest first."""
    return predictions_of(session, principal, key)


@router.post(
    "/decisions",
    status_code=201,
    summary="Decide",
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
)
def decide(key: ExperimentKey, payload: DecisionIn, principal: Writer, session: WriteSession) -> DecisionOut:
    """Decide on a readout of the latest revision.

    What the plan's rule recommends takes effect at once. Anything else waits until a second person, with
    another key, confirms it.
    """
    decision = service.decide(session, principal, key, payload)
    return decision_out(decision, service.find(session, principal, key, None).revision)


@router.post(
    "/ship",
    summary="Ship a variant",
    responses={
        202: {"model": ExperimentOut, "description": "The decision waits for a second person."},
        **problems(400, 401, 403, 404, 409, 412, 413, 415, 422),
    },
)
def ship(
    key: ExperimentKey,
    payload: ShipIn,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> ExperimentOut:
    """Decide to ship a variant: end the experiment, and make its flag serve the variant in the environment.

    The decision goes on record. Against the recommendation it waits until a second person, with another key,
    confirms it (202). The experiment's rule becomes a rule that serves the variant, to the experiment's
    audience if it has one, whatever the holdouts.

    With a `holdback` a part of the units that had the control keeps it until you end that, and the readout is
    repeated on them after 30 and 90 days.
    """
    experiment = experiments.find(session, principal, key)
    check_if_match(if_match, present(session, principal, experiment)[1], required=False)
    decision = shipping.ship(session, principal, experiment, payload)
    session.flush()
    shown, response.headers["ETag"] = present(session, principal, experiment)
    response.status_code = 202 if decision.status == DecisionStatus.WAITING else 200
    return shown


@router.get("/decisions", summary="List the decisions", responses=problems(401, 403, 404, 422))
def list_decisions(key: ExperimentKey, principal: Reader, session: ReadSession) -> list[DecisionOut]:
    """What was decided in the key's environment about all revisions, oldest first."""
    return decisions_of(session, principal, key)


@router.get(
    "/decisions/{number}/readout",
    summary="Read what was decided on",
    response_class=Response,
    responses=problems(401, 403, 404, 409, 422),
)
def read_readout(
    key: ExperimentKey,
    number: Number,
    principal: Reader,
    session: ReadSession,
    revision: RevisionNumber = None,
) -> Response:
    """The readout that a decision was made on, as it was."""
    about = service.find(session, principal, key, revision)
    found = service.find_decision(session, about, number)
    return Response(found.readout, media_type="application/json")


@router.post(
    "/decisions/{number}/confirm",
    summary="Confirm a decision",
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
)
def confirm(
    key: ExperimentKey,
    number: Number,
    payload: SettleIn,
    principal: Writer,
    session: WriteSession,
    revision: RevisionNumber = None,
) -> DecisionOut:
    """Confirm a decision against the recommendation, as a second person: it takes effect."""
    about = service.find(session, principal, key, revision)
    found = service.confirm(session, principal, about, number, payload.reason)
    return decision_out(found, about.revision)


@router.post(
    "/decisions/{number}/withdraw",
    summary="Withdraw a decision",
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
)
def withdraw(
    key: ExperimentKey,
    number: Number,
    payload: SettleIn,
    principal: Writer,
    session: WriteSession,
    revision: RevisionNumber = None,
) -> DecisionOut:
    """Withdraw a decision that waits for a second person. It stays on record."""
    about = service.find(session, principal, key, revision)
    found = service.withdraw(session, principal, about, number, payload.reason)
    return decision_out(found, about.revision)


@router.get("/history", summary="Read the history", responses=problems(401, 403, 404, 422))
def read_history(key: ExperimentKey, principal: Reader, session: ReadSession) -> list[HistoryEntry]:
    """What happened to the experiment in the key's environment, oldest first.

    Predictions, starts with the digest of the locked plan, deviations, looks, decisions and who confirmed
    them, ends.
    """
    return history_of(session, principal, key)
