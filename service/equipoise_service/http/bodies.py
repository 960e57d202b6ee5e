"""Request bodies within limits: every body is read, decompressed and bounded before a route sees it."""

import zlib
from collections.abc import Collection, Iterable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from equipoise_service.errors import BadRequest, ContentTooLarge, ServiceError, UnsupportedMediaType
from equipoise_service.http.problems import error_response

_GZIP = 16 + zlib.MAX_WBITS
# Each member copies what follows it, so that a body of empty ones would keep the process busy for minutes.
_MOST_MEMBERS = 100
# JSON shrinks to a tenth, to a fiftieth when it repeats itself; DEFLATE's most is 1,032 to 1.
_MOST_RATIO = 250
_ANY_RATIO_BYTES = 1 << 20


class BoundedBodies:
    """ASGI middleware that hands on whole, decompressed bodies of at most `limit` bytes.

    A larger one is answered 413, an unknown encoding 415, broken gzip 400, before the route runs.

    Args:
        app: What it hands on to.
        limit: For every route that has no limit of its own.
        limits: Those of routes that need more, by the beginning of their paths.
        unread: Paths of routes that read their bodies by themselves.
    """

    def __init__(self, app: ASGIApp, limit: int, limits: Mapping[str, int], unread: Collection[str]) -> None:
        self.app = app
        self.limit = limit
        self.limits = limits
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
        try:
            body = await self._read(scope, receive, self._limit(scope["path"]))
        except ServiceError as error:
            await error_response(error, scope)(scope, receive, send)
            return
        if body is None:
            return
        await self.app(scope, _replay(body, receive), send)

    def _limit(self, path: str) -> int:
        return max((own for start, own in self.limits.items() if path.startswith(start)), default=self.limit)

    async def _read(self, scope: Scope, receive: Receive, limit: int) -> bytes | None:
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise ContentTooLarge(limit)
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise ContentTooLarge(limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                break
        body = b"".join(chunks)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity":
            return body
        if encoding != "gzip":
            raise UnsupportedMediaType("The body's Content-Encoding is not known. Send gzip or identity.")
        body = decompress(body, limit)
        mutable = MutableHeaders(scope=scope)
        del mutable["content-encoding"]
        mutable["content-length"] = str(len(body))
        return body


def decompress(data: bytes, limit: int) -> bytes:
    """Decompress gzip data of one or more members, a hundred at most.

    Args:
        data: The compressed bytes.
        limit: Largest size, in bytes, that the result may have; no more than that is ever held.

    Raises:
        ContentTooLarge: The result is larger than `limit`.
        BadRequest: The data is not gzip, grows more than any text does, has too many members, or ends too
            early.
    """
    parts: list[bytes] = []
    most = most_decompressed(len(data), limit)
    room = most
    try:
        while data:
            if len(parts) == _MOST_MEMBERS:
                raise BadRequest(
                    f"The gzip body has more than {_MOST_MEMBERS} members. Compress it as one piece."
                )
            member = zlib.decompressobj(_GZIP)
            part = member.decompress(data, room + 1)
            room -= len(part)
            if room < 0 and most < limit:
                raise BadRequest(
                    f"The gzip body grows to more than {_MOST_RATIO} times its size. Send it uncompressed."
                )
            if room < 0:
                raise ContentTooLarge(limit)
            if not member.eof:
                raise BadRequest("The gzip body ends too early. Send it whole.")
            parts.append(part)
            data = member.unused_data
    except zlib.error:
        raise BadRequest("The body is not gzip, although Content-Encoding says so.") from None
    return b"".join(parts)


def most_decompressed(size: int, limit: int) -> int:
    """The most bytes that gzip data of a size may become."""
    return min(limit, max(_ANY_RATIO_BYTES, _MOST_RATIO * size))


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: Iterable[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        for message in messages:
            return message
        return await receive()

    return replay
