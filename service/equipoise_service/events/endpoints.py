"""The route of exposures and events. It asks the metadata database only when something seems to be wrong."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from equipoise_service.accounts.principals import SECURITY, Principal, Principals, Scope
from equipoise_service.evaluation.configurations import Configurations
from equipoise_service.events import lines, reading
from equipoise_service.events.answers import encoded_answer
from equipoise_service.events.reading import Sender
from equipoise_service.events.rules import Terms, latest_time
from equipoise_service.events.schemas import BatchIn, BatchOut, LinesOut
from equipoise_service.events.stores.store import EventStore
from equipoise_service.http import payloads
from equipoise_service.http.admission import Admission, Share
from equipoise_service.http.problems import problems
from equipoise_service.http.receiving import received_body
from equipoise_service.http.routes import PlainRoute
from equipoise_service.settings import Settings

router = APIRouter(tags=["events"], route_class=PlainRoute)

PATH = "/v1/events"
"""The route reads its body by itself: when the key is valid, and there is room."""

OPENAPI_TYPES = (BatchIn, BatchOut, LinesOut)

# How a batch is read: of JSON, and of lines.
_READERS = (reading.read_whole, reading.read_each), (lines.read_whole, lines.read_each)

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


_EXAMPLE_LINES = """\
{"kind": "batch", "sent_at": "2026-03-01T12:00:05Z"}
{"kind": "event", "id": "0195513e-6000-7000-8000-000000000002", "time": "2026-03-01T12:00:01Z", \
"units": {"user": "user-1", "account": "acme"}, "name": "purchase", "value": 49.9}
"""
_BODY = payloads.request_body(BatchIn, _EXAMPLE_IN)
_BODY["content"][lines.MEDIA_TYPE] = {
    # No `example`: tools that send examples do not know this media type.
    "schema": {"type": "string", "description": f"One item a line, such as:\n\n{_EXAMPLE_LINES}"}
}
_ANSWER = payloads.response(
    BatchOut, "What became of each item, in order; of lines, in one list.", _EXAMPLE_OUT
)
_ANSWER["content"]["application/json"]["schema"] = {
    "anyOf": [{"$ref": payloads.REF_TEMPLATE.format(name=each.__name__)} for each in (BatchOut, LinesOut)]
}


@router.post(
    PATH,
    summary="Send exposures and events",
    response_class=Response,
    openapi_extra={"security": SECURITY, "requestBody": _BODY},
    responses={200: _ANSWER, **problems(400, 401, 403, 413, 415, 422, 503)},
)
async def send(request: Request) -> Response:
    """Store a batch of exposures and events; the body may be gzip.

    Answered when everything accepted is on disk. Sending an item of the same id again changes nothing, so a
    batch without an answer is sent again as it is. An item that is refused keeps no other from being stored.

    The body is one JSON object or, as `application/x-ndjson`, one item a line: the same members, and `kind`,
    which is `exposure` or `event`. The first line may be of the kind `batch`, with `sent_at` and `dropped`.
    The answer to lines has one list `items`, and the pointers in it begin with the number of the line.
    """
    state = request.app.state
    principals: Principals = state.principals
    principal = principals.authenticate(request, Scope.INGEST)
    admission: Admission = state.admission
    with admission.share(principal.public_id) as share:
        try:
            answer = await _store(request, principal, share)
        except ClientDisconnect:
            # Nobody reads this.
            return Response(status_code=400)
    return Response(answer, media_type="application/json")


async def _store(request: Request, principal: Principal, share: Share) -> bytes:
    state = request.app.state
    settings: Settings = state.settings
    configurations: Configurations = state.configurations
    store: EventStore = state.event_store
    now = datetime.now(UTC)
    body = await received_body(request.headers, request.receive, share.resize, settings.max_body_bytes)
    latest = latest_time(now, settings.event_future_seconds)
    erased = state.erased_units.of(principal.project_id)
    terms = Terms(configurations.of(principal.environment_id), now, latest, erased)
    sender = Sender(principal.place, principal.public_id, settings.max_batch_items)
    is_lines = request.headers.get("content-type", "").partition(";")[0].strip().lower() == lines.MEDIA_TYPE
    read_whole, read_each = _READERS[is_lines]
    found = read_whole(body, sender, terms)
    if found is None:
        async with share.alone():
            # Another process may have started just now what an exposure is of.
            await asyncio.to_thread(configurations.catch_up)
            terms = replace(terms, configuration=configurations.of(principal.environment_id))
            found = await asyncio.to_thread(read_each, body, sender, terms)
    return encoded_answer(found, await store.append(found.batch))
