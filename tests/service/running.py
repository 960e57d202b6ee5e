"""A real service process on a free loopback port, with a data directory of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx2

from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key
from equipoise_service.cli.demo.child import ServiceProcess
from equipoise_service.resources import open_database
from equipoise_service.settings import load_settings


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that runs: `process` stops, kills and starts it again on the same port."""

    process: ServiceProcess
    key: str
    """May do everything."""

    @property
    def url(self) -> str:
        return self.process.url

    def request(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Ask the service over its socket."""
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return httpx2.request(method, self.url + path, headers=headers, timeout=60, trust_env=False, **more)

    def start_experiment(self, definition: dict[str, Any]) -> None:
        """Register and start an experiment."""
        assert self.request("POST", "/v1/experiments", json=definition).status_code == 201
        assert self.request("POST", f"/v1/experiments/{definition['key']}/start").status_code == 200

    def make_key(self, *scopes: Scope, environment: str = "production") -> str:
        """Make a key over HTTP."""
        payload = {"name": "test", "environment": environment, "scopes": list(scopes)}
        return str(self.request("POST", "/v1/keys", json=payload).json()["key"])

    def facts(self, sql: str) -> list[tuple[Any, ...]]:
        """Stop the service and ask its event store."""
        self.process.stop()
        path = self.process.data_dir / "events.duckdb"
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@contextmanager
def running_service(directory: Path, **settings: str) -> Iterator[RunningService]:
    """Start a service in a directory and stop it at the end.

    Args:
        directory: Where its data and its log are.
        settings: Further settings, by the names of their environment variables.
    """
    data = directory / "data"
    metadata = open_database(load_settings({"EQUIPOISE_DATA_DIR": str(data)}))
    with metadata as database, database.write() as session:
        made = make_key(session, name="test", project="default", environment="production", scopes=list(Scope))
    assert made.key
    with ServiceProcess(data, directory / "service.log", settings=settings) as process:
        yield RunningService(process, made.key)


def command(*arguments: str, directory: Path, **environ: str) -> "subprocess.Popen[str]":
    """Start `equipoise` with arguments, its state in a directory of the test's own.

    Args:
        arguments: As they are typed.
        directory: The current directory, and the home of its state.
        environ: Further environment variables.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EQUIPOISE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "equipoise_service.cli", *arguments],
        cwd=directory,
        env={**inherited, "XDG_STATE_HOME": str(directory / "state"), "COLUMNS": "120", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that runs these tests in the background makes them, and all below them, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
