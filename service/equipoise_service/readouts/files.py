"""A readout straight from a file, with no service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from equipoise_service.analysis.files import analyse_file
from equipoise_service.analysis.requests import FileRequest
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.analysis.tabular import FileProblem
from equipoise_service.plans.documents import Plan, PlannedMetric, PlannedVariant
from equipoise_service.readouts.building import Provenance, build_readout


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Which columns of a file mean what.

    Attributes:
        unit: Column of the unit ids.
        variant: Column of the variants.
        time: Column of the times; None counts every row.
    """

    unit: str
    variant: str
    time: str | None = None


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
    measures = tuple(metric.measure for metric in metrics)
    request = FileRequest(columns.unit, columns.variant, columns.time, measures)
    statistics = analyse_file(path, request)
    plan = Plan(
        unit_type=columns.unit,
        variants=_variants(path, columns, statistics, control, shares),
        metrics=list(metrics),
    ).complete()
    return build_readout(plan, statistics, Provenance(_name(path), None, datetime.now(UTC)))


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
        known = (
            ", ".join(map(repr, weights))
            or "none (no row has both a unit and a variant, or all are crossovers)"
        )
        raise FileProblem(f"The control {control!r} is not in {where}. The variants there are: {known}.")
    ordered = [control, *(variant for variant in weights if variant != control)]
    return [
        PlannedVariant(key=variant, weight=weights[variant], control=variant == control)
        for variant in ordered
    ]


def _name(path: Path) -> str:
    return path.name.split(".")[0] or path.name
