"""The command `equipoise analyze`, as it is typed."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise_service.cli.analyze.mapping import Columns
from equipoise_service.cli.analyze.quick import quick_readout
from equipoise_service.cli.failures import Failure
from equipoise_service.cli.readout_forms import Form, check_form, form_of, write_readout

_COLUMNS, _QUICK, _OUT = "Columns of the file", "Without an experiment", "Output"
_PLANNED = "By an experiment's plan"


def analyze(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV (.csv, .csv.gz, …) or Parquet file, a row an exposure. Without one, the "
            "sources that the experiment's metrics name are read.",
            show_default=False,
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="Column of the unit ids; without it every row is a unit of its own.",
            metavar="COLUMN",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Column of the variants.", metavar="COLUMN", rich_help_panel=_COLUMNS)
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="Column of the times. Rows without one are left out.",
            metavar="COLUMN",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            help="Splits units by a column; several times for several. 'NAME: COLUMN' names it.",
            metavar="COLUMN",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            help="'METRIC: COLUMN': what the metric was before the unit was exposed; the comparison is "
            "adjusted for it (CUPED).",
            metavar="COVARIATE",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            help="The variant that the others are compared with.", metavar="NAME", rich_help_panel=_QUICK
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="'NAME: proportion(COLUMN)' or 'NAME: mean(COLUMN)'; several times for several.",
            metavar="METRIC",
            rich_help_panel=_QUICK,
        ),
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(
            help="Planned share of a variant, NAME=0.5; equal when absent.",
            metavar="NAME=SHARE",
            rich_help_panel=_QUICK,
        ),
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(
            help="An experiment with its plan, as POST /v1/experiments takes it: YAML or JSON.",
            metavar="FILE",
            rich_help_panel=_PLANNED,
        ),
    ] = None,
    definitions: Annotated[
        list[Path] | None,
        typer.Option(
            help="Metrics and sources that the experiment names, as `equipoise apply` reads them.",
            metavar="FILE",
            rich_help_panel=_PLANNED,
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="'NAME: COLUMN': a row makes this event where the column is true or not zero; "
            "'NAME: value(COLUMN)': one with that value, unless the cell is empty.",
            metavar="EVENT",
            rich_help_panel=_PLANNED,
        ),
    ] = None,
    property: Annotated[
        list[str] | None,
        typer.Option(
            help="A column that these events have as a property, a text.",
            metavar="COLUMN",
            rich_help_panel=_PLANNED,
        ),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="What the file calls a variant, where that is not its key.",
            metavar="VARIANT=TEXT",
            rich_help_panel=_PLANNED,
        ),
    ] = None,
    revision: Annotated[
        int, typer.Option(min=1, help="Revision whose exposures a source has.", rich_help_panel=_PLANNED)
    ] = 1,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="When it is read, and facts end; without it, a file's latest time, and now for a source.",
            metavar="TIME",
            rich_help_panel=_PLANNED,
        ),
    ] = None,
    ended: Annotated[
        bool, typer.Option("--ended", help="No unit is to come any more.", rich_help_panel=_PLANNED)
    ] = False,
    look: Annotated[
        bool,
        typer.Option(
            "--look",
            help="Take the look that is due; with --earlier, after those that were taken.",
            rich_help_panel=_PLANNED,
        ),
    ] = False,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(
            help="The readout of an earlier look, as JSON; several times for several, which figures over "
            "time draw.",
            metavar="FILE",
            rich_help_panel=_PLANNED,
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--format",
            help="The form; without it, that of the output's ending, else text.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write it; for several figures a directory.",
            metavar="PATH",
            rich_help_panel=_OUT,
        ),
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option(help="For png and svg: this figure alone.", metavar="NAME", rich_help_panel=_OUT),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON: --format json.", rich_help_panel=_OUT)
    ] = False,
) -> None:
    """Analyse a file, or facts in a warehouse, and print the readout; it needs no service.

    A unit is in the arm of its variant; units with several variants are left out and counted. Without an
    experiment, a unit's value for a proportion is whether any of its rows has a value other than zero; for a
    mean, the sum over its rows. With one, everything is as in the service: its plan, its metrics, its looks.
    """
    form = Form.JSON if json else form_of(form, output)
    check_form(form, output, figure)
    columns = Columns(
        unit,
        variant,
        time,
        tuple(segment or ()),
        tuple(covariate or ()),
        tuple(event or ()),
        tuple(property or ()),
        tuple(arm or ()),
    )
    if experiment is None:
        needing: dict[str, object] = {"--definitions": definitions, "--as-of": as_of, "--ended": ended}
        needing |= {"--look": look, "--earlier": earlier}
        needing |= {"--event": event, "--property": property, "--arm": arm}
        _refuse(needing, "belongs to an --experiment and its plan")
        document = quick_readout(file, columns, control, metric or [], share or [])
        write_readout(document, [], form, figure=figure, output=output)
        return
    _refuse({"--control": control, "--metric": metric, "--share": share}, "is what the --experiment says")
    from equipoise_service.cli.analyze.planned import Asked, planned_readout

    asked = Asked(experiment, tuple(definitions or ()), revision, as_of, ended, look, tuple(earlier or ()))
    document, before = planned_readout(file, columns, asked)
    write_readout(document, before, form, figure=figure, output=output)


def _refuse(options: dict[str, object], why: str) -> None:
    for name, value in options.items():
        if value:
            raise Failure(f"{name} {why}.")
