"""`equipoise key create|list|revoke`: API keys, straight in the metadata database."""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from equipoise_service.cli.failures import Failure

keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class ScopeName(StrEnum):
    """The scopes, as the command line offers them."""

    evaluate = "evaluate"
    ingest = "ingest"
    read = "read"
    write = "write"
    admin = "admin"


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, in your words.")],
    scope: Annotated[list[ScopeName], typer.Option(help="What it may do; repeat for several.")],
    project: Annotated[str, typer.Option(help="Its project; made when it does not exist.")] = "default",
    environment: Annotated[
        str, typer.Option(help="Its environment; made when it does not exist.")
    ] = "production",
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it ends; without: never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, once."""
    from equipoise_service.accounts.principals import Scope
    from equipoise_service.accounts.service import make_key
    from equipoise_service.keys import check_key
    from equipoise_service.resources import open_database
    from equipoise_service.settings import load_settings

    for option, value in (("--project", project), ("--environment", environment)):
        problem = check_key(value)
        if problem:
            raise Failure(f"{option} {value}: {problem}")
    expires = datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None
    with open_database(load_settings()) as database, database.write() as session:
        made = make_key(
            session,
            name=name,
            project=project,
            environment=environment,
            scopes={Scope(each) for each in scope},
            expires_at=expires,
        )
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(
        f"{made.key}\n\nThis is shown once. It opens {made.project}/{made.environment} for "
        f"{', '.join(made.scopes)}; its id is {made.id}."
    )


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys, without their secrets."""
    from rich.console import Console
    from rich.table import Table

    from equipoise_service.accounts import repository
    from equipoise_service.accounts.service import key_out
    from equipoise_service.resources import open_database
    from equipoise_service.settings import load_settings

    with open_database(load_settings()) as database, database.read() as session:
        shown = [key_out(*row) for row in repository.keys_page(session, None, 0, 1_000_000)]
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in shown]))
        return
    table = Table("id", "name", "project", "environment", "scopes", "state")
    for each in shown:
        table.add_row(
            each.id,
            each.name,
            each.project,
            each.environment,
            " ".join(each.scopes),
            _state(each.expires_at, each.revoked_at),
        )
    Console().print(table)


@keys.command()
def revoke(id: Annotated[str, typer.Argument(help="The key's id, as `key list` shows it.")]) -> None:
    """Revoke a key. Running services notice within EQUIPOISE_REFRESH_SECONDS."""
    from equipoise_service.accounts.service import revoke_key
    from equipoise_service.resources import open_database
    from equipoise_service.settings import load_settings

    with open_database(load_settings()) as database, database.write() as session:
        revoked = revoke_key(session, id)
    typer.echo(f"The key {revoked.id} ({revoked.name}) is revoked.")


def _state(expires_at: datetime | None, revoked_at: datetime | None) -> str:
    if revoked_at:
        return f"revoked {revoked_at:%Y-%m-%d}"
    if expires_at and expires_at <= datetime.now(UTC):
        return f"expired {expires_at:%Y-%m-%d}"
    return f"valid until {expires_at:%Y-%m-%d}" if expires_at else "valid"
