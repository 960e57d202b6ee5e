"""The live tail: what comes into the store, told to whoever looks for a fault, at most a second later.

It reads the store, so that a reader sees what every process of the service received. Nothing is queued for a
reader: the next look at the store finds what came meanwhile, shows the newest of it and counts the others.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import Request
from starlette.responses import Response

from equipoise_service.accounts.principals import Principal, Principals, Scope
from equipoise_service.errors import BadRequest, Forbidden, TooManyRequests, Unauthenticated, Unavailable
from equipoise_service.evaluation.changes import Changes
from equipoise_service.events.queries import asked, latest, rows_of
from equipoise_service.events.stores.store import EventStore
from equipoise_service.http.streams import COMMENT, HEARTBEAT_SECONDS, Gone, ServerSentEvents, event

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

LOOK_SECONDS = 0.7
MOST_SHOWN = 200
"""Items of a kind that are shown of one look; a person reads no more."""

_LOOK_BACK = timedelta(seconds=10)
# Who comes back after longer than that wants to see what comes now; and a look back costs the store.
_MOST_LOOK_BACK = timedelta(minutes=10)
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_TABLES = {"exposure": "exposures", "event": "events"}
_MEMBERS = (
    *("received_at", "id", "time", "unit_type", "unit"),
    *("experiment", "variant", "revision", "name", "value", "properties"),
)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Shown:
    """Which items a reader wants to see; what is absent does not matter.

    Attributes:
        name: Events of this name.
        experiment: Exposures to this experiment.
        unit: Items of this unit, whatever its type.
    """

    name: str | None = None
    experiment: str | None = None
    unit: str | None = None

    def kinds(self) -> list[str]:
        """The kinds that can be among them: a name is for events, an experiment for exposures."""
        only = [kind for kind, value in (("exposure", self.experiment), ("event", self.name)) if value]
        return only or list(_TABLES)


@dataclass(frozen=True, slots=True)
class News:
    """What one look at the store found.

    Attributes:
        until: The next look begins after this `received_at`.
        items: Kind and columns of each item, in the order in which they came.
        skipped: How many more there were, which are not shown.
    """

    until: datetime
    items: list[tuple[str, dict[str, Any]]]
    skipped: int


class Tails:
    """The readers of the process; all state belongs to its event loop.

    A key gets another place only while more are free than it has, as with `Changes`.

    Args:
        limit: Most readers at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._of_key: Counter[str] = Counter()

    @contextmanager
    def reader(self, key: str) -> Iterator[None]:
        """A place for one reader.

        Args:
            key: Public id of the key that asks.

        Raises:
            TooManyRequests: The key has as many places as are left.
        """
        if self._of_key[key] >= self._limit - self._of_key.total():
            raise TooManyRequests(
                "No more readers of the tail can be served with this key now. Close one, take a key of your "
                "own, or let the operator raise EQUIPOISE_TAIL_SUBSCRIBERS.",
                retry_after=5,
            )
        self._of_key[key] += 1
        try:
            yield
        finally:
            self._of_key[key] -= 1
            if not self._of_key[key]:
                del self._of_key[key]


def look(store: EventStore, place: str, shown: Shown, after: datetime) -> News:
    """What came after a moment.

    Raises:
        Unavailable: The store cannot be read now.
    """
    return asked(store, lambda backend: _look(backend, place, shown, after))


def _look(backend: "SQLBackend", place: str, shown: Shown, after: datetime) -> News:
    until, found, skipped = after, list[tuple[str, dict[str, Any]]](), 0
    for kind in shown.kinds():
        table = backend.table(_TABLES[kind])
        new = table.filter((table.place == place) & (table.received_at > after))
        matching = _matching(new, shown)
        total = new.agg(last=latest(new.received_at), count=new.count(where=matching))
        (row,) = rows_of(total)
        if row["last"] is None:
            continue
        until = max(until, row["last"])
        if row["count"]:
            newest = new.filter(matching).order_by(new.received_at.desc(), new.id.desc()).limit(MOST_SHOWN)
            rows = rows_of(newest)
            found += [(kind, each) for each in rows]
            skipped += row["count"] - len(rows)
    found.sort(key=lambda each: (each[1]["received_at"], str(each[1]["id"])))
    return News(until, found, skipped)


def stream_of_items(request: Request, principal: Principal, shown: Shown) -> Response:
    """Server-sent events: `exposure` and `event` for each item, `skipped` for how many are not shown.

    It ends when the reader goes, the key is revoked, or the store or the service ends.

    Args:
        request: The request for the stream.
        principal: Who reads it.
        shown: What is wanted.

    Raises:
        BadRequest: `Last-Event-ID` was not made here.
    """
    state = request.app.state
    tails: Tails = state.tails
    changes: Changes = state.changes
    store: EventStore = state.event_store
    principals: Principals = state.principals
    start = start_after(request.headers.get("last-event-id"))

    async def bodies(gone: Gone) -> AsyncGenerator[bytes]:
        after, silent = start, HEARTBEAT_SECONDS
        with tails.reader(principal.public_id):
            while not gone.done() and not changes.closed and _is_admitted(principals, principal):
                try:
                    news = await asyncio.to_thread(look, store, principal.place, shown, after)
                except Unavailable:
                    return
                after, silent = news.until, silent + LOOK_SECONDS
                if news.items:
                    # It waits for a slow reader; what comes meanwhile is for the next look.
                    yield _events(news)
                    silent = 0.0
                elif silent >= HEARTBEAT_SECONDS:
                    yield COMMENT
                    silent = 0.0
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(gone), LOOK_SECONDS)

    return ServerSentEvents(bodies)


def _is_admitted(principals: Principals, principal: Principal) -> bool:
    try:
        principals.admit(principal.public_id, Scope.READ)
    except (Unauthenticated, Forbidden):
        return False
    return True


def _matching(table: "ir.Table", shown: Shown) -> "ir.BooleanValue":
    import ibis

    matching: ir.BooleanValue = ibis.literal(True)
    for column in ("name", "experiment", "unit"):
        value = getattr(shown, column)
        if value is not None and column in table.columns:
            matching = matching & (table[column] == value)
    return matching


def start_after(last_id: str | None) -> datetime:
    """The moment after which a stream begins."""
    now = datetime.now(UTC).replace(tzinfo=None)
    if last_id is None:
        return now - _LOOK_BACK
    try:
        return max(_EPOCH + int(last_id) * _MICROSECOND, now - _MOST_LOOK_BACK)
    except (ValueError, OverflowError):
        raise BadRequest(
            "Last-Event-ID is not one of this service. Begin again without it.", type="bad-cursor"
        ) from None


def _events(news: News) -> bytes:
    told = [event("skipped", _encode({"count": news.skipped}))] if news.skipped else []
    told += [event(kind, _encode(_item(row))) for kind, row in news.items[:-1]]
    # The last one alone has the id: who has not got all of them gets all of them again.
    kind, row = news.items[-1]
    told.append(event(kind, _encode(_item(row)), str((news.until - _EPOCH) // _MICROSECOND)))
    return b"".join(told)


def _item(row: dict[str, Any]) -> dict[str, Any]:
    item = {name: row[name] for name in _MEMBERS if row.get(name) is not None}
    item["id"] = str(item["id"])
    for name in ("time", "received_at"):
        item[name] = row[name].replace(tzinfo=UTC)
    if "properties" in item:
        item["properties"] = msgspec.Raw(item["properties"].encode())
    return item
