"""What happens to progressive rollouts: they start, go on step by step, are held, rolled back, completed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session

from equipoise import BUCKETS
from equipoise_service.accounts.principals import Principal
from equipoise_service.database import Database
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.flags.models import Flag
from equipoise_service.flags.states import add_rule, replace_rule
from equipoise_service.flags.uses import check_not_archived
from equipoise_service.layers.service import make_salt
from equipoise_service.rollouts import repository
from equipoise_service.rollouts.lifecycle import Move, Status, allowed_moves, status_after
from equipoise_service.rollouts.models import Rollout
from equipoise_service.rollouts.schemas import Guardrail, RolloutIn, RolloutOut, Step
from equipoise_service.segments.checking import check_audience, invalid


def start(session: Session, principal: Principal, flag: Flag, payload: RolloutIn) -> Rollout:
    """Start a rollout of a flag in the principal's environment, with its first step.

    Raises:
        Conflict: The flag was put away, has such a rollout, or another one that did not end yet.
        InvalidPayload: A variant or the audience is not right; the error names the place.
    """
    check_not_archived(flag)
    flag_id, environment_id = flag.id or 0, principal.environment_id
    if repository.rollout_by_key(session, flag_id, environment_id, payload.key) is not None:
        raise Conflict(f"The flag {flag.key} has a rollout {payload.key} already. Choose another key.")
    for other in repository.live_of_flag(session, flag_id, environment_id).values():
        raise Conflict(
            f"The rollout {other.key} of the flag {flag.key} is {other.status}. "
            "Complete it or roll it back first.",
            type="in-use",
            used_by=[f"the rollout {other.key}"],
        )
    for name in ("from_variant", "to_variant"):
        if (variant := getattr(payload, name)) not in flag.values:
            known = ", ".join(flag.values)
            raise invalid(f"/{name}", f"the flag {flag.key} has no variant {variant}; it has {known}")
    if payload.audience is not None:
        check_audience(session, flag.project_id, payload.audience, "/audience")
    now = datetime.now(UTC)
    rollout = Rollout(
        flag_id=flag_id,
        environment_id=environment_id,
        key=payload.key,
        from_variant=payload.from_variant,
        to_variant=payload.to_variant,
        audience=payload.audience,
        steps=[step.model_dump() for step in payload.steps],
        guardrails=[guardrail.model_dump(mode="json") for guardrail in payload.guardrails],
        salt=make_salt(),
        status=Status.RUNNING,
        due_at=now + timedelta(hours=payload.steps[0].hours),
        created_at=now,
        updated_at=now,
    )
    session.add(rollout)
    add_rule(session, flag_id, environment_id, payload.key, {"progressive_rollout": payload.key})
    return rollout


def find(session: Session, principal: Principal, flag: Flag, key: str) -> Rollout:
    """A flag's rollout of a key in the principal's environment.

    Raises:
        NotFound: There is none.
    """
    rollout = repository.rollout_by_key(session, flag.id or 0, principal.environment_id, key)
    if rollout is None:
        raise NotFound(f"The flag {flag.key} has no rollout {key} in {principal.place}.")
    return rollout


def move(session: Session, rollout: Rollout, move: Move) -> None:
    """Hold a rollout at its step, go on with it, roll it back, or complete it at once.

    Raises:
        Conflict: The present status does not allow the move.
    """
    now = datetime.now(UTC)
    rollout.status = status_after(move, Status(rollout.status))
    rollout.updated_at = now
    if move is Move.HOLD:
        left = rollout.due_at - now if rollout.due_at else timedelta()
        rollout.due_at, rollout.seconds_left = None, max(left.total_seconds(), 0.0)
    elif move is Move.RESUME:
        rollout.due_at, rollout.seconds_left = now + timedelta(seconds=rollout.seconds_left or 0), None
    else:
        rollout.due_at, rollout.seconds_left, rollout.ended_at = None, None, now
        _settle(session, rollout)
    session.add(rollout)


def advance_due(database: Database) -> None:
    """Take the next step of every rollout whose present step ended. Any number of processes may do this.

    A rollout takes one step, however late it is: each share stays for as long as was planned.
    """
    now = datetime.now(UTC)
    with database.read() as session:
        if not repository.due(session, now):
            return
    with database.write() as session:
        for rollout in repository.due(session, now):
            _advance(session, rollout, now)


def present(rollout: Rollout, flag: Flag, environment: str) -> RolloutOut:
    """A rollout's representation."""
    shares: Mapping[Status, int] = {Status.ROLLED_BACK: 0, Status.COMPLETED: BUCKETS}
    status = Status(rollout.status)
    return RolloutOut(
        key=rollout.key,
        flag=flag.key,
        environment=environment,
        from_variant=rollout.from_variant,
        to_variant=rollout.to_variant,
        audience=rollout.audience,
        steps=[Step(**step) for step in rollout.steps],
        guardrails=[Guardrail(**guardrail) for guardrail in rollout.guardrails],
        status=status,
        allowed=allowed_moves(status),
        step=rollout.step + 1,
        share=shares.get(status, rollout.steps[rollout.step]["share"]),
        due_at=rollout.due_at,
        hours_left=None if rollout.seconds_left is None else rollout.seconds_left / 3600,
        created_at=rollout.created_at,
        updated_at=rollout.updated_at,
        ended_at=rollout.ended_at,
    )


def _advance(session: Session, rollout: Rollout, now: datetime) -> None:
    step = rollout.step + 1
    if step < len(rollout.steps):
        due_at = now + timedelta(hours=rollout.steps[step]["hours"])
        changes: dict[str, Any] = {"step": step, "due_at": due_at}
    else:
        changes = {"status": Status.COMPLETED, "due_at": None, "ended_at": now}
    if repository.change_running(session, rollout, {**changes, "updated_at": now}):
        session.refresh(rollout)
        if rollout.status == Status.COMPLETED:
            _settle(session, rollout)


def _settle(session: Session, rollout: Rollout) -> None:
    """A rollout that ended leaves a rule that serves one variant to its audience."""
    rolled_back = rollout.status == Status.ROLLED_BACK
    rule: dict[str, Any] = {"variant": rollout.from_variant if rolled_back else rollout.to_variant}
    if rollout.audience is not None:
        rule["audience"] = rollout.audience
    place = ("progressive_rollout", rollout.key)
    replace_rule(session, rollout.flag_id, rollout.environment_id, place, rule)
