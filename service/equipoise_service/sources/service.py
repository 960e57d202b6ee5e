"""What happens to sources: they are made, changed, deleted, and looked up for what is read from them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.canonical import digest
from equipoise_service.errors import Conflict, InvalidPayload, NotFound
from equipoise_service.metrics import repository as metrics
from equipoise_service.sources import repository
from equipoise_service.sources.connections import SourceFault, address, dialect_of
from equipoise_service.sources.models import Source
from equipoise_service.sources.queries import check_query
from equipoise_service.sources.schemas import READ_BY, Events, Exposures, SourceIn, SourceOut, SourcePatch


def make_source(session: Session, principal: Principal, payload: SourceIn) -> Source:
    """Make a source.

    Raises:
        Conflict: The project has a source of that key.
        InvalidPayload: The service has no such connection, or a query does more than read.
    """
    if repository.source_by_key(session, principal.project_id, payload.key) is not None:
        raise Conflict(f"There is a source {payload.key} already. Choose another key.")
    now = datetime.now(UTC)
    source = Source(
        project_id=principal.project_id,
        key=payload.key,
        name=payload.name,
        description=payload.description,
        connection=payload.connection,
        events=_stored(payload.events),
        exposures=None if payload.exposures is None else _stored(payload.exposures),
        created_at=now,
        updated_at=now,
    )
    _check(source)
    session.add(source)
    session.flush()
    return source


def find(session: Session, principal: Principal, key: str) -> Source:
    """The source of a key in the principal's project.

    Raises:
        NotFound: There is none.
    """
    source = repository.source_by_key(session, principal.project_id, key)
    if source is None:
        raise NotFound(f"There is no source {key} in the project {principal.project}.")
    return source


def change(session: Session, source: Source, payload: SourcePatch) -> None:
    """Change a source. Readouts that are computed from now on read it as it is now.

    Raises:
        InvalidPayload: The service has no such connection, or a query does more than read.
    """
    fields = payload.model_fields_set
    for name in fields & {"name", "description", "connection"}:
        setattr(source, name, getattr(payload, name))
    if payload.events is not None:
        source.events = _stored(payload.events)
    if "exposures" in fields:
        source.exposures = None if payload.exposures is None else _stored(payload.exposures)
    _check(source)
    source.updated_at = datetime.now(UTC)
    session.add(source)


def delete(session: Session, principal: Principal, source: Source, locked: Sequence[str]) -> None:
    """Delete a source that nothing reads.

    Args:
        session: A session that writes.
        principal: Who deletes it.
        source: It.
        locked: The locked plans that name it, in words.

    Raises:
        Conflict: A metric reads it, or an experiment has one that did; the error says which.
    """
    users = [*metrics.users_of_source(session, principal.project_id, source.key), *locked]
    if users:
        raise Conflict(
            f"The source {source.key} is used by {', '.join(users[:20])}. Change these first.",
            type="in-use",
            used_by=users,
        )
    session.delete(source)


def definition(source: Source) -> SourceIn:
    """A source's definition."""
    return SourceIn(
        key=source.key,
        name=source.name,
        description=source.description,
        connection=source.connection,
        events=Events.model_validate(source.events),
        exposures=None if source.exposures is None else Exposures.model_validate(source.exposures),
    )


def what_is_read(source: SourceIn) -> dict[str, Any]:
    """What of a definition says what is read, with every default."""
    return source.model_dump(mode="json", include=set(READ_BY))


def digest_of(source: SourceIn) -> str:
    """The digest of what of a definition says what is read, as it is exported: without defaults."""
    return digest(source.model_dump(mode="json", include=set(READ_BY), exclude_defaults=True))


def present(source: Source) -> SourceOut:
    """A source's representation."""
    return SourceOut(
        **definition(source).model_dump(), created_at=source.created_at, updated_at=source.updated_at
    )


def _stored(rows: Events | Exposures) -> dict[str, object]:
    # What was not given stays so: a zone that nobody named is worth a warning.
    return rows.model_dump(mode="json", exclude_unset=True)


def _check(source: Source) -> None:
    """Hold the queries against the engine's grammar; for that, the connection must be there."""
    try:
        dialect = dialect_of(address(source.connection))
    except SourceFault as fault:
        raise _invalid(fault.pointer, fault.message) from None
    for part in ("events", "exposures"):
        query = (getattr(source, part) or {}).get("query")
        said = None if query is None else check_query(query, dialect)
        if said is not None:
            raise _invalid(f"/{part}/query", said)


def _invalid(pointer: str, message: str) -> InvalidPayload:
    return InvalidPayload(
        f"The payload does not validate. {pointer}: {message}",
        errors=[{"pointer": pointer, "message": message}],
    )
