"""How the values of a metric are spread over the units, arm by arm."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import altair as alt

from equipoise_service.figures.arms import colour_scale, shape_scale, variants_of
from equipoise_service.figures.figure import Figure, name_of, specification
from equipoise_service.figures.theme import MUTED
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.schemas import MetricResult, Readout
from equipoise_service.readouts.values import ArmValues
from equipoise_service.texts.saying import say


def distributions(readout: Readout) -> Iterator[Figure]:
    """For each metric with several bins, the share of the units in each; the share at zero in words."""
    for result in readout.metrics:
        values = result.values
        if values is not None and values.edges:
            arms = [arm for arm in values.arms if arm.drawn]
            if arms:
                yield _distribution(readout, result, values.edges, arms)


def _distribution(
    readout: Readout, result: MetricResult, edges: Sequence[float], arms: Sequence[ArmValues]
) -> Figure:
    zero = " ".join(
        say("figure.values.zero", arm=arm.variant, share=percent(arm.zero / arm.drawn)) for arm in arms
    )
    drawn, units = (sum(getattr(arm, name) for arm in arms) for name in ("drawn", "units"))
    whose = "figure.values.all" if drawn == units else "figure.values.drawn"
    notes = [say(whose, drawn=f"{drawn:,}", units=f"{units:,}")]
    if result.cut is not None:
        notes.append(say("figure.values.cut", cut=_shown(result.cut)))
    every = variants_of(readout)
    title = say("figure.values", metric=result.metric)
    return Figure(
        name_of("values", result.metric),
        title,
        " ".join([zero, *(_middle(arm, edges) for arm in arms), *notes]),
        specification(
            _chart(
                _steps(arms),
                edges,
                cut=result.cut,
                every=every,
                arms=[arm.variant for arm in arms],
                title=alt.TitleParams(title, subtitle=[zero, " ".join(notes)]),
            )
        ),
    )


def _steps(arms: Sequence[ArmValues]) -> list[dict[str, Any]]:
    """The outline of each arm: where each bin begins, and where the last one ends, which has no middle."""
    return [
        {
            "arm": arm.variant,
            "place": place,
            "middle": place + 0.5 if place < len(arm.counts) else None,
            "share": 100 * count / arm.drawn,
        }
        for arm in arms
        for place, count in enumerate([*arm.counts, arm.counts[-1]])
    ]


def _chart(
    rows: list[dict[str, Any]],
    edges: Sequence[float],
    *,
    cut: float | None,
    every: Sequence[str],
    arms: Sequence[str],
    title: alt.TitleParams,
) -> alt.TopLevelMixin:
    labels = ", ".join(f"'{_shown(edge)}'" for edge in edges)
    x = alt.X(
        "place:Q",
        title=say("figure.values.axis"),
        scale=alt.Scale(domain=[0, len(edges) + 1], nice=False),
        axis=alt.Axis(
            values=list(range(1, len(edges) + 1)),
            labelExpr=f"[{labels}][datum.value - 1]",
            labelOverlap=True,
            grid=False,
        ),
    )
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=x,
        y=alt.Y("share:Q", title=say("figure.values.share")).stack(None),
        color=alt.Color("arm:N", scale=colour_scale(every, arms)),
    )
    layers = [
        base.mark_area(interpolate="step-after", opacity=0.12),
        base.mark_line(interpolate="step-after", strokeWidth=2),
        base.transform_filter("datum.middle != null")
        .mark_point(filled=True, size=50, opacity=1)
        .encode(x=alt.X("middle:Q"), shape=alt.Shape("arm:N", scale=shape_scale(every, arms))),
    ]
    if cut is not None:
        mark = alt.Chart(alt.InlineData(values=[{"place": _place(cut, edges)}]))
        layers.append(mark.mark_rule(color=MUTED, strokeWidth=1.5, strokeDash=[5, 4]).encode(x=x))
    return alt.layer(*layers).properties(width=560, height=240, title=title)


def _place(value: float, edges: Sequence[float]) -> float:
    """Where a value stands between the edges; in the middle of a bin that has one end only."""
    number = bisect_right(edges, value)
    if number in (0, len(edges)):
        return number + 0.5
    low, high = edges[number - 1 : number + 1]
    return number + (value - low) / (high - low)


def _middle(arm: ArmValues, edges: Sequence[float]) -> str:
    """Where half of the values are that are not zero."""
    total = sum(arm.counts)
    if not total:
        return say("figure.values.none", arm=arm.variant)
    half = next(place for place, sum_ in enumerate(accumulate(arm.counts)) if 2 * sum_ >= total)
    if half == len(edges):
        return say("figure.values.above", arm=arm.variant, edge=_shown(edges[-1]))
    return say("figure.values.below", arm=arm.variant, edge=_shown(edges[half]))


def _shown(value: float) -> str:
    return f"{value:,.6g}"
