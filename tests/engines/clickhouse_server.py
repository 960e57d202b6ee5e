"""ClickHouse's engine behind a small HTTP front, in a process of its own: what tests take for a server.

The engine is the real one (chDB is ClickHouse as a library); its parts lie in a directory and are found again
when another process opens it. The front is ours, and speaks what clickhouse-connect's HTTP client asks for:
queries in the body, the address or a form, parameters, settings, tables that are brought along, inserts with
their rows behind them, compressed or not, and errors with their code. It knows no users, no sessions, no
progress and no streams: an answer is made whole before it is sent. Inserts are not gathered as a server's
`async_insert` would have it: each is stored by itself before it is answered.

    python -m tests.engines.clickhouse_server PORT DIRECTORY

serves until its input ends.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.postgres import _free_port

ROOT = Path(__file__).parents[2]
_START_SECONDS = 60
_STOP_SECONDS = 30
# What a server's front takes for itself; everything else in an address is a setting.
_RESERVED = frozenset(
    {
        *(
            "query",
            "database",
            "query_id",
            "session_id",
            "wait_end_of_query",
            "client_protocol_version",
            "default_format",
        ),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression"),
    }
)
_LONGEST_ADDRESS = 1 << 20  # as a server has it by default, `http_max_uri_size`
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s+[^\n]+?)\s+FORMAT\s+(\w+)[ \t]*\n", re.IGNORECASE)
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)[\s;]*$", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)\.")
_BACKUPS = """<clickhouse>
<backups><allowed_disk>backups</allowed_disk></backups>
<storage_configuration><disks><backups><type>local</type><path>{path}/</path></backups></disks>
</storage_configuration>
</clickhouse>
"""


@dataclass
class ClickhouseServer:
    """A server, started, killed and started again in the same place.

    Attributes:
        directory: Its tables are in `tables` there, and what `BACKUP … TO Disk('backups', …)` writes is in
            `backups`.
        port: Where it listens, on loopback.
    """

    directory: Path
    port: int = field(default_factory=_free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    def database_url(self, name: str) -> str:
        """URL of a database, as `EQUIPOISE_EVENT_STORE_URL` has it."""
        return f"clickhouse://default@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(self.port), str(self.directory)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl-C is for the tests
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server does not start:\n{log.read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once; harmless when it does not run."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
            self._process = None

    def execute(self, statement: str) -> str:
        """What it answers to a statement."""
        # Not through a client, which would hold what the front says and what it ought to say alike.
        address = f"http://127.0.0.1:{self.port}/"
        try:
            with urllib.request.urlopen(address, statement.encode(), timeout=120) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def _answers(self) -> bool:
        try:
            return self.execute("SELECT 1") == "1\n"
        except OSError:
            return False


@contextmanager
def running_clickhouse(directory: Path) -> Iterator[ClickhouseServer]:
    """A server with a database `equipoise`, killed at the end."""
    server = ClickhouseServer(directory)
    try:
        server.start()
        server.execute("CREATE DATABASE IF NOT EXISTS equipoise")
        yield server
    finally:
        server.kill()


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked.

    Attributes:
        statement: Without the rows of an insert.
        rows: Those, and their format.
        parameters: Of the query, by name.
        settings: By name.
        database: Where names without one belong.
        tables: Brought along: for each name the columns, the format and the rows.
    """

    statement: bytes
    rows: tuple[str, bytes] | None
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    database: str
    tables: Mapping[str, tuple[str, str, bytes]]


def _read_request(address: str, headers: Message, body: bytes) -> _Request:
    given = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
    body = _decompressed(body, headers.get("Content-Encoding", ""))
    files: dict[str, bytes] = {}
    if headers.get_content_type() == "multipart/form-data":
        fields, files = _form(headers, body)
        given |= fields
        body = b""
    whole = b"\n".join(filter(None, (given.get("query", "").encode(), body)))
    insert = _INSERT.match(whole)
    tables = {
        name: (given[f"{name}_structure"], given.get(f"{name}_format", "TabSeparated"), rows)
        for name, rows in files.items()
    }
    described = {f"{name}_{what}" for name in files for what in ("structure", "format", "types")}
    return _Request(
        insert[1] if insert else whole,
        (insert[2].decode(), whole[insert.end() :]) if insert else None,
        {name.removeprefix("param_"): each for name, each in given.items() if name.startswith("param_")},
        {
            name: each
            for name, each in given.items()
            if name not in _RESERVED | described and not name.startswith("param_")
        },
        given.get("database", "default"),
        tables,
    )


