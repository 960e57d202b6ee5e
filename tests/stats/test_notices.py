"""Every warning comes from one list, with what its message names as data."""

import ast
import json
from pathlib import Path
from string import Formatter

import pytest

import equipoise_stats
from equipoise_stats import (
    NOTICE_MESSAGES,
    Counts,
    Estimate,
    Moments,
    proportion_difference,
    ratio_difference,
)

FILES = sorted(Path(equipoise_stats.__path__[0]).rglob("*.py"))


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Where the package calls a function."""
    return [
        (file.name, node)
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name
    ]


def fields(message: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(message) if name is not None}


def test_every_warning_is_made_from_the_list_with_what_its_message_names() -> None:
    made = {}
    for file, call in calls("notice"):
        code = call.args[0]
        assert isinstance(code, ast.Constant), file
        made[str(code.value)] = {str(word.arg) for word in call.keywords}
        assert made[str(code.value)] == fields(NOTICE_MESSAGES[str(code.value)]), file
    assert made.keys() == NOTICE_MESSAGES.keys()
    assert [file for file, _ in calls("Notice")] == ["notices.py"]


@pytest.mark.parametrize(
    ("estimate", "code", "details"),
    [
        (
            proportion_difference(treatment=Counts(500, 4), control=Counts(500, 60)),
            "few_events",
            {"events": 4, "needed": 5},
        ),
        (
            ratio_difference(
                # The relative standard errors of the denominators are 2/5/sqrt(4) and 3/5/sqrt(4).
                treatment=Moments(4, ("y", "d"), (1.0, 5.0), ((3.0, 1.0), (1.0, 12.0))),
                control=Moments(4, ("y", "d"), (1.0, 5.0), ((3.0, 1.0), (1.0, 27.0))),
                numerator="y",
                denominator="d",
            ),
            "noisy_denominator",
            {"denominator": "d", "noise": pytest.approx(0.3), "limit": 0.1},
        ),
    ],
)
def test_a_warning_has_its_figures_as_data(
    estimate: Estimate, code: str, details: dict[str, float | str]
) -> None:
    (warning,) = (each for each in estimate.warnings if each.code == code)
    assert dict(warning.details) == details
    assert hash(warning) == hash(warning.__class__(warning.code, warning.message, warning.details))
    written = json.loads(json.dumps(warning.to_dict(), allow_nan=False))
    assert written == {"code": code, "message": warning.message, "details": details}
