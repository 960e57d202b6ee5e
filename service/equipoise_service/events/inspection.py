"""Routes for people who look for a fault in what is sent: what was refused, how much came, what comes now."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime

from equipoise_service.accounts.principals import Reader
from equipoise_service.events.batches import Kind
from equipoise_service.events.counters import CounterOut, counters_page
from equipoise_service.events.rejections import RejectedOut, Wanted, rejected_page
from equipoise_service.events.schemas import MAX_NAME_LENGTH, MAX_UNIT_LENGTH
from equipoise_service.events.stores.store import EventStore
from equipoise_service.events.tail import Shown, stream_of_items
from equipoise_service.http.pages import Cursor, Limit, Page
from equipoise_service.http.problems import problems
from equipoise_service.keys import MAX_LENGTH, PATTERN
from equipoise_service.privacy.unit_ids import unit_as_stored

router = APIRouter(prefix="/v1/events", tags=["events"])

# No text in the store holds a NUL, and not every engine can be asked for one.
_TEXT = r"^[^\x00]*$"

KeyId = Annotated[
    str | None, Query(pattern=PATTERN, max_length=64, description="Public id of the API key that sent them.")
]


@router.get("/rejected", summary="List what was refused", responses=problems(400, 401, 403, 422, 503))
def rejected(
    request: Request,
    principal: Reader,
    key: KeyId = None,
    kind: Annotated[Kind | None, Query(description="What they were meant to be.")] = None,
    reason: Annotated[
        str | None,
        Query(pattern=_TEXT, min_length=1, max_length=200, description="Part of the reason."),
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Received then, or later.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[RejectedOut]:
    """Exposures and events of your environment that were refused, oldest first, each with its reason.

    Also those whose id was stored before with other content.
    """
    store: EventStore = request.app.state.event_store
    return rejected_page(store, principal.place, Wanted(key, kind, reason, since), cursor, limit)


@router.get("/counters", summary="Count what came", responses=problems(400, 401, 403, 422, 503))
def counters(
    request: Request,
    principal: Reader,
    days: Annotated[int, Query(ge=1, le=3660, description="How many days, today (UTC) among them.")] = 30,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[CounterOut]:
    """How many exposures and events each key sent on each day: stored, stored before, refused."""
    store: EventStore = request.app.state.event_store
    return counters_page(store, principal.place, days, cursor, limit)


@router.get(
    "/tail",
    summary="See what comes",
    response_class=Response,
    openapi_extra={
        "parameters": [
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "Id of the last event that came.",
            }
        ]
    },
    responses={
        200: {
            "description": "Events `exposure`, `event` and `skipped`, until one side ends.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(400, 401, 403, 422, 429),
    },
)
async def tail(
    request: Request,
    principal: Reader,
    name: Annotated[
        str | None,
        Query(pattern=_TEXT, min_length=1, max_length=MAX_NAME_LENGTH, description="Events of this name."),
    ] = None,
    experiment: Annotated[
        str | None,
        Query(pattern=PATTERN, max_length=MAX_LENGTH, description="Exposures to this experiment."),
    ] = None,
    unit: Annotated[
        str | None,
        Query(pattern=_TEXT, min_length=1, max_length=MAX_UNIT_LENGTH, description="Items of this unit."),
    ] = None,
) -> Response:
    """Server-sent events with what the store takes in your environment, at most about a second later.

    It begins with the last ten seconds, or after `Last-Event-ID`, at most ten minutes ago. Of very many items
    the newest are shown, and an event `skipped` says how many are not.
    """
    store: EventStore = request.app.state.event_store
    stored = unit and unit_as_stored(unit, store.unit_key)
    return stream_of_items(request, principal, Shown(name, experiment, stored))
