"""The tutorial's commands, run in order in a directory of their own, as a reader would after installing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.test_readme import BLOCKS as TOUR_BLOCKS
from tests.test_readme import ROOT, free_port

PAGE = (ROOT / "docs" / "tutorial" / "first-experiment.md").read_text()


def test_a_first_experiment_comes_from_its_question_to_its_decision(tmp_path: Path) -> None:
    install, *commands = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert install == TOUR_BLOCKS[0], "as the README installs, which its own test does"
    port = free_port()
    begin = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    script = begin + "\necho; echo ----\n".join(commands)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EQUIPOISE_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "EQUIPOISE_PORT": str(port),
    }
    done = subprocess.run(
        ["bash", "-c", script.replace(":8400", f":{port}")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.split("\n----\n")
    _, _, planned, _, draft, _, first, _, second, last, verified, audited, _, after, _ = shown
    units = re.search(r"^([\d,]+) visitors find", planned, re.MULTILINE)
    assert units is not None
    assert 3_000 < int(units[1].replace(",", "")) <= 4_000, "what the page plans for"
    assert '"value":"old_page","reason":"DISABLED"' in draft
    for served in (first, second):
        assert re.search(r"^([\d,]+) exposures and events accepted, \1 logged$", served, re.MULTILINE)
    readout = json.loads((tmp_path / "first-experiment" / "look-2.json").read_text())
    assert readout["progress"]["complete"]
    assert [look["number"] for look in readout["looks"]] == [1, 2]
    assert sum(arm["units"] for arm in readout["arms"]) == 4_000
    # By the check's level the arms of one experiment in a thousand look wrong; all else is far from chance.
    outcome = "investigate" if readout["health"]["sample_ratio"]["status"] == "failed" else "ship"
    assert readout["recommendation"]["outcome"] == outcome
    assert f"\n{outcome} " in last
    assert re.search(r"\nload_time: -\d+%, from -\d+% to -\d+%\n", last)
    assert "look-2.json" in verified
    assert "4,000" in audited
    values = [each["value"] for each in json.loads(after)["assignments"]]
    # Against the recommendation a second person would have to agree.
    assert (values == ["short_page"] * 3) == (outcome == "ship")
