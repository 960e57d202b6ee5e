"""Errors as OFREP has them: `{"key"?, "errorCode", "errorDetails"}`, on all of its routes."""

from typing import Literal

import msgspec
from starlette.responses import Response

from equipoise_service.errors import BadRequest, NotFound, ServiceError

PREFIX = "/ofrep/"
_FLAGS = "/ofrep/v1/evaluate/flags/"

Code = Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"]


class FailureOut(msgspec.Struct, omit_defaults=True):
    """Why there is no evaluation.

    Attributes:
        errorCode: OpenFeature's code.
        errorDetails: What was wrong, and what to do.
        key: Key of the flag that was asked for; absent where all flags were.
    """

    errorCode: Code  # noqa: N815 - the protocol's names
    errorDetails: str  # noqa: N815
    key: str | None = None


class Refused(BadRequest):
    """400: the context cannot be evaluated, for one of the protocol's reasons."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def failure_response(error: ServiceError, path: str) -> Response:
    """The response that carries an error of a route of OFREP.

    Clients demand the key with an error of one flag, and details with every 400.
    """
    key = path.removeprefix(_FLAGS) if path.startswith(_FLAGS) else None
    return Response(
        msgspec.json.encode(FailureOut(_code(error, key), error.detail, key)),
        status_code=error.status,
        media_type="application/json",
        headers=error.headers,
    )


def _code(error: ServiceError, key: str | None) -> Code:
    if isinstance(error, Refused):
        return error.code
    if isinstance(error, BadRequest):
        return "PARSE_ERROR"
    if isinstance(error, NotFound) and key is not None:
        return "FLAG_NOT_FOUND"
    return "GENERAL"
