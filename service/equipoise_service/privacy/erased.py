"""The units that were erased, in memory, so that what arrives late of one is refused and not stored again."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import col, select

from equipoise_service.database import Database
from equipoise_service.privacy.models import Erasure, UnitKeeping
from equipoise_service.privacy.texts import tokens
from equipoise_service.privacy.unit_ids import keyed_hash


@dataclass(frozen=True, slots=True)
class Erased:
    """The erased units of a project.

    Attributes:
        key: What their ids are hashed with.
        times: When each was erased for the last time, by unit type and hash.
        hashes: Their hashes, whatever the unit type.
        until: The latest of these times; None where nothing was erased.
    """

    key: bytes = b""
    times: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    hashes: frozenset[str] = frozenset()
    until: datetime | None = None

    def is_late(self, unit_type: str, unit: str, time: datetime) -> bool:
        """Whether something of a unit happened before it was erased, and comes only now."""
        if self.until is None or time > self.until:
            return False
        erased_at = self.times.get((unit_type, keyed_hash(self.key, unit)))
        return erased_at is not None and time <= erased_at

    def named_in(self, text: str) -> bool:
        """Whether a piece of JSON names an erased unit, of whatever type."""
        return bool(self.hashes) and any(keyed_hash(self.key, each) in self.hashes for each in tokens(text))


NOBODY = Erased()


class ErasedUnits:
    """The erased units of all projects; `refresh` adds those that are new.

    Args:
        database: Where erasures are recorded.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_project: Mapping[int, Erased] = {}
        self._last = 0
        self._refreshing = threading.Lock()

    def of(self, project_id: int) -> Erased:
        """Those of a project."""
        return self._by_project.get(project_id, NOBODY)

    def refresh(self) -> None:
        """Read the erasures that were recorded since the last time."""
        with self._refreshing, self._database.read() as session:
            new = session.exec(
                select(Erasure).where(col(Erasure.id) > self._last).order_by(col(Erasure.id))
            ).all()
            if not new:
                return
            key = session.get_one(UnitKeeping, 1).proof_key
            times = {project: dict(self.of(project).times) for project in {each.project_id for each in new}}
            for each in new:
                times[each.project_id][each.unit_type, each.unit_hash] = each.requested_at
            changed = {
                project: Erased(key, found, frozenset(hashed for _, hashed in found), max(found.values()))
                for project, found in times.items()
            }
            self._by_project = {**self._by_project, **changed}
            self._last = new[-1].id or self._last
