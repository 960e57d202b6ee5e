"""How much each key sent on each day, and what became of it."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from equipoise_service.events.batches import Kind
from equipoise_service.events.queries import asked, rows_of
from equipoise_service.events.stores.store import EventStore
from equipoise_service.http.pages import Page, build_page, page_start

if TYPE_CHECKING:
    from ibis.backends.sql import SQLBackend

_BY = ("day", "key", "kind")
_COUNTS = ("accepted", "duplicate", "refused")


class CounterOut(BaseModel):
    """What one key sent of one kind on one day."""

    day: date = Field(description="The day, in UTC, on which it came.")
    key: str = Field(description="Public id of the API key.")
    kind: Kind = Field(description="`exposure` or `event`; `line` for lines that name neither.")
    accepted: int = Field(description="How many were stored.")
    duplicate: int = Field(description="How many had been stored before.")
    refused: int = Field(description="How many were refused.")


def counters_page(
    store: EventStore, place: str, days: int, cursor: str | None, limit: int
) -> Page[CounterOut]:
    """A page of counters, oldest first.

    Args:
        store: Where they are.
        place: "project/environment".
        days: How many days, today among them.
        cursor: `next_cursor` of the page before.
        limit: Most counters on the page.

    Raises:
        BadRequest: The cursor was not made here.
        Unavailable: The store cannot be read now.
    """
    start = page_start(cursor)
    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    rows = asked(store, lambda backend: _rows(backend, place, since, start, limit + 1))
    numbered = list(enumerate(rows, start + 1))
    return build_page(numbered, limit, lambda row: row[0], lambda row: CounterOut(**row[1]))


def _rows(backend: "SQLBackend", place: str, since: date, offset: int, count: int) -> list[dict[str, Any]]:
    table = backend.table("intake")
    table = table.filter((table.place == place) & (table.day >= since))
    totals = table.group_by(_BY).agg(**{name: table[name].sum().cast("int64") for name in _COUNTS})
    return rows_of(totals.order_by(_BY).limit(count, offset=offset))
