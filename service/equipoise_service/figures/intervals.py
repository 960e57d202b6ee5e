"""Estimates with their intervals, a row each, around a line at zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import altair as alt

from equipoise_service.figures.figure import specification
from equipoise_service.figures.theme import INK, MUTED, OUTCOMES
from equipoise_service.readouts.outcomes import Outcome

_WIDTH = 400
_ROW = 30
# An interval so many times as wide as the one in the middle would leave no room for the others.
_WIDEST = 12.0


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        label: What it is about.
        outcome: What is concluded of it.
        shown: Its numbers, as text; where there are none, why not.
        estimate: The estimate; None where there is none.
        interval: The ends of its interval; None where there is none.
        margin: A margin that the interval is held against; None without one.
    """

    label: str
    outcome: Outcome
    shown: str
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    margin: float | None = None


def interval_plot(
    rows: Sequence[Row],
    *,
    title: str,
    subtitle: str | list[str],
    axis: str,
    reference: float | None = None,
    legend: bool = True,
) -> dict[str, Any]:
    """Draws rows.

    Args:
        rows: The rows, from the top.
        title: The title.
        subtitle: What is written under it.
        axis: Title of the axis, with the unit.
        reference: Where a dashed line stands beside the one at zero; None for none.
        legend: Whether colours mean outcomes; without, all rows have the same.
    """
    low, high = _domain(rows, reference)
    labels = list(dict.fromkeys(row.label for row in rows))
    data = alt.InlineData(values=[_drawn(row, low, high) for row in rows])
    outcomes = [each for each in OUTCOMES if any(row.outcome is each for row in rows if row.interval)]
    dressed = [OUTCOMES[each] for each in outcomes]
    words, lines, fills, shapes = (list(each) for each in zip(*dressed, strict=True))
    shown = alt.Legend() if legend else None
    line = alt.Stroke("outcome:N", scale=alt.Scale(domain=words, range=lines), legend=shown)
    fill = alt.Fill("outcome:N", scale=alt.Scale(domain=words, range=fills), legend=shown)
    shape = alt.Shape("outcome:N", scale=alt.Scale(domain=words, range=shapes), legend=shown)
    y = alt.Y(
        "label:N",
        sort=None,
        title=None,
        scale=alt.Scale(domain=labels),
        axis=alt.Axis(labelLimit=280, ticks=False, domain=False, labelPadding=10),
    )
    scale = alt.Scale(domain=[low, high], nice=False)
    x = alt.X("low:Q", title=axis, scale=scale, axis=alt.Axis(grid=True, tickCount=7))
    base = alt.Chart(data).encode(y=y)
    there = base.transform_filter("isValid(datum.low)")
    layers: list[alt.Chart] = [_line_at(0.0, INK)]
    if reference is not None and low <= reference <= high:
        layers.append(_line_at(reference, MUTED, dash=[4, 3]))
    layers += [
        there.mark_rule(strokeWidth=2.5).encode(x=x, x2="high:Q", stroke=line),
        _arrows(there, "low", line),
        _arrows(there, "high", line),
        base.transform_filter("isValid(datum.margin)")
        .mark_tick(orient="vertical", thickness=2, size=16, color=INK)
        .encode(x=alt.X("margin:Q", scale=scale)),
        base.transform_filter("isValid(datum.estimate)")
        .mark_point(size=95, strokeWidth=2, opacity=1)
        .encode(x=alt.X("estimate:Q", scale=scale), stroke=line, fill=fill, shape=shape),
        base.mark_text(align="left", baseline="middle").encode(x=alt.value(_WIDTH + 14), text="shown:N"),
    ]
    chart = alt.layer(*layers).properties(
        width=_WIDTH, height=alt.Step(_ROW), title=alt.TitleParams(title, subtitle=subtitle)
    )
    return specification(chart)


def _domain(rows: Sequence[Row], reference: float | None) -> tuple[float, float]:
    """From where to where the axis goes, zero between them; a few very wide intervals are cut there."""
    intervals = [row.interval for row in rows if row.interval]
    if not intervals:
        return -1.0, 1.0
    limit = _WIDEST * median(max(map(abs, interval)) for interval in intervals)
    ends = [min(max(end, -limit), limit) for interval in intervals for end in interval]
    marks = [row.margin for row in rows if row.margin is not None]
    marks += [] if reference is None else [reference]
    ends += [mark for mark in marks if abs(mark) <= 2 * max(map(abs, ends))]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _drawn(row: Row, low: float, high: float) -> dict[str, Any]:
    def inside(value: float | None) -> float | None:
        return value if value is not None and low <= value <= high else None

    start, end = row.interval or (None, None)
    return {
        "label": row.label,
        "outcome": OUTCOMES[row.outcome][0],
        "shown": row.shown,
        "estimate": inside(row.estimate) if row.interval else None,
        "low": None if start is None else min(max(start, low), high),
        "high": None if end is None else min(max(end, low), high),
        "low_cut": start is not None and start < low,
        "high_cut": end is not None and end > high,
        "margin": inside(row.margin),
    }


def _line_at(place: float, colour: str, dash: list[int] | None = None) -> alt.Chart:
    data = alt.InlineData(values=[{"place": place}])
    rule = alt.Chart(data).mark_rule(color=colour, strokeWidth=1.5, strokeDash=dash or [1, 0])
    line: alt.Chart = rule.encode(x="place:Q")
    return line


def _arrows(base: alt.Chart, end: str, line: alt.Stroke) -> alt.Chart:
    """An arrow where an interval goes on beyond the axis."""
    shape = "triangle-left" if end == "low" else "triangle-right"
    cut = base.transform_filter(f"datum.{end}_cut")
    arrow = cut.mark_point(shape=shape, size=70, strokeWidth=2, opacity=1)
    drawn: alt.Chart = arrow.encode(x=f"{end}:Q", stroke=line)
    return drawn
