"""All queries on experiments, their runs and revisions."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, insert
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from equipoise_service.accounts.models import Environment
from equipoise_service.experiments.models import Experiment, OverriddenUnit, Pause, Ramp, Revision, Run
from equipoise_service.flags.models import Flag


class Definition(NamedTuple):
    """What the configuration document takes from an experiment's definition."""

    id: int
    key: str
    flag_id: int
    flag: str
    layer_id: int
    unit_type: str
    arms: list[dict[str, Any]]
    retired: list[str]
    audience: dict[str, Any] | None
    overrides: dict[str, str]
    sticky: bool


class State(NamedTuple):
    """What the configuration document takes from an experiment's run; without a revision in a draft."""

    experiment_id: int
    status: str
    archived_at: datetime | None
    shipped: str | None
    revision: int | None
    salt: str | None
    slots: list[list[int]] | None
    ranges: list[list[Any]] | None


def experiment_by_key(session: Session, project_id: int, key: str) -> Experiment | None:
    """A project's experiment of a key."""
    return session.exec(
        select(Experiment).where(Experiment.project_id == project_id, Experiment.key == key)
    ).first()


def experiments_page(session: Session, project_id: int, after: int, limit: int) -> Sequence[Experiment]:
    """A project's experiments with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(Experiment)
        .where(Experiment.project_id == project_id, col(Experiment.id) > after)
        .order_by(col(Experiment.id))
        .limit(limit)
    )
    return session.exec(statement).all()


def experiments_of_flag(session: Session, flag_id: int) -> Sequence[Experiment]:
    """The experiments that are attached to a flag, oldest first."""
    statement = select(Experiment).where(Experiment.flag_id == flag_id).order_by(col(Experiment.id))
    return session.exec(statement).all()


def keys_in_layer(session: Session, layer_id: int) -> list[str]:
    """The keys of the experiments that are in a layer, oldest first."""
    statement = select(Experiment.key).where(Experiment.layer_id == layer_id).order_by(col(Experiment.id))
    return list(session.exec(statement).all())


def other_unit_type_in_layer(
    session: Session, layer_id: int, unit_type: str, *, besides: int | None
) -> tuple[str, str] | None:
    """Key and unit type of an experiment in a layer that randomises another unit type, if there is one."""
    statement = (
        select(Experiment.key, Experiment.unit_type)
        .where(Experiment.layer_id == layer_id, Experiment.unit_type != unit_type, Experiment.id != besides)
        .limit(1)
    )
    return session.exec(statement).first()


def definitions(session: Session, project_id: int) -> list[Definition]:
    """All experiments of a project, oldest first, as the configuration document needs them."""
    statement = (
        select(  # type: ignore[call-overload] # SQLModel types at most four columns
            Experiment.id,
            Experiment.key,
            Experiment.flag_id,
            Flag.key,
            Experiment.layer_id,
            Experiment.unit_type,
            Experiment.arms,
            Experiment.retired,
            Experiment.audience,
            Experiment.overrides,
            Experiment.sticky,
        )
        .join(Flag, col(Flag.id) == col(Experiment.flag_id))
        .where(Experiment.project_id == project_id)
        .order_by(col(Experiment.id))
    )
    return [Definition(*row) for row in session.exec(statement)]


def states(session: Session, environment_id: int) -> dict[int, State]:
    """The state of every experiment that has a run in an environment, by the experiment's id."""
    latest = (
        select(Revision.run_id, func.max(Revision.number).label("number"))
        .join(Run, col(Run.id) == col(Revision.run_id))
        .where(Run.environment_id == environment_id)
        .group_by(col(Revision.run_id))
        .subquery()
    )
    statement = (
        select(  # type: ignore[call-overload] # SQLModel types at most four columns
            Run.experiment_id,
            Run.status,
            Run.archived_at,
            Run.shipped,
            Revision.number,
            Revision.salt,
            Revision.slots,
            Revision.ranges,
        )
        .outerjoin(latest, latest.c.run_id == col(Run.id))
        .outerjoin(
            Revision, (col(Revision.run_id) == col(Run.id)) & (col(Revision.number) == latest.c.number)
        )
        .where(Run.environment_id == environment_id)
    )
    return {row[0]: State(*row) for row in session.exec(statement)}


