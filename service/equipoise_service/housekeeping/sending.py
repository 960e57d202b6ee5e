"""Answers from files without a name: whatever becomes of the process, no file is left behind."""

import os
from collections.abc import Iterator
from typing import IO

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_CHUNK = 1 << 20


class FileAnswer(StreamingResponse):
    """What an open file holds, from its beginning on. It is closed when all is sent, or cannot be.

    Args:
        file: The file; nobody else uses it.
        media_type: What it is.
    """

    def __init__(self, file: IO[bytes], media_type: str) -> None:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        super().__init__(_chunks(file), media_type=media_type, headers={"Content-Length": str(size)})
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
