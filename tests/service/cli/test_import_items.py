"""What rows become: ids that are stable, ordered and unique, texts and times as the file has them."""

import csv
import hashlib
import json
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from equipoise_service.cli.importing.items import Batch, Event, Exposure, batch_of
from equipoise_service.cli.importing.mapping import Mapping, build_mapping, parse_event
from equipoise_service.cli.importing.source import open_source, read_prefix, read_rows

COLUMNS = ("unit", "arm", "time", "bought", "amount")
# Neither NUL nor half of a surrogate pair is text that a file in UTF-8 should hold.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
times = st.datetimes(datetime(2001, 1, 1), datetime(2037, 1, 1))
rows = st.tuples(
    texts,
    st.sampled_from(["control", "treatment"]),
    times.map(lambda moment: moment.isoformat(sep=" ")),
    st.sampled_from(["0", "1", "", "true", "FALSE"]),
    st.one_of(st.just(""), st.floats(-1e12, 1e12).map(repr)),
)
tables = st.lists(rows, min_size=1, max_size=30)


def mapping(**changes: Any) -> Mapping:
    return build_mapping(
        **{
            "unit": "unit",
            "unit_type": "user",
            "experiment": "new-landing-page",
            "variant": "arm",
            "revision": None,
            "time": "time",
            "at": None,
            "timezone": "UTC",
            "events": (parse_event("bought: bought"), parse_event("spent: value(amount)")),
            **changes,
        }
    )


def write_csv(path: Path, table: Sequence[tuple[str, ...]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(table)
    return path


def read(path: Path, mapped: Mapping, *, skip: int = 0, chunk: int = 7) -> Batch:
    """All that a file makes, as one batch."""
    source = open_source(path, mapped)
    prefix = read_prefix(source, mapped)
    whole = Batch(last_row=skip)
    for each in read_rows(source, mapped, skip=skip, chunk=chunk):
        made = batch_of(each, mapped, prefix)
        whole = Batch(
            made.last_row,
            whole.exposures + made.exposures,
            whole.events + made.events,
            whole.refusals + made.refusals,
        )
    return whole


def read_table(table: Sequence[tuple[str, ...]], mapped: Mapping | None = None, **more: int) -> Batch:
    with tempfile.TemporaryDirectory() as directory:
        return read(write_csv(Path(directory) / "table.csv", table), mapped or mapping(), **more)


def items(batch: Batch) -> list[tuple[int, Exposure | Event]]:
    return [*batch.exposures, *batch.events]


@settings(deadline=None, max_examples=60)
@given(tables)
def test_every_row_arrives_as_it_is_written(table: Sequence[tuple[str, ...]]) -> None:
    batch = read_table(table)
    assert not batch.refusals
    assert batch.last_row == len(table)
    expected = [(unit, arm) for unit, arm, *_ in table]
    assert [(each.unit, each.variant) for _, each in batch.exposures] == expected
    bought = [unit for unit, _, _, happened, _ in table if happened in ("1", "true")]
    assert [each.unit for _, each in batch.events if each.name == "bought"] == bought
    spent = [(unit, float(amount)) for unit, *_, amount in table if amount]
    assert [(each.unit, each.value) for _, each in batch.events if each.name == "spent"] == spent


@settings(deadline=None, max_examples=60)
@given(tables, st.data())
def test_ids_are_version_8_unique_ordered_by_row_and_kept_when_rows_are_appended(
    table: Sequence[tuple[str, ...]], data: st.DataObject
) -> None:
    batch = read_table(table)
    ids = [each.id for _, each in items(batch)]
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(each).version for each in ids} <= {8}
    assert {uuid.UUID(each).variant for each in ids} <= {uuid.RFC_4122}
    ordered = [row for row, each in sorted(items(batch), key=lambda pair: pair[1].id)]
    assert ordered == sorted(ordered)
    shorter = data.draw(st.integers(1, len(table)))
    kept = {each.id for _, each in items(read_table(table[:shorter]))}
    assert kept == {each.id for row, each in items(batch) if row <= shorter}


@settings(deadline=None, max_examples=40)
@given(tables, st.data())
def test_going_on_after_a_row_gives_the_rest(table: Sequence[tuple[str, ...]], data: st.DataObject) -> None:
    skip = data.draw(st.integers(0, len(table)))
    chunk = data.draw(st.integers(1, 40))
    rest = read_table(table, skip=skip, chunk=chunk)
    assert items(rest) == [pair for pair in items(read_table(table)) if pair[0] > skip]


@settings(deadline=None, max_examples=40)
@given(tables, st.data())
def test_another_content_has_another_id(table: Sequence[tuple[str, ...]], data: st.DataObject) -> None:
    row = data.draw(st.integers(1, len(table) - 1)) if len(table) > 1 else 0
    column = data.draw(st.integers(0, 4))
    changed = list(table[row])
    changed[column] = data.draw(rows)[column]
    other = [*table[:row], tuple(changed), *table[row + 1 :]]
    one, two = items(read_table(table)), items(read_table(other))
    contents = [
        {(each.id, json.dumps(_content(each), sort_keys=True)) for _, each in side} for side in (one, two)
    ]
    together = contents[0] | contents[1]
    assert len({identifier for identifier, _ in together}) == len(together)


def _content(item: Exposure | Event) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__struct_fields__}


