"""What a newcomer sees of the demonstration."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from equipoise_service.cli.demo.simulation import CONTROL, TREATMENT, true_value
from equipoise_service.readouts.numerals import number
from equipoise_service.readouts.schemas import Comparison, Difference, Lift, Readout
from equipoise_service.readouts.terminal import draw

_TITLE_WIDTH = 12


def introduce(console: Console) -> None:
    """Say what comes."""
    console.print()
    console.print("[bold]A simulated experiment through the real service, from start to readout[/bold]")
    console.print()


def step(console: Console, title: str, text: str) -> None:
    """Say that something is done."""
    console.print(Text.assemble(("✓ ", "green"), (f"{title:<{_TITLE_WIDTH}}", "bold"), text))


@contextmanager
def users_bar(console: Console, users: int) -> Iterator["UsersBar"]:
    """A progress bar of users; nothing where the output is no terminal."""
    with Progress(
        TextColumn("[cyan]…[/cyan] [bold]{task.description}[/bold]"),
        BarColumn(bar_width=None),
        TextColumn("[cyan]{task.completed:,.0f} of {task.total:,.0f}[/cyan]"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,
    ) as progress:
        yield UsersBar(progress, users)


class UsersBar:
    """How many users are simulated so far."""

    def __init__(self, progress: Progress, users: int) -> None:
        self._progress = progress
        self._task = progress.add_task(f"{'Users':<{_TITLE_WIDTH - 1}}", total=users)

    def show(self, done: int) -> None:
        """Say how many are done."""
        self._progress.update(self._task, completed=done)


def show_readout(console: Console, readout: Readout) -> None:
    """Draw the readout, then the truth beside it."""
    console.print()
    draw(readout.model_dump(mode="json", by_alias=True), console)
    console.print()
    console.print("[bold]Beside the truth[/bold], which only a simulation knows")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    level = f"{100 * (1 - readout.plan.alpha):g} %"
    for name in ("", "True", "Measured", f"{level} interval", "Covers the truth"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    missed = 0
    for result in readout.metrics:
        for comparison in result.comparisons:
            missed += _add_rows(table, result.metric, comparison)
    console.print(table)
    if missed:
        console.print(
            f"[dim]That is chance, not a fault: a {level} interval misses the truth in at most one "
            f"experiment of {round(1 / readout.plan.alpha)}. Run it again: "
            "assignment is random each time.[/dim]"
        )
    console.print()


def show_next(console: Console, kept: Path | None, key: str) -> None:
    """Say where to look next."""
    console.print("[bold]Where to look next[/bold]")
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column()
    if kept is not None:
        grid.add_row("equipoise serve", f"with EQUIPOISE_DATA_DIR={kept}: this experiment again, at leisure")
        grid.add_row("", f"its key: {key}")
        grid.add_row(f"equipoise verify {os.fspath(kept / 'readout.json')}", "recompute its readout")
    else:
        grid.add_row("equipoise serve", "a service of your own; its first start shows your key")
    grid.add_row("README.md", "a tour of five minutes, from installing to a readout")
    grid.add_row("/openapi.json", "every route of the running service, with examples")
    console.print(Padding(grid, (0, 0, 1, 2)))


def _add_rows(table: Table, metric: str, comparison: Comparison) -> int:
    """Add the difference and the lift of one metric; how many of their intervals miss the truth."""
    control, treatment = true_value(metric, CONTROL), true_value(metric, TREATMENT)
    # Of the difference: a proportion's is in percentage points.
    scale, unit = (100.0, " pp") if metric == "conversion" else (1.0, "")
    rows: tuple[tuple[str, float, Difference | Lift, float, str], ...] = (
        (metric, treatment - control, comparison.difference, scale, unit),
        ("  as lift", treatment / control - 1, comparison.lift, 100.0, " %"),
    )
    missed = 0
    for title, truth, measured, scale, unit in rows:
        shown = partial(number, decimals=2 if unit != " %" else 1, signed=True)
        if measured.estimate is None or measured.interval is None:
            table.add_row(title, shown(scale * truth) + unit, "–", measured.reason or "", "–")
            continue
        low, high = measured.interval
        covered = low <= truth <= high
        missed += not covered
        table.add_row(
            title,
            shown(scale * truth) + unit,
            shown(scale * measured.estimate) + unit,
            f"{shown(scale * low)} to {shown(scale * high)}{unit}",
            Text("yes", "green") if covered else Text("no", "yellow"),
        )
    return missed
