"""The test of a source: connects, looks at columns, types and rows, and says in words what is wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.sources.connections import SourceFault, Warehouse, connected
from equipoise_service.sources.mapping import column_faults, event_table, exposure_table, open_rows
from equipoise_service.sources.schemas import (
    Events,
    Exposures,
    Finding,
    RowsFound,
    Sample,
    SourceIn,
    SourceTestOut,
)

_SAMPLES = 20
_MOST_FUTURE = timedelta(days=1)


def probe(source: SourceIn, seconds: float) -> SourceTestOut:
    """Test a source. It reads all rows once and changes nothing.

    Args:
        source: Its definition.
        seconds: How long it may take.
    """
    started = monotonic()
    findings: list[Finding] = []
    found: dict[str, RowsFound | None] = {"events": None, "exposures": None}
    engine = None
    try:
        with connected(source.connection, seconds) as warehouse:
            engine = warehouse.engine
            if not warehouse.enforces:
                findings.append(_no_fence(engine))
            for part in ("events", "exposures"):
                rows: Events | Exposures | None = getattr(source, part)
                if rows is not None:
                    found[part] = _rows_found(warehouse, rows, f"/{part}", findings)
    except SourceFault as fault:
        findings.append(_error(fault))
    return SourceTestOut(
        source=source.key,
        engine=engine,
        ok=not any(each.severity == "error" for each in findings),
        findings=findings,
        events=found["events"],
        exposures=found["exposures"],
        seconds=round(monotonic() - started, 3),
    )


def _rows_found(
    warehouse: Warehouse, rows: Events | Exposures, pointer: str, findings: list[Finding]
) -> RowsFound | None:
    table = open_rows(warehouse, rows, pointer)
    faults = [_error(fault) for fault in column_faults(table, rows, pointer)]
    findings += faults
    if faults:
        return None
    backend = warehouse.backend
    mapped = (
        event_table(table, rows, "-") if isinstance(rows, Events) else exposure_table(table, rows, "-", 1)
    )
    names = mapped.name if isinstance(rows, Events) else mapped.experiment + "/" + mapped.variant
    total = backend.to_pyarrow(table.count()).as_py()
    counts = backend.to_pyarrow(_counts(mapped, isinstance(rows, Events))).to_pylist()[0]
    by_name = mapped.group_by(name=names).agg(rows=mapped.count(), units=mapped.unit.nunique())
    samples = backend.to_pyarrow(by_name.order_by(ibis.desc("rows"), "name").limit(_SAMPLES)).to_pylist()
    distinct = backend.to_pyarrow(mapped.drop("place", "received_at").distinct().count()).as_py()
    out = RowsFound(
        rows=counts["rows"],
        incomplete=total - counts["rows"],
        duplicates=counts["rows"] - distinct,
        units=counts["units"],
        first=_aware(counts["first"]),
        last=_aware(counts["last"]),
        values=counts.get("with_value"),
        samples=[Sample.model_validate(each) for each in samples],
    )
    findings += _warnings(table, rows, out, pointer)
    return out


def _counts(mapped: ir.Table, events: bool) -> ir.Table:
    more = {"with_value": mapped.value.count()} if events else {}
    return mapped.agg(
        rows=mapped.count(),
        units=mapped.unit.nunique(),
        first=mapped.time.min(),
        last=mapped.time.max(),
        **more,
    )


def _warnings(table: ir.Table, rows: Events | Exposures, found: RowsFound, pointer: str) -> Iterator[Finding]:
    if not found.rows:
        yield _warning("no-rows", pointer, "there are no rows that could be counted")
        return
    if found.incomplete:
        yield _warning(
            "incomplete-rows",
            f"{pointer}/columns",
            f"{found.incomplete:,} rows lack a unit, a time or a name, and are left out; mend what writes "
            "them",
        )
    if found.duplicates:
        yield _warning(
            "duplicate-rows",
            pointer,
            f"{found.duplicates:,} rows repeat another one in every mapped column, and each counts; where "
            "they are the same fact, give a query with SELECT DISTINCT",
        )
    if isinstance(rows, Events) and rows.columns.value is not None and not found.values:
        yield _warning("no-values", f"{pointer}/columns/value", "no event has a value; sums will be zero")
    if found.last is not None and found.last > datetime.now(UTC) + _MOST_FUTURE:
        yield _warning(
            "future-times",
            f"{pointer}/columns/time",
            f"the latest time, {found.last.isoformat()}, lies ahead; is {rows.time_zone} the zone of the "
            "times that have none?",
        )
    type = table[rows.columns.time].type()
    if type.is_date():
        yield _warning(
            "days-only",
            f"{pointer}/columns/time",
            f"times are days, taken as midnight in {rows.time_zone}; what happened on the day of an exposure "
            "counts as before it",
        )
    elif type.timezone is None and "time_zone" not in rows.model_fields_set:
        yield _warning(
            "no-time-zone",
            f"{pointer}/time_zone",
            "times have no zone and are taken as UTC; say their zone in time_zone",
        )


def _no_fence(engine: str) -> Finding:
    return _warning(
        "not-read-only",
        "/connection",
        f"sessions on {engine} are not made read-only, and a query that takes too long is given up here but "
        "not ended there; give the connection a user who may only read, and a time limit there",
    )


def _warning(code: str, pointer: str, message: str) -> Finding:
    return Finding(severity="warning", code=code, pointer=pointer, message=message)


def _error(fault: SourceFault) -> Finding:
    return Finding(severity="error", code=fault.code, pointer=fault.pointer, message=fault.message)


def _aware(moment: Any) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
