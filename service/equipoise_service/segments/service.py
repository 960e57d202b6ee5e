"""What happens to segments: they are made, changed and deleted, and ids come and go."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.segments import repository
from equipoise_service.segments.checking import check_known, invalid, load_fragment
from equipoise_service.segments.models import Segment
from equipoise_service.segments.publication import segment_stubs
from equipoise_service.segments.references import referred
from equipoise_service.segments.schemas import (
    MAX_IDS,
    UNIT,
    IdsPatch,
    SegmentIdsOut,
    SegmentIn,
    SegmentOut,
    SegmentPatch,
)
from equipoise_service.segments.users import audiences, users_of

_ids = msgspec.json.Decoder(list[str])


def make_segment(session: Session, principal: Principal, payload: SegmentIn) -> Segment:
    """Make a segment.

    Raises:
        Conflict: The project has a segment of that key.
        InvalidPayload: The condition is not one, or refers to a segment that is not there.
    """
    if repository.segment_by_key(session, principal.project_id, payload.key) is not None:
        raise Conflict(f"There is a segment {payload.key} already. Choose another key.")
    now = datetime.now(UTC)
    segment = Segment(
        project_id=principal.project_id,
        key=payload.key,
        name=payload.name,
        description=payload.description,
        condition=payload.condition,
        attribute=None if payload.ids is None else payload.attribute,
        created_at=now,
        updated_at=now,
    )
    if payload.condition is not None:
        _check(session, segment)
    session.add(segment)
    session.flush()
    if payload.ids is not None:
        _store(session, segment, payload.ids)
    return segment


def find(session: Session, principal: Principal, key: str) -> Segment:
    """The segment of a key in the principal's project.

    Raises:
        NotFound: There is none.
    """
    segment = repository.segment_by_key(session, principal.project_id, key)
    if segment is None:
        raise NotFound(f"There is no segment {key} in the project {principal.project}.")
    return segment


def change(session: Session, segment: Segment, payload: SegmentPatch) -> None:
    """Change a segment. A segment of ids stays one, and so does one with a condition.

    Raises:
        InvalidPayload: The condition is not one, or makes a cycle; or it belongs to the other kind.
    """
    fields = payload.model_fields_set
    wrong = {"attribute", "ids"} if segment.condition is not None else {"condition"}
    for name in sorted(fields & wrong):
        has = "a condition" if segment.condition is not None else "ids"
        raise invalid(f"/{name}", f"this segment has {has}; make another segment")
    for name in fields - {"ids"}:
        setattr(segment, name, getattr(payload, name))
    if "condition" in fields:
        _check(session, segment)
    if payload.ids is not None:
        _store(session, segment, payload.ids)
    segment.updated_at = datetime.now(UTC)
    session.add(segment)


def change_ids(session: Session, segment: Segment, payload: IdsPatch) -> None:
    """Add ids to a segment and remove others. What is there already, or is not there, stays as it is.

    Raises:
        Conflict: The segment has a condition and no ids.
        InvalidPayload: There would be too many.
    """
    before = set(_ids.decode(_stored(session, segment)))
    after = before.union(payload.add).difference(payload.remove)
    if len(after) > MAX_IDS:
        raise invalid("/add", f"the segment would have {len(after):,} ids; {MAX_IDS:,} is the most")
    if after != before:
        _store(session, segment, after)
        segment.updated_at = datetime.now(UTC)
        session.add(segment)


def ids(session: Session, segment: Segment) -> SegmentIdsOut:
    """All ids of a segment.

    Raises:
        Conflict: The segment has a condition and no ids.
    """
    return SegmentIdsOut(attribute=segment.attribute or UNIT, ids=_ids.decode(_stored(session, segment)))


def delete(session: Session, principal: Principal, segment: Segment) -> None:
    """Delete a segment that nothing refers to.

    Raises:
        Conflict: A flag, an experiment or another segment refers to it; the error says which.
    """
    users = users_of(session, principal.project_id, segment.key)
    if users:
        raise Conflict(
            f"The segment {segment.key} is used by {', '.join(users[:20])}. Change these first.",
            type="in-use",
            used_by=users,
        )
    repository.remove(session, segment)


def present(segment: Segment) -> SegmentOut:
    """A segment's representation."""
    return SegmentOut(
        key=segment.key,
        name=segment.name,
        description=segment.description,
        condition=segment.condition,
        attribute=segment.attribute,
        ids_count=segment.ids_count if segment.condition is None else None,
        created_at=segment.created_at,
        updated_at=segment.updated_at,
    )


def _check(session: Session, segment: Segment) -> None:
    """Check a segment's condition beside everything that refers to it, near or far."""
    condition: Mapping[str, Any] = segment.condition or {}
    with session.no_autoflush:
        others = segment_stubs(session, segment.project_id)
        rules = [
            {"audience": audience, "variant": "on"}
            for _, audience in audiences(session, segment.project_id)
            if any(True for _ in referred(audience))
        ]
    others[segment.key] = {"condition": condition}
    flag = {"type": "boolean", "variants": {"on": True}, "default": "on", "rules": rules}
    members = {"segments": others, "flags": {"users": flag}}
    place = f"segments.{segment.key}.condition"
    # What is wrong elsewhere is wrong because of this condition: all was right before.
    read = load_fragment(members, {place: "/condition"}, elsewhere="/condition")
    check_known(read.segments[segment.key].condition, condition, "/condition")


def _stored(session: Session, segment: Segment) -> bytes:
    if segment.condition is not None:
        raise Conflict(f"The segment {segment.key} has a condition and no ids.", type="frozen-field")
    return repository.ids_of(session, segment.id or 0)


def _store(session: Session, segment: Segment, ids: Iterable[str]) -> None:
    unique = sorted(set(ids))
    repository.store_ids(session, segment.id or 0, msgspec.json.encode(unique))
    segment.ids_count = len(unique)
    session.add(segment)
