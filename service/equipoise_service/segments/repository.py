"""All queries on segments."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from equipoise_service.experiments.models import Experiment
from equipoise_service.segments.models import Segment, SegmentIds


def segment_by_key(session: Session, project_id: int, key: str) -> Segment | None:
    """A project's segment of a key."""
    return session.exec(select(Segment).where(Segment.project_id == project_id, Segment.key == key)).first()


def segments(session: Session, project_id: int) -> Sequence[Segment]:
    """All segments of a project, by key."""
    return session.exec(
        select(Segment).where(Segment.project_id == project_id).order_by(col(Segment.key))
    ).all()


def segments_page(session: Session, project_id: int, after: int, limit: int) -> Sequence[Segment]:
    """A project's segments with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(Segment)
        .where(Segment.project_id == project_id, col(Segment.id) > after)
        .order_by(col(Segment.id))
        .limit(limit)
    )
    return session.exec(statement).all()


def audiences_of_experiments(session: Session, project_id: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Key and audience of the experiments of a project that have one, oldest first."""
    statement = (
        select(Experiment.key, Experiment.audience)
        .where(Experiment.project_id == project_id)
        .order_by(col(Experiment.id))
    )
    return [(key, audience) for key, audience in session.exec(statement) if audience is not None]


def ids_of(session: Session, segment_id: int) -> bytes:
    """The ids of a segment as a JSON array, sorted; empty where there are none."""
    stored = session.get(SegmentIds, segment_id)
    return stored.ids if stored else b"[]"


def store_ids(session: Session, segment_id: int, ids: bytes) -> None:
    """Store the ids of a segment in place of those before."""
    session.merge(SegmentIds(segment_id=segment_id, ids=ids))


def remove(session: Session, segment: Segment) -> None:
    """Delete a segment and its ids."""
    session.connection().execute(delete(SegmentIds).where(col(SegmentIds.segment_id) == segment.id))
    session.delete(segment)
