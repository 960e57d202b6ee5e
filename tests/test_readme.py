"""The README's commands, run as a newcomer would: in an environment and a directory of their own."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
TOUR = README.split("## A tour of five minutes")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```sh\n(.*?)```", TOUR, re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_make_command_that_is_named_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_make_help_lists_every_command() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", shown)) == targets


@pytest.mark.slow
def test_the_tour_works_from_installing_to_the_readout(tmp_path: Path) -> None:
    install, *commands = BLOCKS
    assert install.startswith("pip install ./sdk ./stats .")
    checkout = tmp_path / "checkout"
    shutil.copytree(
        ROOT,
        checkout,
        ignore=shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache", "equipoise-data"),
    )
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    port = free_port()
    script = "".join(
        ["set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n", install, *commands]
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EQUIPOISE_")}
    environment |= {
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}",
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "EQUIPOISE_PORT": str(port),
    }
    done = subprocess.run(
        ["bash", "-c", script.replace(":8400", f":{port}")],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"reason":"SPLIT"' in done.stdout
    assert re.search(r"([\d,]+) exposures and events accepted, \1 logged", done.stdout)
    assert "buyers" in done.stdout
    assert not re.search(r"eq_[0-9a-f]{16}_", done.stdout), "a key was shown where it should not be"
