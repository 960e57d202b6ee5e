"""All queries on flags and on their state in environments."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from equipoise_service.accounts.models import Environment
from equipoise_service.experiments.lifecycle import OPEN, Status
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.flags.models import Flag, FlagState


class Definition(NamedTuple):
    """What the configuration document takes from a flag's definition."""

    id: int
    key: str
    type: str
    unit_type: str | None
    variants: dict[str, Any]
    default: str


class State(NamedTuple):
    """What the configuration document takes from a flag's state in an environment."""

    enabled: bool
    rules: Sequence[dict[str, Any]]
    prerequisites: Sequence[dict[str, Any]]


UNCHANGED = State(enabled=True, rules=(), prerequisites=())
"""A flag in an environment where nobody changed it."""


def flag_by_key(session: Session, project_id: int, key: str) -> Flag | None:
    """A project's flag of a key."""
    return session.exec(select(Flag).where(Flag.project_id == project_id, Flag.key == key)).first()


def flags(session: Session, project_id: int) -> Sequence[Flag]:
    """All flags of a project, by key."""
    return session.exec(select(Flag).where(Flag.project_id == project_id).order_by(col(Flag.key))).all()


def definitions(session: Session, project_id: int) -> list[Definition]:
    """What the configuration document takes from the flags of a project that are not archived, by key."""
    # Plain rows: thousands of flags are read with every write.
    statement = (
        select(  # type: ignore[call-overload] # SQLModel types at most four columns
            Flag.id, Flag.key, Flag.type, Flag.unit_type, Flag.values, Flag.default_variant
        )
        .where(Flag.project_id == project_id, col(Flag.archived_at).is_(None))
        .order_by(col(Flag.key))
    )
    return [Definition(*row) for row in session.exec(statement)]


def archived_since(session: Session, project_id: int, since: datetime) -> list[Definition]:
    """What the configuration document takes from the flags of a project that were archived since then."""
    statement = (
        select(Flag)
        .where(Flag.project_id == project_id, col(Flag.archived_at) >= since)
        .order_by(col(Flag.key))
    )
    return [
        Definition(flag.id or 0, flag.key, flag.type, flag.unit_type, flag.values, flag.default_variant)
        for flag in session.exec(statement)
    ]


def flags_page(session: Session, project_id: int, after: int, limit: int) -> Sequence[Flag]:
    """A project's flags with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(Flag)
        .where(Flag.project_id == project_id, col(Flag.id) > after)
        .order_by(col(Flag.id))
        .limit(limit)
    )
    return session.exec(statement).all()


def state_of(session: Session, flag_id: int, environment_id: int) -> FlagState | None:
    """A flag's state in an environment; absent while nobody changed it there."""
    return session.exec(
        select(FlagState).where(FlagState.flag_id == flag_id, FlagState.environment_id == environment_id)
    ).first()


def states_of_environment(session: Session, environment_id: int) -> dict[int, State]:
    """What is different from the usual of the flags of an environment, by the flag's id."""
    statement = select(FlagState.flag_id, FlagState.enabled, FlagState.rules, FlagState.prerequisites).where(
        FlagState.environment_id == environment_id
    )
    return {
        flag_id: State(enabled, rules, prerequisites)
        for flag_id, enabled, rules, prerequisites in session.exec(statement)
    }


def states_of_flags(session: Session, flag_ids: Collection[int], environment_id: int) -> dict[int, FlagState]:
    """The states of some flags in an environment, by the flag's id."""
    states = session.exec(
        select(FlagState).where(
            col(FlagState.flag_id).in_(flag_ids), FlagState.environment_id == environment_id
        )
    )
    return {state.flag_id: state for state in states}


def states_of_project(session: Session, project_id: int) -> Sequence[tuple[Flag, FlagState, str]]:
    """Flags that are not archived, their state and the environment's key, wherever there is a state."""
    statement = (
        select(Flag, FlagState, Environment.key)
        .join(FlagState, col(FlagState.flag_id) == col(Flag.id))
        .join(Environment, col(Environment.id) == col(FlagState.environment_id))
        .where(Flag.project_id == project_id, col(Flag.archived_at).is_(None))
        .order_by(col(Flag.key), col(Environment.key))
    )
    return session.exec(statement).all()


def attached(
    session: Session, flag_ids: Collection[int], environment_id: int
) -> Sequence[tuple[Experiment, Status]]:
    """The experiments that randomise some flags, oldest first, with their status in an environment."""
    statement = (
        select(Experiment, Run.status)
        .join(
            Run,
            (col(Run.experiment_id) == col(Experiment.id)) & (col(Run.environment_id) == environment_id),
            isouter=True,
        )
        .where(col(Experiment.flag_id).in_(flag_ids))
        .order_by(col(Experiment.id))
    )
    return [(experiment, Status(status or Status.DRAFT)) for experiment, status in session.exec(statement)]


def live_experiments(session: Session, flag_id: int) -> Sequence[tuple[str, str]]:
    """Key and environment of the experiments that serve their arms on a flag, or are paused."""
    statement = (
        select(Experiment.key, Environment.key)
        .join(Run, col(Run.experiment_id) == col(Experiment.id))
        .join(Environment, col(Environment.id) == col(Run.environment_id))
        .where(Experiment.flag_id == flag_id, col(Run.status).in_(OPEN))
        .order_by(col(Experiment.key), col(Environment.key))
    )
    return session.exec(statement).all()


def live_arms(session: Session, flag_id: int) -> list[tuple[str, set[str]]]:
    """Key and arms of the experiments that serve these on a flag, or are paused, in any environment."""
    statement = (
        select(Experiment.key, Experiment.arms)
        .join(Run, col(Run.experiment_id) == col(Experiment.id))
        .where(Experiment.flag_id == flag_id, col(Run.status).in_(OPEN))
    )
    return [(key, {arm["key"] for arm in arms}) for key, arms in session.exec(statement)]


def randomised_variants(session: Session, flag_id: int) -> dict[str, str]:
    """The variants that experiments randomise or ever randomised on a flag, with an experiment's key."""
    used: dict[str, str] = {}
    for experiment in session.exec(select(Experiment).where(Experiment.flag_id == flag_id)):
        used.update({arm["key"]: experiment.key for arm in experiment.arms})
    ranges = session.exec(
        select(Experiment.key, Revision.ranges)
        .join(Run, col(Run.experiment_id) == col(Experiment.id))
        .join(Revision, col(Revision.run_id) == col(Run.id))
        .where(Experiment.flag_id == flag_id)
    )
    used.update({variant: key for key, each in ranges for variant, _, _ in each})
    return used


def unit_types(session: Session, project_id: int) -> dict[int, str]:
    """What the oldest experiment on each flag of a project randomises, by the flag's id."""
    statement = (
        select(Experiment.flag_id, Experiment.unit_type)
        .where(Experiment.project_id == project_id)
        .order_by(col(Experiment.id).desc())
    )
    return dict(session.exec(statement).all())


def flags_by_id(session: Session, ids: Collection[int]) -> dict[int, Flag]:
    """The flags of some ids."""
    return {flag.id: flag for flag in session.exec(select(Flag).where(col(Flag.id).in_(ids))) if flag.id}
