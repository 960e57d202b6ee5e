"""The errors that the service answers with: RFC 9457 problem documents, one class a status.

Each kind of problem has a stable `type`, a URN that clients may branch on. `PROBLEM_TYPES` lists them all;
the reference documentation must describe each one (a test holds that).
"""

from collections.abc import Mapping
from typing import ClassVar

PROBLEM_TYPES: Mapping[str, str] = {
    "malformed-body": "The body is not JSON, not gzip although it says so, or is not valid UTF-8.",
    "bad-cursor": "The cursor of a list was not made by this service.",
    "unauthenticated": "No valid key came with the request.",
    "forbidden": "The key has not the scope that the request needs.",
    "not-found": "There is no such thing in this project, or no such route.",
    "method-not-allowed": "The route exists, but not for this method.",
    "already-exists": "Something of that key exists already.",
    "illegal-transition": "The present status does not allow this move.",
    "frozen-field": "The field cannot be changed in the present status.",
    "no-look-due": "The experiment's plan has no look now; the detail says why, and when one is due.",
    "job-cancelled": "The job was cancelled before it was done.",
    "decision-needed": "To ship needs a decision: the readout that it rests on, and a reason.",
    "decision-waiting": "Another decision about the revision waits for a second person.",
    "second-person-needed": "Whoever decided against the recommendation cannot confirm it, too.",
    "holdback-impossible": "So many units cannot be held back: too few had the control until now.",
    "readout-stale": "The readout is that of an older look than the newest one.",
    "readout-unknown": "The readout is not kept: only the latest one and those of looks are.",
    "in-use": "It cannot go away, because something uses it; the detail says what.",
    "unit-ids-hashed": "Unit ids are stored as keyed hashes, and this needs the ids themselves.",
    "housekeeping": "Another erasure, backup or deletion of old facts is going on.",
    "not-embedded": "The databases are not embedded ones, so the service cannot copy them.",
    "source-failed": "The source of a metric cannot be read as it is defined; the detail says why.",
    "source-too-slow": "The source did not answer in the time that it has.",
    "no-free-slots": "The layer has too few free slots for the experiment; the detail says who holds them.",
    "unpublishable": "With this change no client could read the environment's configuration.",
    "idempotency-conflict": "The Idempotency-Key was used before with another request.",
    "precondition-failed": "The entity was changed since the ETag in If-Match was read.",
    "body-too-slow": "The body came more slowly than the service waits for.",
    "body-too-large": "The body, after decompression, is larger than the limit.",
    "unsupported-encoding": "The body's Content-Encoding is neither gzip nor identity.",
    "invalid-payload": "The payload does not validate; `errors` lists each place.",
    "precondition-required": "An update needs If-Match with the entity's ETag.",
    "too-many-requests": "This is limited, and the limit is reached; try again after Retry-After seconds.",
    "internal": "The service failed; its log has the details under the given instance.",
    "busy": "The service cannot take more at the moment; try again after Retry-After seconds.",
}


def problem_type(name: str) -> str:
    """The URN of a kind of problem, a key of `PROBLEM_TYPES`."""
    if name not in PROBLEM_TYPES:
        raise KeyError(f"{name} is not in PROBLEM_TYPES")
    return f"urn:equipoise:problem:{name}"


class ServiceError(Exception):
    """A request that cannot be answered as asked.

    Args:
        detail: What was wrong, where, and what to do.
        type: A key of `PROBLEM_TYPES`; the class's own when absent.
        headers: Further response headers.
        extensions: Further members of the problem document, of JSON types.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal Server Error"
    default_type: ClassVar[str] = "internal"

    def __init__(
        self,
        detail: str,
        *,
        type: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: object,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.type = problem_type(type or self.default_type)
        self.headers = dict(headers or {})
        self.extensions = extensions

    def document(self) -> dict[str, object]:
        """The problem document."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extensions,
        }


class BadRequest(ServiceError):
    """400: the request cannot be read at all."""

    status = 400
    title = "Bad Request"
    default_type = "malformed-body"


class Unauthenticated(ServiceError):
    """401: no valid key. It never says what is wrong with the key."""

    status = 401
    title = "Unauthorized"
    default_type = "unauthenticated"

    def __init__(self) -> None:
        super().__init__(
            "This needs a valid API key: send 'Authorization: Bearer KEY'.",
            headers={"WWW-Authenticate": "Bearer"},
        )


class Forbidden(ServiceError):
    """403: the key is valid and may not do this. It never says which scope is missing."""

    status = 403
    title = "Forbidden"
    default_type = "forbidden"

    def __init__(self) -> None:
        super().__init__("This key may not do that.")


class NotFound(ServiceError):
    """404: no such entity in the key's project."""

    status = 404
    title = "Not Found"
    default_type = "not-found"


class MethodNotAllowed(ServiceError):
    """405: the route has other methods, which the header Allow names."""

    status = 405
    title = "Method Not Allowed"
    default_type = "method-not-allowed"


class RequestTimeout(ServiceError):
    """408: the body comes too slowly. The connection is closed: the rest of the body would be in the way."""

    status = 408
    title = "Request Timeout"
    default_type = "body-too-slow"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Connection": "close"})


class Conflict(ServiceError):
    """409: a rule of the domain forbids it."""

    status = 409
    title = "Conflict"
    default_type = "already-exists"


class PreconditionFailed(ServiceError):
    """412: somebody else changed the entity first."""

    status = 412
    title = "Precondition Failed"
    default_type = "precondition-failed"


class ContentTooLarge(ServiceError):
    """413: the body is larger than the limit, which the document names."""

    status = 413
    title = "Content Too Large"
    default_type = "body-too-large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"The body is larger than {limit_bytes:,} bytes after decompression. Send smaller batches.",
            limit_bytes=limit_bytes,
        )


class UnsupportedMediaType(ServiceError):
    """415: an encoding that the service does not read."""

    status = 415
    title = "Unsupported Media Type"
    default_type = "unsupported-encoding"


class InvalidPayload(ServiceError):
    """422: the payload does not validate."""

    status = 422
    title = "Unprocessable Content"
    default_type = "invalid-payload"


class PreconditionRequired(ServiceError):
    """428: an update without If-Match."""

    status = 428
    title = "Precondition Required"
    default_type = "precondition-required"


class TooManyRequests(ServiceError):
    """429: a limit is reached; the header Retry-After says when to try again, in whole seconds."""

    status = 429
    title = "Too Many Requests"
    default_type = "too-many-requests"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(ServiceError):
    """503: not now; the header Retry-After says when, in whole seconds."""

    status = 503
    title = "Service Unavailable"
    default_type = "busy"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
