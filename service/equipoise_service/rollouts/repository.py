"""All queries on progressive rollouts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from equipoise_service.accounts.models import Environment
from equipoise_service.flags.models import Flag
from equipoise_service.rollouts.lifecycle import Status
from equipoise_service.rollouts.models import Rollout

LIVE = (Status.RUNNING, Status.HELD)


def rollout_by_key(session: Session, flag_id: int, environment_id: int, key: str) -> Rollout | None:
    """A flag's rollout of a key in an environment."""
    return session.exec(
        select(Rollout).where(
            Rollout.flag_id == flag_id, Rollout.environment_id == environment_id, Rollout.key == key
        )
    ).first()


def rollouts_page(
    session: Session, flag_id: int, environment_id: int, after: int, limit: int
) -> Sequence[Rollout]:
    """A flag's rollouts in an environment with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(Rollout)
        .where(Rollout.flag_id == flag_id, Rollout.environment_id == environment_id, col(Rollout.id) > after)
        .order_by(col(Rollout.id))
        .limit(limit)
    )
    return session.exec(statement).all()


def rollouts_of_environment(session: Session, environment_id: int) -> dict[int, dict[str, Rollout]]:
    """The rollouts that run or are held in an environment, by the flag's id and their key."""
    found: dict[int, dict[str, Rollout]] = {}
    statement = select(Rollout).where(Rollout.environment_id == environment_id, col(Rollout.status).in_(LIVE))
    for rollout in session.exec(statement):
        found.setdefault(rollout.flag_id, {})[rollout.key] = rollout
    return found


def live_of_flag(session: Session, flag_id: int, environment_id: int) -> dict[str, Rollout]:
    """The rollouts that run or are held on a flag in an environment, by key."""
    statement = select(Rollout).where(
        Rollout.flag_id == flag_id,
        Rollout.environment_id == environment_id,
        col(Rollout.status).in_(LIVE),
    )
    return {rollout.key: rollout for rollout in session.exec(statement)}


def live_rollouts(session: Session, flag_id: int) -> Sequence[tuple[Rollout, str]]:
    """The rollouts that run or are held on a flag, each with its environment's key."""
    statement = (
        select(Rollout, Environment.key)
        .join(Environment, col(Environment.id) == col(Rollout.environment_id))
        .where(Rollout.flag_id == flag_id, col(Rollout.status).in_(LIVE))
        .order_by(col(Rollout.id))
    )
    return session.exec(statement).all()


def live_of_project(session: Session, project_id: int) -> Sequence[tuple[str, Rollout, str]]:
    """The rollouts that run or are held in a project, each with its flag's and its environment's key."""
    statement = (
        select(Flag.key, Rollout, Environment.key)
        .join(Flag, col(Flag.id) == col(Rollout.flag_id))
        .join(Environment, col(Environment.id) == col(Rollout.environment_id))
        .where(Flag.project_id == project_id, col(Rollout.status).in_(LIVE))
        .order_by(col(Rollout.id))
    )
    return session.exec(statement).all()


def due(session: Session, now: datetime) -> Sequence[Rollout]:
    """The rollouts whose present step ended."""
    statement = (
        select(Rollout)
        .where(Rollout.status == Status.RUNNING, col(Rollout.due_at) <= now)
        .order_by(col(Rollout.id))
    )
    return session.exec(statement).all()


def change_running(session: Session, rollout: Rollout, values: Mapping[str, Any]) -> bool:
    """Change a rollout, unless another process moved it since it was read; whether it was changed."""
    result = session.connection().execute(
        update(Rollout)
        .where(
            col(Rollout.id) == rollout.id,
            col(Rollout.status) == Status.RUNNING,
            col(Rollout.step) == rollout.step,
            col(Rollout.due_at) == rollout.due_at,
        )
        .values(**values)
    )
    return result.rowcount == 1
