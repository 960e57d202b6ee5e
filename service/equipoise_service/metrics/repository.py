"""All queries on stored metrics, their versions and who uses them."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete
from sqlmodel import Session, col, select

from equipoise_service.metrics.models import MetricUse, MetricVersion, StoredMetric


def metric_by_key(session: Session, project_id: int, key: str) -> StoredMetric | None:
    """A project's metric of a key."""
    return session.exec(
        select(StoredMetric).where(StoredMetric.project_id == project_id, StoredMetric.key == key)
    ).first()


def metrics_page(session: Session, project_id: int, after: int, limit: int) -> Sequence[StoredMetric]:
    """A project's metrics with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(StoredMetric)
        .where(StoredMetric.project_id == project_id, col(StoredMetric.id) > after)
        .order_by(col(StoredMetric.id))
        .limit(limit)
    )
    return session.exec(statement).all()


def version_of(session: Session, metric_id: int, number: int) -> MetricVersion | None:
    """One version of a metric."""
    return session.exec(
        select(MetricVersion).where(MetricVersion.metric_id == metric_id, MetricVersion.number == number)
    ).first()


def latest_versions(session: Session, metric_ids: Collection[int]) -> dict[int, MetricVersion]:
    """The latest version of some metrics, by the metric's id."""
    statement = (
        select(MetricVersion)
        .join(StoredMetric, col(StoredMetric.id) == col(MetricVersion.metric_id))
        .where(
            col(MetricVersion.metric_id).in_(metric_ids),
            col(MetricVersion.number) == col(StoredMetric.version),
        )
    )
    return {each.metric_id: each for each in session.exec(statement)}


def versions_page(session: Session, metric_id: int, after: int, limit: int) -> Sequence[MetricVersion]:
    """A metric's versions with a number above `after`, oldest first, at most `limit`."""
    statement = (
        select(MetricVersion)
        .where(MetricVersion.metric_id == metric_id, col(MetricVersion.number) > after)
        .order_by(col(MetricVersion.number))
        .limit(limit)
    )
    return session.exec(statement).all()


def uses(session: Session, project_id: int, keys: Collection[str]) -> dict[str, list[str]]:
    """The keys of the experiments that name some stored metrics, by the metric's key."""
    statement = (
        select(MetricUse)
        .where(
            MetricUse.project_id == project_id,
            col(MetricUse.metric).in_(keys),
            col(MetricUse.version).is_not(None),
        )
        .order_by(col(MetricUse.experiment_id))
    )
    found: dict[str, list[str]] = {key: [] for key in keys}
    for use in session.exec(statement):
        found[use.metric].append(use.experiment)
    return found


def replace_uses(session: Session, experiment_id: int, rows: Collection[MetricUse]) -> None:
    """Note what an experiment names, in place of what was noted before."""
    session.connection().execute(delete(MetricUse).where(col(MetricUse.experiment_id) == experiment_id))
    session.add_all(rows)


def users_of_source(session: Session, project_id: int, source: str) -> list[str]:
    """What reads a source, in words: metrics, and experiments with a metric that does."""
    latest = (
        select(StoredMetric.key, MetricVersion.definition)
        .join(MetricVersion, col(MetricVersion.metric_id) == col(StoredMetric.id))
        .where(StoredMetric.project_id == project_id, col(MetricVersion.number) == col(StoredMetric.version))
        .order_by(col(StoredMetric.id))
    )
    names = [
        f"the metric {key}" for key, definition in session.exec(latest) if definition.get("source") == source
    ]
    experiments = (
        select(MetricUse.experiment)
        .where(MetricUse.project_id == project_id, MetricUse.source == source)
        .order_by(col(MetricUse.experiment_id))
    )
    names += [f"the experiment {key}" for key in session.exec(experiments)]
    return list(dict.fromkeys(names))
