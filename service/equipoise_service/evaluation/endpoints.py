"""Routes of evaluation. They touch no database: keys and configuration are in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from equipoise.configuration import Configuration
from equipoise.evaluation import assign_many
from equipoise.explanation import explain
from equipoise_service.accounts.principals import SECURITY, Principals, Scope
from equipoise_service.errors import InvalidPayload, NotFound
from equipoise_service.evaluation.attributes import find_excess
from equipoise_service.evaluation.configurations import Configurations, Served
from equipoise_service.evaluation.explaining import EXAMPLE_IN, EXAMPLE_OUT, ExplainIn, ExplanationOut
from equipoise_service.evaluation.schemas import AssignmentOut, AssignmentsIn, AssignmentsOut
from equipoise_service.evaluation.streams import stream_of_changes
from equipoise_service.evaluation.workers import answered
from equipoise_service.http import payloads
from equipoise_service.http.preconditions import matches_none
from equipoise_service.http.problems import problems
from equipoise_service.http.routes import PlainRoute

router = APIRouter(tags=["evaluation"], route_class=PlainRoute)

_decoder = msgspec.json.Decoder(AssignmentsIn)
_explain_decoder = msgspec.json.Decoder(ExplainIn)
_encoder = msgspec.json.Encoder()

OPENAPI_TYPES = (AssignmentsIn, AssignmentsOut, ExplainIn, ExplanationOut)

_EXAMPLE_IN = {
    "flag": "new-landing-page",
    "units": ["user-1", "user-2"],
    "attributes": {"country": "FR", "plan": "pro"},
}
_EXAMPLE_OUT = {
    "flag": "new-landing-page",
    "version": 3,
    "assignments": [
        {
            "unit": "user-1",
            "experiment": "new-landing-page",
            "variant": "treatment",
            "value": "new_page",
            "reason": "SPLIT",
            "revision": 1,
        }
    ],
}


@router.get(
    "/v1/config",
    summary="The configuration document",
    response_class=Response,
    openapi_extra={
        "security": SECURITY,
        "parameters": [
            {
                "name": "If-None-Match",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "The ETag of the document that you have.",
            }
        ],
    },
    responses={
        200: {
            "description": "The present version of the environment's configuration.",
            "headers": {"ETag": {"description": "Changes with the version.", "schema": {"type": "string"}}},
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        304: {"description": "The document is the one that If-None-Match names."},
        **problems(401, 403),
    },
)
async def config(request: Request) -> Response:
    """Everything that local evaluation needs, and nothing secret. Immutable for each ETag."""
    state = request.app.state
    principals: Principals = state.principals
    configurations: Configurations = state.configurations
    principal = principals.authenticate(request, Scope.EVALUATE)
    served = configurations.served(principal.environment_id)
    headers = {"ETag": served.etag, "Cache-Control": "private, no-cache"}
    if matches_none(request.headers.get("if-none-match"), served.etag):
        return Response(status_code=304, headers=headers)
    return Response(served.document, media_type="application/json", headers=headers)


@router.get(
    "/v1/config/stream",
    summary="Hear of a new configuration",
    response_class=Response,
    openapi_extra={
        "security": SECURITY,
        "parameters": [
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "Id of the last event that came.",
            }
        ],
    },
    responses={
        200: {
            "description": 'Events `config` of data `{"version": …, "etag": …}`, until one side ends.',
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(401, 403, 429),
    },
)
async def stream(request: Request) -> Response:
    """Server-sent events that say that `GET /v1/config` has another document, and which.

    One comes at once, unless `Last-Event-ID` names the present document. Between them come comments, every 15
    seconds; a reader that hears nothing for longer opens the stream again.
    """
    principals: Principals = request.app.state.principals
    principal = principals.authenticate(request, Scope.EVALUATE)
    return stream_of_changes(request, principal, _new_document, request.headers.get("last-event-id"))


def _new_document(served: Served) -> tuple[str, bytes]:
    return "config", _encoder.encode({"version": served.version, "etag": served.etag})


@router.post(
    "/v1/assignments",
    summary="Assign units",
    response_class=Response,
    openapi_extra={
        "security": SECURITY,
        "requestBody": payloads.request_body(AssignmentsIn, _EXAMPLE_IN),
    },
    responses={
        200: payloads.response(AssignmentsOut, "One assignment a unit.", _EXAMPLE_OUT),
        **problems(400, 401, 403, 404, 413, 415, 422),
    },
)
async def assignments(request: Request) -> Response:
    """Assign one unit or several to the variants of a flag.

    An assignment is not an exposure: send an exposure when the unit meets its variant.
    """
    state = request.app.state
    principals: Principals = state.principals
    configurations: Configurations = state.configurations
    principal = principals.authenticate(request, Scope.EVALUATE)
    body = await request.body()
    asked = payloads.decode(_decoder, body)
    _check_attributes(asked.attributes)
    units = _units(asked, state.settings.max_batch_items)
    configuration = configurations.of(principal.environment_id)
    if asked.flag not in configuration.flags:
        raise NotFound(f"There is no flag {asked.flag} in {principal.place}.")
    encoded = await answered(body, lambda: _assignments(configuration, asked.flag, units, asked.attributes))
    return Response(encoded, media_type="application/json")


@router.post(
    "/v1/explain",
    summary="Explain an assignment",
    response_class=Response,
    openapi_extra={
        "security": SECURITY,
        "requestBody": payloads.request_body(ExplainIn, EXAMPLE_IN),
    },
    responses={
        200: payloads.response(ExplanationOut, "What each rule of the flag did with the unit.", EXAMPLE_OUT),
        **problems(400, 401, 403, 404, 413, 415, 422),
    },
)
async def explain_one(request: Request) -> Response:
    """Why a unit gets what it gets: each rule of the flag, with conditions, slots and buckets.

    Made for people who ask; `POST /v1/assignments` is many times faster.
    """
    state = request.app.state
    principals: Principals = state.principals
    configurations: Configurations = state.configurations
    principal = principals.authenticate(request, Scope.EVALUATE)
    body = await request.body()
    asked = payloads.decode(_explain_decoder, body)
    _check_attributes(asked.attributes)
    configuration = configurations.of(principal.environment_id)
    if asked.flag not in configuration.flags:
        raise NotFound(f"There is no flag {asked.flag} in {principal.place}.")
    explanation = await answered(
        body, lambda: explain(configuration, asked.flag, asked.unit, asked.attributes)
    )
    return Response(_encoder.encode(explanation.to_dict()), media_type="application/json")


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    excess = find_excess(attributes)
    if excess is not None:
        pointer = f"/attributes{excess.pointer}"
        raise InvalidPayload(
            f"The payload does not validate. {pointer:.200}: {excess.message}.",
            errors=[{"pointer": pointer, "message": excess.message}],
        )


def _units(asked: AssignmentsIn, limit: int) -> list[str]:
    if (asked.unit is None) == (asked.units is None):
        raise InvalidPayload(
            "Give either unit or units.", errors=[{"pointer": "", "message": "unit or units"}]
        )
    units = [asked.unit] if asked.unit is not None else asked.units or []
    if not 1 <= len(units) <= limit:
        message = f"takes 1 to {limit:,} unit ids, not {len(units):,}"
        raise InvalidPayload(f"units {message}.", errors=[{"pointer": "/units", "message": message}])
    return units


def _assignments(
    configuration: Configuration, flag: str, units: Sequence[str], attributes: Mapping[str, Any]
) -> bytes:
    assigned = assign_many(configuration, flag, units, attributes=attributes)
    answer = AssignmentsOut(
        flag=flag,
        version=configuration.version,
        assignments=[
            AssignmentOut(
                unit=unit,
                experiment=each.experiment,
                variant=each.variant,
                value=each.value,
                reason=each.reason,
                revision=each.revision,
            )
            for unit, each in zip(units, assigned, strict=True)
        ],
    )
    return msgspec.json.encode(answer)
