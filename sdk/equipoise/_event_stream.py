"""A stream of server-sent events (the `text/event-stream` of the HTML standard), read by one thread."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from typing import Final

_MAX_LINE_BYTES: Final = 65_536


class EventStream:
    """An open stream.

    Attributes:
        status: the status code of the answer; there are events only with 200.
        retry_after: seconds that the service asks to wait; None when it does not.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        response: HTTPResponse,
        connected: socket.socket,
        retry_after: float | None,
    ) -> None:
        self.status = response.status
        self.retry_after = retry_after
        self._connection = connection
        self._response = response
        self._socket = connected

    def events(self) -> Iterator[str]:
        """Yield the name of each event until the stream ends.

        Raises:
            OSError: the connection broke, or was silent for too long.
            http.client.HTTPException: what came is no HTTP.
            ValueError: a line is too long, or the stream was aborted.
        """
        name, has_data = "message", False
        while line := self._response.readline(_MAX_LINE_BYTES):
            if not line.endswith(b"\n"):
                raise ValueError("a line of the stream is too long, or was cut short")
            field, _, value = line.rstrip(b"\r\n").partition(b":")
            if field == b"event":
                name = value.strip().decode(errors="replace")
            elif field == b"data":
                has_data = True
            elif not line.strip():
                if has_data:
                    yield name
                name, has_data = "message", False

    def abort(self) -> None:
        """End it from another thread: reading stops at once."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it; by the thread that reads."""
        self._response.close()
        self._connection.close()
