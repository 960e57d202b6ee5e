"""The notebook runs, computes the readout again, and fails where a number was edited."""

import json
import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from tests.service.figures.readouts import funnelled, hostile, watched
from tests.service.readouts.documents import (
    bayesian_readout,
    measured_readout,
    rich_readout,
    segmented_readout,
    viewless_readout,
)
from tests.service.readouts.repeated import numbers, repeated_readout

from equipoise_service.exports.notebook import notebook_of

DOCUMENTS = {
    "watched": watched(2)[-1],
    "rich": rich_readout(),
    "measured": measured_readout(),
    "segmented": segmented_readout(),
    "nothing to divide by": viewless_readout(),
    "bayesian": bayesian_readout(),
    "funnel": funnelled(),
    "repeated": repeated_readout(then=numbers(0.3, 0.2, 0.4)),
    "repeated without intervals": repeated_readout(),
    "hostile": hostile(),
}


def cells(document: dict[str, Any]) -> dict[str, str]:
    """The sources of the code cells, by name."""
    notebook = json.loads(notebook_of(document))
    nbformat.validate(notebook)
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"}


def run(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """What the cells leave behind; without names all of them."""
    left: dict[str, Any] = {}
    for name, source in cells(document).items():
        if not names or name in names:
            exec(compile(source, name, "exec"), left)
    return left


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_it_runs_and_everything_is_recomputed(document: dict[str, Any]) -> None:
    left = run(document)
    assert left["readout"] == document
    assert left["disagreements"] == []
    comparisons = [each for metric in document["metrics"] for each in metric["comparisons"]]
    assert len(left["frame"]) >= len(comparisons)
    # What is adjusted or Bayesian takes more than a subtraction; everything else was checked by one.
    plain = [each for each in comparisons if each["difference"]["estimate"] is not None]
    if document["plan"]["method"] != "bayesian":
        adjusted = [each for each in plain if each["without_covariates"] is not None]
        assert left["checked"] >= len(plain) - len(adjusted) > 0


def test_it_runs_by_itself_in_a_new_interpreter(tmp_path: Path) -> None:
    program = tmp_path / "notebook.py"
    program.write_text("\n\n".join(cells(DOCUMENTS["segmented"]).values()))
    done = subprocess.run(
        [sys.executable, "-I", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("effect", ["difference", "lift"])
def test_an_edited_estimate_fails_by_plain_arithmetic(effect: str) -> None:
    document = deepcopy(DOCUMENTS["segmented"])
    document["segments"][0]["parts"][1]["metrics"][0]["comparisons"][0][effect]["estimate"] += 1e-6
    with pytest.raises(AssertionError, match=f"{effect} of converted, country None"):
        run(document, "readout", "estimates")


def test_an_edited_ratio_or_p_value_fails() -> None:
    document = deepcopy(DOCUMENTS["segmented"])
    document["health"]["sample_ratio"]["p_value"] = 0.9
    with pytest.raises(AssertionError, match="p-value of the sample ratio"):
        run(document, "readout", "estimates", "shares")
    with pytest.raises(AssertionError, match="health/sample_ratio/p_value"):
        run(document, "readout", "verified")


@pytest.mark.parametrize("part", ["then", "now", "change"])
def test_an_edited_effect_of_then_or_now_fails_by_plain_arithmetic(part: str) -> None:
    document = deepcopy(DOCUMENTS["repeated"])
    document["repeat"]["effects"][0][part]["interval"][1] += 1e-6
    with pytest.raises(AssertionError, match=r"change of converted, (lower|upper) end"):
        run(document, "readout", "estimates", "repeat")
    document["repeat"]["effects"][0][part]["estimate"] += 1e-6
    with pytest.raises(AssertionError, match=r"converted now|change of converted"):
        run(document, "readout", "estimates", "repeat")


@pytest.mark.parametrize(("document", "more"), [("watched", ()), ("repeated", ("repeat",))])
def test_the_arithmetic_needs_nothing_but_python(document: str, more: Sequence[str], tmp_path: Path) -> None:
    found = cells(DOCUMENTS[document])
    program = tmp_path / "arithmetic.py"
    program.write_text("\n\n".join(found[name] for name in ("readout", "estimates", "shares", *more)))
    # -S leaves out every installed package.
    done = subprocess.run([sys.executable, "-I", "-S", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_its_metadata_name_the_readout() -> None:
    document = DOCUMENTS["watched"]
    assert json.loads(notebook_of(document))["metadata"]["readout"] == document["digest"]
