"""OFREP's routes in the OpenAPI document."""

from typing import Any

from equipoise_service.accounts.principals import SECURITY
from equipoise_service.http import payloads
from equipoise_service.ofrep.contexts import ContextIn
from equipoise_service.ofrep.failures import FailureOut
from equipoise_service.ofrep.schemas import BulkOut, EvaluationOut

OPENAPI_TYPES = (ContextIn, EvaluationOut, FailureOut, BulkOut)

_CONTEXT = {"context": {"targetingKey": "user-1", "country": "FR", "plan": "pro"}}
_EVALUATION = {
    "key": "new-landing-page",
    "value": "new_page",
    "variant": "treatment",
    "reason": "SPLIT",
    "metadata": {
        "flagSetId": "default/production",
        "version": 3,
        "inExperiment": True,
        "experiment": "new-landing-page",
        "revision": 1,
    },
}
_BULK = {
    "flags": [_EVALUATION],
    "metadata": {"flagSetId": "default/production", "version": 3},
    "eventStreams": [
        {"type": "sse", "endpoint": {"requestUri": "/ofrep/v1/changes?ticket=0a1b….484123.9f8e…&since=6d5c…"}}
    ],
}
_WHEN = {
    400: ("The body or the context cannot be read.", "TARGETING_KEY_MISSING"),
    401: ("No valid key.", "GENERAL"),
    403: ("The key has not the scope.", "GENERAL"),
    404: ("There is no such flag.", "FLAG_NOT_FOUND"),
    408: ("The body comes too slowly.", "GENERAL"),
    413: ("The body is too large.", "GENERAL"),
    415: ("The body's encoding is not known.", "GENERAL"),
    429: ("Too many at once; try again after Retry-After seconds.", "GENERAL"),
    503: ("There is no room for the body; try again after Retry-After seconds.", "GENERAL"),
}


def _parameter(place: str, name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": required,
        "schema": {"type": "string"},
        "description": description,
    }


def _failures(*statuses: int, key: str | None = None) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of failures with these statuses."""
    return {
        status: payloads.response(
            FailureOut,
            _WHEN[status][0],
            {"errorCode": _WHEN[status][1], "errorDetails": _WHEN[status][0]} | ({"key": key} if key else {}),
        )
        for status in statuses
    }


SINGLE: dict[str, Any] = {
    "security": SECURITY,
    "requestBody": payloads.request_body(ContextIn, _CONTEXT),
    "parameters": [_parameter("path", "key", "The flag's key.", required=True)],
}
SINGLE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: payloads.response(EvaluationOut, "What the flag gives to the unit.", _EVALUATION),
    **_failures(400, 401, 403, 404, 408, 413, 415, 503, key="new-landing-page"),
}

BULK: dict[str, Any] = {
    "security": SECURITY,
    "requestBody": payloads.request_body(ContextIn, _CONTEXT),
    "parameters": [
        _parameter("header", "If-None-Match", "The ETag of the evaluations that you have."),
        _parameter("query", "flagConfigEtag", "As a change event gave it. Not needed here."),
        _parameter("query", "flagConfigLastModified", "As a change event gave it. Not needed here."),
    ],
}
BULK_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        **payloads.response(BulkOut, "What all flags give to the unit.", _BULK),
        "headers": {
            "ETag": {"description": "Stands for configuration and context.", "schema": {"type": "string"}}
        },
    },
    304: {"description": "The evaluations are those that If-None-Match names."},
    **_failures(400, 401, 403, 408, 413, 415, 503),
}

CHANGES: dict[str, Any] = {
    "parameters": [
        _parameter("query", "ticket", "Opens the stream, where a browser can send no header.", required=True),
        _parameter("query", "since", "The configuration that the evaluations came from."),
        _parameter("header", "Last-Event-ID", "Id of the last event that came; goes before `since`."),
    ]
}
CHANGES_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": 'Events of data `{"type": "refetchEvaluation", "etag": …}`, until one side ends.',
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **_failures(401, 403, 429),
}
