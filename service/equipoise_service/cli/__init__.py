"""The command `equipoise`. Each command imports what it needs when it runs, so `--help` is quick."""

import sys

import typer

from equipoise_service.cli.analyze import analyze
from equipoise_service.cli.audit import audit
from equipoise_service.cli.definitions import apply, export
from equipoise_service.cli.demo import demo
from equipoise_service.cli.events import events
from equipoise_service.cli.housekeeping import backup, erase, erasures, restore, retention
from equipoise_service.cli.importing import import_file
from equipoise_service.cli.keys import keys
from equipoise_service.cli.plan import plan
from equipoise_service.cli.readout import readout
from equipoise_service.cli.serve import migrate, serve
from equipoise_service.cli.source import source
from equipoise_service.cli.sql import sql
from equipoise_service.cli.verify import verify
from equipoise_service.cli.worker import worker

app = typer.Typer(
    name="equipoise",
    help="An open experimentation platform: plan, run, measure and decide experiments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(worker)
app.command()(demo)
app.command()(migrate)
app.add_typer(keys, name="key")
app.add_typer(events, name="events")
app.command("import")(import_file)
app.add_typer(plan, name="plan")
app.command()(analyze)
app.command()(readout)
app.command()(verify)
app.command()(audit)
app.add_typer(sql, name="sql")
app.command()(apply)
app.command()(export)
app.add_typer(source, name="source")
app.command()(erase)
app.command()(erasures)
app.add_typer(retention, name="retention")
app.command()(backup)
app.command()(restore)


@app.callback(invoke_without_command=True)
def root(
    version: bool = typer.Option(False, "--version", help="Show the version and exit.", is_eager=True),
) -> None:
    """An open experimentation platform: plan, run, measure and decide experiments."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("equipoise-service"))
        raise typer.Exit


def main() -> None:
    """Run the command line; what goes wrong is said in words, with exit status 2."""
    try:
        app()
    except Exception as error:
        said = _said(error)
        if said is None:
            raise
        typer.secho(said, fg="red", err=True)
        sys.exit(2)


def _said(error: Exception) -> str | None:
    """What a person is told; nothing for a defect, which shows its traceback."""
    from sqlalchemy.exc import DatabaseError

    from equipoise_service.cli.failures import Failure
    from equipoise_service.connections import DriverMissing
    from equipoise_service.database import SchemaTooNew
    from equipoise_service.errors import ServiceError
    from equipoise_service.events.stores.store import EventStoreError
    from equipoise_service.privacy.keeping import UnitKeyChanged
    from equipoise_service.settings import SettingsError

    if isinstance(error, DatabaseError):
        return (
            f"The metadata database cannot be used: {str(error.orig).rstrip('.')}. Its place is "
            "EQUIPOISE_DATABASE_URL or, without that, EQUIPOISE_DATA_DIR."
        )
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    if isinstance(
        error,
        Failure
        | DriverMissing
        | SchemaTooNew
        | ServiceError
        | EventStoreError
        | SettingsError
        | UnitKeyChanged,
    ):
        return str(error)
    return None
