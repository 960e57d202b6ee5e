"""A readout in a terminal: the summary, the figures, the checks."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.looks import leading_metric
from equipoise_service.readouts.cells import (
    NOTHING,
    corrected_p,
    decimals_of,
    difference_cells,
    is_corrected,
    lift_cells,
    notes_of,
    p_cell,
    part_cells,
    stand,
    value_cells,
)
from equipoise_service.readouts.checks import Check
from equipoise_service.readouts.heterogeneity import part_name
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.outcomes import Outcome, outcome
from equipoise_service.readouts.printable import printable
from equipoise_service.readouts.repeat_cells import repeat_heads, repeat_rows
from equipoise_service.readouts.schemas import Comparison, Readout, SegmentResult
from equipoise_service.texts.checks import CHECKS
from equipoise_service.texts.saying import say
from equipoise_stats import CheckStatus, DecisionOutcome

_COLOURS = {
    Outcome.BETTER: "green",
    Outcome.WORSE: "red",
    Outcome.FLAT: "default",
    Outcome.WAITING: "yellow",
    Outcome.UNKNOWN: "yellow",
}
_ADVICE_COLOURS: Mapping[DecisionOutcome | None, str] = {
    DecisionOutcome.SHIP: "bold green",
    DecisionOutcome.DO_NOT_SHIP: "bold red",
    DecisionOutcome.KEEP_RUNNING: "bold yellow",
    DecisionOutcome.INVESTIGATE: "bold red",
}
_STATUS_COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red", "unavailable": "yellow"}


def draw(document: Mapping[str, Any], console: Console) -> None:
    """Draws a readout.

    Args:
        document: The readout, as `building.build_readout` makes it or as its JSON parses.
        console: Where to draw it.
    """
    readout = Readout.model_validate(printable(document))
    revision = "" if readout.revision is None else say("terminal.revision", revision=readout.revision)
    title = Text.assemble((readout.experiment, "bold"), revision)
    console.print(Panel(_summary(readout), title=title, title_align="left"), Group(*_parts(readout)))


def pretty_json(document: Mapping[str, Any]) -> str:
    """A readout as indented JSON, in the order of its members."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _summary(readout: Readout) -> Text:
    """The summary, what is recommended in colour, and where the plan stands."""
    said, advice = readout.summary, readout.recommendation.text
    colour = _ADVICE_COLOURS.get(readout.recommendation.outcome, "bold")
    text = Text(said)
    if said.startswith(advice):
        text = Text.assemble((advice, colour), said.removeprefix(advice))
    changes = readout.recommendation.would_change
    if said.startswith(advice) and changes:
        text.append(f"\n{say('would_change', changes=' '.join(changes))}", "dim")
    text.append(f"\n{stand(readout)}", "dim")
    return text


def _parts(readout: Readout) -> list[RenderableType]:
    parts: list[RenderableType] = [_arms(readout), *_repeat(readout)]
    for metric, result in zip(readout.plan.metrics, readout.metrics, strict=True):
        if result.comparisons:
            heading = Text.assemble((metric.key, "bold"), (f"  {_kind(metric)}", "dim"))
            parts += ["", heading, _metric(metric, result.comparisons, readout.plan.alpha)]
            parts += [Text(note, "dim") for note in result.notes]
    for segment in readout.segments:
        parts += ["", *_segment(readout, segment)]
    followed = readout.by_age
    if followed is not None and (followed.metrics or followed.look is not None):
        parts += ["", Text(say("terminal.ages"), "bold"), Text(followed.text)]
    return [*parts, "", _health(readout), *_footnotes(readout)]


def _repeat(readout: Readout) -> list[RenderableType]:
    """What became of the effects that were decided on, of a readout that asks."""
    if readout.repeat is None:
        return []
    first, *others = repeat_heads()
    table = _table(first, *others)
    for row in repeat_rows(readout.plan.metrics, readout.repeat):
        cells = [row.metric, *map(_lines, row.effects), row.finding]
        table.add_row(*map(Text, cells))
    return ["", Text(say("repeat.title"), "bold"), table]


def _kind(metric: PlannedMetric) -> str:
    return say("terminal.metric", type=say(f"type.{metric.type}"), role=say(f"role.{metric.role}"))


def _arms(readout: Readout) -> Table:
    table = _table(*(say(f"column.{name}") for name in ("arm", "units", "share", "planned")))
    total = sum(arm.units for arm in readout.arms)
    for arm in readout.arms:
        share = percent(arm.units / total) if total else NOTHING
        table.add_row(Text(arm.variant), f"{arm.units:,}", share, percent(arm.expected_share))
    return table


def _metric(metric: PlannedMetric, comparisons: Sequence[Comparison], alpha: float) -> Table:
    level = f"{100 * (1 - alpha):g} %"
    corrected = any(is_corrected(comparison) for comparison in comparisons)
    names = [
        say("column.value"),
        say("column.difference_at", level=level),
        say("column.lift_at", level=level),
        say("column.p"),
        *([say("column.p_corrected")] if corrected else []),
    ]
    table = _table("", *names)
    decimals = decimals_of(comparisons)
    baseline = comparisons[0]
    value = value_cells(metric.type, baseline.statistics.baseline, decimals)
    table.add_row(Text(baseline.baseline), _lines(value), "", "", "")
    for comparison in comparisons:
        colour = _COLOURS[outcome(metric, comparison)]
        difference, lift = comparison.difference, comparison.lift
        table.add_row(
            Text(comparison.variant),
            _lines(value_cells(metric.type, comparison.statistics.variant, decimals)),
            Text(_lines(difference_cells(metric.type, difference)), colour),
            Text(_lines(lift_cells(lift)), colour),
            Text(p_cell(difference.p_value), colour),
            *([Text(p_cell(corrected_p(comparison)), colour)] if corrected else []),
        )
        for name, values, cells in part_cells(metric, comparison):
            table.add_row(Text(f"  {name}", "dim"), Text(values, "dim"), Text(_lines(cells), "dim"))
    return table


def _segment(readout: Readout, segment: SegmentResult) -> list[RenderableType]:
    """What is said of a segment, and the effects on the leading metric in each of its parts."""
    mark = say("terminal.segment" if segment.declared else "terminal.segment.exploratory")
    heading = Text.assemble((segment.segment, "bold"), (f"  {mark}", "dim"))
    lead = leading_metric(readout.plan)
    lifts = (say("column.lift_of", variant=variant, metric=lead) for variant in readout.plan.treatments)
    table = _table("", say("column.units"), *lifts)
    for part in segment.parts:
        found = next((each.comparisons for each in part.metrics if each.metric == lead), [])
        units = sum(arm.units for arm in part.arms)
        cells = (_lines(lift_cells(each.lift)) for each in found)
        table.add_row(Text(part_name(part.value, others=part.others)), f"{units:,}", *cells)
    return [heading, Text(segment.text), *([table] if segment.parts and lead is not None else [])]


def _lines(cells: tuple[str, str]) -> str:
    return "\n".join(filter(None, cells))


def _health(readout: Readout) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    for name, check in readout.health.all.items():
        table.add_row(
            CHECKS[name].title,
            Text(say(f"status.{check.status}"), _STATUS_COLOURS[check.status]),
            Text(check.number),
            Text(_advice(check), "dim"),
        )
    return table


def _advice(check: Check) -> str:
    told = check.reason or ""
    return f"{told} {check.action}" if check.status is CheckStatus.FAILED else told


def _footnotes(readout: Readout) -> list[RenderableType]:
    notes = notes_of(readout)
    return ["", *(Text(note, "dim") for note in notes)] if notes else []


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
