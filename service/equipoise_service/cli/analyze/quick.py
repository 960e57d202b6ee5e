"""An analysis that options alone describe: `--control` and `--metric`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise_service.cli.analyze.mapping import Columns, file_covariates, file_segments
from equipoise_service.cli.failures import Failure

if TYPE_CHECKING:
    from equipoise_service.plans.documents import PlannedMetric

_METRIC = re.compile(r"\s*(?P<key>[^:]+?)\s*:\s*(?P<type>\w+)\s*\((?P<column>.+)\)\s*")
_METRIC_FORM = (
    "NAME: TYPE(COLUMN), where TYPE is proportion or mean, for example 'converted: proportion(converted)'"
)


def quick_readout(
    file: Path | None, columns: Columns, control: str | None, metrics: Sequence[str], shares: Sequence[str]
) -> dict[str, Any]:
    """The readout of a file.

    Args:
        file: The file.
        columns: What its columns mean.
        control: `--control`.
        metrics: `--metric`.
        shares: `--share`.

    Raises:
        Failure: An option cannot be read or is missing, or the file cannot be analysed.
    """
    if file is None:
        raise Failure("Name a file, or an --experiment whose metrics name sources.")
    if columns.variant is None or control is None or not metrics:
        raise Failure(
            "Give --variant, --control and --metric, or an --experiment that says what is measured."
        )
    planned = _metrics(metrics)
    planned_shares = _shares(shares) if shares else None
    segments, texts = file_segments(columns.segments)
    by_key = {metric.key: metric for metric in planned}
    _, before = file_covariates(columns.covariates, by_key, {key: key for key in by_key})

    from rich.console import Console

    from equipoise_service.analysis.tabular import FileProblem
    from equipoise_service.readouts.files import FileColumns, readout_of_file

    named = FileColumns(columns.unit, columns.variant, columns.time, tuple(segments), texts, before)
    with Console(stderr=True).status(f"Analysing {file}"):
        try:
            return readout_of_file(file, named, control=control, metrics=planned, shares=planned_shares)
        except FileProblem as problem:
            raise Failure(str(problem)) from None


def _metrics(texts: Sequence[str]) -> "list[PlannedMetric]":
    from equipoise_service.metrics.schemas import Direction, MetricType, Role
    from equipoise_service.plans.documents import PlannedMetric

    found: dict[str, PlannedMetric] = {}
    for text in texts:
        match = _METRIC.fullmatch(text)
        if match is None or match["type"] not in (MetricType.PROPORTION, MetricType.MEAN):
            raise Failure(f"--metric {text!r} cannot be read. Write {_METRIC_FORM}.")
        if match["key"] in found:
            raise Failure(f"--metric names {match['key']!r} twice. Give each metric a name of its own.")
        found[match["key"]] = PlannedMetric(
            key=match["key"],
            type=MetricType(match["type"]),
            role=Role.SUCCESS,
            direction=Direction.INCREASE,
            column=match["column"].strip(),
        )
    return list(found.values())


def _shares(texts: Sequence[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for text in texts:
        name, separator, value = text.rpartition("=")
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if not (separator and name and 0 <= share <= 1):
            raise Failure(f"--share {text!r} cannot be read. Write NAME=SHARE, for example control=0.5.")
        if name in shares:
            raise Failure(f"--share names {name!r} twice.")
        shares[name] = share
    if abs(sum(shares.values()) - 1) > 1e-3:
        raise Failure(
            f"The shares sum to {sum(shares.values()):g}. Name every variant, so that they sum to 1."
        )
    return shares
