"""The reference of the SDK names everything that it exports, and nothing else."""

import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

import equipoise
from equipoise import Client, Counters, DeliveryReport, Reason
from equipoise._ledger import DropReason
from equipoise.assignment import Assignment
from equipoise.sticky import __all__ as sticky_names
from equipoise.testing import __all__ as testing_names

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "sdk.md").read_text()


def section(title: str) -> str:
    """Return what stands under a heading."""
    _, _, rest = PAGE.partition(f"## {title}\n")
    assert rest, title
    return rest.split("\n## ")[0]


def rows(text: str, table: int = 0) -> list[str]:
    """Return the first cells of a table, in its order."""
    tables = re.findall(r"^\|[ -|]+\n\|[-|]+\n((?:\|.*\n?)+)", text, re.MULTILINE)
    return [line.split("|")[1].strip() for line in tables[table].splitlines()]


def names(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`(\w+)[^`]*`", cell)]


def test_every_export_is_documented_and_no_other() -> None:
    assert sorted(names(rows(section("What `equipoise` exports")))) == sorted(equipoise.__all__)


def test_every_setting_is_documented_with_its_default_and_no_other() -> None:
    parameters = list(inspect.signature(Client).parameters.values())
    documented = section("Client")
    assert names(rows(documented, 0)) == [parameter.name for parameter in parameters]
    shown = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", documented, re.MULTILINE))
    words = {"None": "none", "True": "true"}
    for parameter in parameters:
        default = parameter.default
        expected = "needed" if default is parameter.empty else words.get(str(default), str(default))
        assert shown[parameter.name].strip("`") == expected, parameter.name


def test_every_method_is_documented_and_no_other() -> None:
    public = [name for name in dir(Client) if not name.startswith("_")]
    documented = [name for name in names(rows(section("Client"), 1)) if name in public]
    assert sorted(documented) == sorted(public)
    for signature in re.findall(r"`(\w+)\(([^`]*)\)`", "\n".join(rows(section("Client"), 1))):
        name, arguments = signature
        expected = list(inspect.signature(getattr(Client, name)).parameters)
        given = [each.strip().rstrip("=") for each in arguments.split(",")]
        assert [each for each in expected if each not in ("self", "sticky")] == given, name


@pytest.mark.parametrize(
    ("title", "expected"),
    [("Sticky assignment", sticky_names), ("In tests", testing_names)],
)
def test_the_other_modules_are_documented(title: str, expected: list[str]) -> None:
    assert sorted(names(rows(section(title)))) == sorted(expected)


def test_every_reason_and_counter_is_named() -> None:
    assert names(rows(section("Counters"))) == list(get_args(DropReason))
    for name in [*Reason, *Assignment.__match_args__, *Counters._fields, *DeliveryReport._fields, "sent"]:
        assert f"`{name}`" in PAGE, name


def test_every_module_that_is_public_is_named() -> None:
    for name in ("equipoise.testing", "equipoise.sticky", "equipoise.openfeature"):
        assert f"`{name}`" in rows(section("What `equipoise` exports"), 1)
