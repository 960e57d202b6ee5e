"""Opens CSV and Parquet files as Ibis tables."""

import csv
import glob
import gzip
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")

_DELIMITERS = (",", "\t", ";", "|")
_LONGEST_HEADER = 1 << 20


class FileProblem(ValueError):
    """A file that cannot be analysed as asked; the message says what is wrong, where, and what to do."""


def open_table(backend: Any, path: Path) -> ir.Table:
    """Opens a file. The columns of a CSV file are texts, because "007" and "7" are different units.

    Args:
        backend: An Ibis backend on DuckDB.
        path: A file that ends in one of `CSV_SUFFIXES` or `PARQUET_SUFFIXES`. A CSV file is UTF-8, with a
            header; its delimiter is a comma, a tab, a semicolon or a vertical bar.

    Raises:
        FileProblem: The file is absent, its kind is unknown, or its header cannot be read.
    """
    if not path.is_file():
        raise FileProblem(f"There is no file {path}. Check the path; it is read from the current directory.")
    name = path.name.lower()
    pattern = glob.escape(str(path))
    if name.endswith(PARQUET_SUFFIXES):
        return backend.read_parquet(pattern)
    if not name.endswith(CSV_SUFFIXES):
        known = ", ".join(CSV_SUFFIXES + PARQUET_SUFFIXES)
        raise FileProblem(f"{path} has no ending that says what it is; those known are {known}.")
    columns, delimiter = _header(path)
    # DuckDB guesses nothing: its guesses at comments, lines to skip and ragged rows lose rows silently.
    return backend.read_csv(
        pattern,
        auto_detect=False,
        header=True,
        columns=dict.fromkeys(columns, "VARCHAR"),
        delim=delimiter,
        quote='"',
        escape='"',
        compression="gzip" if name.endswith(".gz") else "none",
    )


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns, and the delimiter: the one that finds the most columns."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER).decode("utf-8-sig").rstrip("\r\n")
        found = {delimiter: next(csv.reader([line], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise FileProblem(f"{path} cannot be read: its first line is no header in UTF-8 ({error}).") from None
    delimiter = max(found, key=lambda each: len(found[each]))
    columns = found[delimiter]
    if not columns:
        raise FileProblem(f"{path} is empty: its first line must name the columns.")
    # Data frames are often written with a first column that has no name.
    named = [column or f"column{i}" for i, column in enumerate(columns)]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise FileProblem(f"{path} has several columns of the same name: {', '.join(map(repr, twice))}.")
    return named, delimiter
