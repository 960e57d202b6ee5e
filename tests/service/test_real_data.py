"""The main job on a real experiment: 294,478 exposure rows with their defects, over HTTP, through crashes."""

import json
import subprocess
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.service.running import RunningService, command, running_service

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "ab_data.csv.gz"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not DATA.exists(), reason=f"the real data set {DATA.name} is not beside the repository"
    ),
]

EXPERIMENT = {
    "key": "new-landing-page",
    "name": "New landing page",
    "variants": [{"key": "control", "control": True}, {"key": "treatment"}],
    "metrics": [{"key": "converted", "type": "proportion", "event": "converted"}],
    # The readout is of all data at once: one analysis, as the independent ones are.
    "plan": {"method": "fixed-horizon", "horizon": {"units": 144_300 + 144_389}},
}
ARGUMENTS = (
    *("--experiment", "new-landing-page", "--unit", "user_id", "--time", "timestamp", "--variant", "group"),
    *("--event", "converted: converted", "--json"),
)
ROWS, CONVERTED_ROWS = 294_478, 35_237


def start_import(service: RunningService, directory: Path) -> "subprocess.Popen[str]":
    return command(
        "import",
        str(DATA),
        *ARGUMENTS,
        directory=directory,
        EQUIPOISE_URL=service.url,
        EQUIPOISE_KEY=service.key,
    )


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    summary: dict[str, Any] = json.loads(out)
    return summary


def readout(service: RunningService) -> dict[str, Any]:
    taken = service.request("POST", "/v1/experiments/new-landing-page/looks?wait=60")
    assert taken.status_code == 201 or "All of alpha is spent" in taken.text, taken.text
    answer = service.request("GET", "/v1/experiments/new-landing-page/readout?wait=60")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def check(shown: dict[str, Any]) -> None:
    """The figures that independent analyses of this data give."""
    arms = {arm["variant"]: arm["units"] for arm in shown["arms"]}
    assert arms == {"control": 144_300, "treatment": 144_389}
    crossovers = shown["health"]["crossovers"]
    assert (crossovers["status"], crossovers["units"]) == ("warning", 1895)
    assert crossovers["share"] == pytest.approx(1895 / 290_584)
    assert shown["health"]["sample_ratio"]["p_value"] == pytest.approx(0.868, abs=5e-4)
    (metric,) = shown["metrics"]
    (comparison,) = metric["comparisons"]
    difference = comparison["difference"]
    assert difference["estimate"] == pytest.approx(-0.001460, abs=5e-7)
    assert difference["interval"] == pytest.approx([-0.00383, 0.00091], abs=5e-6)
    assert difference["p_value"] == pytest.approx(0.2280, abs=6e-5)
    assert comparison["lift"]["estimate"] == pytest.approx(-0.01206, abs=5e-6)
    assert comparison["lift"]["interval"] == pytest.approx([-0.0315, 0.0077], abs=2e-4)
    successes = {arm: counts["successes"] for arm, counts in comparison["statistics"].items()}
    assert successes == {"baseline": 17_468, "variant": 17_268}


def lasting(shown: dict[str, Any]) -> dict[str, Any]:
    """A readout without what depends on when it was made."""
    of_now = ("generated_at", "watermark", "traffic_steps", "digests", "digest")
    return {name: value for name, value in shown.items() if name not in of_now}


def test_the_real_experiment_twice_over_http(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        service.start_experiment(EXPERIMENT)
        first = finish(start_import(service, tmp_path))
        assert first["accepted"] == {"exposures": ROWS, "events": CONVERTED_ROWS}
        shown = readout(service)
        check(shown)
        again = finish(start_import(service, tmp_path))
        assert again["duplicate"] == {"exposures": ROWS, "events": CONVERTED_ROWS}
        repeated = readout(service)
        assert lasting(repeated) == lasting(shown)
        assert repeated["watermark"] == shown["watermark"]
        file = tmp_path / "readout.json"
        file.write_text(json.dumps(shown))
        verified = command("verify", str(file), directory=tmp_path)
        assert verified.communicate(timeout=60)[1] == ""
        assert verified.returncode == 0
        assert service.facts("SELECT count(*), count(DISTINCT id) FROM exposures") == [(ROWS, ROWS)]


def acknowledged_rows(checkpoint: Path) -> int:
    return int(json.loads(checkpoint.read_bytes())["tally"]["rows"])


def wait_for_a_checkpoint(process: "subprocess.Popen[str]", directory: Path) -> None:
    """Wait until the import has rows acknowledged and goes on."""
    deadline = time.monotonic() + 60
    while not any(acknowledged_rows(file) for file in directory.rglob("state/**/*.json")):
        assert process.poll() is None, "the import was over before it could be interrupted"
        assert time.monotonic() < deadline, "the import did not begin"
        time.sleep(0.01)


@pytest.mark.parametrize("who", ["the service", "the import", "both"])
def test_kill_9_in_the_middle_and_resume(tmp_path: Path, who: str) -> None:
    """Whoever dies, at whatever moment: what was acknowledged is there, nothing is there twice."""
    moment = Random(who)
    with running_service(tmp_path) as service:
        service.start_experiment(EXPERIMENT)
        process = start_import(service, tmp_path)
        wait_for_a_checkpoint(process, tmp_path)
        time.sleep(moment.uniform(0, 0.3))
        assert process.poll() is None, "the import was over before it could be interrupted"
        if who != "the import":
            service.process.kill()
        if who != "the service":
            process.kill()
            process.communicate()
        partly = service.facts("SELECT count(*), count(DISTINCT id) FROM exposures")[0]
        assert 0 < partly[0] < ROWS, "the interruption came too early or too late to test anything"
        assert partly[0] == partly[1]
        service.process.start()
        if who != "the service":
            process = start_import(service, tmp_path)
        finish(process)
        check(readout(service))
        assert service.facts("SELECT count(*), count(DISTINCT id) FROM exposures") == [(ROWS, ROWS)]
        assert service.facts("SELECT count(*), count(DISTINCT id) FROM events") == [(CONVERTED_ROWS,) * 2]
