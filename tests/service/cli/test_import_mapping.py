"""What is typed wrong is said before anything is sent."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.importing.mapping import EventMapping, build_mapping, parse_event
from equipoise_service.cli.importing.source import open_source, read_rows


def options(**changes: Any) -> Any:
    return {
        "unit": "unit",
        "unit_type": "user",
        "experiment": "e",
        "variant": "arm",
        "revision": None,
        "time": "time",
        "at": None,
        "timezone": "UTC",
        "events": (),
        **changes,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("converted: converted", EventMapping("converted", "converted", has_value=False)),
        ("cart:add:added", EventMapping("cart:add", "added", has_value=False)),
        (" purchase :  value( amount in € ) ", EventMapping("purchase", "amount in €", has_value=True)),
        ("x: value", EventMapping("x", "value", has_value=False)),
    ],
)
def test_events_are_read(text: str, expected: EventMapping) -> None:
    assert parse_event(text) == expected


@pytest.mark.parametrize("text", ["", "converted", ": converted", "converted:", " : "])
def test_events_that_are_not_understood(text: str) -> None:
    with pytest.raises(Failure, match=r"NAME: value\(COLUMN\)"):
        parse_event(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": None}, "belong together"),
        ({"experiment": None}, "belong together"),
        ({"experiment": None, "variant": None}, "Nothing would be imported"),
        ({"time": None}, "--at 2026-01-31T12:00:00Z"),
        ({"at": "2026-01-31"}, "not both"),
        ({"time": None, "at": "yesterday"}, "this is no time"),
        ({"timezone": "Mars/Olympus"}, "no such time zone"),
        ({"timezone": "../etc/passwd"}, "no such time zone"),
        (
            {"experiment": None, "variant": None, "revision": 2, "events": (parse_event("a: a"),)},
            "--revision",
        ),
        ({"events": (parse_event("a: a"), parse_event("a: b"))}, "a name of its own"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Failure, match=re.escape(message)):
        build_mapping(**options(**changes))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"unit,arms,time\n1,a,2\n", "no column 'arm'. Did you mean 'arms'?"),
        ("t.csv", b"unit;arms;time\n1;a;2\n", "Its columns are unit, arms, time"),
        ("t.csv", b"x;y\n1;a\n", "Its columns are x, y"),
        ("t.csv", b"unit,arm,time,unit\n1,a,2,3\n", "2 columns 'unit'"),
        ("t.csv", b"", "is empty"),
        ("t.csv", "unit,arm,time,é\n".encode("latin1"), "not in UTF-8"),
        ("t.csv.gz", b"unit,arm,time\n", "cannot be read"),
        ("t.csv.gz", gzip.compress(b"unit,arm,time\n" * 99, mtime=0)[:30], "cannot be read"),
        ("t.parquet", b"unit,arm,time\n", "cannot be read"),
        ("t.xlsx", b"", "Known are .csv"),
        ("missing.csv", None, "No such file"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Failure, match=re.escape(message)):
        open_source(path, build_mapping(**options()))


@pytest.mark.parametrize("bad", ["1,a\n", "1,a,2,3\n", '"1,a,2\n'])
def test_a_broken_line_is_named_and_what_came_before_is_read(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("unit,arm,time\n" + "u,a,2026-01-01\n" * 5_000 + bad + "u,a,2026-01-01\n" * 3)
    mapping = build_mapping(**options())
    seen = 0
    with pytest.raises(Failure, match="Line: 5002"):  # noqa: PT012 - what is read before counts
        for rows in read_rows(open_source(path, mapping), mapping, skip=0, chunk=100):
            seen += len(rows)
    assert seen <= 5_000


def test_a_path_is_no_pattern_and_no_sql(tmp_path: Path) -> None:
    for name in ("t1.csv", "t[1].csv", "it's.csv", "t*.csv"):
        (tmp_path / name).write_text(f"unit,arm,time\n{name},a,2026-01-01\n")
    mapping = build_mapping(**options())
    for name in ("t[1].csv", "it's.csv", "t*.csv"):
        (rows,) = read_rows(open_source(tmp_path / name, mapping), mapping, skip=0, chunk=10)
        assert list(rows.units) == [name]
