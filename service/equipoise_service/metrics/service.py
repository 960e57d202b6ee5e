"""What happens to stored metrics: they are made, changed and archived, and experiments pin them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict, InvalidPayload, NotFound
from equipoise_service.http.problems import payload_error
from equipoise_service.metrics import repository
from equipoise_service.metrics.models import MetricUse, MetricVersion, StoredMetric
from equipoise_service.metrics.schemas import Metric
from equipoise_service.metrics.stored import MetricIn, MetricReference, PinnedMetric
from equipoise_service.sources import repository as sources

_PREVIEW = "preview"


def make_metric(session: Session, principal: Principal, payload: MetricIn) -> StoredMetric:
    """Store a metric, at version 1.

    Raises:
        Conflict: The project has a metric of that key.
        InvalidPayload: It names a source that does not exist, or has a key that is a route's own.
    """
    if payload.key == _PREVIEW:
        message = f"`{_PREVIEW}` is the path of previews: choose another key"
        raise InvalidPayload(f"/key: {message}.", errors=[{"pointer": "/key", "message": message}])
    before = repository.metric_by_key(session, principal.project_id, payload.key)
    if before is not None:
        state = "an archived metric" if before.archived_at is not None else "a metric"
        raise Conflict(f"There is {state} {payload.key} already. Choose another key.")
    check_source(session, principal.project_id, payload.source, "/source")
    now = datetime.now(UTC)
    metric = StoredMetric(
        project_id=principal.project_id, key=payload.key, version=0, created_at=now, updated_at=now
    )
    session.add(metric)
    session.flush()
    _add_version(session, principal, metric, payload)
    return metric


def find(session: Session, principal: Principal, key: str) -> StoredMetric:
    """The metric of a key in the principal's project, also an archived one.

    Raises:
        NotFound: There is none.
    """
    metric = repository.metric_by_key(session, principal.project_id, key)
    if metric is None:
        raise NotFound(f"There is no metric {key} in the project {principal.project}.")
    return metric


def definition(session: Session, metric: StoredMetric) -> MetricIn:
    """What a metric is at its latest version."""
    return MetricIn.model_validate(_version(session, metric, metric.version).definition)


def change(session: Session, principal: Principal, metric: StoredMetric, payload: BaseModel) -> None:
    """Change a metric: that makes a new version, unless it leaves everything as it was.

    Raises:
        Conflict: The metric is archived.
        InvalidPayload: What comes out is no metric, or names a source that does not exist.
    """
    _check_not_archived(metric)
    before = definition(session, metric)
    given = payload.model_dump(mode="json", exclude_unset=True)
    try:
        after = MetricIn.model_validate({**before.model_dump(mode="json"), **given})
    except ValidationError as error:
        places = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise payload_error(places, given) from None
    if after == before:
        return
    check_source(session, principal.project_id, after.source, "/source")
    _add_version(session, principal, metric, after)


def archive(session: Session, metric: StoredMetric, *, in_use: bool) -> None:
    """Put a metric away: no experiment can name it any more; those that do keep what they pinned.

    Args:
        session: The transaction.
        metric: The metric.
        in_use: Whether that it is in use is known and does not matter.

    Raises:
        Conflict: It was put away before, or experiments name it; the error says which.
    """
    _check_not_archived(metric)
    users = repository.uses(session, metric.project_id, [metric.key])[metric.key]
    if users and not in_use:
        raise Conflict(
            f"The metric {metric.key} is used by the experiments {', '.join(users[:20])}. They would keep "
            "what they pinned; say in_use=true to archive it all the same.",
            type="in-use",
            used_by=users,
        )
    metric.archived_at = metric.updated_at = datetime.now(UTC)
    session.add(metric)


def restore(session: Session, metric: StoredMetric) -> None:
    """Take an archived metric back, at the version that it had. One that is not archived stays as it is."""
    if metric.archived_at is not None:
        metric.archived_at, metric.updated_at = None, datetime.now(UTC)
        session.add(metric)


def pin(
    session: Session, project_id: int, named: Iterable[PinnedMetric | MetricReference]
) -> list[PinnedMetric]:
    """Resolve the metrics of an experiment: stored ones are pinned at their version.

    Args:
        session: The transaction.
        project_id: Whose metrics.
        named: Definitions, and stored metrics by their keys.

    Raises:
        InvalidPayload: A metric, version or source does not exist, or a definition claims to be a version
            that says something else.
    """
    return [_pinned(session, project_id, each, f"/metrics/{i}") for i, each in enumerate(named)]


def note_uses(
    session: Session, project_id: int, experiment_id: int, experiment: str, metrics: Sequence[PinnedMetric]
) -> None:
    """Note which stored metrics and which sources an experiment names."""
    rows = [
        MetricUse(
            experiment_id=experiment_id,
            metric=each.key,
            experiment=experiment,
            project_id=project_id,
            version=each.version,
            source=each.source,
        )
        for each in metrics
        if each.version is not None or each.source is not None
    ]
    repository.replace_uses(session, experiment_id, rows)


def check_source(session: Session, project_id: int, source: str | None, pointer: str) -> None:
    """Check that a source exists; none means the built-in store.

    Raises:
        InvalidPayload: It does not.
    """
    if source is not None and sources.source_by_key(session, project_id, source) is None:
        raise _invalid(pointer, f"there is no source {source}")


def _pinned(
    session: Session, project_id: int, named: PinnedMetric | MetricReference, pointer: str
) -> PinnedMetric:
    if isinstance(named, PinnedMetric):
        if named.version is None:
            check_source(session, project_id, named.source, f"{pointer}/source")
            return named
        stored = _stored(session, project_id, named.key, named.version, pointer, "key", archived=True)
        if stored.model_copy(update={"role": named.role}) != named:
            raise _invalid(
                pointer,
                f"version {named.version} of the metric {named.key} says something else; leave version out "
                f'for a definition of its own, or write {{"metric": "{named.key}"}}',
            )
        return named
    stored = _stored(session, project_id, named.metric, named.version, pointer, "metric", archived=False)
    return stored if named.role is None else stored.model_copy(update={"role": named.role})


def _stored(
    session: Session,
    project_id: int,
    key: str,
    number: int | None,
    pointer: str,
    member: str,
    *,
    archived: bool,
) -> PinnedMetric:
    metric = repository.metric_by_key(session, project_id, key)
    if metric is None:
        raise _invalid(f"{pointer}/{member}", f"there is no metric {key}")
    if metric.archived_at is not None and not archived:
        raise _invalid(f"{pointer}/{member}", f"the metric {key} is archived")
    found = repository.version_of(session, metric.id or 0, number or metric.version)
    if found is None:
        raise _invalid(
            f"{pointer}/version", f"the metric {key} has no version {number}; the latest is {metric.version}"
        )
    of_metric = {name: value for name, value in found.definition.items() if name in Metric.model_fields}
    return PinnedMetric.model_validate({**of_metric, "version": found.number})


def _version(session: Session, metric: StoredMetric, number: int) -> MetricVersion:
    found = repository.version_of(session, metric.id or 0, number)
    if found is None:
        raise RuntimeError("a metric has its latest version")
    return found


def _add_version(session: Session, principal: Principal, metric: StoredMetric, after: MetricIn) -> None:
    now = datetime.now(UTC)
    metric.version += 1
    metric.updated_at = now
    dumped: dict[str, Any] = after.model_dump(mode="json")
    session.add(metric)
    session.add(
        MetricVersion(
            metric_id=metric.id or 0,
            number=metric.version,
            definition=dumped,
            made_by=principal.public_id,
            made_at=now,
        )
    )
    session.flush()


def _check_not_archived(metric: StoredMetric) -> None:
    if metric.archived_at is not None:
        raise Conflict(f"The metric {metric.key} is archived. Restore it first.", type="frozen-field")


def _invalid(pointer: str, message: str) -> InvalidPayload:
    return InvalidPayload(
        f"The payload does not validate. {pointer}: {message}",
        errors=[{"pointer": pointer, "message": message}],
    )
