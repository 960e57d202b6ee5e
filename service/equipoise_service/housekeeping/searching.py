"""Looking for a unit in the event store, in other ways than those in which it is deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from equipoise_service.aggregates.names import PREFIX
from equipoise_service.events.stores.deletions import FACTS, StoredUnit
from equipoise_service.events.stores.store import EventStore
from equipoise_service.privacy.texts import MOST_CHARACTERS, longest_word, names

if TYPE_CHECKING:
    import ibis.expr.types as ir

_ROWS_AT_ONCE = 20_000


def count_facts(store: EventStore, unit: StoredUnit) -> dict[str, int]:
    """How many exposures and events of a unit there are, and tables kept of them that name it."""
    with store.workspace() as workspace:
        found: dict[str, int] = {}
        for name in FACTS:
            table = workspace.backend.table(name)
            mine = (table.unit == unit.unit) & (table.unit_type == unit.unit_type)
            found[name] = _count(table.filter(mine & table.place.isin(list(unit.places))))
        kept = [workspace.backend.table(name) for name in workspace.kept(PREFIX)]
        found["aggregates"] = sum(
            bool(_count(table.filter(table.unit == unit.unit))) for table in kept if "unit" in table.columns
        )
    return found


def rejected_items(store: EventStore, places: Sequence[str], unit: str, stored_unit: str) -> list[str]:
    """The texts of the refused items of some places that name a unit, by its id or as it is stored."""
    found: set[str] = set()
    after: datetime | None = None
    with store.ibis() as backend:
        rejected = backend.table("rejected")
        table = rejected.filter(rejected.place.isin(list(places)))
        # What every way to write the id has in common; the texts that may hold it are read.
        word = longest_word(unit)
        cut = table.item.length() >= MOST_CHARACTERS
        table = table.filter(cut | table.item.contains(word) | table.item.contains(stored_unit))
        more = True
        while more:
            rows, more = _page(table, after)
            texts = {item for _, item in rows}
            found.update(item for item in texts if names(item, unit) or names(item, stored_unit))
            after = rows[-1][0] if rows else after
    return sorted(found)


def _page(table: "ir.Table", after: datetime | None) -> tuple[list[tuple[datetime, str]], bool]:
    """Texts in the order of their receipt, with all those of the last one; whether there are more."""
    if after is not None:
        table = table.filter(table.received_at > after)
    found = table.select("received_at", "item").order_by("received_at").limit(_ROWS_AT_ONCE).to_pyarrow()
    rows = list(zip(*(found.column(each).to_pylist() for each in ("received_at", "item")), strict=True))
    if len(rows) < _ROWS_AT_ONCE:
        return rows, False
    last = rows[-1][0]
    rest: Any = table.filter(table.received_at == last).select("item").to_pyarrow().column(0).to_pylist()
    return [*(row for row in rows if row[0] != last), *((last, item) for item in rest)], True


def _count(table: "ir.Table") -> int:
    return int(table.count().to_pyarrow().as_py())
