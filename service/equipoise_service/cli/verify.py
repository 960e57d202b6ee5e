"""`equipoise verify`: does a readout say what its statistics give?"""

from pathlib import Path
from typing import Annotated

import typer

from equipoise_service.cli.failures import Failure


def verify(
    file: Annotated[Path, typer.Argument(help="A readout, as JSON.")],
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Recompute every number of a readout from the statistics in it, and check its digests.

    Exit status 0: everything agrees; 1: something does not; 2: the file cannot be read or recomputed.
    """
    from equipoise_service.readouts.reading import NotAReadout, read_document
    from equipoise_service.readouts.terminal import pretty_json
    from equipoise_service.readouts.verification import verify_readout

    try:
        document = read_document(file)
    except NotAReadout as error:
        raise Failure(str(error)) from None
    try:
        found = verify_readout(document)
    except NotAReadout as error:
        raise Failure(f"{file}: {error}") from None
    if json:
        disagreements = [
            {"pointer": each.pointer, "found": each.found, "expected": each.expected} for each in found
        ]
        typer.echo(pretty_json({"agrees": not found, "disagreements": disagreements}))
    elif found:
        for each in found:
            typer.echo(
                f"{each.pointer or '/'}: the readout says {each.found!r}, recomputed {each.expected!r}"
            )
        typer.secho(f"{file} disagrees with its own statistics in {len(found)} places.", fg="red", err=True)
    else:
        typer.echo(
            f"{file} agrees: every number follows from its statistics and plan, and its digests match."
        )
    raise typer.Exit(1 if found else 0)
