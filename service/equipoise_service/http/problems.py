"""Answers for what goes wrong: every error leaves the service as an RFC 9457 problem document."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from equipoise_service import errors

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

Shape = Callable[[errors.ServiceError, str], Response]
"""Makes the response that carries an error, for a request of some path."""


class ErrorPlace(BaseModel):
    """One place of a payload that does not validate."""

    pointer: str = Field(
        description="JSON pointer into the body, or `query/NAME`, `path/NAME`, `header/NAME`."
    )
    message: str = Field(description="What is wrong there.")


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(description="Stable URN of the kind of problem.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong, where, and what to do.")
    errors: list[ErrorPlace] | None = Field(None, description="Each place that does not validate (422).")


_CLASSES: dict[int, type[errors.ServiceError]] = {
    each.status: each
    for each in (
        errors.BadRequest,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.RequestTimeout,
        errors.Conflict,
        errors.PreconditionFailed,
        errors.ContentTooLarge,
        errors.UnsupportedMediaType,
        errors.InvalidPayload,
        errors.PreconditionRequired,
        errors.TooManyRequests,
        errors.Unavailable,
    )
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that can answer with these statuses.

    A body that may be too large (413) may also come too slowly, or when there is no room for it.
    """
    if 413 in statuses:
        statuses = tuple(sorted({*statuses, 408, 503}))
    return {
        status: {
            "description": _CLASSES[status].title,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": {
                        "type": errors.problem_type(_CLASSES[status].default_type),
                        "title": _CLASSES[status].title,
                        "status": status,
                        "detail": errors.PROBLEM_TYPES[_CLASSES[status].default_type],
                    },
                }
            },
        }
        for status in statuses
    }


def problem_response(error: errors.ServiceError) -> Response:
    """The response that carries an error."""
    return Response(
        msgspec.json.encode(error.document()),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )


def error_response(error: errors.ServiceError, scope: Scope) -> Response:
    """The response that carries an error, as the routes below the request's path have it."""
    shapes: Mapping[str, Shape] = scope["app"].state.error_shapes
    path: str = scope["path"]
    for prefix, shape in shapes.items():
        if path.startswith(prefix):
            return shape(error, path)
    return problem_response(error)


def install(app: FastAPI, shapes: Mapping[str, Shape]) -> None:
    """Make the application answer every error with a problem document; `failures` answers what is none.

    Args:
        app: The application.
        shapes: How routes answer that have another shape for errors, by the beginning of their paths.
    """
    app.state.error_shapes = shapes

    @app.exception_handler(errors.ServiceError)
    async def service_error(request: Request, error: errors.ServiceError) -> Response:
        return error_response(error, request.scope)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> Response:
        return error_response(payload_error(error.errors(), error.body), request.scope)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        return error_response(_routing_error(request, error), request.scope)

    # Internal errors: a standby that takes no changes, a transaction that the server gave up.
    @app.exception_handler(InterfaceError)
    @app.exception_handler(InternalError)
    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeoutError)
    async def database_unavailable(request: Request, error: Exception) -> Response:
        _log.error("the metadata database cannot be used: %s", error)
        unavailable = errors.Unavailable(
            "The metadata database cannot be used now, or others hold it; the service's log says why. "
            "Send the request again.",
            retry_after=5,
        )
        return error_response(unavailable, request.scope)

    @app.exception_handler(DataError)
    async def not_storable(request: Request, _error: Exception) -> Response:
        refused = errors.InvalidPayload(
            "The request has a value that the database cannot store: text with the character U+0000, or a "
            "number out of range."
        )
        return error_response(refused, request.scope)


def payload_error(found: Sequence[Any], body: object = None) -> errors.ServiceError:
    """The error for a payload that pydantic refused.

    Args:
        found: What pydantic says.
        body: The payload as it came, to tell its members from what pydantic adds to a place.
    """
    if any(each["type"] == "json_invalid" for each in found):
        return errors.BadRequest(f"The body is not JSON: {found[0]['ctx']['error']}.")
    # A member that can be null is refused twice: also for not being null.
    told = [each for each in found if each["type"] != "none_required"] or found
    places = [{"pointer": _pointer(each, body), "message": each["msg"]} for each in told[:100]]
    detail = "; ".join(f"{each['pointer']}: {each['message']}" for each in places[:3])
    return errors.InvalidPayload(f"The payload does not validate. {detail}", errors=places)


def _pointer(error: Mapping[str, Any], body: object) -> str:
    location = error["loc"]
    if not location or location[0] != "body":
        return "/".join(str(part) for part in location)
    parts = []
    for part in location[1:]:
        if isinstance(body, Mapping) and part in body:
            body = body[part]
        elif isinstance(body, list) and isinstance(part, int):
            body = body[part] if part < len(body) else None
        elif error["type"] != "missing" or part != location[-1]:
            # Not of the payload: pydantic names the alternative that it tried.
            continue
        parts.append(str(part).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{part}" for part in parts)


def _routing_error(request: Request, error: HTTPException) -> errors.ServiceError:
    if error.status_code == 404:
        return errors.NotFound(f"There is no route {request.url.path}.")
    if error.status_code == 405:
        allowed = ", ".join(_methods(request))
        return errors.MethodNotAllowed(
            f"{request.method} is not possible here. Possible: {allowed}.", headers={"Allow": allowed}
        )
    if error.status_code == 400:
        return errors.BadRequest(f"The body cannot be read: {error.detail}.")
    raise error


def _methods(request: Request) -> list[str]:
    """All methods of a path. The framework names those of the first route that matches."""
    routes = request.app.router.routes
    # A path of its own, such as /v1/metrics/preview, is not the {key} of another one.
    own = [each.methods or () for each in iter_route_contexts(routes) if each.path == request.url.path]
    possible = {method for methods in own for method in methods}
    for method in () if own else ("DELETE", "GET", "PATCH", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in routes):
            possible.add(method)
    return sorted(possible)
