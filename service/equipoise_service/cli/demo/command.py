"""The command `equipoise demo`, as it is typed."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    users: Annotated[int, typer.Option(min=100, max=10_000_000, help="How many users to simulate.")] = 30_000,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIRECTORY", help="Keep the data in this new directory, to look at it."),
    ] = None,
) -> None:
    """Run a simulated experiment through the real service, and print its readout beside the truth.

    Starts a service on a free loopback port with data of its own, drives it through the SDK from two
    processes, and stops and removes everything at the end.
    """
    from equipoise_service.cli.demo.run import run_demo

    try:
        run_demo(users, keep)
    except KeyboardInterrupt:
        typer.echo("\nStopped, and so is everything that the demonstration had started.", err=True)
        raise typer.Exit(130) from None
