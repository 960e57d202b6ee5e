"""Analyses of a CSV or Parquet file whose rows are exposures and facts at once."""

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.expression import row_statistics
from equipoise_service.analysis.requests import FileRequest
from equipoise_service.analysis.statistics import Statistics, read_arms
from equipoise_service.analysis.tabular import FileProblem, open_table
from equipoise_service.analysis.value_columns import value_column
from equipoise_service.metrics.measures import Measure

MOST_VARIANTS = 50


def analyse_file(path: Path, request: FileRequest) -> Statistics:
    """Computes the statistics of a file.

    The value of a unit is whether any of its rows has a value other than zero (or true) in the column, for a
    proportion, and the sum of the column, for a mean; an empty cell adds nothing. Rows without a unit, a
    variant or, where times count, a time are left out and counted. The watermark is the newest time; times
    without a zone are taken as UTC.

    Args:
        path: A CSV or Parquet file; see `tabular.open_table`.
        request: Its columns, and what is measured.

    Raises:
        FileProblem: The file is absent or unreadable, a column is missing, or its values are not what they
            must be.
    """
    backend = ibis.duckdb.connect()
    try:
        table = open_table(backend, path)
        _require_columns(path, table.columns, request)
        rows = _rows(path, table, request)
        found = backend.to_pyarrow(_inspection(rows, request.measures)).to_pylist()[0]
        _require_values(path, found, request)
        usable = rows.filter(rows.complete)
        result = backend.to_pyarrow(row_statistics(usable, request.measures)).to_pylist()
    except duckdb.Error as error:
        raise FileProblem(f"{path} cannot be read: {_first_lines(error)}") from error
    finally:
        backend.disconnect()
    arms, crossovers = read_arms(result, request.measures)
    newest = found["newest"]
    watermark = None if newest is None else datetime.fromtimestamp(newest, UTC)
    return Statistics(arms, crossovers, watermark, int(found["rows"] - (found["complete"] or 0)))


def _require_columns(path: Path, columns: Sequence[str], request: FileRequest) -> None:
    for column in request.columns:
        if column not in columns:
            near = difflib.get_close_matches(column, columns, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise FileProblem(
                f"{path} has no column {column!r}.{hint} Its columns are: {', '.join(columns)}."
            )


def _rows(path: Path, table: ir.Table, request: FileRequest) -> ir.Table:
    """Columns unit, variant, time (seconds since 1970), complete, and per measure `m{i}_y` and `bad{i}`."""
    unit, variant = table[request.unit].cast("string"), table[request.variant].cast("string")
    complete = unit.notnull() & (unit != "") & variant.notnull() & (variant != "")
    time: ir.Value = ibis.null("float64")
    bad_time: ir.Value = ibis.null("string")
    if request.time is not None:
        given = table[request.time]
        if not (given.type().is_string() or given.type().is_timestamp() or given.type().is_date()):
            raise FileProblem(
                f"Column {request.time!r} of {path} holds {given.type()} values; --time needs times."
            )
        time = given.try_cast("timestamp('UTC')").epoch_seconds().cast("float64")
        bad_time = ibis.ifelse(given.notnull() & time.isnull(), given.cast("string"), ibis.null("string"))
        complete &= time.notnull()
    columns: dict[str, ir.Value] = {}
    for i, measure in enumerate(request.measures):
        columns |= _value_columns(path, table[measure.name], measure, i)
    return table.select(
        unit=unit,
        variant=variant,
        time=time,
        complete=complete.fill_null(False),
        bad_time=bad_time,
        **columns,
    )


def _value_columns(path: Path, column: ir.Value, measure: Measure, index: int) -> dict[str, ir.Value]:
    type = column.type()
    if not (type.is_string() or type.is_numeric() or type.is_boolean()):
        raise FileProblem(
            f"Column {measure.name!r} of {path} holds {type} values; a metric needs numbers or true/false."
        )
    number = _text_to_number(column) if type.is_string() else column.cast("float64")
    # x − x is 0 for finite numbers only. Asking isnull, isnan and isinf in turn took five times as long.
    unusable = (column.strip() != "" if type.is_string() else column.notnull()) & (
        (number - number).fill_null(1.0) != 0
    )
    value = number.fill_null(0.0)
    return {
        value_column(index): ibis.ifelse(value != 0, 1.0, 0.0) if measure.type.is_share else value,
        f"bad{index}": ibis.ifelse(unusable, column.cast("string"), ibis.null("string")),
    }


def _text_to_number(text: ir.Value) -> ir.Value:
    word = text.strip().lower()
    return ibis.cases((word == "true", 1.0), (word == "false", 0.0), else_=word.try_cast("float64"))


def _inspection(rows: ir.Table, measures: Sequence[Measure]) -> ir.Table:
    """One row about the whole file, so that what is wrong can be said before anything is computed."""
    bad = [f"bad{i}" for i in range(len(measures))] + ["bad_time"]
    examples = {f"{name}_example": rows[name].min() for name in bad}
    counts = {f"{name}_rows": rows[name].count() for name in bad}
    return rows.agg(
        rows=rows.count(),
        complete=rows.complete.cast("int64").sum(),
        variants=rows.variant.nunique(),
        newest=rows.time.max(where=rows.complete),
        **examples,
        **counts,
    )


def _require_values(path: Path, found: Mapping[str, Any], request: FileRequest) -> None:
    if not found["rows"]:
        raise FileProblem(f"{path} has a header and no rows.")
    if found["variants"] > MOST_VARIANTS:
        raise FileProblem(
            f"Column {request.variant!r} of {path} has {found['variants']:,} different values, more than the "
            f"{MOST_VARIANTS} variants that an experiment may have. --variant names the column of the arms."
        )
    columns = [
        (measure.name, f"bad{i}", "numbers or true/false") for i, measure in enumerate(request.measures)
    ]
    for column, name, wanted in [*columns, (request.time, "bad_time", "times such as 2026-01-31 12:00:00")]:
        count, example = found[f"{name}_rows"], found[f"{name}_example"]
        if count:
            raise FileProblem(
                f"Column {column!r} of {path} has {count:,} values that are not {wanted}, for example "
                f"{example[:40]!r}. Correct them, or leave the cells empty."
            )


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split())[:400]
