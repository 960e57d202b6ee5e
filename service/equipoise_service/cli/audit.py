"""`equipoise audit`: does every logged exposure carry the variant that its unit is given?"""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url, get

if TYPE_CHECKING:
    from equipoise_service.recomputation.schemas import AuditOut


def audit(
    experiment: Annotated[str, typer.Argument(help="The experiment's key.")],
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON.")] = False,
) -> None:
    """Recompute the variant of every logged exposure of an experiment and compare.

    Exit status 0: all agree; 1: some do not; 2: it could not be done.
    """
    from equipoise_service.recomputation.schemas import AuditOut

    path = f"/v1/experiments/{quote(experiment, safe='')}/audit"
    body = get(checked_url(url), checked_key(key, "read"), path)
    found = AuditOut.model_validate_json(body)
    failed = bool(found.disagree or found.unknown_revision)
    typer.echo(body.decode() if as_json else _said(found))
    raise typer.Exit(1 if failed else 0)


def _said(found: "AuditOut") -> str:
    place = f"{found.experiment} in {found.environment}"
    if not found.exposures:
        return f"No exposure to {place} is logged."
    lines = [
        f"{found.agree:,} of {found.exposures:,} exposures to {place} carry the variant that their revision "
        "gives their unit."
    ]
    if found.unknown_revision:
        lines.append(f"{found.unknown_revision:,} name a revision that does not exist.")
    if found.disagree:
        lines.append(f"{found.disagree:,} carry another variant, for example:")
        lines += [
            f"  unit {each.unit}, revision {each.revision}: logged {each.logged}, not {each.recomputed}"
            for each in found.examples
        ]
    return "\n".join(lines)
