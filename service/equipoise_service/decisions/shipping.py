"""To ship is to decide: the route that ships puts the decision on record."""

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.decisions.models import Decision
from equipoise_service.decisions.schemas import DecisionIn, ShipIn
from equipoise_service.decisions.service import decide
from equipoise_service.errors import Conflict
from equipoise_service.experiments import repository
from equipoise_service.experiments.lifecycle import Move, Status, status_after
from equipoise_service.experiments.models import Experiment
from equipoise_stats import DecisionOutcome


def ship(session: Session, principal: Principal, experiment: Experiment, payload: ShipIn) -> Decision:
    """Decide to ship a variant: as recommended it is served at once, else once a second person confirms.

    Raises:
        Conflict: The status does not allow it, no decision is given, or it cannot be made on that readout.
        InvalidPayload: The variant is no arm of the experiment.
    """
    run = repository.run_of(session, experiment.id or 0, principal.environment_id)
    status_after(Move.SHIP, Status(run.status) if run else Status.DRAFT)
    if payload.reason is None or payload.readout_digest is None:
        raise Conflict(
            f"Shipping {payload.variant} needs a decision: read the readout (GET "
            f"/v1/experiments/{experiment.key}/readout), and send its digest as `readout_digest` and why "
            "as `reason`. What it does not recommend waits for a second person. To end the experiment at "
            "once, stop it: that needs no decision.",
            type="decision-needed",
        )
    choice = DecisionIn(
        outcome=DecisionOutcome.SHIP,
        variant=payload.variant,
        holdback=payload.holdback,
        reason=payload.reason,
        readout_digest=payload.readout_digest,
    )
    return decide(session, principal, experiment.key, choice)
