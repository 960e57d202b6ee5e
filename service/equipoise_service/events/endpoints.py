"""The route of exposures and events. It touches no metadata database."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from fastapi import APIRouter, Request, Response

from equipoise_service.accounts.principals import SECURITY, Principals, Scope
from equipoise_service.evaluation.configurations import Configurations
from equipoise_service.events.batches import Receipt
from equipoise_service.events.reading import Reading, Refused, read_each, read_whole
from equipoise_service.events.rules import Terms, latest_time
from equipoise_service.events.schemas import BatchIn, BatchOut, ItemOut
from equipoise_service.events.stores.store import EventStore
from equipoise_service.http import payloads
from equipoise_service.http.problems import problems
from equipoise_service.settings import Settings

router = APIRouter(tags=["events"])

OPENAPI_TYPES = (BatchIn, BatchOut)

_encode = msgspec.json.Encoder().encode

_EXAMPLE_IN = {
    "sent_at": "2026-03-01T12:00:05Z",
    "exposures": [
        {
            "id": "0195513e-5c00-7000-8000-000000000001",
            "time": "2026-03-01T12:00:00.123456Z",
            "unit": "user-1",
            "experiment": "new-landing-page",
            "variant": "treatment",
            "revision": 1,
        }
    ],
    "events": [
        {
            "id": "0195513e-6000-7000-8000-000000000002",
            "time": "2026-03-01T12:00:01Z",
            "unit": "user-1",
            "name": "purchase",
            "value": 49.9,
            "properties": {"currency": "EUR"},
        },
        {
            "id": "0195513e-6400-7000-8000-000000000003",
            "time": "yesterday",
            "unit": "user-1",
            "name": "purchase",
        },
    ],
}
_EXAMPLE_OUT = {
    "accepted": 1,
    "duplicate": 1,
    "refused": 1,
    "exposures": [{"id": "0195513e-5c00-7000-8000-000000000001", "status": "duplicate"}],
    "events": [
        {"id": "0195513e-6000-7000-8000-000000000002", "status": "accepted"},
        {
            "id": "0195513e-6400-7000-8000-000000000003",
            "status": "refused",
            "pointer": "/events/1/time",
            "reason": "Invalid RFC3339 encoded datetime",
        },
    ],
}


@router.post(
    "/v1/events",
    summary="Send exposures and events",
    response_class=Response,
    openapi_extra={
        "security": SECURITY,
        "requestBody": payloads.request_body(BatchIn, _EXAMPLE_IN),
    },
    responses={
        200: payloads.response(BatchOut, "What became of each item, in order.", _EXAMPLE_OUT),
        **problems(400, 401, 403, 413, 415, 422, 503),
    },
)
async def send(request: Request) -> Response:
    """Store a batch of exposures and events; the body may be gzip.

    Answered when everything accepted is on disk. Sending an item of the same id again changes nothing, so a
    batch without an answer is sent again as it is. An item that is refused keeps no other from being stored.
    """
    state = request.app.state
    principals: Principals = state.principals
    configurations: Configurations = state.configurations
    settings: Settings = state.settings
    store: EventStore = state.event_store
    principal = principals.authenticate(request, Scope.INGEST)
    terms = Terms(
        configurations.of(principal.environment_id),
        latest_time(datetime.now(UTC), settings.event_future_seconds),
    )
    asked = await request.body(), principal.place, terms, settings.max_batch_items
    reading = read_whole(*asked)
    if reading is None:
        # Item by item takes its time, which the other requests must not wait for.
        reading = await asyncio.to_thread(read_each, *asked)
    receipt = await store.append(reading.batch)
    return Response(_encode(_answer(reading, receipt)), media_type="application/json")


def _answer(reading: Reading, receipt: Receipt) -> BatchOut:
    batch = reading.batch
    stored = len(batch.exposures) + len(batch.events)
    duplicate = len(receipt.duplicate_exposures) + len(receipt.duplicate_events)
    return BatchOut(
        accepted=stored - duplicate,
        duplicate=duplicate,
        refused=len(reading.refused_exposures) + len(reading.refused_events),
        exposures=_items(
            [each.id for each in batch.exposures], receipt.duplicate_exposures, reading.refused_exposures
        ),
        events=_items([each.id for each in batch.events], receipt.duplicate_events, reading.refused_events),
    )


def _items(
    stored: Sequence[str], duplicates: frozenset[int], refused: Mapping[int, Refused]
) -> list[ItemOut]:
    """What became of each item of one kind, in the order of the body."""
    if not duplicates and not refused:
        return [ItemOut(id, "accepted") for id in stored]
    answered = iter(
        [
            ItemOut(id, "duplicate" if position in duplicates else "accepted")
            for position, id in enumerate(stored)
        ]
    )
    return [
        ItemOut(gone.id, "refused", gone.pointer, gone.reason)
        if (gone := refused.get(position))
        else next(answered)
        for position in range(len(stored) + len(refused))
    ]