class Beside(NamedTuple):
    """A revision that ran at the same time as another experiment's."""

    key: str
    id: int
    number: int
    started_at: datetime
    ended_at: datetime | None


def revisions_beside(
    session: Session, experiment: Experiment, environment_id: int, *, start: datetime, end: datetime
) -> list[Beside]:
    """The revisions of experiments of the same unit type, in other layers, that ran in a stretch of time.

    Args:
        session: A session.
        experiment: The experiment that they are beside.
        environment_id: Where they ran.
        start: From when on.
        end: Up to when.
    """
    statement = (
        select(  # type: ignore[call-overload] # SQLModel types at most four columns
            Experiment.key, Revision.id, Revision.number, Revision.started_at, Revision.ended_at
        )
        .join(Run, col(Run.id) == col(Revision.run_id))
        .join(Experiment, col(Experiment.id) == col(Run.experiment_id))
        .where(
            Run.environment_id == environment_id,
            Experiment.id != experiment.id,
            Experiment.unit_type == experiment.unit_type,
            # One layer's experiments exclude each other.
            Experiment.layer_id != experiment.layer_id,
            Revision.started_at < end,
            col(Revision.ended_at).is_(None) | (col(Revision.ended_at) > start),
        )
        .order_by(col(Revision.id))
    )
    return [Beside(*row) for row in session.exec(statement)]


def run_of(session: Session, experiment_id: int, environment_id: int) -> Run | None:
    """An experiment's run in an environment; absent while it is a draft there."""
    return session.exec(
        select(Run).where(Run.experiment_id == experiment_id, Run.environment_id == environment_id)
    ).first()


def runs_of_experiment(session: Session, experiment_id: int) -> Sequence[Run]:
    """An experiment's runs in all environments."""
    return session.exec(select(Run).where(Run.experiment_id == experiment_id)).all()


def runs_by_experiment(
    session: Session, experiment_ids: Collection[int], environment_id: int
) -> dict[int, Run]:
    """The runs of some experiments in an environment, by the experiment's id."""
    statement = select(Run).where(
        Run.environment_id == environment_id, col(Run.experiment_id).in_(experiment_ids)
    )
    return {run.experiment_id: run for run in session.exec(statement)}


def revisions_of(session: Session, run_id: int) -> Sequence[Revision]:
    """A run's revisions, oldest first."""
    return session.exec(
        select(Revision).where(Revision.run_id == run_id).order_by(col(Revision.number))
    ).all()


class Started(NamedTuple):
    """A revision, with its experiment, where it was started, and what became of it there."""

    experiment: str
    environment: str
    status: str
    revision_id: int
    number: int


def revisions_in(session: Session, project_id: int) -> list[Started]:
    """All revisions of a project in all environments, oldest first."""
    statement = (
        select(  # type: ignore[call-overload] # SQLModel types at most four columns
            Experiment.key, Environment.key, Run.status, Revision.id, Revision.number
        )
        .join(Run, col(Run.id) == col(Revision.run_id))
        .join(Experiment, col(Experiment.id) == col(Run.experiment_id))
        .join(Environment, col(Environment.id) == col(Run.environment_id))
        .where(Experiment.project_id == project_id)
        .order_by(col(Revision.id))
    )
    return [Started(*row) for row in session.exec(statement)]


def latest_revision(session: Session, run_id: int) -> Revision | None:
    """A run's latest revision; absent before the first start."""
    statement = (
        select(Revision).where(Revision.run_id == run_id).order_by(col(Revision.number).desc()).limit(1)
    )
    return session.exec(statement).first()


def latest_revisions(session: Session, run_ids: Collection[int]) -> dict[int, tuple[int, int | None]]:
    """Number and holdback of the latest revision of some runs, by the run's id."""
    latest = select(func.max(Revision.id)).where(col(Revision.run_id).in_(run_ids))
    statement = select(Revision.run_id, Revision.number, Revision.holdback).where(
        col(Revision.id).in_(latest.group_by(col(Revision.run_id)))
    )
    return {run_id: (number, holdback) for run_id, number, holdback in session.exec(statement)}


def pauses_of(session: Session, revision_id: int) -> Sequence[Pause]:
    """A revision's pauses, oldest first."""
    return session.exec(
        select(Pause).where(Pause.revision_id == revision_id).order_by(col(Pause.number))
    ).all()


