"""A service over a real socket that speaks the wire, and misbehaves on demand."""

import gzip
import hashlib
import json
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "eq_test_key"
FLAG = "new-landing-page"


def document(version: int = 1, **experiment: Any) -> dict[str, Any]:
    """Return a configuration with one running experiment of two arms, changed as given."""
    return {
        "schema": "equipoise.config/2",
        "project": "default",
        "environment": "production",
        "version": version,
        "flags": {
            FLAG: {
                "type": "string",
                "unit_type": "account",
                "variants": {"control": "old", "treatment": "new"},
                "default": "control",
                "rules": [{"experiment": FLAG}],
            }
        },
        "experiments": {
            FLAG: {
                "status": "running",
                "unit_type": "account",
                "flag": FLAG,
                "variants": ["control", "treatment"],
                "control": "control",
                "layer_salt": "0f3c5a7b9d1e2f40",
                "slots": [[0, 10000]],
                "revision": 1,
                "salt": "9ab1c3d4e5f60718",
                "ranges": [["control", 0, 5000], ["treatment", 5000, 10000]],
            }
            | experiment
        },
    }


@dataclass
class Reply:
    """What to answer instead of behaving."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """How long to wait before the answer."""
    store: bool = False
    """Take the items in nevertheless: the answer is what is lost."""
    hang_up: bool = False
    """Close the connection without an answer."""


@dataclass
class Request:
    """What arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    items: list[dict[str, Any]]
    document: dict[str, Any]


class FakeService:
    """Keeps every item by id; answers as the wire says, or as it is told to.

    Attributes:
        replies: by path, what to answer to the next requests.
        always: by path, what to answer to all requests, after `replies` is used up.
        items: what was stored, by id.
        arrivals: how often each id arrived, stored or not.
        max_items: more in one batch is 413.
        max_body: a longer one is 413 at once, without reading it.
        refuse: returns why an item is refused, or None.
        poison: returns whether an item makes its whole batch unreadable (422).
        streams: whether there is a stream of changes of the configuration.
        listening: how many listen to it.
    """

    def __init__(self, receive_buffer: int | None = None) -> None:
        self.lock = threading.Lock()
        self.replies: dict[str, deque[Reply]] = {}
        self.always: dict[str, Reply] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.arrivals: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.connections = 0
        self.open: set[socket.socket] = set()
        self.max_items = 1_000_000
        self.max_body = 1_000_000_000
        self.refuse: Callable[[dict[str, Any]], str | None] = lambda _: None
        self.poison: Callable[[dict[str, Any]], bool] = lambda _: False
        self.configuration = json.dumps(document()).encode()
        self.streams = False
        self.listening = 0
        self.changed = threading.Condition()
        self._port = 0
        self._receive_buffer = receive_buffer
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; again on the same port after `stop`."""
        service = self

        class Handler(_Handler):
            fake = service

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler, bind_and_activate=False)
        if self._receive_buffer is not None:
            self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        self._server.server_bind()
        self._server.server_activate()
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening and hang up every connection."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            with self.lock:
                for connection in self.open:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
            self._server = None

    def script(self, path: str, *replies: Reply) -> None:
        """Answer the next requests to a path as told."""
        self.replies[path] = deque(replies)

    def publish(self, configuration: Mapping[str, Any]) -> None:
        """Serve another configuration."""
        with self.changed:
            self.configuration = json.dumps(configuration).encode()
            self.changed.notify_all()

    def count(self, path: str) -> int:
        """Return how many requests a path got."""
        with self.lock:
            return sum(request.path == path for request in self.requests)

    def stored(self, kind: str) -> list[dict[str, Any]]:
        """Return the stored exposures or events, in the order they came."""
        with self.lock:
            return [item for item in self.items.values() if ("experiment" in item) == (kind == "exposures")]

    def take(self, request: Request) -> tuple[int, bytes]:
        """Store a batch and answer for it."""
        if len(request.items) > self.max_items:
            return 413, b'{"title": "too many"}'
        if any(self.poison(item) for item in request.items):
            return 422, b'{"title": "unreadable"}'
        results = []
        for item in request.items:
            reason = self.refuse(item)
            status = "refused" if reason else "duplicate" if item["id"] in self.items else "accepted"
            if status == "accepted":
                self.items[item["id"]] = item
            results.append({"id": item["id"], "status": status} | ({"reason": reason} if reason else {}))
        counts = Counter(result["status"] for result in results)
        exposures = len(request.document["exposures"])
        answer = {status: counts[status] for status in ("accepted", "duplicate", "refused")}
        return 200, json.dumps(
            answer | {"exposures": results[:exposures], "events": results[exposures:]}
        ).encode()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeService
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        with self.fake.lock:
            self.fake.connections += 1
            self.fake.open.add(self.connection)

    def finish(self) -> None:
        with self.fake.lock:
            self.fake.open.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the output of the tests quiet."""

    def do_GET(self) -> None:
        if self.path == "/v1/config/stream" and self.fake.streams:
            self._stream()
        else:
            self._handle("GET", b"")

    def _stream(self) -> None:
        """Tell of changes until the client hangs up, chunked, with a comment now and then."""
        fake = self.fake
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = b""
        with fake.changed:
            fake.listening += 1
        try:
            while fake.streams:
                with fake.changed:
                    changed = fake.configuration is not seen or fake.changed.wait(0.1)
                    seen = fake.configuration
                event = b'event: config\r\ndata: {"version": 0}\r\n\r\n' if changed else b": still here\n\n"
                self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        except OSError:
            pass
        finally:
            self.close_connection = True
            with fake.changed:
                fake.listening -= 1

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if length > self.fake.max_body:
            self.close_connection = True
            self._answer(413, b"too long", {"Connection": "close"})
            return
        self._handle("POST", self.rfile.read(length))

    def _handle(self, method: str, body: bytes) -> None:
        received: dict[str, Any] = json.loads(gzip.decompress(body)) if body else {}
        items = [*received.get("exposures", []), *received.get("events", [])]
        request = Request(method, self.path, dict(self.headers), items, received)
        with self.fake.lock:
            self.fake.requests.append(request)
            self.fake.arrivals.update(item["id"] for item in items)
            replies = self.fake.replies.get(self.path)
            reply = replies.popleft() if replies else self.fake.always.get(self.path)
            if reply is None or reply.store:
                behaved = self._behave(request)
        if reply is None:
            self._answer(*behaved)
            return
        time.sleep(reply.seconds)
        if reply.hang_up:
            self.close_connection = True
            return
        self._answer(reply.status, reply.body, reply.headers)

    def _behave(self, request: Request) -> tuple[int, bytes, Mapping[str, str]]:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return 401, b'{"title": "wrong key"}', {}
        if request.method == "POST":
            return *self.fake.take(request), {}
        if request.path.endswith("/stream"):
            return 404, b'{"title": "no such route"}', {}
        etag = f'"{hashlib.sha256(self.fake.configuration).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == etag:
            return 304, b"", {"ETag": etag}
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return 200, gzip.compress(self.fake.configuration), {"ETag": etag, "Content-Encoding": "gzip"}
        return 200, self.fake.configuration, {"ETag": etag}

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status != 304:
                self.wfile.write(body)
        except OSError:  # the client has stopped waiting, as some tests want it to
            self.close_connection = True