def test_an_id_is_what_the_documentation_says() -> None:
    batch = read_table(
        [("u0", "control", "2026-01-01", "0", ""), ("007", "treatment", "2026-01-02", "1", "")]
    )
    row, exposure = batch.exposures[1]
    time = "2026-01-02T00:00:00.000000Z"
    assert (row, exposure.unit, exposure.time) == (2, "007", time)
    content = [2, "Exposure", ["", time, "user", "007", "new-landing-page", "treatment", None]]
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).digest()
    first = json.dumps(["u0", "2026-01-01T00:00:00.000000Z"], separators=(",", ":")).encode()
    bits = int.from_bytes(hashlib.sha256(first).digest()[:2]) << 112 | 2 << 80 | 8 << 76 | 2 << 62
    stream = int.from_bytes(digest)
    bits |= (stream >> 244) << 64  # the first 12 bits
    bits |= stream >> 180 & (1 << 62) - 1  # two bits are skipped, then 62
    assert exposure.id == str(uuid.UUID(int=bits))


def test_events_are_the_same_beside_another_experiment() -> None:
    table = [("u1", "control", "2026-01-01", "1", "9.5")]
    one, two = read_table(table), read_table(table, mapping(experiment="other"))
    alone = read_table(table, mapping(experiment=None, variant=None))
    assert one.events == two.events == alone.events
    assert one.exposures[0][1].id != two.exposures[0][1].id


@settings(deadline=None, max_examples=25)
@given(tables)
def test_parquet_and_csv_make_the_same(table: Sequence[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        columns = list(zip(*table, strict=True))
        arrow = pa.table(
            {
                "unit": pa.array(columns[0]),
                "arm": pa.array(columns[1]).dictionary_encode(),
                "time": pa.array([datetime.fromisoformat(text) for text in columns[2]], pa.timestamp("us")),
                "bought": pa.array(
                    [{"1": True, "true": True, "": None}.get(cell, False) for cell in columns[3]]
                ),
                # NaN is how data frames write that nothing is there.
                "amount": pa.array([float(cell) if cell else float("nan") for cell in columns[4]]),
            }
        )
        pq.write_table(arrow, Path(directory) / "table.parquet")
        made = read(Path(directory) / "table.parquet", mapping())
        assert made == read(write_csv(Path(directory) / "table.csv", table), mapping())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "unit", ["007", "1e5", "7", " 7 ", "1.0", "true", "NULL", "2026-01-01", 'a"b', "a,b;c\td|e"]
)
def test_units_are_texts(tmp_path: Path, unit: str, delimiter: str) -> None:
    path = write_csv(tmp_path / "t.csv", [(unit, "control", "2026-01-01", "0", "")], delimiter)
    assert [each.unit for _, each in read(path, mapping()).exposures] == [unit]


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.string(), pa.large_string()])
def test_units_of_any_type_in_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    table = {"unit": pa.array([7]).cast(kind), "arm": ["control"], "time": [datetime(2026, 1, 1, tzinfo=UTC)]}
    pq.write_table(pa.table(table), tmp_path / "t.pq")
    assert read(tmp_path / "t.pq", mapping(events=())).exposures[0][1].unit == "7"


