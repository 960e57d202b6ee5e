"""How predictions, decisions and the history of an experiment are shown."""

from collections.abc import Iterator, Sequence

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.decisions import repository
from equipoise_service.decisions.models import Decision, Prediction
from equipoise_service.decisions.schemas import DecisionOut, DecisionStatus, HistoryEntry, PredictionOut
from equipoise_service.decisions.service import revisions_of
from equipoise_service.experiments import repository as experiments
from equipoise_service.experiments import service as experiment_service
from equipoise_service.experiments.models import Pause, Revision
from equipoise_service.plans import repository as plans
from equipoise_service.plans.looks import Look
from equipoise_service.readouts.repeating import made_on
from equipoise_service.texts.saying import say
from equipoise_stats import DecisionOutcome


def prediction_out(prediction: Prediction) -> PredictionOut:
    """A prediction's representation."""
    return PredictionOut.model_validate(prediction, from_attributes=True)


def decision_out(decision: Decision, revision: Revision) -> DecisionOut:
    """A decision's representation."""
    fields = {name: getattr(decision, name) for name in DecisionOut.model_fields if name != "revision"}
    return DecisionOut(revision=revision.number, **fields)


def predictions_of(session: Session, principal: Principal, key: str) -> list[PredictionOut]:
    """What was predicted of an experiment in the principal's environment, oldest first."""
    experiment = experiment_service.find(session, principal, key)
    found = repository.predictions(session, experiment.id or 0, principal.environment_id)
    return [prediction_out(each) for each in found]


def decisions_of(session: Session, principal: Principal, key: str) -> list[DecisionOut]:
    """What was decided about all revisions of an experiment in the principal's environment, oldest first."""
    experiment = experiment_service.find(session, principal, key)
    run = experiments.run_of(session, experiment.id or 0, principal.environment_id)
    return [
        decision_out(each, revision)
        for revision in revisions_of(session, run)
        for each in repository.decisions(session, revision.id or 0)
    ]


def history_of(session: Session, principal: Principal, key: str) -> list[HistoryEntry]:
    """What happened to an experiment in the principal's environment, oldest first."""
    experiment = experiment_service.find(session, principal, key)
    run = experiments.run_of(session, experiment.id or 0, principal.environment_id)
    entries = [
        HistoryEntry(
            at=each.made_at,
            kind="predicted",
            revision=each.revision,
            by=each.made_by,
            text=_why(_choice(each.outcome, each.variant), each.reason),
            digest=None,
        )
        for each in repository.predictions(session, experiment.id or 0, principal.environment_id)
    ]
    for revision in revisions_of(session, run):
        entries += _of_revision(session, revision)
    return sorted(entries, key=lambda entry: entry.at)


def _of_revision(session: Session, revision: Revision) -> Iterator[HistoryEntry]:
    revision_id, number = revision.id or 0, revision.number
    locked = plans.locked_plan(session, revision_id)
    said = say("history.locked" if locked is not None else "history.not_locked")
    if revision.holdback is not None:
        said = say("history.held_back", share=_share(revision.holdback), control=revision.control)
    yield HistoryEntry(
        at=revision.started_at,
        kind="started",
        revision=number,
        by=None,
        text=said,
        digest=None if locked is None else locked.digest,
    )
    for pause in experiments.pauses_of(session, revision_id):
        yield from _of_pause(pause, revision)
    for deviation in plans.deviations(session, revision_id):
        yield HistoryEntry(
            at=deviation.made_at,
            kind="deviated",
            revision=number,
            by=deviation.made_by,
            text=_why(", ".join(deviation.changed), deviation.reason),
            digest=deviation.digest,
        )
    for taken in plans.looks(session, revision_id):
        look = Look.model_validate(taken.look)
        yield HistoryEntry.model_validate(
            {
                "at": look.taken_at,
                "kind": "looked",
                "revision": number,
                "by": None,
                "text": say("history.looked", number=look.number, spent=f"{look.spent:.4g}"),
                "digest": look.statistics_digest,
            }
        )
    decisions = repository.decisions(session, revision_id)
    for decision in decisions:
        yield from _of_decision(decision, number)
    for days, at, digest in made_on(session, revision_id):
        yield HistoryEntry(
            at=at,
            kind="repeated",
            revision=number,
            by=None,
            text=say("history.repeated", days=days),
            digest=digest,
        )
    if revision.ended_at is not None:
        ends = "history.ended" if _ended_by(decisions) else "history.ended_undecided"
        yield HistoryEntry(
            at=revision.ended_at,
            kind="ended",
            revision=number,
            by=None,
            text=say(ends if revision.holdback is None else "history.nobody_held_back"),
            digest=None,
        )


def _of_pause(pause: Pause, revision: Revision) -> Iterator[HistoryEntry]:
    """A pause, and that it was over, unless the revision ended with it."""
    yield HistoryEntry(
        at=pause.started_at,
        kind="paused",
        revision=revision.number,
        by=pause.started_by,
        text=say("history.paused"),
        digest=None,
    )
    if pause.ended_at is not None and pause.ended_at != revision.ended_at:
        yield HistoryEntry(
            at=pause.ended_at,
            kind="resumed",
            revision=revision.number,
            by=pause.ended_by,
            text=say("history.resumed"),
            digest=None,
        )


def _ended_by(decisions: Sequence[Decision]) -> bool:
    """Whether a decision in effect says what became of a revision."""
    return any(
        each.status == DecisionStatus.IN_EFFECT
        and each.outcome in (DecisionOutcome.SHIP, DecisionOutcome.DO_NOT_SHIP)
        for each in decisions
    )


def _of_decision(decision: Decision, revision: int) -> Iterator[HistoryEntry]:
    chosen = _choice(decision.outcome, decision.variant)
    if decision.holdback is not None:
        chosen = say("choice.holdback", choice=chosen, share=_share(decision.holdback))
    told = chosen
    if decision.against:
        recommended = _choice(decision.recommended, decision.recommended_variant)
        told = say("choice.against", choice=chosen, recommended=recommended)
    yield HistoryEntry(
        at=decision.made_at,
        kind="decided",
        revision=revision,
        by=decision.made_by,
        text=_why(told, decision.reason),
        digest=decision.readout_digest,
    )
    if decision.settled_at is not None:
        yield HistoryEntry(
            at=decision.settled_at,
            kind="confirmed" if decision.status == DecisionStatus.IN_EFFECT else "withdrawn",
            revision=revision,
            by=decision.settled_by,
            text=_why(
                say("history.settled", number=decision.number, choice=chosen), decision.settled_reason or ""
            ),
            digest=decision.readout_digest,
        )


def _choice(outcome: str | None, variant: str | None) -> str:
    return say(f"choice.{outcome or 'open'}", variant=variant)


def _why(what: str, why: str) -> str:
    """What was done, with the reason that was given for it."""
    return say("history.why", what=what, why=why)


def _share(slots: int) -> str:
    return f"{slots / 100:g} %"
