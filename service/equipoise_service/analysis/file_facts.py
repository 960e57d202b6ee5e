"""The rows of a file as exposures and events, so that a plan is analysed on them as on the event store.

A row with a variant is an exposure. Its cells make events of the same moment. What a unit was before it was
exposed makes events from an hour before its first row.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.ages import Ages, analyse_ages
from equipoise_service.analysis.daily_counts import events_by_day, exposures_by_day
from equipoise_service.analysis.file_cells import (
    NUMBERS,
    TIMES,
    counted,
    first_lines,
    ids,
    numbers,
    require_cells,
    require_columns,
    require_rows,
    times,
)
from equipoise_service.analysis.requests import FileFacts, StoreRequest
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.analysis.store import analyse_tables
from equipoise_service.analysis.tabular import FileProblem, open_table

PROPERTY = "value"
"""The property that an event of a text has."""

_SOMETIME = datetime(2000, 1, 1, tzinfo=UTC)
_STORED = "timestamp(6)"


@dataclass(frozen=True, slots=True)
class FileAnalysis:
    """What came of a file.

    Attributes:
        statistics: The statistics.
        first: The earliest time of a row with a variant; None without times.
        last: The latest time; None without times.
        exposures: How many exposures there are of each day (UTC); None without times.
        events: The same of events, those that stand in the rows.
    """

    statistics: Statistics
    first: datetime | None
    last: datetime | None
    exposures: Mapping[str, int] | None = None
    events: Mapping[str, int] | None = None


Follow = Callable[[FileAnalysis], Mapping[str, Ages] | None]
"""Says which ages of which metrics are looked at, given all the rest; None: nobody looks."""


def analyse_file_facts(
    path: Path, facts: FileFacts, request: StoreRequest, follow: Follow, *, newest: bool
) -> FileAnalysis:
    """Computes the statistics of a plan from a file.

    Rows without a unit or a time, and those that are neither exposure nor event, are left out and counted.

    Args:
        path: A CSV or Parquet file; see `tabular.open_table`.
        facts: Which columns make which facts.
        request: What is measured; its `as_of` is when.
        follow: Asked where there are times.
        newest: Whether it is analysed as of its latest time instead, where it has times.

    Raises:
        FileProblem: The file cannot be analysed as asked.
    """
    with _engine(path) as backend:
        rows = _kept(backend, path, facts)
        found = _inspected(backend, path, rows, facts)
        first, last = (_moment(found[name]) for name in ("first", "last"))
        if newest and facts.time is not None and last is not None:
            request = replace(request, as_of=last)
        usable = rows.filter(rows.complete)
        exposures, events = _exposures(usable, request), _events(usable, facts, request)
        statistics = replace(
            analyse_tables(backend, exposures, events, request, keep=partial(_keep, backend)),
            incomplete_rows=int(found["rows"] - (found["complete"] or 0)),
        )
        if facts.time is None:
            return FileAnalysis(replace(statistics, watermark=None, days=()), None, None)
        # What a unit was before makes events of times that nobody saw.
        seen = events.filter(events.name.isin([each.name for each in facts.events]))
        analysis = FileAnalysis(
            statistics,
            first,
            last,
            exposures_by_day(backend, exposures, request),
            events_by_day(backend, seen, request, datetime.min, datetime.max),
        )
        ages = follow(analysis)
        if ages is None:
            return analysis
        followed = analyse_ages(backend, exposures, events, request, ages)
        return replace(analysis, statistics=replace(statistics, ages=followed))


def _keep(backend: Any, name: str, query: ir.Table) -> ir.Table:
    backend.con.execute(f'CREATE TEMP TABLE "{name}" AS {backend.compile(query)}')
    return backend.table(name)


@contextmanager
def _engine(path: Path) -> Iterator[Any]:
    backend = ibis.duckdb.connect()
    try:
        yield backend
    except duckdb.Error as error:
        raise FileProblem(f"{path} cannot be read: {first_lines(error)}") from error
    finally:
        backend.disconnect()


def _kept(backend: Any, path: Path, facts: FileFacts) -> ir.Table:
    """The rows, read once.

    Returns:
        Columns unit, variant, time, properties, complete, bad_time; for each cell `n{i}` and `bad{i}`, for
        each text `t{i}`.
    """
    table = open_table(backend, path)
    require_columns(path, table.columns, facts.columns)
    unit, variant = ids(table, facts.unit), _variants(table, facts)
    time: ir.Value = ibis.literal(_SOMETIME.replace(tzinfo=None))
    bad_time: ir.Value = ibis.null("string")
    if facts.time is not None:
        time, bad_time = times(path, table, facts.time)
    columns: dict[str, ir.Value] = {"bad_time": bad_time}
    used = variant.notnull()
    for i, cell in enumerate(facts.cells):
        number, bad = numbers(path, table, cell.column)
        columns |= {f"n{i}": number if cell.has_value else (number != 0).ifelse(1.0, None), f"bad{i}": bad}
        used |= columns[f"n{i}"].notnull()
    for i, text in enumerate(facts.texts):
        columns[f"t{i}"] = table[text.column].cast("string").strip().nullif("")
    rows = table.select(
        unit=unit,
        variant=variant,
        time=time.cast(_STORED),
        properties=_json({name: table[name] for name in facts.properties}),
        complete=(unit.notnull() & time.notnull() & used).fill_null(False),
        **columns,
    )
    # Every later step reads all rows again: a file would be decoded for each.
    return _keep(backend, "file_rows", rows)


def _variants(table: ir.Table, facts: FileFacts) -> ir.StringValue:
    """The keys of the rows' variants, null where there is none."""
    text = table[facts.variant].cast("string").nullif("")
    return (
        ibis.cases(*((text == called, key) for called, key in facts.arms), else_=text) if facts.arms else text
    )


