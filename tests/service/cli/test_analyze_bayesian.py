"""`equipoise analyze --experiment` with a Bayesian plan: when a file is its end, and what is said before."""

from pathlib import Path
from typing import Any

import pytest
from tests.service.cli.test_analyze import BOUGHT, EVENTS, OF_FILE, Bench, experiment, run

PRIOR = {"standard_deviation": 0.2}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def believed(**horizon: int) -> dict[str, Any]:
    plan = {"method": "bayesian", "prior": PRIOR} | ({"horizon": horizon} if horizon else {})
    return experiment(BOUGHT, plan=plan)


def test_a_file_without_a_horizon_is_concluded_from_whether_or_not_it_has_times(bench: Bench) -> None:
    (path := bench.directory / "bayesian.json").write_text(bench.document(believed()).read_text())
    timeless = [each for each in OF_FILE if each not in ("--time", "at")]
    for columns in (OF_FILE, timeless):
        said = run(bench.file, "--experiment", path, *columns, *EVENTS)
        assert said.exit_code == 0, said.output
        assert "Keep running" not in said.output
        assert "with a probability of" in " ".join(said.output.split())
    readout, ended = bench.readout(believed()), bench.readout(believed(), "--ended")
    assert readout["progress"]["complete"]
    assert readout["metrics"] == ended["metrics"]
    assert readout["recommendation"] == ended["recommendation"]


def test_before_a_horizon_a_file_waits_for_its_end_and_never_for_a_look(bench: Bench) -> None:
    for horizon, until in (({"days": 60}, "until 2026-03-02"), ({"units": 500}, "until 500 units")):
        readout = bench.readout(believed(**horizon))
        assert not readout["progress"]["complete"]
        assert readout["metrics"][0]["comparisons"][0]["posterior"] is None
        assert readout["summary"].startswith("Keep running")
        assert until in readout["summary"]
        assert readout["recommendation"]["would_change"] == ["The result of bought at the end."]
        assert bench.readout(believed(**horizon), "--ended")["progress"]["complete"]
