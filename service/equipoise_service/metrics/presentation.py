"""How stored metrics are shown."""

from collections.abc import Sequence

from sqlmodel import Session

from equipoise_service.metrics import repository
from equipoise_service.metrics.models import MetricVersion, StoredMetric
from equipoise_service.metrics.stored import MetricIn, MetricOut, MetricVersionOut


def present(session: Session, metric: StoredMetric) -> MetricOut:
    """A metric's representation."""
    return present_all(session, [metric])[0]


def present_all(session: Session, metrics: Sequence[StoredMetric]) -> list[MetricOut]:
    """The representations of several metrics of one project: the same few queries, however many there are."""
    if not metrics:
        return []
    latest = repository.latest_versions(session, [each.id or 0 for each in metrics])
    used = repository.uses(session, metrics[0].project_id, [each.key for each in metrics])
    return [
        MetricOut(
            **MetricIn.model_validate(latest[each.id or 0].definition).model_dump(),
            version=each.version,
            used_by=used[each.key],
            created_at=each.created_at,
            updated_at=each.updated_at,
            archived_at=each.archived_at,
        )
        for each in metrics
    ]


def present_version(version: MetricVersion) -> MetricVersionOut:
    """A version's representation."""
    return MetricVersionOut(
        version=version.number,
        definition=MetricIn.model_validate(version.definition),
        made_by=version.made_by,
        made_at=version.made_at,
    )
