"""`equipoise erase`, `erasures`, `retention run`, `backup` and `restore`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url

retention = typer.Typer(help="Delete what is old.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON.")]


def erase(
    unit_type: Annotated[str, typer.Argument(help="What kind of unit it is, such as user.")],
    unit: Annotated[str, typer.Argument(help="Its id, as it was sent.")],
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Erase a unit everywhere, for good, and show what proves it.

    Exit status 0: nothing of it is left; 1: something is, and it says where.
    """
    from equipoise_service.cli.definitions.api import Api

    api = Api(checked_url(url), checked_key(key, "admin"))
    if not yes:
        typer.confirm(f"Delete everything about the {unit_type} {unit!r}, for good?", abort=True)
    found = api.post("/v1/units/erase", {"unit_type": unit_type, "unit": unit})
    typer.echo(json.dumps(found) if as_json else _erased(found))
    raise typer.Exit(0 if found["verified"] else 1)


def erasures(url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """List the erasures of the key's project."""
    from rich.console import Console
    from rich.table import Table

    from equipoise_service.cli.definitions.api import Api

    found = list(Api(checked_url(url), checked_key(key, "admin")).all("/v1/erasures"))
    if as_json:
        for each in found:
            typer.echo(json.dumps(each))
        return
    table = Table("asked for (UTC)", "by", "unit type", "hash of the unit", "deleted", "state")
    for each in found:
        state = "verified" if each["verified"] else "incomplete" if each["finished_at"] else "interrupted"
        deleted = f"{sum(each['deleted'].values()):,}"
        cells = (each["requested_at"][:19], each["requested_by"], each["unit_type"], each["unit_hash"])
        table.add_row(*cells, deleted, state)
    Console().print(table)


@retention.command("run")
def run(url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Delete what is older than the service's settings say. The service does it every hour, too."""
    from equipoise_service.cli.definitions.api import Api

    api = Api(checked_url(url), checked_key(key, "admin"))
    total: dict[str, int] = {}
    finished = False
    while not finished:
        found = api.post("/v1/retention/run")
        finished = found["finished"]
        for table, count in found["deleted"].items():
            total[table] = total.get(table, 0) + count
    if as_json:
        typer.echo(json.dumps({"deleted": total, "finished": True}))
    elif not total:
        typer.echo("The service keeps everything: EQUIPOISE_RETENTION_DAYS is 0.")
    else:
        typer.echo(f"Deleted {_counted(total)}.")


def backup(url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Have the running service copy its embedded databases, on its machine, and say where to."""
    from equipoise_service.cli.definitions.api import Api

    found = Api(checked_url(url), checked_key(key, "admin")).post("/v1/backups")
    if as_json:
        typer.echo(json.dumps(found))
        return
    size = sum(each["bytes"] for each in found["files"].values())
    typer.echo(
        f"{found['directory']}\n{len(found['files'])} files, {size:,} bytes, on the service's machine."
    )


def restore(
    directory: Annotated[Path, typer.Argument(help="The backup.", exists=True, file_okay=False)],
) -> None:
    """Make the data directory [EQUIPOISE_DATA_DIR] from a backup. It must be absent or empty."""
    from equipoise_service.housekeeping.manifests import NoBackup
    from equipoise_service.housekeeping.restoring import restore as restored
    from equipoise_service.settings import load_settings

    settings = load_settings()
    try:
        manifest = restored(directory, settings)
    except NoBackup as error:
        raise Failure(str(error)) from None
    typer.echo(
        f"{settings.data_dir} is as it was at {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC. Units that were "
        "erased since then are in it again: erase them again before you serve from it."
    )


def _erased(found: dict[str, Any]) -> str:
    lines = [
        f"Erasure {found['id']} of the {found['unit_type']} with the hash {found['unit_hash']}.",
        f"Deleted: {_counted(found['deleted'])}.",
    ]
    left = {table: count for table, count in found["found"].items() if count}
    if left:
        lines.append(f"Still named by: {_counted(left)}. Mend these, and erase again.")
    else:
        lines.append("Every table was searched for rows of it afterwards, and there are none.")
    return "\n".join(lines)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in counts.items())
