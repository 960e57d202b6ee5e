"""A running service that the tests of a module share, and `equipoise import` into it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.service.running import RunningService, command, running_service

SECONDS = 90


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that came to its end."""

    status: int
    output: str
    errors: str

    @property
    def summary(self) -> dict[str, Any]:
        """What `--json` printed."""
        found: dict[str, Any] = json.loads(self.output)
        return found


Import = Callable[..., "subprocess.Popen[str]"]


def wait(process: "subprocess.Popen[str]") -> Ended:
    """Wait for a command, at most so long."""
    try:
        output, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    return Ended(process.returncode, output, errors)


@pytest.fixture
def start_import(tmp_path: Path) -> Import:
    """Starts `equipoise import --json` into a service."""

    def start(service: RunningService, *arguments: str, key: str | None = None) -> "subprocess.Popen[str]":
        environ = {"EQUIPOISE_URL": service.url, "EQUIPOISE_KEY": key or service.key}
        return command("import", *arguments, "--json", directory=tmp_path, **environ)

    return start


@pytest.fixture
def run_import(start_import: Import) -> Callable[..., Ended]:
    """Runs `equipoise import --json` into a service to its end."""
    return lambda *arguments, **more: wait(start_import(*arguments, **more))


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service for the tests of a module, each of which uses an experiment or environment of its own."""
    with running_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[RunningService]:
    """A service of the test's own, whose commits are slow enough to do something in between."""
    directory = tmp_path / "service"
    directory.mkdir()
    with running_service(directory, EQUIPOISE_EVENT_COMMIT_MILLISECONDS="400") as service:
        yield service
