"""What was refused: kept with its reason, so that a team can mend its instrumentation."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from equipoise_service.errors import BadRequest
from equipoise_service.events.batches import MOST_ITEM_CHARACTERS, Kind
from equipoise_service.events.queries import asked, rows_of
from equipoise_service.events.rules import EARLIEST
from equipoise_service.events.stores.store import EventStore
from equipoise_service.http.pages import Page

if TYPE_CHECKING:
    from ibis.backends.sql import SQLBackend

_EPOCH = datetime(1970, 1, 1)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_COLUMNS = ("received_at", "key", "kind", "pointer", "id", "reason", "item")


class RejectedOut(BaseModel):
    """An item that was refused."""

    received_at: datetime = Field(description="When it came.")
    key: str = Field(description="Public id of the API key that sent it.")
    kind: Kind = Field(description="What it was meant to be; `line` for a line that names neither.")
    id: str | None = Field(description="Its id, when it had one that could be read.")
    pointer: str = Field(description="JSON pointer, in its batch, to what is wrong.")
    reason: str = Field(description="What is wrong there.")
    item: str = Field(description=f"The item as it came, cut to {MOST_ITEM_CHARACTERS:,} characters.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which refused items are asked for; what is absent does not matter.

    Attributes:
        key: Public id of the API key.
        kind: What they were meant to be.
        reason: Part of the reason.
        since: Received then, or later.
    """

    key: str | None = None
    kind: Kind | None = None
    reason: str | None = None
    since: datetime | None = None


def rejected_page(
    store: EventStore, place: str, wanted: Wanted, cursor: str | None, limit: int
) -> Page[RejectedOut]:
    """A page of refused items, oldest first.

    Raises:
        BadRequest: The cursor was not made here.
        Unavailable: The store cannot be read now.
    """
    start, offset = _position(cursor) if cursor else (None, 0)
    rows = asked(store, lambda backend: _rows(backend, place, wanted, start, offset, limit + 1))
    shown = rows[:limit]
    following = _cursor(shown, start, offset) if len(rows) > limit else None
    return Page(items=[_item(row) for row in shown], next_cursor=following)


def _rows(
    backend: "SQLBackend", place: str, wanted: Wanted, start: datetime | None, offset: int, count: int
) -> list[dict[str, Any]]:
    table = backend.table("rejected")
    table = table.filter(table.place == place)
    for name in ("key", "kind"):
        value = getattr(wanted, name)
        if value is not None:
            table = table.filter(table[name] == value)
    if wanted.reason is not None:
        table = table.filter(table.reason.contains(wanted.reason))
    for earliest in (wanted.since and _stored_time(wanted.since), start):
        if earliest is not None:
            table = table.filter(table.received_at >= earliest)
    return rows_of(table.select(_COLUMNS).order_by(_COLUMNS).limit(count, offset=offset))


def _cursor(shown: Sequence[dict[str, Any]], start: datetime | None, offset: int) -> str:
    """Where the next page begins: at how many-th row of those that came at the same time as the last one.

    Rows of one commit have the same time, and no later commit has it: what was counted stays.
    """
    last = shown[-1]["received_at"]
    count = sum(row["received_at"] == last for row in shown) + (offset if start == last else 0)
    microseconds = (last - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{microseconds}.{count}".encode()).decode()


def _position(cursor: str) -> tuple[datetime, int]:
    try:
        microseconds, count = base64.urlsafe_b64decode(cursor.encode("ascii")).split(b".")
        position = _EPOCH + timedelta(microseconds=int(microseconds)), int(count)
    except (binascii.Error, ValueError, OverflowError):
        position = None
    if position is None or position[0] < _EPOCH or not 0 < position[1] < 1 << 31:
        raise BadRequest("The cursor is not one of this service. Begin again without it.", type="bad-cursor")
    return position


def _stored_time(moment: datetime) -> datetime:
    """A time as the store keeps it; every engine knows the years from 2000 on, and nothing came earlier."""
    return max(EARLIEST, min(moment, _LATEST)).astimezone(UTC).replace(tzinfo=None)


def _item(row: dict[str, Any]) -> RejectedOut:
    return RejectedOut(**{**row, "received_at": row["received_at"].replace(tzinfo=UTC)})
