"""`equipoise analyze`: a file straight to a readout."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise_service.cli.failures import Failure

if TYPE_CHECKING:
    from equipoise_service.plans.documents import PlannedMetric

_METRIC = re.compile(r"\s*(?P<key>[^:]+?)\s*:\s*(?P<type>\w+)\s*\((?P<column>.+)\)\s*")
_METRIC_FORM = (
    "NAME: TYPE(COLUMN), where TYPE is proportion or mean, for example 'converted: proportion(converted)'"
)


def analyze(
    file: Annotated[Path, typer.Argument(help="CSV (.csv, .csv.gz, …) or Parquet file, a row an exposure.")],
    unit: Annotated[str, typer.Option(help="Column of the unit ids.", metavar="COLUMN")],
    variant: Annotated[str, typer.Option(help="Column of the variants.", metavar="COLUMN")],
    control: Annotated[
        str, typer.Option(help="The variant that the others are compared with.", metavar="NAME")
    ],
    metric: Annotated[
        list[str],
        typer.Option(
            help="'NAME: proportion(COLUMN)' or 'NAME: mean(COLUMN)'; several times for several.",
            metavar="METRIC",
        ),
    ],
    time: Annotated[
        str | None,
        typer.Option(help="Column of the times. Rows without one are left out.", metavar="COLUMN"),
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(help="Planned share of a variant, NAME=0.5; equal when absent.", metavar="NAME=SHARE"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the readout as JSON.")] = False,
) -> None:
    """Analyse a file and print its readout; it needs no service.

    A unit is in the arm of its variant; units with several variants are left out and counted. Its value for a
    proportion is whether any of its rows has a value other than zero; for a mean, the sum over its rows.
    """
    metrics = _metrics(metric)
    shares = _shares(share) if share else None

    from rich.console import Console

    from equipoise_service.analysis.tabular import FileProblem
    from equipoise_service.readouts.files import FileColumns, readout_of_file
    from equipoise_service.readouts.terminal import draw, pretty_json

    with Console(stderr=True).status(f"Analysing {file}"):
        try:
            readout = readout_of_file(
                file, FileColumns(unit, variant, time), control=control, metrics=metrics, shares=shares
            )
        except FileProblem as problem:
            raise Failure(str(problem)) from None
    if json:
        typer.echo(pretty_json(readout))
    else:
        draw(readout, Console())


def _metrics(texts: list[str]) -> "list[PlannedMetric]":
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


def _shares(texts: list[str]) -> dict[str, float]:
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
