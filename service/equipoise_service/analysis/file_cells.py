"""Columns of a file as ids, numbers and times, and what is wrong with their cells."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.tabular import FileProblem

MOST_VARIANTS = 50
NUMBERS, TIMES = "numbers or true/false", "times such as 2026-01-31 12:00:00"


def require_columns(path: Path, there: Sequence[str], wanted: Iterable[str]) -> None:
    """Checks that a file has columns.

    Raises:
        FileProblem: It lacks one.
    """
    for column in wanted:
        if column not in there:
            near = difflib.get_close_matches(column, there, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise FileProblem(f"{path} has no column {column!r}.{hint} Its columns are: {', '.join(there)}.")


def ids(table: ir.Table, column: str | None) -> ir.StringValue:
    """The unit ids of rows, null where there is none; the number of the row where there is no column."""
    if column is None:
        return (ibis.row_number() + 1).cast("string")
    return table[column].cast("string").nullif("")


def numbers(path: Path, table: ir.Table, name: str) -> tuple[ir.FloatingValue, ir.StringValue]:
    """A column as numbers, null where a cell is empty, and what it holds where it holds none.

    Raises:
        FileProblem: Its type has no numbers.
    """
    column = table[name]
    type = column.type()
    if not (type.is_string() or type.is_numeric() or type.is_boolean()):
        raise FileProblem(
            f"Column {name!r} of {path} holds {type} values; a metric needs numbers or true/false."
        )
    number = _text_to_number(column) if type.is_string() else column.cast("float64")
    # x − x is 0 for finite numbers only. Asking isnull, isnan and isinf in turn took five times as long.
    unusable = (column.strip() != "" if type.is_string() else column.notnull()) & (
        (number - number).fill_null(1.0) != 0
    )
    return number, ibis.ifelse(unusable, column.cast("string"), ibis.null("string"))


def times(path: Path, table: ir.Table, name: str) -> tuple[ir.TimestampValue, ir.StringValue]:
    """A column as times of UTC, null where a cell is empty, and what it holds where it holds none.

    Raises:
        FileProblem: Its type has no times.
    """
    given = table[name]
    if not (given.type().is_string() or given.type().is_timestamp() or given.type().is_date()):
        raise FileProblem(f"Column {name!r} of {path} holds {given.type()} values; --time needs times.")
    time = given.try_cast("timestamp('UTC')")
    return time, ibis.ifelse(given.notnull() & time.isnull(), given.cast("string"), ibis.null("string"))


def counted(rows: ir.Table, bad: Sequence[str]) -> dict[str, ir.Value]:
    """How many cells are wrong, and an example, for each of the columns that say so."""
    return {f"{name}_example": rows[name].min() for name in bad} | {
        f"{name}_rows": rows[name].count() for name in bad
    }


def require_rows(path: Path, variant: str, found: Mapping[str, Any]) -> None:
    """Checks that a file has rows and not too many variants.

    Args:
        path: The file.
        variant: Its column of the variants.
        found: `rows`, and `variants`: how many different ones.

    Raises:
        FileProblem: It has not.
    """
    if not found["rows"]:
        raise FileProblem(f"{path} has a header and no rows.")
    if found["variants"] > MOST_VARIANTS:
        raise FileProblem(
            f"Column {variant!r} of {path} has {found['variants']:,} different values, more than the "
            f"{MOST_VARIANTS} variants that an experiment may have. --variant names the column of the arms."
        )


def require_cells(path: Path, found: Mapping[str, Any], asked: Iterable[tuple[str, str, str]]) -> None:
    """Checks that no cell is wrong.

    Args:
        path: The file.
        found: What `counted` gave.
        asked: A column of the file, the column that says what is wrong with it, and what it should hold.

    Raises:
        FileProblem: One is.
    """
    for column, name, wanted in asked:
        count, example = found[f"{name}_rows"], found[f"{name}_example"]
        if count:
            raise FileProblem(
                f"Column {column!r} of {path} has {count:,} values that are not {wanted}, for example "
                f"{example[:40]!r}. Correct them, or leave the cells empty."
            )


def first_lines(error: Exception) -> str:
    """What an engine says, in one line."""
    return " ".join(str(error).split("\n\n")[0].split())[:400]


def _text_to_number(text: ir.Value) -> ir.Value:
    word = text.strip().lower()
    return ibis.cases((word == "true", 1.0), (word == "false", 0.0), else_=word.try_cast("float64"))
