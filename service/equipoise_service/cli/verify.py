"""`equipoise verify`: does a readout say what its statistics give?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from equipoise_service.cli.failures import Failure

_LARGEST_BYTES = 64 << 20


def verify(
    file: Annotated[Path, typer.Argument(help="A readout, as JSON.")],
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Recompute every number of a readout from the statistics in it, and check its digests.

    Exit status 0: everything agrees; 1: something does not; 2: the file cannot be read or recomputed.
    """
    from equipoise_service.readouts.terminal import pretty_json
    from equipoise_service.readouts.verification import NotAReadout, verify_readout

    document = _read(file)
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


def _read(file: Path) -> Any:
    import json

    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise Failure(f"{file} is larger than {_LARGEST_BYTES >> 20} MiB, which no readout is.")
        return json.loads(file.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise Failure(f"{file} is not JSON: {error}.") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
