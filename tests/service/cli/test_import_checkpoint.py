"""How far an import has come is remembered for the same file, mapping, service and key, and for no other."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise_service.cli.importing.checkpoint import Checkpoint
from equipoise_service.cli.importing.items import Refusal
from equipoise_service.cli.importing.mapping import Mapping, build_mapping, parse_event
from equipoise_service.cli.importing.source import Source, open_source
from equipoise_service.cli.importing.tally import Tally

URL = "http://127.0.0.1:8400"


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def mapping() -> Mapping:
    return build_mapping(
        unit="unit",
        unit_type="user",
        experiment=None,
        variant=None,
        revision=None,
        time=None,
        at="2026-01-01",
        timezone="UTC",
        events=(parse_event("a: unit"),),
    )


@pytest.fixture
def source(tmp_path: Path, mapping: Mapping) -> Source:
    (tmp_path / "t.csv").write_text("unit\n1\n2\n")
    return open_source(tmp_path / "t.csv", mapping)


@pytest.fixture
def tally() -> Tally:
    made = Tally()
    made.add(2, Counter(events=1), Counter(), [Refusal(2, "row", "the unit is empty")])
    return made


def test_it_is_remembered_until_it_is_removed(source: Source, mapping: Mapping, tally: Tally) -> None:
    Checkpoint(source, mapping, URL, "a-key").save(tally, now=True)
    again = Checkpoint(source, mapping, URL, "a-key")
    assert again.load() == tally
    assert list(again.path.parent.iterdir()) == [again.path]
    again.remove()
    assert again.load() is None
    again.remove()
    assert again.problem is None


def test_another_mapping_service_key_or_file_has_its_own(
    source: Source, mapping: Mapping, tally: Tally, tmp_path: Path
) -> None:
    Checkpoint(source, mapping, URL, "a-key").save(tally, now=True)
    (tmp_path / "other.csv").write_bytes(source.path.read_bytes())
    other = open_source(tmp_path / "other.csv", mapping)
    for checkpoint in (
        Checkpoint(source, replace(mapping, timezone="Asia/Tokyo"), URL, "a-key"),
        Checkpoint(source, mapping, "http://127.0.0.1:8401", "a-key"),
        Checkpoint(source, mapping, URL, "another-key"),
        Checkpoint(other, mapping, URL, "a-key"),
    ):
        assert checkpoint.load() is None


def test_a_changed_file_begins_anew(source: Source, mapping: Mapping, tally: Tally) -> None:
    Checkpoint(source, mapping, URL, "a-key").save(tally, now=True)
    os.utime(source.path, ns=(0, source.modified_ns + 1))
    assert Checkpoint(open_source(source.path, mapping), mapping, URL, "a-key").load() is None


def test_a_broken_one_is_replaced(source: Source, mapping: Mapping, tally: Tally) -> None:
    checkpoint = Checkpoint(source, mapping, URL, "a-key")
    checkpoint.save(tally, now=True)
    checkpoint.path.write_text('{"file": "t.csv", "size')
    assert checkpoint.load() is None
    checkpoint.save(tally, now=True)
    assert checkpoint.load() == tally


def test_where_it_cannot_be_written_it_says_why(source: Source, mapping: Mapping, tally: Tally) -> None:
    checkpoint = Checkpoint(source, mapping, URL, "a-key")
    checkpoint.path.parent.parent.parent.write_text("a file where a directory should be")
    checkpoint.save(tally, now=True)
    assert checkpoint.problem
    assert str(checkpoint.path.parent) in checkpoint.problem


def test_it_is_written_now_and_then(source: Source, mapping: Mapping, tally: Tally) -> None:
    checkpoint = Checkpoint(source, mapping, URL, "a-key")
    checkpoint.save(tally)
    assert checkpoint.load() is None


def test_a_tally_keeps_few_rows_and_few_reasons() -> None:
    tally = Tally()
    for row in range(1, 1_001):
        tally.add(row, Counter(), Counter(), [Refusal(row, "exposure", f"reason {row % 200}")])
    assert tally.refusals == 1_000
    assert len(tally.refused) <= 51
    assert max(len(each.rows) for each in tally.refused) == 5
    assert tally.refused[-1].reason == "other reasons"
