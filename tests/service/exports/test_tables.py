"""The rows of a readout: every comparison once, with the numbers of the document."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.service.figures.readouts import HOSTILE, hostile, watched
from tests.service.readouts.documents import (
    bayesian_readout,
    looked_readout,
    measured_readout,
    segmented_readout,
)
from tests.service.readouts.repeated import numbers as effect_numbers
from tests.service.readouts.repeated import repeated_readout

from equipoise_service.exports.rows import COLUMNS
from equipoise_service.exports.tables import csv_of, parquet_of, table_of
from equipoise_service.readouts.reading import readout_of

DOCUMENTS = {
    "watched": watched(2)[-1],
    "looked": looked_readout(),
    "measured": measured_readout(),
    "segmented": segmented_readout(),
    "bayesian": bayesian_readout(),
    "hostile": hostile(),
    "repeated": repeated_readout(then=effect_numbers(0.3, 0.2, 0.4)),
}
each_document = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)


def comparisons(document: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every comparison of the document under its metric, segment, value, others, arm and baseline."""
    for metric in document["metrics"]:
        for each in metric["comparisons"] + metric["between_treatments"]:
            yield (metric["metric"], None, None, None, each["variant"], each["baseline"]), each
    for segment in document["segments"]:
        for part in segment["parts"]:
            for metric in part["metrics"]:
                for each in metric["comparisons"]:
                    where = (metric["metric"], segment["segment"], part["value"], part["others"])
                    yield (*where, each["variant"], each["baseline"]), each


def numbers(comparison: dict[str, Any]) -> dict[str, Any]:
    """What stands in the row of a comparison."""
    found: dict[str, Any] = {"detected": comparison["detected"], "method": comparison["method"]}
    names = {
        "difference": ("difference", "estimate"),
        "lift": ("lift", "estimate"),
        "corrected": ("corrected", None),
        "unadjusted": ("without_covariates", None),
        "impact": ("impact", None),
    }
    for name, (member, estimate) in names.items():
        part = comparison[member] or {}
        if estimate:
            found[name] = part[estimate]
            found[f"{name}_status"] = part["status"]
        lower, upper = part.get("interval") or (None, None)
        found |= {f"{name}_lower": lower, f"{name}_upper": upper}
    found["p_value"] = comparison["difference"]["p_value"]
    found["corrected_p_value"] = (comparison["corrected"] or {}).get("p_value")
    found["unadjusted_difference"] = (comparison["without_covariates"] or {}).get("estimate")
    found["variance_removed"] = (comparison["without_covariates"] or {}).get("variance_removed")
    found["impact_per_day"] = (comparison["impact"] or {}).get("per_day")
    found["impact_daily_units"] = (comparison["impact"] or {}).get("daily_units")
    for name in ("probability_above", "probability_below", "loss_if_lower", "loss_if_higher"):
        found[name] = (comparison["posterior"] or {}).get(name)
    for prefix, side in (("", "variant"), ("baseline_", "baseline")):
        for name in ("n", "immature"):
            found[f"{prefix}{name}"] = comparison["statistics"][side][name]
    return found


@each_document
def test_every_comparison_has_one_row_with_its_numbers(document: dict[str, Any]) -> None:
    rows = table_of(readout_of(document)).to_pylist()
    keys = ("metric", "segment", "segment_value", "segment_others", "arm", "baseline")
    found = {tuple(row[key] for key in keys): row for row in rows}
    expected = dict(comparisons(document))
    assert len(rows) == len(found)
    assert found.keys() == expected.keys()
    for key, comparison in expected.items():
        for name, value in numbers(comparison).items():
            assert found[key][name] == value, (key, name)
        assert found[key]["digest"] == document["digest"]


@each_document
def test_parquet_and_csv_hold_the_same_numbers_to_the_last_bit(document: dict[str, Any]) -> None:
    table = table_of(readout_of(document))
    again = pq.read_table(pa.BufferReader(parquet_of(readout_of(document))))
    assert again.schema.equals(table.schema)
    assert again.equals(table)
    read = list(csv.DictReader(io.StringIO(csv_of(readout_of(document)).decode(), newline="")))
    assert list(read[0]) == list(COLUMNS)
    for row, cells in zip(table.to_pylist(), read, strict=True):
        for name, kind in COLUMNS.items():
            if row[name] is None:
                assert cells[name] == ""
            elif kind in (pa.float64(), pa.int64()):
                assert float(cells[name]) == row[name]


def test_a_text_that_a_spreadsheet_would_run_is_a_text_in_csv_and_itself_in_parquet() -> None:
    readout = readout_of(hostile())
    read = list(csv.DictReader(io.StringIO(csv_of(readout).decode(), newline="")))
    assert {row["segment_value"] for row in read} == {"", "'=1+1", HOSTILE}
    values = table_of(readout)["segment_value"].to_pylist()
    assert set(values) == {None, "=1+1", HOSTILE}


def test_a_part_of_a_segment_says_whether_its_effect_differs() -> None:
    document = segmented_readout()
    tested = document["segments"][0]["heterogeneity"][0]
    rows = [row for row in table_of(readout_of(document)).to_pylist() if row["segment"]]
    assert [row["differs"] for row in rows] == [part["differs"] for part in tested["parts"]]
    assert [row["best_guess"] for row in rows] == [part["best_guess"] for part in tested["parts"]]
    assert {row["heterogeneity_p_value"] for row in rows} == {tested["corrected_p_value"]}


def test_a_repeated_readout_has_what_was_decided_on_and_what_became_of_it() -> None:
    document = DOCUMENTS["repeated"]
    (effect,) = document["repeat"]["effects"]
    (row,) = table_of(readout_of(document)).to_pylist()
    assert (row["repeat_days"], row["repeat_scale"], row["repeat_finding"]) == (30, "lift", "faded")
    assert [row["then"], row["then_lower"], row["then_upper"]] == [0.3, 0.2, 0.4]
    assert [row["change"], row["change_lower"], row["change_upper"]] == [
        effect["change"]["estimate"],
        *effect["change"]["interval"],
    ]
    assert row["change"] == pytest.approx(row["lift"] - row["then"])
    (unknown,) = table_of(readout_of(repeated_readout())).to_pylist()
    assert (unknown["repeat_finding"], unknown["repeat_scale"], unknown["then"]) == (
        "cannot_tell",
        None,
        None,
    )
    (other, *_) = table_of(readout_of(DOCUMENTS["looked"])).to_pylist()
    assert (other["repeat_days"], other["repeat_finding"]) == (None, None)
