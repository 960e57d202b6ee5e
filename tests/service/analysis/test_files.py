"""Analyses of files: what a person may give, and what is said when it cannot be used."""

import gzip
import math
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equipoise_service.analysis.file_facts import analyse_file_facts
from equipoise_service.analysis.files import analyse_file
from equipoise_service.analysis.requests import FileEvent, FileFacts, FileRequest, StoreRequest
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.analysis.tabular import FileProblem
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import MetricType
from equipoise_stats import Counts, Moments

BOUGHT = Measure("bought", MetricType.PROPORTION, "bought")
SPENT = Measure("spent", MetricType.MEAN, "spent")


def request(*measures: Measure) -> FileRequest:
    return FileRequest("user", "arm", measures or (BOUGHT, SPENT))


def timed(path: Path, time: str = "at") -> Statistics:
    """The analysis of a file whose rows have times."""
    facts = FileFacts("user", "arm", time, events=(FileEvent("bought", "bought", has_value=False),))
    asked = StoreRequest("file/file", "data", 1, "user", (BOUGHT,), datetime(2026, 2, 1, tzinfo=UTC))
    return analyse_file_facts(path, facts, asked, lambda _: None, newest=True).statistics


def write(path: Path, text: str | bytes) -> Path:
    if isinstance(text, bytes):
        path.write_bytes(text)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


ROWS = """user,arm,bought,spent
1,control,0,
1,control,1,2.5
2,control,FALSE,1.5
3,b,true,-4
"""


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz", "odd [1].csv", "d*.csv", "DATA.CSV"])
def test_rows_of_a_unit_are_joined(tmp_path: Path, name: str) -> None:
    # What a pattern of that name would match.
    write(tmp_path / "odd 1.csv", "user,arm,bought,spent\n9,x,1,1\n")
    write(tmp_path / "day.csv", "user,arm,bought,spent\n9,x,1,1\n")
    statistics = analyse_file(write(tmp_path / name, ROWS), request())
    assert statistics.arms["control"].values["bought"] == Counts(2, 1)
    assert statistics.arms["control"].values["spent"] == Moments(2, ("y",), (2.0,), ((0.5,),), (0.0,))
    assert statistics.arms["b"].values["bought"] == Counts(1, 1)
    assert (statistics.crossovers, statistics.incomplete_rows, statistics.watermark) == (0, 0, None)


def test_unit_ids_are_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "ids.csv", "user,arm,bought\n007,control,1\n7,control,0\n7.0,control,0\n")
    assert analyse_file(path, request(BOUGHT)).arms["control"].values["bought"] == Counts(3, 1)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.bool_(), [True, False, None]),
        (pa.int8(), [3, 0, None]),
        (pa.float32(), [0.5, 0.0, None]),
        (pa.decimal128(9, 2), [1, 0, None]),
        (pa.string(), ["TRUE", "0.0", ""]),
        (pa.dictionary(pa.int32(), pa.string()), ["1", "false", None]),
    ],
)
def test_parquet_columns_of_every_kind(tmp_path: Path, type_: Any, values: list[Any]) -> None:
    columns = {
        "user": pa.array([1, 2, 3]),
        "arm": pa.array(["control"] * 3).dictionary_encode(),
        "bought": pa.array(values, type_ if not pa.types.is_dictionary(type_) else pa.string()).cast(type_),
    }
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    statistics = analyse_file(tmp_path / "data.parquet", request(BOUGHT))
    assert statistics.arms["control"].values["bought"] == Counts(3, 1)


@pytest.mark.parametrize("kind", ["csv", "parquet", "parquet-zoned"])
def test_rows_that_lack_unit_variant_or_time_are_left_out_and_counted(tmp_path: Path, kind: str) -> None:
    text = (
        "user,arm,at,bought\n1,control,2026-01-01 10:00:00,0\n,control,2026-01-01 10:00:00,1\n"
        "1,,2026-01-01 12:00:00,1\n2,b,2026-01-01T11:30:00.5Z,1\n3,b,,1\n"
    )
    path = write(tmp_path / "data.csv", text)
    if kind != "csv":
        zone = "UTC" if kind == "parquet-zoned" else None
        ten, half_past_eleven = datetime(2026, 1, 1, 10), datetime(2026, 1, 1, 11, 30, 0, 500_000)
        columns = {
            "user": ["1", "", "1", "2", "3"],
            "arm": ["control", "control", None, "b", "b"],
            "at": pa.array(
                [ten, ten, datetime(2026, 1, 1, 12), half_past_eleven, None], pa.timestamp("us", zone)
            ),
            "bought": [0, 1, 1, 1, 1],
        }
        path = tmp_path / "data.parquet"
        pq.write_table(pa.table(columns), path)
    statistics = timed(path)
    # With times, a row without a variant is what a unit did later.
    assert {v: arm.values["bought"] for v, arm in statistics.arms.items()} == {
        "b": Counts(1, 1),
        "control": Counts(1, 1),
    }
    assert statistics.incomplete_rows == 2
    assert statistics.watermark == datetime(2026, 1, 1, 12)
    without = analyse_file(path, request(BOUGHT))
    assert without.arms["control"].values["bought"] == Counts(1, 0)
    assert (without.incomplete_rows, without.watermark) == (2, None)


def test_times_with_an_offset_are_converted(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "user,arm,at,bought\n1,control,2026-01-01 12:00:00+02:00,0\n")
    assert timed(path).watermark == datetime(2026, 1, 1, 10)


