"""Bodies that came as gzip, within limits."""

import zlib

from equipoise_service.errors import BadRequest, ContentTooLarge

_GZIP = 16 + zlib.MAX_WBITS
# Each member copies what follows it, so that a body of empty ones would keep the process busy for minutes.
_MOST_MEMBERS = 100
# JSON shrinks to a tenth, to a fiftieth when it repeats itself; DEFLATE's most is 1,032 to 1.
_MOST_RATIO = 250
_ANY_RATIO_BYTES = 1 << 20
# As much of a body is read of anybody, and held without asking for room.
_FREE_BYTES = 65_536


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
