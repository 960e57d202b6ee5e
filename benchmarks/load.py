"""A load generator for loopback: several keep-alive connections, each with one request under way."""

import itertools
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from typing import cast


def requests_per_second(
    address: tuple[str, int], request: bytes, *, connections: int, seconds: float
) -> float:
    """Send the same request again and again, as fast as the answers come.

    Args:
        address: Host and port.
        request: The whole request, as bytes.
        connections: Connections at once.
        seconds: How long.

    Returns:
        Answers a second.

    Raises:
        RuntimeError: An answer was not 2xx or 304.
    """
    end = time.perf_counter() + seconds
    sent, elapsed = _drive(
        address, iter(lambda: request if time.perf_counter() < end else None, None), connections
    )
    return sent / elapsed


def seconds_to_send(address: tuple[str, int], requests: Sequence[bytes], *, connections: int) -> float:
    """Send each request once, as fast as the answers come.

    Args:
        address: Host and port.
        requests: Whole requests, as bytes.
        connections: Connections at once.

    Returns:
        How long it took until the last answer, in seconds.

    Raises:
        RuntimeError: An answer was not 2xx or 304.
    """
    return _drive(address, iter(requests), connections)[1]


def _drive(address: tuple[str, int], requests: Iterator[bytes], connections: int) -> tuple[int, float]:
    """Keep every connection busy until the requests end; how many were answered, and in how long."""
    selector = selectors.DefaultSelector()
    begin = time.perf_counter()
    answers = 0
    for request in itertools.islice(requests, connections):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        selector.register(connection, selectors.EVENT_READ, bytearray())
    while selector.get_map():
        for ready, _ in selector.select():
            received: bytearray = ready.data
            connection = cast("socket.socket", ready.fileobj)
            received += connection.recv(1 << 20)
            if not is_complete(received):
                continue
            answers += 1
            received.clear()
            following = next(requests, None)
            if following is None:
                selector.unregister(connection)
                connection.close()
            else:
                connection.sendall(following)
    return answers, time.perf_counter() - begin


def is_complete(received: bytearray) -> bool:
    """Whether a whole answer was received.

    Raises:
        RuntimeError: It is not 2xx or 304.
    """
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return False
    head = bytes(received[:head_end]).lower()
    if head[9:10] != b"2" and head[9:12] != b"304":
        raise RuntimeError(bytes(received[:2000]).decode(errors="replace"))
    length_at = head.find(b"content-length: ")
    if length_at < 0:
        return head[9:12] == b"304"
    length = int(head[length_at + 16 :].split(b"\r\n", 1)[0])
    return len(received) >= head_end + 4 + length
