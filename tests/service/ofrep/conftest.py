"""The released OpenFeature clients, and a service that they ask."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import experiment
from tests.service.running import RunningService, running_service

SCRIPTS = Path(__file__).with_name("node")
INSTALLED = Path(__file__).parents[3] / ".venv-node"

VALUES: dict[str, tuple[Any, Any]] = {
    "boolean": (False, True),
    "string": ("old", "new"),
    "integer": (1, 2),
    "number": (1.0, 2.0),
    "object": ({"colour": "red"}, {"colour": "blue", "sizes": [1, 2.5]}),
}
"""Both values of a flag of each type, which has the type's name."""


@pytest.fixture(scope="module")
def typed_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that runs, with an experiment on a flag of each type."""
    with running_service(tmp_path_factory.mktemp("service")) as running:
        for key, (control, treatment) in VALUES.items():
            variants = [
                {"key": "control", "value": control, "control": True, "weight": 5000},
                {"key": "treatment", "value": treatment, "weight": 5000},
            ]
            running.start_experiment(experiment(key, variants=variants))
        yield running


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The directory above `node_modules` with the released JavaScript clients; installed the first time."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        reason = "the JavaScript clients need node and npm (on Debian and Ubuntu: apt-get install nodejs npm)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    manifest = (SCRIPTS / "package.json").read_bytes()
    INSTALLED.mkdir(exist_ok=True)
    ready = INSTALLED / ".ready"
    digest = hashlib.sha256(manifest).hexdigest()
    # Several processes of one run come here at once.
    with (INSTALLED / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists() or ready.read_text() != digest:
            (INSTALLED / "package.json").write_bytes(manifest)
            options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            done = subprocess.run(
                [npm, "install", *options],
                cwd=INSTALLED,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            ready.write_text(digest)
    return INSTALLED