@settings(deadline=None, max_examples=60)
@given(times, st.integers(-14 * 60, 14 * 60))
def test_times_with_an_offset_keep_it(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    made = read_table([("u", "control", aware.isoformat(), "0", "")], mapping(timezone="Asia/Kathmandu"))
    assert datetime.fromisoformat(made.exposures[0][1].time) == aware


@settings(deadline=None, max_examples=60)
@given(
    times, st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney"])
)
def test_times_without_an_offset_are_in_the_zone(moment: datetime, zone: str) -> None:
    aware = moment.replace(tzinfo=ZoneInfo(zone))
    # An hour that the clocks skip or repeat has no one meaning.
    assume(aware.utcoffset() == aware.replace(fold=1).utcoffset())
    made = read_table([("u", "control", moment.isoformat(sep=" "), "0", "")], mapping(timezone=zone))
    assert made.exposures[0][1].time == aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2017-10-29 02:30:00", "2017-10-29T01:30:00.000000Z"),  # twice: the later
        ("2017-03-26 02:30:00", "2017-03-26T01:30:00.000000Z"),  # never: as if the clocks had not skipped it
    ],
)
def test_hours_that_the_clocks_repeat_or_skip(local: str, utc: str) -> None:
    made = read_table([("u", "control", local, "0", "")], mapping(timezone="Europe/Berlin"))
    assert made.exposures[0][1].time == utc


@pytest.mark.parametrize(
    "time", ["", "soon", "1485036708", "21/01/2017", "infinity", "2026-13-01", "-1000-01-01"]
)
def test_what_is_no_time_is_refused_with_its_row(time: str) -> None:
    made = read_table([("u", "control", "2026-01-01", "0", ""), ("u", "control", time, "1", "")])
    assert [(each.row, each.item) for each in made.refusals] == [(2, "row")]
    assert "time" in made.refusals[0].reason
    assert [row for row, _ in items(made)] == [1]


def test_one_time_for_all_rows() -> None:
    mapped = mapping(time=None, at="2026-01-31T12:00:00", timezone="Europe/Berlin")
    made = read_table([("u", "control", "", "1", "3"), ("v", "control", "nonsense", "0", "")], mapped)
    assert {each.time for _, each in items(made)} == {"2026-01-31T11:00:00.000000Z"}


@pytest.mark.parametrize(
    ("cell", "happened"),
    [("1", True), ("0", False), ("", False), (" 1 ", True), ("0.0", False), ("-2", True), ("TRUE", True),
     ("False", False), ("nan", False), ("maybe", None), ("inf", None), ("1e999", None)],
)  # fmt: skip
def test_what_a_cell_says_about_an_event(cell: str, happened: bool | None) -> None:
    made = read_table([("u", "control", "2026-01-01", cell, "")])
    assert len(made.exposures) == 1
    assert len(made.events) == bool(happened)
    assert [(each.row, each.item) for each in made.refusals] == (
        [(1, "event bought")] if happened is None else []
    )


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("9.5", 9.5),
        ("0", 0.0),
        ("-1e3", -1000.0),
        ("", "none"),
        ("NaN", "none"),
        ("abc", None),
        ("inf", None),
    ],
)
def test_what_a_cell_says_about_a_value(cell: str, value: float | str | None) -> None:
    made = read_table([("u", "control", "2026-01-01", "0", cell)])
    assert [each.value for _, each in made.events] == ([value] if isinstance(value, float) else [])
    assert [each.item for each in made.refusals] == (["event spent"] if value is None else [])


def test_empty_units_and_variants_are_refused_with_their_rows() -> None:
    made = read_table([("", "control", "2026-01-01", "1", ""), ("u", "", "2026-01-01", "1", "")])
    assert [(each.row, each.item) for each in made.refusals] == [(1, "row"), (2, "exposure")]
    assert [(row, each.name) for row, each in made.events] == [(2, "bought")]