def pauses_in(session: Session, keys: Collection[str], environment_id: int, project_id: int) -> list[Pause]:
    """The pauses of all revisions of some experiments in an environment."""
    statement = select(Pause).join(Revision, col(Revision.id) == col(Pause.revision_id))
    return list(session.exec(_of_experiments(statement, keys, environment_id, project_id)))


class Enrolled(NamedTuple):
    """A ramp of a revision, with its experiment, and when the revision ended."""

    experiment: str
    ramp: Ramp
    ended_at: datetime | None


def ramps_in(session: Session, keys: Collection[str], environment_id: int, project_id: int) -> list[Enrolled]:
    """The ramps of all revisions of some experiments in an environment, by revision, oldest first."""
    statement = (
        select(Experiment.key, Ramp, Revision.ended_at)
        .select_from(Ramp)
        .join(Revision, col(Revision.id) == col(Ramp.revision_id))
        # What is held back after a ship enrols for nothing.
        .where(col(Revision.holdback).is_(None))
        .order_by(col(Ramp.revision_id), col(Ramp.number))
    )
    found = session.exec(_of_experiments(statement, keys, environment_id, project_id))
    return [Enrolled(*row) for row in found]


def _of_experiments(statement: Any, keys: Collection[str], environment_id: int, project_id: int) -> Any:
    """A query on revisions, those of some experiments in an environment."""
    return (
        statement.join(Run, col(Run.id) == col(Revision.run_id))
        .join(Experiment, col(Experiment.id) == col(Run.experiment_id))
        .where(
            Run.environment_id == environment_id,
            Experiment.project_id == project_id,
            col(Experiment.key).in_(keys),
        )
    )


def open_pause(session: Session, revision_id: int) -> Pause | None:
    """The pause of a revision that goes on."""
    return session.exec(
        select(Pause).where(Pause.revision_id == revision_id, col(Pause.ended_at).is_(None))
    ).first()


def last_pause_number(session: Session, revision_id: int) -> int:
    """The number of a revision's last pause; 0 before the first one."""
    statement = select(func.max(Pause.number)).where(Pause.revision_id == revision_id)
    return session.exec(statement).one() or 0


def last_pauses(session: Session, run_ids: Collection[int], most: int) -> dict[int, list[Pause]]:
    """The last pauses of the latest revisions of some runs, oldest first, by the run's id.

    Args:
        session: A session.
        run_ids: The runs.
        most: How many of each, at most.
    """
    latest = select(func.max(Revision.id)).where(col(Revision.run_id).in_(run_ids))
    later = aliased(Pause)
    last = select(func.max(later.number)).where(col(later.revision_id) == col(Pause.revision_id))
    statement = (
        select(Revision.run_id, Pause)
        .join(Pause, col(Pause.revision_id) == col(Revision.id))
        .where(
            col(Revision.id).in_(latest.group_by(col(Revision.run_id))),
            col(Pause.number) > last.correlate(Pause).scalar_subquery() - most,
        )
        .order_by(col(Pause.number))
    )
    found: dict[int, list[Pause]] = {}
    for run_id, pause in session.exec(statement):
        found.setdefault(run_id, []).append(pause)
    return found


def ramps_of(session: Session, revision_id: int) -> Sequence[Ramp]:
    """A revision's ramps, oldest first; none where they are not on record."""
    return session.exec(select(Ramp).where(Ramp.revision_id == revision_id).order_by(col(Ramp.number))).all()


def overridden_units(session: Session, revision_id: int) -> list[str]:
    """The units that had an override at any time in a revision, in the order of their code points."""
    statement = select(OverriddenUnit.unit).where(OverriddenUnit.revision_id == revision_id)
    # Not by the database: PostgreSQL orders text as its locale does.
    return sorted(session.exec(statement))


def overridden_units_of(session: Session, revision_ids: Collection[int]) -> list[str]:
    """The units that had an override at any time in one of several revisions, each once and in order."""
    statement = select(OverriddenUnit.unit).where(col(OverriddenUnit.revision_id).in_(revision_ids))
    return sorted(set(session.exec(statement)))


def add_overridden_units(session: Session, revision_id: int, units: Iterable[str]) -> None:
    """Note units that had an override in a revision and are not noted yet."""
    rows = [{"revision_id": revision_id, "unit": unit} for unit in units]
    if rows:
        session.connection().execute(insert(OverriddenUnit), rows)
