"""What happens to an experiment in an environment: it starts, pauses, stops, is shipped, is archived."""

from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict
from equipoise_service.experiments import holdbacks, pauses, ramps, repository
from equipoise_service.experiments.allocation import ranges_for
from equipoise_service.experiments.lifecycle import NOT_ON_ARCHIVED, Move, Status, status_after
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.experiments.planning import lock_plan
from equipoise_service.experiments.variants import invalid
from equipoise_service.flags.models import Flag
from equipoise_service.flags.states import ship_rule, ship_rule_behind
from equipoise_service.flags.uses import check_not_archived
from equipoise_service.layers import repository as layers
from equipoise_service.layers.models import Layer
from equipoise_service.layers.service import hold_slots, make_salt
from equipoise_service.plans.locking import Deviation

MAX_OVERRIDDEN = 100_000
"""Units that may have had an override in one revision."""


def move(session: Session, principal: Principal, experiment: Experiment, move: Move) -> Run:
    """Move an experiment to another status in the principal's environment.

    A start takes slots and begins a new revision; a pause and a resume keep both; an end frees the slots.

    Raises:
        Conflict: The present status does not allow the move, or the layer has not enough free slots.
    """
    now = datetime.now(UTC)
    run = repository.run_of(session, _id(experiment.id), principal.environment_id)
    before = Status(run.status) if run else Status.DRAFT
    after = status_after(move, before)
    if move in NOT_ON_ARCHIVED:
        check_not_archived(session.get_one(Flag, experiment.flag_id))
    if run is None:
        run = Run(experiment_id=_id(experiment.id), environment_id=principal.environment_id, status=after)
        session.add(run)
        session.flush()
    run.status = after
    run.version += 1
    by = principal.public_id
    if move is Move.START:
        run.started_at, run.stopped_at = now, None
        begin_revision(session, experiment, run, by)
    if move is Move.PAUSE:
        pauses.begin(session, _latest(session, run), now, by)
    if move is Move.RESUME:
        pauses.end(session, _latest(session, run), now, by)
    if move in (Move.STOP, Move.SHIP):
        run.stopped_at = run.stopped_at or now
    if move in (Move.STOP, Move.SHIP) or before is Status.HOLDING_BACK:
        _end_revision(session, run, now, by)
        layers.release(session, experiment.layer_id, run.environment_id, experiment.key)
    if before is Status.HOLDING_BACK:
        holdbacks.end(session, _latest(session, run))
    if move is Move.ARCHIVE:
        run.archived_at = now
    session.add(run)
    return run


def ship(
    session: Session, principal: Principal, experiment: Experiment, variant: str, holdback: int | None = None
) -> None:
    """End an experiment in the principal's environment and make its flag serve one of its variants there.

    The experiment's rule becomes a rule that serves the variant, to the experiment's audience if it has one.
    With a holdback, so many basis points of the experiment's units go on getting the control, and the
    experiment's rule stays before that rule for as long.

    Raises:
        Conflict: The present status does not allow it, or so many units cannot be held back.
        InvalidPayload: The variant is no arm of the experiment, or no holdback of it makes sense.
    """
    if variant not in (arms := [arm["key"] for arm in experiment.arms]):
        raise invalid("/variant", f"the experiment has no variant {variant}; it has {', '.join(arms)}")
    run = move(session, principal, experiment, Move.SHIP)
    run.shipped = variant
    if holdback is not None:
        run.status = Status.HOLDING_BACK
        holdbacks.begin(session, experiment, run, variant, holdback, datetime.now(UTC))
    session.add(run)
    session.flush()
    rule: dict[str, Any] = {"variant": variant}
    if experiment.audience is not None:
        rule["audience"] = experiment.audience
    flag = session.get_one(Flag, experiment.flag_id)
    put = ship_rule if holdback is None else ship_rule_behind
    put(session, flag, principal.environment_id, experiment.key, rule)


def begin_revision(
    session: Session, experiment: Experiment, run: Run, by: str, deviation: Deviation | None = None
) -> None:
    """Begin a run's next revision: another salt, and the arms, traffic and overrides as they are now.

    Args:
        session: A session that writes.
        experiment: The experiment.
        run: Its run; where it is paused, so is the revision, from its beginning on.
        by: Public id of the API key that does it.
        deviation: What is changed of the plan of the live revision before; None at a start.

    Raises:
        Conflict: The layer has not enough free slots.
    """
    now = datetime.now(UTC)
    before = _end_revision(session, run, now, by)
    revision = Revision(
        run_id=_id(run.id),
        number=before + 1,
        salt=make_salt(),
        slots=_hold_slots(session, experiment, run),
        ranges=ranges_for([(arm["key"], arm["weight"]) for arm in experiment.arms]),
        control=next(arm["key"] for arm in experiment.arms if arm["control"]),
        started_at=now,
    )
    session.add(revision)
    run.version += 1
    session.add(run)
    session.flush()
    ramps.begin(session, revision)
    lock_plan(session, experiment, revision, deviation)
    if run.status == Status.PAUSED:
        pauses.begin(session, revision, now, by)
    repository.add_overridden_units(session, _id(revision.id), experiment.overrides)


def follow_traffic(session: Session, experiment: Experiment, run: Run) -> None:
    """Give a live run as many slots as the experiment's traffic says: nobody changes the arm.

    Raises:
        Conflict: The layer has not enough free slots.
    """
    latest = _latest(session, run)
    latest.slots = _hold_slots(session, experiment, run)
    session.add(latest)
    ramps.follow(session, latest, datetime.now(UTC))


def note_overrides(session: Session, experiment: Experiment, run: Run) -> None:
    """Note for a live run who has an override now.

    Raises:
        Conflict: Too many units had one in this revision.
    """
    revision_id = _id(_latest(session, run).id)
    noted = set(repository.overridden_units(session, revision_id))
    new = [unit for unit in experiment.overrides if unit not in noted]
    if len(noted) + len(new) > MAX_OVERRIDDEN:
        raise Conflict(
            f"{len(noted) + len(new):,} units would have had an override in this revision, and its analysis "
            f"leaves out {MAX_OVERRIDDEN:,} at most. Stop and start the experiment, or use an audience.",
            type="frozen-field",
        )
    repository.add_overridden_units(session, revision_id, new)


def _hold_slots(session: Session, experiment: Experiment, run: Run) -> list[list[int]]:
    layer = session.get_one(Layer, experiment.layer_id)
    return hold_slots(session, layer, run.environment_id, experiment.key, experiment.traffic)


def _end_revision(session: Session, run: Run, now: datetime, by: str) -> int:
    """End the latest revision, and its pause if it is paused; its number, or 0 when there is none."""
    latest = repository.latest_revision(session, _id(run.id))
    if latest is None:
        return 0
    latest.ended_at = latest.ended_at or now
    session.add(latest)
    pauses.end(session, latest, latest.ended_at, by)
    return latest.number


def _latest(session: Session, run: Run) -> Revision:
    latest = repository.latest_revision(session, _id(run.id))
    if latest is None:
        raise RuntimeError("a live run has a revision")
    return latest


def _id(value: int | None) -> int:
    if value is None:
        raise RuntimeError("the row was not stored yet")
    return value
