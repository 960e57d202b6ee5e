"""A readout in a terminal: the summary, the figures, the checks."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.checks import Check
from equipoise_service.readouts.numerals import count, decimals_for, number, p_value, percent
from equipoise_service.readouts.schemas import (
    ArmStatistics,
    Comparison,
    ProportionStatistics,
    Readout,
)
from equipoise_service.readouts.summary import Outcome, outcome
from equipoise_service.readouts.wording import CHECKS, say
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
    readout = Readout.model_validate(document)
    revision = "" if readout.revision is None else f", revision {readout.revision}"
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
    text.append(f"\n{_stand(readout)}", "dim")
    return text


def _stand(readout: Readout) -> str:
    progress, horizon = readout.progress, readout.plan.horizon
    fraction = percent(progress.fraction or 0, decimals=0)
    spent = percent(readout.looks[-1].spent / readout.plan.alpha, decimals=1) if readout.looks else "0 %"
    if progress.look is not None:
        return say("stand.look", number=progress.look, fraction=fraction, spent=spent)
    if readout.plan.method is Method.GROUP_SEQUENTIAL:
        looks = count(len(readout.looks), "look", "looks")
        return say("stand.looks_so_far", fraction=fraction, looks=looks, spent=spent)
    if horizon is not None and horizon.units is not None:
        return say("stand.horizon", units=f"{progress.units:,}", planned=f"{horizon.units:,}")
    return say("stand.whole" if readout.revision is None else "stand.open", units=f"{progress.units:,}")


def _parts(readout: Readout) -> list[RenderableType]:
    parts: list[RenderableType] = [_arms(readout)]
    for metric, result in zip(readout.plan.metrics, readout.metrics, strict=True):
        if result.comparisons:
            heading = Text.assemble((metric.key, "bold"), (f"  {metric.type}, {metric.role} metric", "dim"))
            parts += ["", heading, _metric(metric, result.comparisons, readout.plan.alpha)]
    return [*parts, "", _health(readout), *_footnotes(readout)]


def _arms(readout: Readout) -> Table:
    table = _table("Arm", "Units", "Share", "Planned")
    total = sum(arm.units for arm in readout.arms)
    for arm in readout.arms:
        share = percent(arm.units / total) if total else "–"
        table.add_row(Text(arm.variant), f"{arm.units:,}", share, percent(arm.expected_share))
    return table


def _metric(metric: PlannedMetric, comparisons: Sequence[Comparison], alpha: float) -> Table:
    level = f"{100 * (1 - alpha):g} %"
    corrected = any(_is_corrected(comparison) for comparison in comparisons)
    names = [
        "Value",
        f"Difference ({level})",
        f"Lift ({level})",
        "p",
        *(["p corrected"] if corrected else []),
    ]
    table = _table("", *names)
    decimals = _decimals(comparisons)
    baseline = comparisons[0]
    table.add_row(Text(baseline.baseline), _value(baseline.statistics.baseline, decimals), "", "", "")
    for comparison in comparisons:
        colour = _COLOURS[outcome(metric, comparison)]
        difference, lift = comparison.difference, comparison.lift
        scale, unit = (100.0, " pp") if metric.type.is_share else (1.0, "")
        table.add_row(
            Text(comparison.variant),
            _value(comparison.statistics.variant, decimals),
            Text(_effect(difference.estimate, difference.interval, scale, unit, difference.status), colour),
            Text(_effect(lift.estimate, lift.interval, 100.0, " %", lift.status), colour),
            Text("–" if difference.p_value is None else p_value(difference.p_value), colour),
            *([Text(_corrected(comparison), colour)] if corrected else []),
        )
    return table


def _is_corrected(comparison: Comparison) -> bool:
    """Whether the correction changes the p-value."""
    corrected = comparison.corrected
    return corrected is not None and corrected.p_value != comparison.difference.p_value


def _corrected(comparison: Comparison) -> str:
    corrected = comparison.corrected
    return "–" if corrected is None or corrected.p_value is None else p_value(corrected.p_value)


def _effect(
    estimate: float | None, interval: Sequence[float] | None, scale: float, unit: str, status: str
) -> str:
    if estimate is None or interval is None:
        return status.replace("_", " ")
    shown = [scale * value for value in (estimate, *interval)]
    decimals = decimals_for(shown[1:])
    first, low, high = (number(value, decimals=decimals, signed=True) for value in shown)
    return f"{first}{unit}\n{low} to {high}"


def _decimals(comparisons: Sequence[Comparison]) -> int:
    """The same for the means of all arms."""
    both = [side for c in comparisons for side in (c.statistics.variant, c.statistics.baseline)]
    means = [abs(each.value) for each in both if each.value is not None]
    return decimals_for([max(means, default=0.0), 0.0], digits=4)


def _value(statistics: ArmStatistics, decimals: int) -> str:
    value = statistics.value
    if isinstance(statistics, ProportionStatistics):
        share = "–" if value is None else percent(value)
        return f"{share}\n{statistics.successes:,} of {statistics.n:,}"
    shown = "–" if value is None else number(value, decimals=decimals)
    return f"{shown}\n{count(statistics.n, 'unit', 'units')}"


def _health(readout: Readout) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    for name, check in readout.health.all.items():
        table.add_row(
            CHECKS[name].title,
            Text(check.status, _STATUS_COLOURS[check.status]),
            Text(check.number),
            Text(_advice(check), "dim"),
        )
    return table


def _advice(check: Check) -> str:
    told = check.reason or ""
    return f"{told} {check.action}" if check.status is CheckStatus.FAILED else told


def _footnotes(readout: Readout) -> list[RenderableType]:
    comparisons = [comparison for metric in readout.metrics for comparison in metric.comparisons]
    notes = list(dict.fromkeys(warning.message for each in comparisons for warning in each.warnings))
    if readout.progress.reason is not None:
        notes.insert(0, readout.progress.reason)
    return ["", *(Text(note, "dim") for note in notes)] if notes else []


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
