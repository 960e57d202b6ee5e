"""The body of a request, read piece by piece within limits, when there is room for it."""

import asyncio

from fastapi import Request

from equipoise_service.errors import ContentTooLarge, UnsupportedMediaType
from equipoise_service.events.admission import Share
from equipoise_service.http.bodies import decompress, most_decompressed

# What is smaller is decompressed at once: a thread would cost more.
_SMALL = 16_384


async def received_body(request: Request, share: Share, limit: int) -> bytes:
    """The whole body, decompressed.

    Args:
        request: Nobody has read its body.
        share: Holds as many bytes as the body has got, from before they are read.
        limit: Largest size, after decompression.

    Raises:
        ContentTooLarge: It is larger.
        UnsupportedMediaType: Its encoding is neither gzip nor identity.
        BadRequest: It is not gzip, although it says so.
        Unavailable: There is no room for it now.
        ClientDisconnect: The sender went away.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedMediaType("The body's Content-Encoding is not known. Send gzip or identity.")
    declared = request.headers.get("content-length", "")
    expected = int(declared) if declared.isdecimal() else 0
    if expected > limit:
        raise ContentTooLarge(limit)
    share.resize(expected)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise ContentTooLarge(limit)
        if size > expected:
            share.resize(size)
        chunks.append(chunk)
    body = b"".join(chunks)
    if encoding == "identity":
        return body
    # All that it may become, for as long as that is not known.
    share.resize(size + most_decompressed(size, limit))
    if size <= _SMALL:
        body = decompress(body, limit)
    else:
        body = await asyncio.to_thread(decompress, body, limit)
    share.resize(len(body))
    return body
