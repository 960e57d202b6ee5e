"""The erasure of a unit: everywhere, with a record that proves it and does not name the unit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session, col, select

from equipoise.identifiers import uuid7
from equipoise_service.accounts import repository as accounts
from equipoise_service.accounts.principals import Principal
from equipoise_service.database import Database
from equipoise_service.events.stores.deletions import StoredUnit
from equipoise_service.events.stores.store import EventStore
from equipoise_service.housekeeping import definitions
from equipoise_service.housekeeping.deleting import deleting, forget_kept
from equipoise_service.housekeeping.schemas import EraseIn, ErasureOut
from equipoise_service.housekeeping.searching import count_facts, rejected_items
from equipoise_service.privacy.keeping import proof_key
from equipoise_service.privacy.models import Erasure
from equipoise_service.privacy.unit_ids import keyed_hash, unit_as_stored

# What was judged before the erasure was known is stored by then.
_SETTLING_SECONDS = 1.0
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is erased: the unit as it is sent, and as the event store holds it."""

    project_id: int
    unit_type: str
    unit: str
    stored: StoredUnit


def erase(
    database: Database, store: EventStore, principal: Principal, wanted: EraseIn, notice_seconds: float
) -> ErasureOut:
    """Erase a unit in all environments of the principal's project.

    From its beginning on, what happened to the unit until then is refused when it arrives.

    Args:
        database: The metadata database.
        store: The event store.
        principal: Who asks.
        wanted: The unit.
        notice_seconds: How long until every process has noticed what changed.
    """
    erasure_id = _begin(database, principal, wanted)
    time.sleep(notice_seconds + _SETTLING_SECONDS)
    with database.read() as session:
        places = _places(session, principal.project_id)
    stored = StoredUnit(places, wanted.unit_type, unit_as_stored(wanted.unit, store.unit_key))
    unit = _Wanted(principal.project_id, wanted.unit_type, wanted.unit, stored)
    deleted: dict[str, int] = {}
    for _ in range(_ROUNDS):
        _add(deleted, _delete(database, store, unit))
        found = _search(database, store, unit)
        if not any(found.values()):
            break
    with database.write() as session:
        erasure = session.get_one(Erasure, erasure_id)
        erasure.deleted, erasure.found, erasure.finished_at = deleted, found, datetime.now(UTC)
        session.add(erasure)
    return erasure_out(erasure)


def erasures_page(session: Session, project_id: int, after: int, limit: int) -> Sequence[Erasure]:
    """A project's erasures with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(Erasure)
        .where(Erasure.project_id == project_id, col(Erasure.id) > after)
        .order_by(col(Erasure.id))
        .limit(limit)
    )
    return session.exec(statement).all()


def erasure_out(erasure: Erasure) -> ErasureOut:
    """An erasure's representation."""
    return ErasureOut(
        id=erasure.public_id,
        unit_type=erasure.unit_type,
        unit_hash=erasure.unit_hash,
        requested_by=erasure.requested_by,
        requested_at=erasure.requested_at,
        finished_at=erasure.finished_at,
        deleted=erasure.deleted,
        found=erasure.found,
        verified=erasure.finished_at is not None and not any(erasure.found.values()),
    )


def _begin(database: Database, principal: Principal, wanted: EraseIn) -> int:
    with database.write() as session:
        erasure = Erasure(
            public_id=uuid7(),
            project_id=principal.project_id,
            unit_type=wanted.unit_type,
            unit_hash=keyed_hash(proof_key(session), wanted.unit),
            requested_by=principal.public_id,
            requested_at=datetime.now(UTC),
        )
        session.add(erasure)
        session.flush()
        return erasure.id or 0


def _places(session: Session, project_id: int) -> list[str]:
    return [
        f"{project.key}/{environment.key}"
        for environment, project in accounts.environments(session)
        if environment.project_id == project_id
    ]


def _delete(database: Database, store: EventStore, unit: _Wanted) -> dict[str, int]:
    with database.write() as session:
        deleted = definitions.remove_unit(session, unit.project_id, unit.unit_type, unit.unit)
    # Published by now without the unit, so what was published before is outdated.
    with database.write() as session:
        deleted |= definitions.remove_copies(session, unit.project_id, unit.unit_type, unit.unit)
    with deleting(database, store) as rows:
        rows |= store.delete_unit(unit.stored)
        # Of a unit without facts, too: an erasure that was interrupted may have left what was kept of them.
        forget_kept(store)
    items = rejected_items(store, unit.stored.places, unit.unit, unit.stored.unit)
    deleted |= rows
    deleted["rejected"] = store.delete_rejected(unit.stored.places, items)
    return deleted


def _search(database: Database, store: EventStore, unit: _Wanted) -> dict[str, int]:
    with database.read() as session:
        found = definitions.count_unit(session, unit.project_id, unit.unit_type, unit.unit)
    found |= count_facts(store, unit.stored)
    found["rejected"] = len(rejected_items(store, unit.stored.places, unit.unit, unit.stored.unit))
    return found


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for table, count in more.items():
        total[table] = total.get(table, 0) + count
