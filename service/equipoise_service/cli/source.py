"""`equipoise source test`: can the facts of a source be read, and do they mean what is said of them?"""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url

if TYPE_CHECKING:
    from equipoise_service.sources.schemas import RowsFound, SourceTestOut

source = typer.Typer(help="Test sources.", no_args_is_help=True)


@source.callback()
def _group() -> None:
    """Test sources."""


@source.command("test")
def check(
    key_of_source: Annotated[str, typer.Argument(metavar="KEY", help="The source's key.")],
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON.")] = False,
) -> None:
    """Let the service connect to a source, look at its rows, and say what is wrong.

    Exit status 0: it can be read; 1: it cannot; 2: it could not be tested.
    """
    from equipoise_service.cli.definitions.api import Api
    from equipoise_service.sources.schemas import SourceTestOut

    api = Api(checked_url(url), checked_key(key, "write"))
    body = api.post(f"/v1/sources/{quote(key_of_source, safe='')}/test")
    found = SourceTestOut.model_validate(body)
    typer.echo(found.model_dump_json(indent=2) if as_json else _said(found))
    raise typer.Exit(0 if found.ok else 1)


def _said(found: "SourceTestOut") -> str:
    engine = f" on {found.engine}" if found.engine else ""
    verdict = "can be read" if found.ok else "cannot be read as it is defined"
    lines = [f"The source {found.source}{engine} {verdict} ({found.seconds:.1f} s)."]
    lines += [
        f"  {each.severity}: {each.pointer + ': ' if each.pointer else ''}{each.message}"
        for each in found.findings
    ]
    for name, rows in (("Events", found.events), ("Exposures", found.exposures)):
        if rows is not None:
            lines += _rows(name, rows)
    return "\n".join(lines)


def _rows(name: str, rows: "RowsFound") -> list[str]:
    span = "" if rows.first is None else f", {rows.first.isoformat()} to {rows.last.isoformat()}"  # type: ignore[union-attr] # both or none
    lines = [f"{name}: {rows.rows:,} rows of {rows.units:,} units{span}."]
    lines += [f"  {each.name}: {each.rows:,} rows of {each.units:,} units" for each in rows.samples]
    return lines
