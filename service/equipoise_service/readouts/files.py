"""A readout straight from a file, with no service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from equipoise_service.analysis.file_facts import analyse_file_facts
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
from equipoise_service.readouts.building import Provenance, build_readout


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Which columns of a file mean what.

    Attributes:
        unit: Column of the unit ids; None: every row is a unit of its own.
        variant: Column of the variants.
        time: Column of the times; None counts every row.
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
    now = datetime.now(UTC)
    unit_type = columns.unit or "row"
    # Columns are summed where they stand. What else is asked of units is asked of their events.
    if columns.texts or columns.before:
        statistics, metrics = _of_events(path, columns, unit_type, metrics, now)
    else:
        measures = tuple(metric.measure for metric in metrics)
        statistics = analyse_file(path, FileRequest(columns.unit, columns.variant, columns.time, measures))
    plan = Plan(
        unit_type=unit_type,
        variants=_variants(path, columns, statistics, control, shares),
        metrics=list(metrics),
        segments=list(columns.segments),
    ).complete()
    return build_readout(plan, statistics, Provenance(_name(path), None, now))


def _of_events(
    path: Path, columns: FileColumns, unit_type: str, metrics: Sequence[PlannedMetric], now: datetime
) -> tuple[Statistics, list[PlannedMetric]]:
    """The statistics of events that the cells make, and the metrics as they are made of these."""
    adjusted = {event.name for event in columns.before}
    measured = [
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
    facts = FileFacts(
        columns.unit,
        columns.variant,
        columns.time,
        events=tuple(FileEvent(each.key, each.column or "", not each.type.is_share) for each in metrics),
        texts=columns.texts,
        before=columns.before,
    )
    request = StoreRequest(
        "file/file",
        _name(path),
        1,
        unit_type,
        tuple(metric.measure for metric in measured),
        now,
        segments=tuple(Segment(each.key, each.event, each.property) for each in columns.segments),
    )
    return analyse_file_facts(path, facts, request, newest=True).statistics, measured


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
