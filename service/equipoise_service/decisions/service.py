"""What happens to predictions and decisions: they are made, and a second person confirms some of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.canonical import canonical_json
from equipoise_service.decisions import repository
from equipoise_service.decisions.models import Decision, Prediction
from equipoise_service.decisions.schemas import DecisionIn, DecisionStatus, PredictionIn
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.experiments import holdbacks, runs
from equipoise_service.experiments import repository as experiments
from equipoise_service.experiments import service as experiment_service
from equipoise_service.experiments.lifecycle import ENDED, LIVE, OPEN, Move, Status
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.experiments.variants import invalid
from equipoise_service.plans import repository as plans
from equipoise_service.readouts.models import StoredReadout
from equipoise_service.readouts.repeating import plan_repeats
from equipoise_stats import DecisionOutcome

MOST_PREDICTIONS = 1000
"""Of an experiment in an environment."""

MOST_DECISIONS = 500
"""Of a revision. Each keeps its readout."""


@dataclass(frozen=True, slots=True)
class About:
    """What decisions are about.

    Attributes:
        experiment: The experiment.
        run: Its state in the principal's environment.
        revision: The revision, the latest unless another was named.
    """

    experiment: Experiment
    run: Run
    revision: Revision


def predict(session: Session, principal: Principal, key: str, payload: PredictionIn) -> Prediction:
    """Put on record what somebody expects of the revision that a start will begin.

    Raises:
        NotFound: There is no such experiment.
        Conflict: It runs or has ended, so this would be no prediction, or there are too many.
        InvalidPayload: It names no arm or no metric of the experiment.
    """
    experiment = experiment_service.find(session, principal, key)
    run = experiments.run_of(session, experiment.id or 0, principal.environment_id)
    status = Status.DRAFT if run is None else Status(run.status)
    if status in (*OPEN, *ENDED):
        raise Conflict(
            f"{key} is {status} in {principal.environment}: a prediction is made before the start.",
            type="illegal-transition",
            status_now=status,
        )
    _check_variant(experiment, payload.variant)
    known = {metric["key"] for metric in experiment.metrics}
    for metric in payload.lifts.keys() - known:
        raise invalid(f"/lifts/{metric}", f"the experiment has no metric {metric}")
    made = repository.predictions(session, experiment.id or 0, principal.environment_id)
    if len(made) >= MOST_PREDICTIONS:
        raise Conflict(f"{key} has {MOST_PREDICTIONS:,} predictions already.", type="frozen-field")
    latest = experiments.latest_revision(session, run.id or 0) if run else None
    prediction = Prediction(
        experiment_id=experiment.id or 0,
        environment_id=principal.environment_id,
        revision=1 if latest is None else latest.number + 1,
        outcome=payload.outcome,
        variant=payload.variant,
        lifts=payload.lifts,
        reason=payload.reason,
        made_by=principal.public_id,
        made_at=datetime.now(UTC),
    )
    session.add(prediction)
    session.flush()
    return prediction


def decide(session: Session, principal: Principal, key: str, payload: DecisionIn) -> Decision:
    """Put a decision on record. It takes effect at once where it is what the plan's rule recommends.

    Raises:
        NotFound: There is no such experiment.
        Conflict: The experiment's status does not allow it, another decision waits, or the readout is not
            kept here, is older than the newest look, or a newer one recommends something else.
        InvalidPayload: It ships what is no arm.
    """
    about = find(session, principal, key, None)
    _check_variant(about.experiment, payload.variant)
    _check_status(about, payload.outcome)
    if payload.variant is not None and payload.holdback is not None:
        holdbacks.check(about.experiment, about.revision, payload.variant, payload.holdback)
    made = repository.decisions(session, about.revision.id or 0)
    waiting = next((each for each in made if each.status == DecisionStatus.WAITING), None)
    if waiting is not None:
        raise Conflict(
            f"Decision {waiting.number} about revision {about.revision.number} of {key} waits for a second "
            "person. Confirm or withdraw it first.",
            type="decision-waiting",
            number=waiting.number,
        )
    if len(made) >= MOST_DECISIONS:
        raise Conflict(
            f"Revision {about.revision.number} of {key} has {MOST_DECISIONS} decisions, which is the most. "
            "Stop or ship the experiment itself.",
            type="frozen-field",
        )
    readout = _readout(session, about.revision, payload.readout_digest)
    found = msgspec.json.decode(readout)["recommendation"]
    recommended = found["outcome"], found["variant"]
    against = _is_against(found, payload.outcome, payload.variant)
    decision = Decision(
        revision_id=about.revision.id or 0,
        number=len(made) + 1,
        outcome=payload.outcome,
        variant=payload.variant,
        holdback=payload.holdback,
        reason=payload.reason,
        recommended=recommended[0],
        recommended_variant=recommended[1],
        against=against,
        status=DecisionStatus.WAITING if against else DecisionStatus.IN_EFFECT,
        readout_digest=payload.readout_digest,
        readout=readout,
        made_by=principal.public_id,
        made_at=datetime.now(UTC),
    )
    session.add(decision)
    session.flush()
    if not against:
        _take_effect(session, principal, about, decision)
    return decision


def confirm(session: Session, principal: Principal, about: About, number: int, reason: str) -> Decision:
    """Confirm a decision against the recommendation as a second person: it takes effect.

    Raises:
        NotFound: There is no such decision.
        Conflict: It does not wait, the same key made it, the experiment's status no longer allows it, or the
            newest readout recommends something else than the one that was decided on.
    """
    decision = _waiting(session, about, number)
    if decision.made_by == principal.public_id:
        raise Conflict(
            "A decision against the recommendation is confirmed by a second person, with another key than "
            f"{principal.public_id}, which made it.",
            type="second-person-needed",
        )
    latest = experiments.latest_revision(session, about.run.id or 0)
    if latest is None or latest.id != about.revision.id:
        raise Conflict(
            f"Revision {about.revision.number} has ended and another one runs; withdraw the decision.",
            type="illegal-transition",
        )
    _check_status(about, DecisionOutcome(decision.outcome))
    _check_newest(session, about.revision, msgspec.json.decode(decision.readout))
    _settle(session, principal, decision, DecisionStatus.IN_EFFECT, reason)
    _take_effect(session, principal, about, decision)
    return decision


def withdraw(session: Session, principal: Principal, about: About, number: int, reason: str) -> Decision:
    """Withdraw a decision that waits for a second person. It stays on record.

    Raises:
        NotFound: There is no such decision.
        Conflict: It does not wait.
    """
    decision = _waiting(session, about, number)
    _settle(session, principal, decision, DecisionStatus.WITHDRAWN, reason)
    return decision


def find(session: Session, principal: Principal, key: str, revision: int | None) -> About:
    """A revision of an experiment in the principal's environment, the latest where none is named.

    Raises:
        NotFound: There is no such experiment or revision.
        Conflict: The experiment was never started there.
    """
    experiment = experiment_service.find(session, principal, key)
    run = experiments.run_of(session, experiment.id or 0, principal.environment_id)
    found = revisions_of(session, run)
    if run is None or not found:
        raise Conflict(
            f"{key} was never started in {principal.environment}, so there is nothing to decide.",
            type="illegal-transition",
        )
    if revision is None:
        return About(experiment, run, [each for each in found if each.holdback is None][-1])
    for each in found:
        if each.number == revision:
            return About(experiment, run, each)
    raise NotFound(f"{key} has no revision {revision} in {principal.environment}.")


def revisions_of(session: Session, run: Run | None) -> Sequence[Revision]:
    """The revisions of a run, oldest first."""
    return experiments.revisions_of(session, run.id or 0) if run is not None else []


def find_decision(session: Session, about: About, number: int) -> Decision:
    """A decision about a revision.

    Raises:
        NotFound: There is none of that number.
    """
    for each in repository.decisions(session, about.revision.id or 0):
        if each.number == number:
            return each
    raise NotFound(
        f"There is no decision {number} about revision {about.revision.number} of {about.experiment.key}."
    )


def _waiting(session: Session, about: About, number: int) -> Decision:
    decision = find_decision(session, about, number)
    if decision.status != DecisionStatus.WAITING:
        raise Conflict(
            f"Decision {number} is {decision.status.replace('_', ' ')}; only one that waits can be confirmed "
            "or withdrawn.",
            type="illegal-transition",
        )
    return decision


def _settle(
    session: Session, principal: Principal, decision: Decision, status: DecisionStatus, reason: str
) -> None:
    decision.status, decision.settled_reason = status, reason
    decision.settled_by, decision.settled_at = principal.public_id, datetime.now(UTC)
    session.add(decision)


def _take_effect(session: Session, principal: Principal, about: About, decision: Decision) -> None:
    if decision.outcome == DecisionOutcome.SHIP and decision.variant is not None:
        runs.ship(session, principal, about.experiment, decision.variant, decision.holdback)
        latest = experiments.latest_revision(session, about.run.id or 0)
        if latest is not None and latest.holdback is not None:
            plan_repeats(session, latest, msgspec.json.decode(decision.readout), decision.variant)
    elif decision.outcome == DecisionOutcome.DO_NOT_SHIP and Status(about.run.status) in LIVE:
        runs.move(session, principal, about.experiment, Move.STOP)


def _check_status(about: About, outcome: DecisionOutcome) -> None:
    status = Status(about.run.status)
    if status in (*ENDED, Status.HOLDING_BACK) or (
        outcome is DecisionOutcome.KEEP_RUNNING and status not in LIVE
    ):
        raise Conflict(
            f"{about.experiment.key} is {status}: {outcome.replace('_', ' ')} cannot be decided any more.",
            type="illegal-transition",
            status_now=status,
        )


def _check_variant(experiment: Experiment, variant: str | None) -> None:
    arms = [arm["key"] for arm in experiment.arms]
    if variant is not None and variant not in arms:
        raise invalid("/variant", f"the experiment has no variant {variant}; it has {', '.join(arms)}")


def _is_against(recommendation: Mapping[str, Any], outcome: DecisionOutcome, variant: str | None) -> bool:
    """Whether a decision is not what was recommended, altogether or of the variant that it ships."""
    recommended = recommendation["outcome"], recommendation["variant"]
    if recommended[0] is not None:
        return recommended != (outcome, variant)
    # A plan without a success metric recommends nothing of what it has not found to be worse.
    return variant is not None and variant in {each["variant"] for each in recommendation["treatments"]}


def _check_newest(session: Session, revision: Revision, readout: Mapping[str, Any]) -> None:
    """Refuses what is decided on a readout when a newer one recommends something else.

    Raises:
        Conflict: It does.
    """
    stored = session.get(StoredReadout, revision.id)
    if stored is None:
        return
    newest, then = msgspec.json.decode(stored.body)["recommendation"], readout["recommendation"]
    if (newest["outcome"], newest["variant"]) != (then["outcome"], then["variant"]):
        raise Conflict(
            f"The newest readout, {stored.digest}, recommends something else than the one that was decided "
            f"on: {newest['text']} Read it, and decide on what is known now.",
            type="readout-stale",
        )


def _readout(session: Session, revision: Revision, digest: str) -> bytes:
    """The readout of a digest, as canonical JSON.

    Raises:
        Conflict: The revision has none of that digest, or no longer, a look was taken since, or a newer
            readout recommends something else.
    """
    stored = session.get(StoredReadout, revision.id)
    if stored is not None and stored.digest == digest:
        return stored.body
    looks = plans.looks(session, revision.id or 0)
    for look in reversed(looks):
        if look.readout["digest"] != digest:
            continue
        if look.number < looks[-1].number:
            raise Conflict(
                f"The readout {digest} is that of look {look.number}, and look {looks[-1].number} was taken "
                "since. Read the readout again, and decide on what is known now.",
                type="readout-stale",
            )
        _check_newest(session, revision, look.readout)
        return canonical_json(look.readout).encode()
    raise Conflict(
        f"Revision {revision.number} has no readout {digest}; only the latest one and those of looks are "
        "kept. Read the readout again, and decide on that.",
        type="readout-unknown",
    )
