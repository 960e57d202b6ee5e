"""`equipoise sql assignment`: the query that recomputes an experiment's assignments in a warehouse."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url, get
from equipoise_service.recomputation.engines import Engine

sql = typer.Typer(help="Print SQL that recomputes what the service did.", no_args_is_help=True)


@sql.callback()
def group() -> None:
    """Print SQL that recomputes what the service did."""


@sql.command()
def assignment(
    experiment: Annotated[str, typer.Argument(help="The experiment's key.")],
    engine: Annotated[Engine, typer.Option(help="Whose SQL.", show_default=False)],
    table: Annotated[str, typer.Option(help="The table that holds the units.")] = "exposures",
    unit: Annotated[str, typer.Option(metavar="COLUMN", help="Its column of unit ids.")] = "unit",
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE=COLUMN", help="The column of another unit type's ids, where a holdout needs it."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A saved configuration document; absent: ask the service."),
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print the query that computes the slot, the arm and the variant of each unit of a table.

    Any engine gives the same answer as the SDK. An audience is not part of the query: give it a table of the
    units that the audience admits.

    equipoise sql assignment new-landing-page --engine postgres --table analytics.visitors --unit user_id
    """
    from equipoise.configuration import load
    from equipoise.errors import ConfigurationError
    from equipoise_service.recomputation.query import CannotRecompute, Units, assignment_query

    document = _read(config) if config else get(checked_url(url), checked_key(key, "evaluate"), "/v1/config")
    try:
        configuration = load(document)
        found = configuration.experiments.get(experiment)
        columns = {**_columns(column or []), **({found.unit_type: unit} if found else {})}
        typer.echo(assignment_query(configuration, experiment, engine, Units(table, columns)), nl=False)
    except ConfigurationError as error:
        raise Failure(f"{config or url}: this is no configuration document: {error}") from None
    except CannotRecompute as error:
        raise Failure(str(error)) from None
    except ValueError as error:
        raise Failure(f"--table {table}: {error}.") from None


def _columns(pairs: list[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        unit_type, separator, column = pair.partition("=")
        if not (unit_type and separator and column):
            raise Failure(f"--column {pair}: write it as TYPE=COLUMN, for example account=account_id.")
        columns[unit_type] = column
    return columns


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None
