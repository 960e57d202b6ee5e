"""The lives of one service: it is started, killed and started again in the same place."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.service.crash.checks import EVENT, EXPERIMENT

from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key
from equipoise_service.resources import open_database
from equipoise_service.settings import load_settings

ROOT = Path(__file__).parents[3]
_START_SECONDS = 90
_ANSWER_SECONDS = 120


class Parent:
    """The process that forks services, see `parent.py`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **command: Any) -> int:
        """Tell it a command; its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def running_parent() -> Iterator[Parent]:
    """Start it, and end it with all that it started."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EQUIPOISE_")}
    path = os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.service.crash.parent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**environ, "PYTHONPATH": path},
    ) as process:
        yield Parent(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


@dataclass
class Service:
    """A service and where it lives; `start` and `kill` take turns.

    Attributes:
        parent: What forks it.
        directory: Where its data and its log are.
        settings: Further settings, by the names of their environment variables.
        chdb: Directory of ClickHouse's engine, where that is its event store.
    """

    parent: Parent
    directory: Path
    settings: dict[str, str] = field(default_factory=dict)
    chdb: str | None = None
    port: int = field(default_factory=lambda: _free_port())
    pid: int | None = None
    key: str = ""

    def start(self) -> None:
        """Start it and wait until it is ready; the first time, start an experiment too."""
        data = {"EQUIPOISE_DATA_DIR": str(self.directory / "data"), "EQUIPOISE_ANALYSIS_MEMORY_MB": "512"}
        environ = data | self.settings
        first = not self.key
        if first:
            with open_database(load_settings(environ)) as database, database.write() as session:
                made = make_key(
                    session, name="t", project="default", environment="production", scopes=list(Scope)
                )
            assert made.key
            self.key = made.key
        log = self.directory / "service.log"
        start = {"environ": environ, "port": self.port, "log": str(log), "chdb": self.chdb}
        self.pid = self.parent.ask(start=start)
        self.await_ready()
        if first:
            self._start_experiment()

    def await_ready(self) -> None:
        """Wait until it says that it is ready."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once; that it ended by itself before is a failure."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGKILL)
        status = self.parent.ask(reap=self.pid)
        self.pid = None
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, self.log()

    def stop(self) -> None:
        """End it in order."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)
            status = self.parent.ask(reap=self.pid)
            self.pid = None
            assert os.waitstatus_to_exitcode(status) == 0, self.log()

    def log(self) -> str:
        return (self.directory / "service.log").read_text()[-4000:]

    def connected(self) -> "closing[http.client.HTTPConnection]":
        """A connection for one thread."""
        return closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS))

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """What it answers to a request that must succeed."""
        with self.connected() as connection:
            status, answer = exchange(connection, self.key, method, path, body)
        assert status in (200, 201), f"{status} {answer!r}\n{self.log()}"
        return json.loads(answer)

    def command(self, *arguments: str) -> "Command":
        """Start a command of the command line for it."""
        here = {"EQUIPOISE_URL": f"http://127.0.0.1:{self.port}", "EQUIPOISE_KEY": self.key}
        environ = self.settings | here
        log = self.directory / f"command-{time.monotonic_ns()}.log"
        log.touch()
        run = {"arguments": arguments, "environ": environ, "log": str(log)}
        return Command(self.parent, log, self.parent.ask(run=run))

    def _is_ready(self) -> bool:
        try:
            with self.connected() as connection:
                return exchange(connection, self.key, "GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _start_experiment(self) -> None:
        definition = {
            "key": EXPERIMENT,
            "name": "Crash",
            "variants": [
                {"key": "control", "value": "old", "control": True},
                {"key": "treatment", "value": "new"},
            ],
            "metrics": [{"key": "converted", "type": "proportion", "event": EVENT}],
        }
        self.ask("POST", "/v1/experiments", json.dumps(definition).encode())
        self.ask("POST", f"/v1/experiments/{EXPERIMENT}/start")


@dataclass
class Command:
    """A command that was started.

    Attributes:
        parent: What forked it.
        log: What it says.
        pid: Its process.
    """

    parent: Parent
    log: Path
    pid: int

    def kill(self) -> None:
        """End it at once, if it has not ended by itself."""
        os.kill(self.pid, signal.SIGKILL)

    def ended(self) -> tuple[int, str]:
        """Wait until it has ended; its exit status, or minus the signal that ended it, and what it said."""
        status = os.waitstatus_to_exitcode(self.parent.ask(reap=self.pid))
        said = self.log.read_text()
        self.log.unlink()
        return status, said


def exchange(
    connection: http.client.HTTPConnection, key: str, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    """Status and body of an answer."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
