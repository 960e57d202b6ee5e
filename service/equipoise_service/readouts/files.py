"""A readout straight from a file, with no service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from equipoise_service.analysis.ages import Ages
from equipoise_service.analysis.file_facts import FileAnalysis, analyse_file_facts
from equipoise_service.analysis.files import analyse_file
from equipoise_service.analysis.requests import (
    FileEvent,
    FileFacts,
    FileRequest,
    FileText,
    Segment,
    StoreRequest,
)
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.analysis.tabular import FileProblem
from equipoise_service.plans.documents import Plan, PlannedMetric, PlannedVariant
from equipoise_service.plans.population import PlannedSegment
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.following import followed_ages
from equipoise_service.readouts.losses import NO_REPORTS, WITHOUT_TIMES
from equipoise_service.readouts.missing import arrivals_in_file
from equipoise_service.readouts.provenance import Provenance


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Which columns of a file mean what.

    Attributes:
        unit: Column of the unit ids; None: every row is a unit of its own.
        variant: Column of the variants.
        time: Column of the times; None: all rows are of one moment.
        segments: How units are split; each has its values from a text of the same name.
        texts: Where the values of segments stand.
        before: What metrics, by their keys, were before the units were exposed.
    """

    unit: str | None
    variant: str
    time: str | None = None
    segments: tuple[PlannedSegment, ...] = ()
    texts: tuple[FileText, ...] = ()
    before: tuple[FileEvent, ...] = ()


def readout_of_file(
    path: Path,
    columns: FileColumns,
    *,
    control: str,
    metrics: Sequence[PlannedMetric],
    shares: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Analyses a file and builds its readout.

    Args:
        path: A CSV or Parquet file; see `analysis.files.analyse_file`.
        columns: Which columns mean what.
        control: The variant that the others are compared with.
        metrics: What is measured, each made of a column.
        shares: Planned share of each variant; absent, all variants found in the file were planned equal.

    Raises:
        FileProblem: The file cannot be analysed as asked.
    """
    # Columns are summed where they stand. What else is asked of units is asked of their events.
    if columns.time is None and not (columns.texts or columns.before):
        measures = tuple(metric.measure for metric in metrics)
        found = analyse_file(path, FileRequest(columns.unit, columns.variant, measures))
        plan = _plan(path, columns, found, control, metrics, shares)
        provenance = Provenance(
            _name(path), None, datetime.now(UTC), dropped=NO_REPORTS, arrivals=WITHOUT_TIMES
        )
        return build_readout(plan, found, provenance)
    return _readout_of_events(path, columns, control, _of_events(columns, metrics), metrics, shares)


def _readout_of_events(
    path: Path,
    columns: FileColumns,
    control: str,
    measured: Sequence[PlannedMetric],
    metrics: Sequence[PlannedMetric],
    shares: Mapping[str, float] | None,
) -> dict[str, Any]:
    """The readout of events that the cells make."""
    facts = FileFacts(
        columns.unit,
        columns.variant,
        columns.time,
        events=tuple(FileEvent(each.key, each.column or "", not each.type.is_share) for each in metrics),
        texts=columns.texts,
        before=columns.before,
    )
    now = datetime.now(UTC)
    request = StoreRequest(
        "file/file",
        _name(path),
        1,
        _unit_type(columns),
        tuple(metric.measure for metric in measured),
        now,
        segments=tuple(Segment(each.key, each.event, each.property) for each in columns.segments),
    )

    def follow(found: FileAnalysis) -> Mapping[str, Ages] | None:
        plan = _plan(path, columns, found.statistics, control, measured, shares)
        at = found.last or now
        return followed_ages(
            plan, found.statistics, (), at=at, began=found.first, ended_at=None, of_file=True
        )

    found = analyse_file_facts(path, facts, request, follow, newest=True)
    plan = _plan(path, columns, found.statistics, control, measured, shares)
    at = found.last or now
    asked = replace(request, as_of=at, since=found.first)
    provenance = Provenance(
        _name(path),
        None,
        at,
        started_at=found.first,
        dropped=NO_REPORTS,
        arrivals=arrivals_in_file(found.exposures, found.events, asked),
    )
    return build_readout(plan, found.statistics, provenance)


def _of_events(columns: FileColumns, metrics: Sequence[PlannedMetric]) -> list[PlannedMetric]:
    """The metrics as they are made of the events that their columns make."""
    adjusted = {event.name for event in columns.before}
    return [
        PlannedMetric(
            key=metric.key,
            type=metric.type,
            role=metric.role,
            direction=metric.direction,
            event=metric.key,
            pre_period_days=1 if metric.key in adjusted else None,
        )
        for metric in metrics
    ]


def _plan(
    path: Path,
    columns: FileColumns,
    statistics: Statistics,
    control: str,
    metrics: Sequence[PlannedMetric],
    shares: Mapping[str, float] | None,
) -> Plan:
    return Plan(
        unit_type=_unit_type(columns),
        variants=_variants(path, columns, statistics, control, shares),
        metrics=list(metrics),
        segments=list(columns.segments),
    ).complete()


def _unit_type(columns: FileColumns) -> str:
    return columns.unit or "row"


def _variants(
    path: Path,
    columns: FileColumns,
    statistics: Statistics,
    control: str,
    shares: Mapping[str, float] | None,
) -> list[PlannedVariant]:
    found = list(statistics.arms)
    weights: dict[str, float] = dict.fromkeys(found, 1) if shares is None else dict(shares)
    if control not in weights:
        where = f"column {columns.variant!r} of {path}" if shares is None else "the planned shares"
        raise FileProblem(
            f"The control {control!r} is not in {where}. The variants there are: "
            + (
                ", ".join(map(repr, weights))
                or "none (no row has both a unit and a variant, or all are crossovers)"
            )
            + "."
        )
    ordered = [control, *(variant for variant in weights if variant != control)]
    return [
        PlannedVariant(key=variant, weight=weights[variant], control=variant == control)
        for variant in ordered
    ]


def _name(path: Path) -> str:
    return path.name.split(".")[0] or path.name
