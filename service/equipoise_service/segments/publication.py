"""The segments of the configuration document: those that something refers to."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlmodel import Session

from equipoise_service.segments import repository
from equipoise_service.segments.models import Segment
from equipoise_service.segments.references import referred


def segment_documents(
    session: Session, project_id: int, flags: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The segments that the rules of flags refer to, and those that these refer to, by key.

    Args:
        session: The transaction that publishes.
        project_id: Whose segments.
        flags: Flags as the document has them.
    """
    wanted = {
        key
        for flag in flags
        for rule in flag["rules"]
        if "audience" in rule
        for key in referred(rule["audience"])
    }
    if not wanted:
        return {}
    by_key = {segment.key: segment for segment in repository.segments(session, project_id)}
    documents: dict[str, Any] = {}
    while wanted:
        segment = by_key[wanted.pop()]
        documents[segment.key] = _document(session, segment)
        wanted |= set(referred(segment.condition or {})) - documents.keys()
    return dict(sorted(documents.items()))


def segment_stubs(session: Session, project_id: int) -> dict[str, Any]:
    """All segments of a project without their ids, by key: enough to check what refers to them."""
    return {
        segment.key: (
            {"attribute": segment.attribute, "ids": []}
            if segment.condition is None
            else {"condition": segment.condition}
        )
        for segment in repository.segments(session, project_id)
    }


def _document(session: Session, segment: Segment) -> dict[str, Any]:
    if segment.condition is not None:
        return {"condition": segment.condition}
    # Copied into the document as they are: a hundred thousand ids need not become Python strings on the way.
    ids = msgspec.Raw(repository.ids_of(session, segment.id or 0))
    return {"attribute": segment.attribute, "ids": ids}
