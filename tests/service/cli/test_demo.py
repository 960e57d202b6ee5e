"""`equipoise demo`: it runs, its audit finds what does not add up, and it leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.service.cli.conftest import wait
from tests.service.running import command

from equipoise_service.cli.demo.audit import delivery_problems, readout_problems
from equipoise_service.cli.demo.simulation import CONTROL, TREATMENT, Observed, Report
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.verification import verify_readout


def processes_below(pid: int) -> list[int]:
    """Every process that descends from one, by the system's own account."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(path.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def await_started(running: "subprocess.Popen[str]") -> list[int]:
    """Wait until the simulation is under way; the processes that were started for it."""
    started: list[int] = []
    deadline = time.monotonic() + 60
    while len(started) < 4 and time.monotonic() < deadline:  # the service, two simulators, their helper
        started = processes_below(running.pid)
        time.sleep(0.05)
    assert len(started) >= 4
    time.sleep(2)
    return started


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demonstration printed, and the directory that it kept."""
    directory = tmp_path_factory.mktemp("demo")
    temporary = directory / "temporary"
    temporary.mkdir()
    ended = wait(
        command("demo", "--users", "2000", "--keep", "kept", directory=directory, TMPDIR=str(temporary))
    )
    assert ended.status == 0, ended.output + ended.errors
    assert list(temporary.iterdir()) == []
    return ended.output, directory / "kept"


@pytest.mark.slow
def test_the_demonstration_prints_a_readout_beside_the_truth(kept: tuple[str, Path]) -> None:
    output = kept[0]
    assert re.search(r"✓ Users +2,000 in 2 processes", output)
    assert re.search(r"✓ Verified", output)
    # What is shown may be concluded from: a newcomer sees an answer, not what to wait for.
    assert " is due" not in output
    assert "not be valid" not in output
    assert json.loads((kept[1] / "readout.json").read_text())["progress"]["valid"]
    assert re.search(r"conversion +\+2\.00 pp +[+−]\d\.\d\d pp +[+−].* to [+−].* pp +(yes|no)", output)
    assert re.search(r"revenue +\+1\.00 ", output)
    assert "/openapi.json" in output
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) <= 120


@pytest.mark.slow
def test_what_it_keeps_is_a_readout_that_verifies(kept: tuple[str, Path]) -> None:
    document = json.loads((kept[1] / "readout.json").read_text())
    assert verify_readout(document) == []
    assert sum(arm["units"] for arm in document["arms"]) == 2_000
    assert {path.name for path in kept[1].iterdir()} >= {"metadata.db", "events.duckdb", "service.log"}


@pytest.mark.slow
def test_a_readout_that_is_off_by_one_does_not_add_up(kept: tuple[str, Path]) -> None:
    document = json.loads((kept[1] / "readout.json").read_text())
    observed = observed_in(document)
    assert readout_problems(observed, Readout.model_validate(document)) == []
    for variant in (CONTROL, TREATMENT):
        for name in ("users", "buyers", "amount"):
            setattr(observed[variant], name, getattr(observed[variant], name) + 1)
            (problem,) = readout_problems(observed, Readout.model_validate(document))
            assert variant in problem
            setattr(observed[variant], name, getattr(observed[variant], name) - 1)
    without = {**document, "metrics": document["metrics"][:1]}
    assert len(readout_problems(observed, Readout.model_validate(without))) == 2
    crossed = json.loads(json.dumps(document))
    crossed["health"]["crossovers"]["units"] = 1
    assert readout_problems(observed, Readout.model_validate(crossed)) == [
        "readout: crossovers is 1, and should be 0"
    ]


def observed_in(document: dict[str, Any]) -> dict[str, Observed]:
    """What the users must have done, by the readout."""
    conversion, revenue = (metric["comparisons"][0]["statistics"] for metric in document["metrics"])
    return {
        variant: Observed(
            conversion[side]["n"], conversion[side]["successes"], revenue[side]["mean"] * revenue[side]["n"]
        )
        for variant, side in ((CONTROL, "baseline"), (TREATMENT, "variant"))
    }


@pytest.mark.parametrize(
    "name", ["logged", "accepted", "duplicate", "refused", "pending", "dropped: invalid"]
)
def test_an_item_that_went_astray_does_not_add_up(name: str) -> None:
    counters = {"logged": 12, "accepted": 12, "duplicate": 0, "refused": 0, "pending": 0}
    report = Report({CONTROL: Observed(5, 2, 40.0), TREATMENT: Observed(4, 1, 20.0)}, counters)
    assert delivery_problems([report]) == []
    counters[name] = counters.get(name, 0) + 1
    assert len(delivery_problems([report])) == 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminate"]
)
@pytest.mark.slow
def test_being_stopped_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, status: int) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    running = command("demo", "--users", "5000000", directory=tmp_path, TMPDIR=str(temporary))
    started = await_started(running)
    # As a terminal does, for Ctrl-C: to every process of the group.
    os.killpg(running.pid, number) if number is signal.SIGINT else running.send_signal(number)
    ended = wait(running)
    assert ended.status == status, ended.errors
    deadline = time.monotonic() + 10  # the helper of multiprocessing ends a moment after its parent
    while any(map(alive, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in started if alive(pid)] == []
    assert list(temporary.iterdir()) == []
    assert "Traceback" not in ended.errors


@pytest.mark.slow
def test_a_service_that_dies_ends_the_demonstration_with_its_log(tmp_path: Path) -> None:
    running = command("demo", "--users", "5000000", "--keep", "kept", directory=tmp_path)
    await_started(running)
    log = (tmp_path / "kept" / "service.log").read_text()
    found = re.search(r"Started server process \[(\d+)\]", log)
    assert found
    os.kill(int(found[1]), signal.SIGKILL)
    ended = wait(running)
    assert ended.status == 2
    assert "The service ended by itself" in ended.errors
    assert "The service's log ends with:" in ended.errors
    assert "startup complete" in ended.errors


def test_a_directory_in_use_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    ended = wait(command("demo", "--keep", ".", directory=tmp_path))
    assert ended.status == 2
    assert "is not empty" in ended.errors
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
