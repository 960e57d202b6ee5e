"""All queries on holdouts and on the experiments that name them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete
from sqlmodel import Session, col, select

from equipoise_service.experiments.models import Experiment
from equipoise_service.holdouts.models import HeldOutExperiment, Holdout


def holdout_by_key(session: Session, project_id: int, key: str) -> Holdout | None:
    """A project's holdout of a key."""
    return session.exec(select(Holdout).where(Holdout.project_id == project_id, Holdout.key == key)).first()


def holdouts_page(session: Session, project_id: int, after: int, limit: int) -> Sequence[Holdout]:
    """A project's holdouts with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(Holdout)
        .where(Holdout.project_id == project_id, col(Holdout.id) > after)
        .order_by(col(Holdout.id))
        .limit(limit)
    )
    return session.exec(statement).all()


def holdouts(session: Session, project_id: int) -> Sequence[Holdout]:
    """All holdouts of a project, oldest first."""
    statement = select(Holdout).where(Holdout.project_id == project_id).order_by(col(Holdout.id))
    return session.exec(statement).all()


def keys_by_experiment(
    session: Session, project_id: int, experiment_ids: Collection[int] | None = None
) -> Mapping[int, list[str]]:
    """The keys of the holdouts that experiments of a project name, in order, by the experiment's id.

    Args:
        session: The transaction.
        project_id: Whose holdouts.
        experiment_ids: Which experiments; all when absent.
    """
    statement = (
        select(HeldOutExperiment.experiment_id, Holdout.key)
        .join(Holdout, col(Holdout.id) == col(HeldOutExperiment.holdout_id))
        .where(Holdout.project_id == project_id)
        .order_by(col(Holdout.key))
    )
    if experiment_ids is not None:
        statement = statement.where(col(HeldOutExperiment.experiment_id).in_(experiment_ids))
    found: defaultdict[int, list[str]] = defaultdict(list)
    for experiment_id, key in session.exec(statement):
        found[experiment_id].append(key)
    return found


def holdouts_of(session: Session, experiment_id: int) -> Sequence[Holdout]:
    """The holdouts that an experiment names, in order of their keys."""
    statement = (
        select(Holdout)
        .join(HeldOutExperiment, col(HeldOutExperiment.holdout_id) == col(Holdout.id))
        .where(HeldOutExperiment.experiment_id == experiment_id)
        .order_by(col(Holdout.key))
    )
    return session.exec(statement).all()


def experiments_by_holdout(session: Session, holdout_ids: Collection[int]) -> Mapping[int, list[str]]:
    """The keys of the experiments that name some holdouts, oldest first, by the holdout's id."""
    statement = (
        select(HeldOutExperiment.holdout_id, Experiment.key)
        .join(Experiment, col(Experiment.id) == col(HeldOutExperiment.experiment_id))
        .where(col(HeldOutExperiment.holdout_id).in_(holdout_ids))
        .order_by(col(Experiment.id))
    )
    found: defaultdict[int, list[str]] = defaultdict(list)
    for holdout_id, key in session.exec(statement):
        found[holdout_id].append(key)
    return found


def name_holdouts(session: Session, experiment_id: int, holdout_ids: Collection[int]) -> None:
    """Make an experiment name exactly these holdouts."""
    session.connection().execute(
        delete(HeldOutExperiment).where(col(HeldOutExperiment.experiment_id) == experiment_id)
    )
    for holdout_id in holdout_ids:
        session.add(HeldOutExperiment(experiment_id=experiment_id, holdout_id=holdout_id))
    session.flush()
