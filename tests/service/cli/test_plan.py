"""`equipoise plan power`, as it is typed, against a real service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.cli.conftest import Ended, wait
from tests.service.running import RunningService, command, running_service

ASKED: dict[str, Any] = {
    "metrics": [{"key": "bookings", "type": "proportion", "event": "booked", "window_hours": 24}],
    "plan": {"horizon": {"days": 28}, "targets": {"bookings": {"mde": 0.05}}},
    "baselines": {"bookings": {"value": 0.1}},
    "traffic_of": {"daily_units": 10_000},
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("plan")) as service:
        yield service


def power(service: RunningService, directory: Path, *arguments: str) -> Ended:
    environ = {"EQUIPOISE_URL": service.url, "EQUIPOISE_KEY": service.key}
    return wait(command("plan", "power", *arguments, directory=directory, **environ))


def test_it_says_what_a_plan_needs(running: RunningService, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(ASKED))
    answered = power(running, tmp_path, str(file), "--json")
    assert answered.status == 0, answered.errors
    found = answered.summary
    told = power(running, tmp_path, str(file))
    assert f"It needs {found['units']:,} units, {found['days']} days; bookings needs the most." in told.output
    last = found["horizons"][-1]
    lift = last["metrics"][0]["lift"]
    assert f"{last['days']} days, {last['units']:,} units" in told.output
    assert f"({100 * lift:+.3g} %)" in told.output


def test_what_is_missing_is_another_exit_status(running: RunningService, tmp_path: Path) -> None:
    file = tmp_path / "open.json"
    file.write_text(json.dumps({**ASKED, "plan": {}}))
    told = power(running, tmp_path, str(file))
    assert (told.status, "give its mde" in told.output) == (1, True)
    unknown = power(running, tmp_path, "no-such-experiment")
    assert (unknown.status, "There is no experiment no-such-experiment" in unknown.errors) == (2, True)
    file.write_text("[]")
    broken = power(running, tmp_path, str(file))
    assert (broken.status, "is no JSON object" in broken.errors) == (2, True)
