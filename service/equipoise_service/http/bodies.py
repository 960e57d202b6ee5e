"""Request bodies within limits: every body is read, decompressed and bounded before a route sees it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from equipoise_service.errors import ServiceError
from equipoise_service.http.admission import Admission, Share
from equipoise_service.http.problems import error_response
from equipoise_service.http.receiving import received_body

# So much is read of anybody, and without asking for room.
_FREE_BYTES = 65_536


class BoundedBodies:
    """ASGI middleware that hands on whole, decompressed bodies of at most `limit` bytes.

    A larger one is answered 413, an unknown encoding 415, broken gzip 400, one that comes too slowly 408,
    before the route runs. What may take over 64 KiB is read of a valid key only (401), and when there is
    room for it (503).

    Args:
        app: What it hands on to.
        limit: For every route that has no limit of its own.
        limits: Those of routes that need more, by the beginning of their paths.
        admission: The room for bodies over 64 KiB.
        prove: The public id of a request's key, by its headers; raises `Unauthenticated`.
        unread: Paths of routes that read their bodies by themselves.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        limits: Mapping[str, int],
        admission: Admission,
        prove: Callable[[Headers], str],
        unread: Collection[str],
    ) -> None:
        self.app = app
        self.limit = limit
        self.limits = limits
        self.admission = admission
        self.prove = prove
        self.unread = unread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or scope["method"] in ("GET", "HEAD", "OPTIONS")
            or (scope["path"] in self.unread)
        ):
            await self.app(scope, receive, send)
            return
        with ExitStack() as held:
            try:
                body = await self._read(scope, receive, held)
            except ServiceError as error:
                await error_response(error, scope)(scope, receive, send)
                return
            except ClientDisconnect:
                # Nobody reads an answer.
                return
            await self.app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive, held: ExitStack) -> bytes:
        headers = Headers(scope=scope)
        share: Share | None = None

        def hold(size: int) -> None:
            nonlocal share
            if share is None and size > _FREE_BYTES:
                share = held.enter_context(self.admission.share(self.prove(headers)))
            if share is not None:
                share.resize(size)

        body = await received_body(headers, receive, hold, self._limit(scope["path"]))
        if "content-encoding" in headers:
            mutable = MutableHeaders(scope=scope)
            del mutable["content-encoding"]
            mutable["content-length"] = str(len(body))
        return body

    def _limit(self, path: str) -> int:
        return max((own for start, own in self.limits.items() if path.startswith(start)), default=self.limit)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: Iterable[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        for message in messages:
            return message
        return await receive()

    return replay
