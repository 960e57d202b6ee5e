"""Readouts on another machine: what judges them finds a machine that is wrong, to the last digit."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rehearsal.__main__ import main
from rehearsal.elsewhere import Done, Verify, here, verify_elsewhere
from tests.service.readouts.documents import looked_readout, measured_readout, seal

from rehearsal import emulated, last_bits, machine

READOUTS = [looked_readout(), measured_readout()]


def _answers(agrees: bool) -> Verify:
    def verify(directory: Path, names: Sequence[str]) -> Done:
        found = [{"agrees": agrees, "disagreements": [] if agrees else [{"pointer": "/x"}]} for _ in names]
        return subprocess.CompletedProcess([], 0, json.dumps({"readouts": found}).encode(), b"")

    return verify


def test_readouts_verify_elsewhere_and_so_many_edits_are_told(tmp_path: Path) -> None:
    checked = verify_elsewhere(READOUTS * 3, tmp_path, seed=1, edited=4)
    assert checked.faults == []
    assert checked.agreed == checked.readouts == 6
    assert checked.edited.total() == checked.told.total() == 4


def test_a_machine_that_agrees_with_everything_is_found_out(tmp_path: Path) -> None:
    checked = verify_elsewhere(READOUTS, tmp_path, seed=1, verify=_answers(True))
    assert checked.agreed == 2
    assert checked.told.total() == 0
    assert len(checked.faults) == 2


def test_a_machine_that_agrees_with_nothing_is_found_out(tmp_path: Path) -> None:
    checked = verify_elsewhere(READOUTS, tmp_path, seed=1, verify=_answers(False))
    assert checked.agreed == 0
    assert [fault for fault in checked.faults if "does not verify" in fault]


def test_the_last_digits_are_counted_by_a_process_that_has_the_service_alone(tmp_path: Path) -> None:
    readout = measured_readout()
    (tmp_path / "same.json").write_text(json.dumps(readout))
    interval = readout["metrics"][0]["comparisons"][0]["difference"]["interval"]
    interval[1] *= 1 + 1e-12
    seal(readout)
    (tmp_path / "other.json").write_text(json.dumps(readout))
    program = Path(last_bits.__file__).read_text(encoding="utf-8")
    said = {
        name: json.loads(
            subprocess.run(
                [sys.executable, "-c", program, name], cwd=tmp_path, check=True, capture_output=True
            ).stdout
        )
        for name in ("same.json", "other.json")
    }
    assert said["same.json"]["differ"] == 0
    assert said["same.json"]["numbers"] == said["other.json"]["numbers"] > 100
    assert said["other.json"]["differ"] == 1
    assert said["other.json"]["largest"] == pytest.approx(1e-12, rel=1e-3)
    assert said["other.json"]["place"] == "other.json/metrics/0/comparisons/0/difference/interval/1"
    # All the same it verifies.
    assert here(tmp_path, ["other.json"]).returncode == 0


def test_what_a_machine_needs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    why = machine.missing()
    assert why is not None
    assert "apt-get install mmdebstrap qemu-user-static" in why
    with pytest.raises(RuntimeError, match="qemu-user-static"):
        machine.build(tmp_path / "machine")
    assert not (tmp_path / "machine").exists()


def test_without_readouts_nothing_is_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert emulated.main([str(tmp_path)]) == emulated.main([]) == 2
    assert "make rehearse" in capsys.readouterr().err


def test_readouts_are_not_kept_over_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["11", "--keep", str(tmp_path)])
    assert "is there already" in capsys.readouterr().err
