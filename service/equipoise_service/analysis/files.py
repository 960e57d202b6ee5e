"""Analyses of a CSV or Parquet file whose rows are exposures and facts at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.expression import row_statistics
from equipoise_service.analysis.file_cells import (
    NUMBERS,
    counted,
    first_lines,
    ids,
    numbers,
    require_cells,
    require_columns,
    require_rows,
)
from equipoise_service.analysis.requests import FileRequest
from equipoise_service.analysis.statistics import Statistics, read_arms
from equipoise_service.analysis.tabular import FileProblem, open_table
from equipoise_service.analysis.value_columns import value_column
from equipoise_service.metrics.measures import Measure


def analyse_file(path: Path, request: FileRequest) -> Statistics:
    """Computes the statistics of a file.

    The value of a unit is whether any of its rows has a value other than zero (or true) in the column, for a
    proportion, and the sum of the column, for a mean; an empty cell adds nothing. Rows without a unit or a
    variant are left out and counted.

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
        require_columns(path, table.columns, request.columns)
        rows = _rows(path, table, request)
        found = backend.to_pyarrow(_inspection(rows, request.measures)).to_pylist()[0]
        _require_values(path, found, request)
        usable = rows.filter(rows.complete)
        result = backend.to_pyarrow(row_statistics(usable, request.measures)).to_pylist()
    except duckdb.Error as error:
        raise FileProblem(f"{path} cannot be read: {first_lines(error)}") from error
    finally:
        backend.disconnect()
    arms, crossovers = read_arms(result, request.measures)
    return Statistics(arms, crossovers, None, int(found["rows"] - (found["complete"] or 0)))


def _rows(path: Path, table: ir.Table, request: FileRequest) -> ir.Table:
    """Columns unit, variant, complete, and per measure `m{i}_y` and `bad{i}`."""
    unit, variant = ids(table, request.unit), table[request.variant].cast("string").nullif("")
    complete = unit.notnull() & variant.notnull()
    columns: dict[str, ir.Value] = {}
    for i, measure in enumerate(request.measures):
        number, bad = numbers(path, table, measure.name)
        value = number.fill_null(0.0)
        columns[value_column(i)] = ibis.ifelse(value != 0, 1.0, 0.0) if measure.type.is_share else value
        columns[f"bad{i}"] = bad
    return table.select(unit=unit, variant=variant, complete=complete.fill_null(False), **columns)


def _inspection(rows: ir.Table, measures: Sequence[Measure]) -> ir.Table:
    """One row about the whole file, so that what is wrong can be said before anything is computed."""
    return rows.agg(
        rows=rows.count(),
        complete=rows.complete.cast("int64").sum(),
        variants=rows.variant.nunique(),
        **counted(rows, [f"bad{i}" for i in range(len(measures))]),
    )


def _require_values(path: Path, found: Mapping[str, Any], request: FileRequest) -> None:
    require_rows(path, request.variant, found)
    asked = [(measure.name, f"bad{i}", NUMBERS) for i, measure in enumerate(request.measures)]
    require_cells(path, found, asked)