def test_a_column_without_a_name_is_no_obstacle(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", ",user,arm,bought\n0,1,control,1\n1,2,control,0\n")
    assert analyse_file(path, request(BOUGHT)).arms["control"].values["bought"] == Counts(2, 1)


CELLS = st.sampled_from(["", "0", "1", "true", "FALSE", "2.5", "-3", "1000000000.25"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["", "a", "b", "c", "d"]), st.sampled_from(["", "control", "x", "y"]), CELLS
        ),
        min_size=1,
        max_size=25,
    )
)
def test_equals_plain_python(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    path = write(tmp_path / "rows.csv", "\n".join(["user,arm,value", *map(",".join, rows)]) + "\n")
    proportion = Measure("p", MetricType.PROPORTION, "value")
    mean = Measure("m", MetricType.MEAN, "value")
    statistics = analyse_file(path, request(proportion, mean))
    numbers = {"": 0.0, "true": 1.0, "FALSE": 0.0}
    by_unit: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for unit, variant, cell in rows:
        if unit and variant:
            by_unit[unit].append((variant, numbers[cell] if cell in numbers else float(cell)))
    arms: dict[str, list[list[float]]] = defaultdict(list)
    crossovers = 0
    for facts in by_unit.values():
        if len({variant for variant, _ in facts}) > 1:
            crossovers += 1
        else:
            arms[facts[0][0]].append([value for _, value in facts])
    assert statistics.incomplete_rows == sum(not (unit and variant) for unit, variant, _ in rows)
    assert statistics.crossovers == crossovers
    assert statistics.arms.keys() == arms.keys()
    for variant, units in arms.items():
        found = statistics.arms[variant].values
        assert found["p"] == Counts(len(units), sum(any(unit) for unit in units))
        sums = [math.fsum(unit) for unit in units]
        centre = math.fsum(sums) / len(sums)
        assert isinstance(found["m"], Moments)
        assert found["m"].mean[0] == pytest.approx(centre, rel=1e-12)
        squares = math.fsum((value - centre) ** 2 for value in sums)
        assert found["m"].comoments[0][0] == pytest.approx(squares, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_no_row_is_taken_for_a_comment_or_skipped(tmp_path: Path, delimiter: str) -> None:
    text = "#user,arm,bought\n#1,control,1\n2,control,0\n#3,control,1\n".replace(",", delimiter)
    asked = FileRequest("#user", "arm", (BOUGHT,))
    found = analyse_file(write(tmp_path / "data.csv", text), asked)
    assert found.arms["control"].values["bought"] == Counts(3, 2)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=r"There is no file .*absent\.csv"):
        analyse_file(tmp_path / "absent.csv", request())


def test_an_unknown_ending_is_refused_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=r"no ending that says what it is.*\.parquet"):
        analyse_file(write(tmp_path / "data.xlsx", ROWS), request())


@pytest.mark.parametrize(
    ("text", "measure", "message"),
    [
        (ROWS, Measure("m", MetricType.MEAN, "spend"), "no column 'spend'. Did you mean 'spent'"),
        (ROWS, Measure("m", MetricType.MEAN, "arm"), "'arm' of .* has 4 values that are not numbers"),
        ("user,arm,bought\n1,control,nan\n", BOUGHT, "1 values that are not numbers .* example 'nan'"),
        ("user,arm,bought\n1,control,1e999\n", BOUGHT, "1 values that are not numbers .* example '1e999'"),
        ("user,arm,bought\n", BOUGHT, "has a header and no rows"),
        ("", BOUGHT, "is empty: its first line must name the columns"),
        ("user,arm,arm,bought\n1,a,b,1\n", BOUGHT, "several columns of the same name: 'arm'"),
        ("\xff".encode("latin-1"), BOUGHT, "no header in UTF-8"),
        ('user,arm,bought\n1,control,1\n2,"control,0,0,0\n', BOUGHT, "cannot be read"),
        ("user,arm,bought\n1,control,1\n2,control,0,0,0\n", BOUGHT, "cannot be read"),
        ("user,arm,bought\n1,control,1\n2,control\n", BOUGHT, "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said(
    tmp_path: Path, text: str | bytes, measure: Measure, message: str
) -> None:
    with pytest.raises(FileProblem, match=message):
        analyse_file(write(tmp_path / "data.csv", text), request(measure))


def test_a_time_that_is_none_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "user,arm,at,bought\n1,control,yesterday,0\n")
    with pytest.raises(FileProblem, match=r"'at' of .* 1 values that are not times .* 'yesterday'"):
        timed(path)
    with pytest.raises(FileProblem, match="not times such as"):
        timed(path, "arm")


def test_a_column_of_units_given_as_variants_is_noticed(tmp_path: Path) -> None:
    rows = "".join(f"{i},x{i},1\n" for i in range(51))
    with pytest.raises(FileProblem, match=r"'arm' of .* has 51 different values, more than the 50 variants"):
        analyse_file(write(tmp_path / "data.csv", "user,arm,bought\n" + rows), request(BOUGHT))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([datetime(2026, 1, 1)]), "needs numbers or true/false"),
        (pa.array([[1]]), "needs numbers or true/false"),
        (pa.array([math.nan]), "not numbers"),
    ],
)
def test_parquet_columns_that_are_no_numbers(tmp_path: Path, column: Any, message: str) -> None:
    pq.write_table(pa.table({"user": [1], "arm": ["control"], "bought": column}), tmp_path / "data.parquet")
    with pytest.raises(FileProblem, match=message):
        analyse_file(tmp_path / "data.parquet", request(BOUGHT))


def test_a_parquet_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="cannot be read"):
        analyse_file(write(tmp_path / "data.parquet", "not parquet at all"), request())
