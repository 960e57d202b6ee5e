"""What a type checker sees of the SDK: each call right, and wrong ones refused."""

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]

RIGHT = """
from collections.abc import Mapping
from typing import Any, assert_type
from equipoise import Assignment, Client, Configuration, Counters, DeliveryReport, evaluate
from equipoise.sticky import Kept, MemoryStickyStore, StickyStore
from equipoise.testing import FakeClient

client = Client("http://localhost", "key", when_full="block", spool="somewhere", sticky=MemoryStickyStore())
assert_type(client.boolean("f", "u", False), Assignment[bool])
assert_type(client.boolean("f", "u", False).value, bool)
assert_type(client.string("f", "u", "x", {"country": "SI"}).value, str)
assert_type(client.integer("f", "u", 1).value, int)
assert_type(client.number("f", "u", 1.5).value, float)
assert_type(client.object("f", "u", {}).value, dict[str, Any])
assert_type(client.variant("f", "u").value, Any)
assert_type(client.assign("f", "u", default=None, attributes={"age": 3}), Assignment[Any])
assert_type(client.assign("f", "u").revision, int | None)
assert_type(client.flush(1), DeliveryReport)
assert_type(client.counters, Counters)
assert_type(client.wait_ready(1), bool)
assert_type(Client.from_config({}), Client)
assert_type(FakeClient().events[0].properties, Mapping[str, Any])


async def main() -> None:
    async with Client("http://localhost", "key") as opened:
        assert_type(opened, Client)
        assert_type(await opened.aflush(), DeliveryReport)


class Mine:
    def get(self, experiment: str, unit: str) -> Kept | None:
        return None

    def put(self, experiment: str, unit: str, kept: Kept) -> None:
        pass


mine: StickyStore = Mine()


def use(value: float) -> None:
    use(client.number("f", "u", 1.0).value)
    use(client.integer("f", "u", 1).value)


wide: Assignment[float] = client.integer("f", "u", 1)
"""

WRONG = """
from equipoise import Client
from equipoise.testing import FakeClient

client = Client("http://localhost", "key")
client.boolean("f", "u", "yes")
client.string("f", "u", 1)
client.boolean("f", "u")
client.variant("f", 7)
client.boolean("f", "u", True).value.upper()
client.assign("f", "u").revision + 1
client.track("n", "u", "12")
Client("http://localhost", "key", when_full="explode")
Client("http://localhost", "key", sticky=object())
FakeClient().override("f", 7)
"""


def check(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the lines in which a strict check finds errors."""
    file = tmp_path / "snippet.py"
    file.write_text(source)
    monkeypatch.setenv("MYPYPATH", str(ROOT / "sdk"))
    configuration = tmp_path / "mypy.ini"
    configuration.write_text("[mypy]\nstrict = True\n")
    output, problems, _ = api.run(
        [
            f"--config-file={configuration}",
            f"--cache-dir={tmp_path / 'cache'}",
            "--no-error-summary",
            str(file),
        ]
    )
    assert problems == ""
    found = re.findall(r"^.*snippet\.py:(\d+): error", output, re.MULTILINE)
    assert len(found) == len([line for line in output.splitlines() if ": error" in line]), output
    return sorted({int(line) for line in found})


@pytest.mark.slow
def test_right_calls_are_seen_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(tmp_path, RIGHT, monkeypatch) == []


@pytest.mark.slow
def test_wrong_calls_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = WRONG.splitlines()
    first = next(number for number, line in enumerate(lines, start=1) if "boolean" in line)
    assert check(tmp_path, WRONG, monkeypatch) == list(range(first, len(lines) + 1))
