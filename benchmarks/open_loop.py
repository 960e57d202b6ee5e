"""Requests at fixed moments, on loopback: a slow answer delays no later request, and hides nobody's wait."""

import heapq
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.load import is_complete

_MOST_CONNECTIONS = 200
_SEND_BUFFER = 1 << 20


@dataclass
class Stream:
    """Requests of one kind.

    Attributes:
        requests: Whole requests, as bytes; it ends with them.
        every: Seconds between the moments at which two of them are due; None: each when its predecessor is
            answered.
        seconds: For each answer, how long it took from the moment that its request was due.
        unsent: For each answer, which part of that had passed before its request was sent: where the load has
            no processors of its own, it waits for the service's.
    """

    requests: Iterator[bytes]
    every: float | None
    seconds: list[float] = field(default_factory=list)
    unsent: list[float] = field(default_factory=list)

    @property
    def since_sent(self) -> list[float]:
        """For each answer, how long it took from the moment that its request was sent."""
        return [whole - before for whole, before in zip(self.seconds, self.unsent, strict=True)]


@dataclass
class _Connection:
    stream: Stream
    due: float
    sent: float
    received: bytearray = field(default_factory=bytearray)


def send(address: tuple[str, int], streams: Sequence[Stream], seconds: float) -> None:
    """Send the requests of all streams, each at its moment, and wait for all answers.

    Each request that is due goes out at once, on a connection that is idle or a new one.

    Args:
        address: Host and port.
        streams: What is sent; their `seconds` are filled.
        seconds: For how long requests become due.

    Raises:
        RuntimeError: An answer was not 2xx or 304, or more than 200 connections are waiting for theirs.
    """
    # The default one waits for whole milliseconds, and each request would be sent up to one too late.
    selector = selectors.SelectSelector()
    idle: deque[socket.socket] = deque()
    begin = time.perf_counter()
    moments = [(begin, number) for number in range(len(streams))]
    while True:
        now = time.perf_counter()
        while moments and moments[0][0] <= now:
            due, number = heapq.heappop(moments)
            stream = streams[number]
            request = next(stream.requests, None) if due < begin + seconds else None
            if request is None:
                continue
            connection = idle.popleft() if idle else _connect(address, len(selector.get_map()))
            sent = time.perf_counter()
            connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ, _Connection(stream, due, sent))
            if stream.every is not None:
                heapq.heappush(moments, (due + stream.every, number))
        if not moments and not selector.get_map():
            break
        wait = max(0.0, moments[0][0] - time.perf_counter()) if moments else None
        for ready, _ in selector.select(wait):
            state: _Connection = ready.data
            connection = ready.fileobj  # type: ignore[assignment] # only sockets are registered
            state.received += connection.recv(1 << 20)
            if not is_complete(state.received):
                continue
            answered = time.perf_counter()
            state.stream.seconds.append(answered - state.due)
            state.stream.unsent.append(state.sent - state.due)
            selector.unregister(connection)
            idle.append(connection)
            if state.stream.every is None:
                heapq.heappush(moments, (answered, streams.index(state.stream)))
    for connection in idle:
        connection.close()


def quantile(seconds: Sequence[float], share: float) -> float:
    """The value below which that share of them lies."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _connect(address: tuple[str, int], busy: int) -> socket.socket:
    if busy >= _MOST_CONNECTIONS:
        raise RuntimeError(f"{busy} requests wait for their answer: this load is more than the service takes")
    connection = socket.create_connection(address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Room for a whole request: while the service does not read, nothing else must wait to be sent.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    return connection
