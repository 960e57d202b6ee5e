"""All queries on experiments, their runs and revisions."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from equipoise_service.experiments.models import Experiment, Revision, Run


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


def experiments(session: Session, project_id: int) -> Sequence[Experiment]:
    """All experiments of a project, oldest first."""
    statement = select(Experiment).where(Experiment.project_id == project_id).order_by(col(Experiment.id))
    return session.exec(statement).all()


def run_of(session: Session, experiment_id: int, environment_id: int) -> Run | None:
    """An experiment's run in an environment; absent while it is a draft there."""
    return session.exec(
        select(Run).where(Run.experiment_id == experiment_id, Run.environment_id == environment_id)
    ).first()


def runs_of_experiment(session: Session, experiment_id: int) -> Sequence[Run]:
    """An experiment's runs in all environments."""
    return session.exec(select(Run).where(Run.experiment_id == experiment_id)).all()


def runs_of_environment(session: Session, environment_id: int) -> Sequence[Run]:
    """All runs in an environment."""
    return session.exec(select(Run).where(Run.environment_id == environment_id)).all()


def revisions_of(session: Session, run_id: int) -> Sequence[Revision]:
    """A run's revisions, oldest first."""
    return session.exec(
        select(Revision).where(Revision.run_id == run_id).order_by(col(Revision.number))
    ).all()


def latest_revisions(session: Session, environment_id: int) -> dict[int, Revision]:
    """The latest revision of each run in an environment, by the run's id."""
    statement = (
        select(Revision)
        .join(Run, col(Revision.run_id) == col(Run.id))
        .where(Run.environment_id == environment_id)
        .order_by(col(Revision.number))
    )
    return {revision.run_id: revision for revision in session.exec(statement)}
