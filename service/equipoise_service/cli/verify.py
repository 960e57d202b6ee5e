"""`equipoise verify`: does a readout say what its statistics give?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from equipoise_service.cli.failures import Failure


def verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Readouts, as JSON.")],
    json: Annotated[
        bool,
        typer.Option("--json", help="Print the findings as JSON; of several files in `readouts`."),
    ] = False,
) -> None:
    """Recompute every number of readouts from the statistics in them, and check their digests.

    Exit status 0: everything agrees; 1: something does not; 2: a file cannot be read or recomputed.
    """
    from equipoise_service.readouts.terminal import pretty_json

    found = []
    for file in files:
        found.append(_verified(file))
        if not json:
            _print(file, found[-1]["disagreements"])
            if not found[-1]["words_compared"]:
                typer.echo(f"{file} is in the words of another release or language, which were not compared.")
    named = [{"file": str(file), **each} for file, each in zip(files, found, strict=True)]
    agrees = all(each["agrees"] for each in found)
    if json:
        typer.echo(pretty_json(found[0] if len(files) == 1 else {"agrees": agrees, "readouts": named}))
    raise typer.Exit(0 if agrees else 1)


def _verified(file: Path) -> dict[str, Any]:
    from equipoise_service.readouts.reading import NotAReadout, read_document
    from equipoise_service.readouts.verification import verify_readout
    from equipoise_service.readouts.wording import is_written_here

    try:
        document = read_document(file)
    except NotAReadout as error:
        raise Failure(str(error)) from None
    try:
        found = verify_readout(document)
    except NotAReadout as error:
        raise Failure(f"{file}: {error}") from None
    disagreements = [
        {"pointer": each.pointer, "found": each.found, "expected": each.expected} for each in found
    ]
    words = isinstance(document, dict) and is_written_here(document)
    return {"agrees": not found, "words_compared": words, "disagreements": disagreements}


def _print(file: Path, disagreements: list[dict[str, Any]]) -> None:
    for each in disagreements:
        pointer, found, expected = each["pointer"] or "/", each["found"], each["expected"]
        typer.echo(f"{pointer}: the readout says {found!r}, recomputed {expected!r}")
    if disagreements:
        typer.secho(
            f"{file} disagrees with its own statistics in {len(disagreements)} places.", fg="red", err=True
        )
    else:
        typer.echo(
            f"{file} agrees: every number follows from its statistics and plan, and its digests match."
        )