def _inspected(backend: Any, path: Path, rows: ir.Table, facts: FileFacts) -> dict[str, Any]:
    """What is to be known about the whole file before it is analysed.

    Raises:
        FileProblem: A cell is not what it must be, or a unit was several things before.
    """
    bad = [f"bad{i}" for i in range(len(facts.cells))]
    inspection = rows.agg(
        rows=rows.count(),
        complete=rows.complete.cast("int64").sum(),
        variants=rows.variant.nunique(),
        first=rows.time.min(where=rows.complete & rows.variant.notnull()),
        last=rows.time.max(where=rows.complete),
        **counted(rows, [*bad, "bad_time"]),
    )
    found: dict[str, Any] = backend.to_pyarrow(inspection).to_pylist()[0]
    require_rows(path, facts.variant, found)
    asked = [(cell.column, name, NUMBERS) for cell, name in zip(facts.cells, bad, strict=True)]
    require_cells(path, found, [*asked, (facts.time or "", "bad_time", TIMES)])
    for i, cell in enumerate(facts.before, start=len(facts.events)):
        units = (
            rows.filter(rows.complete)
            .group_by("unit")
            .agg(least=rows[f"n{i}"].min(), most=rows[f"n{i}"].max())
        )
        several = backend.to_pyarrow(units.filter(units.least != units.most).count()).as_py()
        if several:
            raise FileProblem(
                f"{several:,} units of {path} have several values in column {cell.column!r}. What a unit did "
                "before the experiment is the same in all its rows."
            )
    return found


def _exposures(rows: ir.Table, request: StoreRequest) -> ir.Table:
    shown = rows.filter(rows.variant.notnull())
    return shown.select(
        **_common(shown, request),
        experiment=ibis.literal(request.experiment),
        variant=shown.variant,
        revision=ibis.literal(request.revision, "int64"),
    )


def _events(rows: ir.Table, facts: FileFacts, request: StoreRequest) -> ir.Table:
    nothing = ibis.null("float64")
    tables = [_made(rows.filter(ibis.literal(False)), "", nothing, rows.properties, request)]
    for i, cell in enumerate(facts.events):
        there = rows.filter(rows[f"n{i}"].notnull())
        value = there[f"n{i}"] if cell.has_value else nothing
        tables.append(_made(there, cell.name, value, there.properties, request))
    for i, text in enumerate(facts.texts):
        there = rows.filter(rows[f"t{i}"].notnull())
        tables.append(_made(there, text.name, nothing, _json({PROPERTY: there[f"t{i}"]}), request))
    for i, cell in enumerate(facts.before, start=len(facts.events)):
        first = rows.group_by("unit").agg(
            time=rows.time.min() - timedelta(hours=1), value=rows[f"n{i}"].max()
        )
        first = first.filter(first.value.notnull())
        value = first.value if cell.has_value else nothing
        tables.append(_made(first, cell.name, value, ibis.null("string"), request))
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _made(
    rows: ir.Table, name: str, value: ir.Value, properties: ir.Value, request: StoreRequest
) -> ir.Table:
    return rows.select(**_common(rows, request), name=ibis.literal(name), value=value, properties=properties)


def _common(rows: ir.Table, request: StoreRequest) -> dict[str, ir.Value]:
    return {
        "place": ibis.literal(request.place),
        "unit_type": ibis.literal(request.unit_type),
        "unit": rows.unit,
        "time": rows.time,
        # A file does not say when a row came: the newest time stands for it.
        "received_at": rows.time,
    }


_builtin: Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]] = ibis.udf.scalar.builtin


@_builtin(name="to_json", signature=(("string",), "string"))
def _quoted(text: Any) -> Any:
    """A text as JSON (DuckDB)."""


def _json(members: dict[str, ir.Value]) -> ir.StringValue:
    """Texts as a JSON object; what is empty is left out."""
    if not members:
        return ibis.null("string")
    # to_json of a struct would need its types spelled out; a null member is one that nobody compares with.
    parts = [
        ibis.literal(f'"{name}": ') + _quoted(value.cast("string")).fill_null("null")
        for name, value in members.items()
    ]
    text = ibis.literal("{") + parts[0]
    for part in parts[1:]:
        text = text + ", " + part
    return text + "}"


def _moment(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)
