"""Who reads a source: revisions whose locked plans name it, which have to say when it becomes another one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict
from equipoise_service.experiments import repository
from equipoise_service.experiments.lifecycle import Status
from equipoise_service.plans import locking
from equipoise_service.plans import repository as plans
from equipoise_service.sources import service as sources
from equipoise_service.sources.models import Source
from equipoise_service.sources.schemas import SourcePatch, SourceUse

# Of a revision from before plans were locked.
_NONE: Mapping[str, Any] = {"metrics": ()}


@dataclass(frozen=True, slots=True)
class Reader:
    """A revision whose locked plan names a source.

    Attributes:
        revision_id: Its internal id.
        use: What is shown of it.
    """

    revision_id: int
    use: SourceUse

    @property
    def is_archived(self) -> bool:
        """Whether its experiment is on record for good, so that nothing is said of it any more."""
        return self.use.status == Status.ARCHIVED


def readers_of(session: Session, project_id: int, source: str) -> list[Reader]:
    """The revisions whose plans, as they stand, name a source, oldest first."""
    revisions = repository.revisions_in(session, project_id)
    documents = plans.documents_in_force(session, [each.revision_id for each in revisions])
    return [
        Reader(
            each.revision_id,
            SourceUse(
                experiment=each.experiment,
                environment=each.environment,
                revision=each.number,
                status=each.status,
            ),
        )
        for each in revisions
        if any(metric.get("source") == source for metric in documents.get(each.revision_id, _NONE)["metrics"])
    ]


def change(session: Session, principal: Principal, source: Source, payload: SourcePatch) -> None:
    """Change a source, and put on record under every locked plan that names it what it reads otherwise.

    Raises:
        InvalidPayload: The service has no such connection, or a query does more than read.
        Conflict: A locked plan names it, it reads something else from now on, and there is no reason.
    """
    before = sources.what_is_read(sources.definition(source))
    sources.change(session, source, payload)
    after = sources.what_is_read(sources.definition(source))
    changed = locking.changed_places(before, after, f"/sources/{source.key}")
    readers = readers_of(session, principal.project_id, source.key) if changed else []
    followed = [each for each in readers if not each.is_archived]
    if not followed:
        return
    if payload.reason is None:
        users = in_words(followed)
        raise Conflict(
            f"Locked plans name the source {source.key}, those of {', '.join(users[:20])}. This changes what "
            f"they read: {', '.join(changed[:5])}. Give `reason`, which every readout of theirs will show.",
            type="frozen-field",
            used_by=users,
        )
    deviation = locking.Deviation(changed, payload.reason, principal.public_id)
    now = datetime.now(UTC)
    for each in followed:
        locking.put_on_record(session, each.revision_id, deviation, at=now)


def delete(session: Session, principal: Principal, source: Source) -> None:
    """Delete a source that nothing reads, nor read: a readout of what is archived can still be asked for.

    Raises:
        Conflict: A metric, an experiment or a locked plan names it; the error says which.
    """
    users = in_words(readers_of(session, principal.project_id, source.key))
    sources.delete(session, principal, source, [f"the locked plan of {each}" for each in users])


def in_words(readers: Iterable[Reader]) -> list[str]:
    """The experiments of revisions, each once, with their environments."""
    uses = (each.use for each in readers)
    return list(dict.fromkeys(f"the experiment {use.experiment} in {use.environment}" for use in uses))
