"""The reference of evaluation and of the configuration document says what the code does."""

import json
import re
from pathlib import Path
from typing import Any

from equipoise import Reason, _conditions, _documents, _operators, _patterns, _references, evaluate
from equipoise._definitions import FLAG_TYPES, STATUSES, Experiment, Flag
from equipoise._reading import MAX_DEPTH
from equipoise.configuration import SCHEMA, load
from equipoise.explanation import OUTCOMES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
EVALUATION = (REFERENCE / "evaluation.md").read_text()
CONFIGURATION = (REFERENCE / "configuration.md").read_text()


def first_column(text: str, heading: str) -> set[str]:
    """Return what the first table under a heading has in its first column, without the header."""
    table = re.search(r"((?:^\|.*\n)+)", text.split(f"{heading}\n", 1)[1], re.MULTILINE)
    assert table
    cells = [line.split("|")[1] for line in table[1].splitlines()[2:]]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_example_is_a_document_that_is_read() -> None:
    example = re.search(r"```json\n(.*?)```", CONFIGURATION, re.DOTALL)
    assert example
    configuration = load(example[1].encode())
    assert json.loads(example[1])["schema"] == SCHEMA
    assert f"`{SCHEMA}`" in CONFIGURATION
    assert evaluate(configuration, "new-search", "user-17").value is True


def test_every_word_is_documented_and_no_other() -> None:
    assert first_column(EVALUATION, "## Conditions") == set(_operators.OPERATORS)
    assert first_column(EVALUATION, "## Reasons") == set(Reason)
    assert first_column(EVALUATION, "## Why: explain") == set(OUTCOMES)
    assert first_column(CONFIGURATION, "## A flag, `flags.KEY`") == set(Flag._fields) - {"key"}
    assert first_column(CONFIGURATION, "has exactly one of") == set(_documents.SERVES)
    assert first_column(CONFIGURATION, "## An experiment, `experiments.KEY`") == set(Experiment._fields) - {
        "key"
    }
    for word in (*FLAG_TYPES, *STATUSES):
        assert f"`{word}`" in CONFIGURATION
    for word in _operators.TYPES:
        assert f"`{word}`" in EVALUATION


def test_the_limits_are_the_code_s() -> None:
    limits = dict(re.findall(r"^\| ([^|]+) \| ([\d,]+)", CONFIGURATION.split("## Limits")[1], re.MULTILINE))
    expected: dict[str, Any] = {
        "levels of a condition": _conditions.MAX_DEPTH,
        "segments in a chain that refer to each other": _conditions.MAX_DEPTH,
        "single conditions of an audience, its segments written out": _conditions.MAX_SIZE,
        "values of `in` and `not_in`": _operators.MAX_VALUES,
        "characters of a text or name in a condition": _operators.MAX_TEXT,
        "characters of a pattern": _patterns.MAX_LENGTH,
        "prerequisites in a chain": _references.MAX_DEPTH,
        "evaluations of prerequisites that one evaluation causes": _references.MAX_EVALUATIONS,
    }
    assert limits == {name: f"{limit:,}" for name, limit in expected.items()}
    assert f"at most {MAX_DEPTH} levels" in CONFIGURATION
