"""Lists that page by an opaque cursor."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from equipoise_service.errors import BadRequest

T = TypeVar("T")
R = TypeVar("R")

MAX_LIMIT = 500

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items on a page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=64, description="`next_cursor` of the page before; absent for the first page."),
]


class Page(BaseModel, Generic[T]):
    """One page of a list, oldest first."""

    items: list[T]
    next_cursor: str | None = Field(description="Cursor of the next page; null on the last one.")


def page_start(cursor: str | None) -> int:
    """The internal id after which the page begins.

    Raises:
        BadRequest: The cursor was not made by `build_page`.
    """
    if cursor is None:
        return 0
    try:
        start = int(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except (binascii.Error, ValueError):
        start = -1
    if not 0 < start < 1 << 63:
        raise BadRequest("The cursor is not one of this service. Begin again without it.", type="bad-cursor")
    return start


def build_page(rows: Sequence[R], limit: int, row_id: Callable[[R], int], item: Callable[[R], T]) -> Page[T]:
    """Make a page of rows that were asked for with one more than `limit`."""
    shown = rows[:limit]
    more = len(rows) > limit
    cursor = base64.urlsafe_b64encode(str(row_id(shown[-1])).encode()).decode() if more else None
    return Page(items=[item(row) for row in shown], next_cursor=cursor)
