"""One kept-alive HTTP connection to the service, used by one thread."""

import encodings.idna  # noqa: F401 - or the thread would at its first request, see `Client.__init__`
import zlib
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from time import monotonic
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from equipoise._event_stream import EventStream

__all__ = ["MAX_ANSWER_BYTES", "Answer", "Transport", "TransportError"]

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""The largest answer that is read, also after decompression."""

MAX_RETRY_AFTER_SECONDS: Final = 3600.0


class TransportError(Exception):
    """No usable answer: the service cannot be reached, is too slow, or does not speak HTTP."""


class Answer(NamedTuple):
    """An HTTP answer.

    Attributes:
        status: the status code.
        body: decompressed.
        etag: as it was sent, or None.
        retry_after: seconds that the service asks to wait; None when it does not, or not in seconds.
    """

    status: int
    body: bytes
    etag: str | None
    retry_after: float | None


class Transport:
    """Requests to one base URL with one key."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": "equipoise-python"}
        self._connection: HTTPConnection | None = None

    def get(self, path: str, headers: Mapping[str, str], timeout: float) -> Answer:
        """Send a GET request. Raises `TransportError`."""
        return self._request("GET", path, {**headers, "Accept-Encoding": "gzip"}, None, timeout)

    def post_json(self, path: str, body: bytes, timeout: float) -> Answer:
        """Send JSON, compressed. Raises `TransportError`."""
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return self._request("POST", path, headers, _compress(body), timeout)

    def stream(self, path: str, timeout: float, silence: float) -> EventStream:
        """Open a stream of server-sent events, on a connection of its own. Raises `TransportError`.

        Args:
            path: where it is.
            timeout: seconds until its head has arrived.
            silence: seconds without a byte after which reading it fails.
        """
        connection = self._open(timeout)
        try:
            connection.request(
                "GET", self._path + path, None, {**self._headers, "Accept": "text/event-stream"}
            )
            socket = connection.sock
            response = connection.getresponse()
            socket.settimeout(silence)
        except (OSError, HTTPException, UnicodeError) as error:
            connection.close()
            raise TransportError(f"{type(error).__name__}: {error}") from error
        return EventStream(connection, response, socket, _seconds(response.getheader("Retry-After")))

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Answer:
        deadline = monotonic() + timeout
        try:
            return self._exchange(method, path, headers, body, deadline)
        except (OSError, HTTPException, UnicodeError, zlib.error) as error:
            self.close()
            raise TransportError(f"{type(error).__name__}: {error}") from error
        except TransportError:
            self.close()
            raise

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> Answer:
        """Exchange a request for an answer; a kept connection that has gone stale is opened again, once."""
        reused = self._connection is not None and self._connection.sock is not None
        try:
            response = self._send(method, path, headers, body, deadline)
        except ConnectionError:
            if not reused:
                raise
            self.close()
            response = self._send(method, path, headers, body, deadline)
        return Answer(
            status=response.status,
            body=_read(response, deadline),
            etag=response.getheader("ETag"),
            retry_after=_seconds(response.getheader("Retry-After")),
        )

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> HTTPResponse:
        remaining = _remaining(deadline)
        connection = self._connection
        if connection is None:
            connection = self._connection = self._open(remaining)
        connection.timeout = remaining
        if connection.sock is not None:
            connection.sock.settimeout(remaining)
        # A service that refuses a body early (413) answers and closes before it has read it all.
        try:
            connection.request(method, self._path + path, body, {**self._headers, **headers})
        except ConnectionError:
            if connection.sock is None:  # it was never open: nothing can be answered
                raise
        return connection.getresponse()

    def _open(self, timeout: float) -> HTTPConnection:
        kind = HTTPSConnection if self._secure else HTTPConnection
        return kind(self._host, self._port, timeout=timeout)


def _remaining(deadline: float) -> float:
    remaining = deadline - monotonic()
    if remaining <= 0:
        raise TransportError("the service took too long to answer")
    return remaining


def _read(response: HTTPResponse, deadline: float) -> bytes:
    """Read a body within its time and size, however slowly it trickles."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(65_536):
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise TransportError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        parts.append(part)
        _remaining(deadline)
    if response.length:
        raise TransportError("the answer is cut short")
    response.close()  # read1 leaves a response open at its end, and an open one blocks the next request
    body = b"".join(parts)
    return _decompress(body) if response.getheader("Content-Encoding") == "gzip" else body


def _compress(body: bytes) -> bytes:
    compressor = zlib.compressobj(level=1, wbits=31)  # 31: a gzip header and trailer
    return compressor.compress(body) + compressor.flush()


def _decompress(body: bytes) -> bytes:
    decompressor = zlib.decompressobj(wbits=31)
    plain = decompressor.decompress(body, MAX_ANSWER_BYTES)
    if not decompressor.eof:
        raise TransportError(f"the compressed answer is cut short or larger than {MAX_ANSWER_BYTES} bytes")
    return plain


def _seconds(header: str | None) -> float | None:
    """Read `Retry-After` in seconds; its other form, a date, trusts two clocks and is not used."""
    if header is None or not header.strip().isdecimal():
        return None
    return min(float(header), MAX_RETRY_AFTER_SECONDS)
