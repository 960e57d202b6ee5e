"""Words of another release or language are not recomputed; everything else is, and the command says so."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.service.readouts.documents import rich_readout
from typer.testing import CliRunner

from equipoise_service.canonical import digest
from equipoise_service.cli import app
from equipoise_service.readouts.sealing import sealed
from equipoise_service.readouts.verification import verify_readout


def signed(readout: dict[str, Any]) -> dict[str, Any]:
    """The readout with the digest that it has now."""
    return sealed(readout)


def in_other_words() -> dict[str, Any]:
    """A readout that a service with other texts wrote."""
    readout = deepcopy(rich_readout())
    readout["wording"] = digest({"other": "words"})
    readout["summary"] = "Ausliefern: a."
    readout["recommendation"]["text"] = "Ausliefern: a."
    readout["recommendation"]["would_change"] = []
    readout["health"]["sample_ratio"]["meaning"] = "Kamen so viele, wie geplant war?"
    return signed(readout)


def from_before() -> dict[str, Any]:
    """A readout from before there was the digest of the words, and some members."""
    readout = deepcopy(rich_readout())
    readout["summary"] = readout["summary"].replace("14.4 %", "14 %")
    del readout["wording"]
    for metric in readout["metrics"]:
        del metric["notes"]
    for each in readout["recommendation"]["treatments"]:
        del each["stands"]
    return signed(readout)


@pytest.mark.parametrize("make", [in_other_words, from_before])
def test_words_of_others_are_not_compared_and_everything_else_is(make: Any) -> None:
    assert verify_readout(make()) == []
    for place, value in (
        (("recommendation", "outcome"), "do_not_ship"),
        (("health", "sample_ratio", "p_value"), 0.5),
        (("health", "sample_ratio", "status"), "warning"),
        (("metrics", 0, "comparisons", 0, "difference", "p_value"), 0.5),
        (("progress", "units"), 7),
    ):
        edited = make()
        node = edited
        for step in place[:-1]:
            node = node[step]
        node[place[-1]] = value
        assert f"/{'/'.join(map(str, place))}" in [each.pointer for each in verify_readout(signed(edited))]


def test_words_of_today_are_compared() -> None:
    readout = deepcopy(rich_readout())
    readout["summary"] += " Ship b, too."
    assert [each.pointer for each in verify_readout(signed(readout))] == ["/summary"]


@pytest.mark.parametrize(
    ("make", "told"), [(in_other_words, True), (from_before, True), (rich_readout, False)]
)
def test_the_command_says_what_it_did_not_compare(make: Any, told: bool, tmp_path: Path) -> None:
    file = tmp_path / "readout.json"
    file.write_text(json.dumps(make()))
    found = CliRunner().invoke(app, ["verify", str(file)])
    assert found.exit_code == 0
    assert ("which were not compared" in found.output) is told
    as_json = CliRunner().invoke(app, ["verify", str(file), "--json"])
    assert json.loads(as_json.output)["words_compared"] is not told
