"""The command `equipoise import`, as it is typed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url

if TYPE_CHECKING:
    from equipoise_service.cli.importing.run import Result


def import_file(
    file: Annotated[
        Path, typer.Argument(help="A .csv, .csv.gz, .tsv, .tsv.gz or .parquet file.", show_default=False)
    ],
    unit: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the unit ids.", show_default=False)],
    experiment: Annotated[
        str | None, typer.Option(metavar="KEY", help="Makes every row an exposure to this experiment.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the variants; goes with --experiment.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            metavar='"NAME: COLUMN"',
            help='An event where the column is true or not zero; "NAME: value(COLUMN)" one with that value. '
            "Repeat for several.",
            show_default=False,
        ),
    ] = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the times.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="One time for all rows, when no column has it.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Zone of times that name none, as Europe/Berlin.")
    ] = "UTC",
    unit_type: Annotated[str, typer.Option(metavar="TYPE", help="What the units are.")] = "user",
    revision: Annotated[
        int | None,
        typer.Option(min=1, max=2**31 - 1, help="Revision of the experiment; absent: its present one."),
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    patience: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds to try again when the service takes nothing.")
    ] = 60.0,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin with the first row, whatever was done before.")
    ] = False,
    refused: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write row and reason of what was refused, as CSV.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, for programs.")] = False,
) -> None:
    """Import exposures and events from a file into a running service.

    Importing a file again changes nothing. An import that was stopped goes on where it stopped. The exit
    status is 0 when everything was taken, 1 when something was refused, 2 when it could not be done.

    equipoise import ab_data.csv.gz --experiment new-landing-page --unit user_id --variant group
    --time timestamp --event "converted: converted"
    """
    from equipoise_service.cli.importing.display import print_summary
    from equipoise_service.cli.importing.mapping import build_mapping, parse_event
    from equipoise_service.cli.importing.run import Interrupted, Job, run_import

    mapping = build_mapping(
        unit=unit,
        unit_type=unit_type,
        experiment=experiment,
        variant=variant,
        revision=revision,
        time=time,
        at=at,
        timezone=timezone,
        events=tuple(parse_event(text) for text in event or ()),
    )
    base = checked_url(url)
    job = Job(file, mapping, base, checked_key(key, "ingest"), patience, restart, refused)
    try:
        result = run_import(job)
    except Interrupted as interrupted:
        typer.echo(str(interrupted), err=True)
        raise typer.Exit(130) from None
    readout = f"{base}/v1/experiments/{experiment}/readout" if experiment else None
    if as_json:
        typer.echo(_as_json(result, readout))
    else:
        print_summary(result.tally, result.seconds, result.rows, readout)
    if result.tally.refused:
        raise typer.Exit(1)


def _as_json(result: "Result", readout: str | None) -> str:
    import msgspec

    tally = result.tally
    summary = {
        "rows": tally.rows,
        "rows_read_now": result.rows,
        "seconds": round(result.seconds, 3),
        "accepted": tally.accepted,
        "duplicate": tally.duplicate,
        "refused": tally.refused,
        "readout": readout,
    }
    return msgspec.json.encode(summary).decode()
