"""Routes of OFREP. They touch no database: keys and configuration are in memory."""

import hashlib
import time
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Request, Response

from equipoise_service.accounts.principals import Principal, Principals, Scope
from equipoise_service.errors import NotFound
from equipoise_service.evaluation.configurations import Configurations, Served
from equipoise_service.evaluation.streams import stream_of_changes
from equipoise_service.evaluation.workers import answered
from equipoise_service.http.preconditions import matches_none
from equipoise_service.http.routes import PlainRoute
from equipoise_service.ofrep import documentation
from equipoise_service.ofrep.answers import all_evaluations, evaluation, set_metadata
from equipoise_service.ofrep.contexts import Context, read_context
from equipoise_service.ofrep.schemas import BulkOut, Endpoint, EvaluationOut, EventStream
from equipoise_service.ofrep.tickets import make_ticket, open_ticket

router = APIRouter(prefix="/ofrep/v1", tags=["OpenFeature"], route_class=PlainRoute)

_encoder = msgspec.json.Encoder()


@router.post(
    "/evaluate/flags",
    summary="Evaluate all flags for a unit",
    response_class=Response,
    openapi_extra=documentation.BULK,
    responses=documentation.BULK_RESPONSES,
)
async def evaluate_all(request: Request) -> Response:
    """Every flag of the key's environment, for OpenFeature's web and mobile clients.

    A prefetch, never an exposure. The ETag stands for configuration and context, so a 304 evaluates nothing.
    """
    principal = _authenticate(request)
    body = await request.body()
    context = read_context(body)
    configurations: Configurations = request.app.state.configurations
    served = configurations.served(principal.environment_id)
    ticket = make_ticket(principal, time.time())
    etag = _etag(request, served, ticket, context)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if matches_none(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    answer = BulkOut(
        flags=await answered(body, lambda: all_evaluations(served, context), len(served.configuration.flags)),
        metadata=set_metadata(served.configuration),
        eventStreams=[EventStream("sse", Endpoint(_changes_uri(served, ticket)))],
    )
    return Response(_encoder.encode(answer), media_type="application/json", headers=headers)


@router.post(
    # Clients do not encode keys: one with a slash is a flag that does not exist, like any other.
    "/evaluate/flags/{key:path}",
    summary="Evaluate a flag for a unit",
    response_class=Response,
    openapi_extra=documentation.SINGLE,
    responses=documentation.SINGLE_RESPONSES,
)
async def evaluate_one(request: Request) -> Response:
    """One flag of the key's environment, for OpenFeature's clients on servers.

    An evaluation is not an exposure: send one when the unit meets its variant.
    """
    principal = _authenticate(request)
    key = request.path_params["key"]
    body = await request.body()
    context = read_context(body)
    configurations: Configurations = request.app.state.configurations
    configuration = configurations.of(principal.environment_id)
    if key not in configuration.flags:
        raise NotFound(f"There is no flag {key!r:.200} in {principal.place}.")
    answer = await answered(body, lambda: evaluation(configuration, key, context))
    status = 200 if isinstance(answer, EvaluationOut) else 400
    return Response(_encoder.encode(answer), status_code=status, media_type="application/json")


@router.get(
    "/changes",
    summary="Hear of changes",
    response_class=Response,
    openapi_extra=documentation.CHANGES,
    responses=documentation.CHANGES_RESPONSES,
)
async def changes(request: Request) -> Response:
    """Server-sent events that tell a client to evaluate again. The answer of all flags has this URL.

    One event is sent at once where the configuration is no longer the one that the client was answered from.
    """
    principals: Principals = request.app.state.principals
    principal = open_ticket(principals, request.query_params.get("ticket", ""), time.time())
    seen = request.headers.get("last-event-id") or request.query_params.get("since")
    return stream_of_changes(request, principal, _refetch, seen)


def _authenticate(request: Request) -> Principal:
    principals: Principals = request.app.state.principals
    return principals.authenticate(request, Scope.EVALUATE)


def _etag(request: Request, served: Served, ticket: str, context: Context) -> str:
    """An ETag that changes whenever the answer to a context could: with the release, too."""
    parts = [request.app.version, served.etag, ticket, context.unit, context.attributes]
    return f'"{hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]}"'


def _changes_uri(served: Served, ticket: str) -> str:
    query = urlencode({"ticket": ticket, "since": served.digest})
    return f"{router.prefix}/changes?{query}"


def _refetch(served: Served) -> tuple[str, bytes]:
    return "message", _encoder.encode({"type": "refetchEvaluation", "etag": served.etag})
