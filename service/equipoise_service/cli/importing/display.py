"""What a person sees of an import while it runs, and at its end."""

from time import monotonic
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from equipoise_service.cli.importing.tally import Tally

_SECONDS_BETWEEN_LINES: Final = 5.0


class Display:
    """Progress on the standard error stream: a bar on a terminal, else a line every few seconds.

    Args:
        title: What is imported.
        done: How many rows were done before.
    """

    def __init__(self, title: str, done: int) -> None:
        self._title = title
        self._done = self._done_before = done
        self._total: int | None = None
        self._console = Console(stderr=True, highlight=False)
        self._began = self._said_at = monotonic()
        self._bar: Progress | None = None
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None, table_column=Column(ratio=1)),
                _Rows(table_column=Column(no_wrap=True)),
                TimeRemainingColumn(compact=True),
                console=self._console,
                transient=True,
                expand=True,
            )
            self._task = self._bar.add_task(title, total=None, completed=done)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def expect(self, total: int) -> None:
        """Say how many rows there are."""
        self._total = total
        if self._bar:
            self._bar.update(self._task, total=total)

    def show(self, done: int) -> None:
        """Say how many rows are done."""
        self._done = done
        if self._bar:
            self._bar.update(self._task, completed=done)
        elif monotonic() - self._said_at >= _SECONDS_BETWEEN_LINES:
            self._said_at = monotonic()
            self._console.print(self._line(), soft_wrap=True)

    def notice(self, text: str) -> None:
        """Say something; from any thread."""
        self._console.print(Text(text, style="yellow"), soft_wrap=True)

    def _line(self) -> str:
        rate = (self._done - self._done_before) / max(monotonic() - self._began, 1e-9)
        parts = [f"{self._done:,} rows" if self._total is None else f"{self._done:,} of {self._total:,} rows"]
        if rate > 0:
            parts.append(f"{rate:,.0f} rows/s")
            if self._total is not None:
                parts.append(f"{(self._total - self._done) / rate:,.0f} s left")
        return f"{self._title}: {', '.join(parts)}"


class _Rows(ProgressColumn):
    """Rows done, of how many, and how fast."""

    def render(self, task: Task) -> Text:
        """One task's text."""
        of = "" if task.total is None else f" of {task.total:,.0f}"
        speed = f"{task.speed:,.0f}" if task.speed else "–"
        return Text(f"{task.completed:,.0f}{of} rows  {speed}/s", style="cyan", no_wrap=True)


def print_summary(tally: Tally, seconds: float, rows_now: int, readout: str | None) -> None:
    """Print what an import did, for a person.

    Args:
        tally: Where everything ended.
        seconds: How long it took this time.
        rows_now: How many rows were read this time.
        readout: URL of the readout to look at next, if there is one.
    """
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column()
    for name in ("accepted", "there before", "refused"):
        table.add_column(name, justify="right")
    for kind, singular in (("exposures", "exposure"), ("events", "event")):
        refused = sum(each.count for each in tally.refused if each.item.split(" ")[0] == singular)
        table.add_row(kind, *(f"{n:,}" for n in (tally.accepted[kind], tally.duplicate[kind], refused)))
    whole = sum(each.count for each in tally.refused if each.item == "row")
    if whole:
        table.add_row("whole rows", "", "", f"{whole:,}")
    rate = f", {rows_now / seconds:,.0f} rows/s" if rows_now and seconds > 0 else ""
    before = tally.rows - rows_now
    resumed = f" ({before:,} of them by an earlier run)" if before else ""
    console.print(f"[bold]{tally.rows:,} rows[/bold]{resumed} in {seconds:,.1f} s{rate}", soft_wrap=True)
    console.print()
    console.print(table)
    _print_refusals(console, tally)
    if readout:
        console.print()
        console.print("The readout, for a key with the scope read:")
        console.print(
            f"  curl -H 'Authorization: Bearer KEY' {readout}", style="cyan", soft_wrap=True, markup=False
        )


def _print_refusals(console: Console, tally: Tally) -> None:
    if not tally.refused:
        return
    console.print()
    console.print("Refused:", style="bold yellow")
    for each in sorted(tally.refused, key=lambda each: -each.count):
        rows = ", ".join(f"{row:,}" for row in each.rows) + (", …" if each.count > len(each.rows) else "")
        where = "row" if each.count == 1 else "rows"
        what = "" if each.item == "row" else f"{each.item}: "
        console.print(
            f"  {each.count:,} × {what}{each.reason} ({where} {rows})", soft_wrap=True, markup=False
        )
