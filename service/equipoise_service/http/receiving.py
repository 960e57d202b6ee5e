"""The body of a request, read piece by piece within limits, when there is room for it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from equipoise_service.errors import ContentTooLarge, RequestTimeout, UnsupportedMediaType
from equipoise_service.http.compression import decompress, most_decompressed

GRACE_SECONDS = 10.0
"""What every body may take."""
BYTES_A_SECOND = 16_384
"""How fast it must come on average after that: 8 MiB have eight and a half minutes."""

# What is smaller is decompressed at once: a thread would cost more.
_SMALL = 16_384


async def received_body(headers: Headers, receive: Receive, hold: Callable[[int], None], limit: int) -> bytes:
    """The whole body, decompressed.

    Args:
        headers: The request's.
        receive: The request's; nobody has read its body.
        hold: Makes room for as many bytes as the body has got, before they are read.
        limit: Largest size, after decompression.

    Raises:
        ContentTooLarge: It is larger.
        UnsupportedMediaType: Its encoding is neither gzip nor identity.
        BadRequest: It is not gzip, although it says so.
        RequestTimeout: It comes too slowly.
        ClientDisconnect: The sender went away.
        ServiceError: What `hold` raises.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedMediaType("The body's Content-Encoding is not known. Send gzip or identity.")
    declared = headers.get("content-length", "")
    expected = int(declared) if declared.isdecimal() else 0
    if expected > limit:
        raise ContentTooLarge(limit)
    hold(expected)
    pieces: list[bytes] = []
    size = 0
    async for piece in _pieces(receive):
        size += len(piece)
        if size > limit:
            raise ContentTooLarge(limit)
        if size > expected:
            hold(size)
        pieces.append(piece)
    body = b"".join(pieces)
    if encoding == "identity":
        return body
    # All that it may become, for as long as that is not known.
    hold(size + most_decompressed(size, limit))
    if size <= _SMALL:
        body = decompress(body, limit)
    else:
        body = await asyncio.to_thread(decompress, body, limit)
    hold(len(body))
    return body


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The pieces as they come. Memory is held for the whole, so who sends too slowly is given up."""
    began = asyncio.get_running_loop().time()
    size = 0
    is_more = True
    while is_more:
        try:
            async with asyncio.timeout_at(began + GRACE_SECONDS + size / BYTES_A_SECOND):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout(
                f"The body came too slowly: after {GRACE_SECONDS:g} s, {BYTES_A_SECOND:,} bytes a second are "
                "the least. Send less at once."
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        size += len(piece)
        is_more = message.get("more_body", False)
        yield piece