def _decompressed(body: bytes, encoding: str) -> bytes:
    if not encoding:
        return body
    if encoding == "lz4":
        import lz4.frame  # type: ignore[import-not-found]

        return bytes(lz4.frame.decompress(body))
    if encoding == "zstd":
        from backports import zstd  # type: ignore[import-not-found]

        return bytes(zstd.decompress(body))
    raise ValueError(f"the front knows no Content-Encoding {encoding}")


def _form(headers: Message, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """The fields of a form, and its files."""
    form = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
    fields, files = {}, {}
    for part in form.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            continue
        if part.get_filename() is None:
            fields[name] = content.decode()
        else:
            files[name] = content
    return fields, files


def _quoted(value: str) -> str:
    return "'{}'".format(value.replace("\\", "\\\\").replace("'", "\\'"))


def _answer(connection: Any, request: _Request) -> tuple[bytes, dict[str, Any]]:
    """What the engine gives, and its counts."""
    connection.query(f"USE `{request.database}`")
    for name, (columns, kind, rows) in request.tables.items():
        connection.query(f"CREATE TEMPORARY TABLE `{name}` ({columns})")
        _insert(connection, f"INSERT INTO `{name}`", kind, rows)
    if request.settings:
        settings = (f"{name} = {_quoted(value)}" for name, value in request.settings.items())
        connection.query(f"SET {', '.join(settings)}")
    if request.rows is not None:
        written = _insert(connection, request.statement.decode(), *request.rows)
        return b"", {"written_rows": str(written)}
    found = connection.query(request.statement.decode(), "TabSeparated", params=dict(request.parameters))
    return found.bytes() or b"", {"read_rows": str(found.rows_read())}


def _insert(connection: Any, statement: str, kind: str, rows: bytes) -> int:
    # From a file, as clickhouse-connect does with this engine: its own way to take rows in pieces,
    # `send_insert`, says that all is well when there is no room for them.
    with tempfile.NamedTemporaryFile(suffix=".rows") as file:
        file.write(rows)
        file.flush()
        written = connection.query(f"{statement} FROM INFILE {_quoted(file.name)} FORMAT {kind}")
        return int(written.rows_read())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine = ""

    def handle_one_request(self) -> None:
        """Read a request, whatever its method, and answer it."""
        # A query stands in the address where tables are brought along; the base class reads 64 KiB of it.
        self.raw_requestline = self.rfile.readline(_LONGEST_ADDRESS + 1)
        if not self.raw_requestline:
            self.close_connection = True
        elif len(self.raw_requestline) > _LONGEST_ADDRESS:
            self.send_error(414)
            self.close_connection = True
        elif self.parse_request():
            self._answer(self._body())

    def _answer(self, body: bytes) -> None:
        """Have the engine answer, on a connection of its own: settings end with the request."""
        import chdb

        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n", {})
            return
        try:
            request = _read_request(self.path, self.headers, body)
            with closing(chdb.connect(self.engine)) as connection:
                answer, summary = _answer(connection, request)
        except Exception as error:
            code = _CODE.search(str(error))
            self._send(500, f"{error}\n".encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "0"})
            return
        kind = _FORMAT.search(request.statement)
        self._send(
            200,
            answer,
            {
                "X-ClickHouse-Summary": json.dumps(summary),
                "X-ClickHouse-Timezone": request.settings.get("session_timezone", "UTC"),
                **({"X-ClickHouse-Format": kind[1].decode() if kind else "TabSeparated"} if answer else {}),
            },
        )

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: what goes wrong is in the answers."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until the input ends."""
    import chdb

    port, directory = int(sys.argv[1]), Path(sys.argv[2])
    for name in ("tables", "backups"):
        (directory / name).mkdir(exist_ok=True)
    config = directory / "config.xml"
    config.write_text(_BACKUPS.format(path=directory / "backups"))
    _Handler.engine = f"{directory / 'tables'}?config-file={config}"
    _opened = chdb.connect(_Handler.engine)  # the engine would go with its last connection
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()
    # At once: a query may run that nobody waits for any more.
    os._exit(0)


if __name__ == "__main__":
    main()
