"""How the values of a metric are spread over the units, arm by arm.

Bins differ in width: from 10 to 20, from 20 to 50. Each is as wide in the figure as it is on a logarithmic
scale, and as high as makes its area the share of the units in it, so that no bin looks fuller than it is.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import altair as alt

from equipoise_service.figures.arms import colour_scale, shape_scale, variants_of
from equipoise_service.figures.figure import Figure, name_of, specification
from equipoise_service.figures.theme import MUTED
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.schemas import MetricResult, Readout
from equipoise_service.readouts.values import ArmValues
from equipoise_service.texts.saying import say

_STEP = math.log(1.1)
"""Widths are in steps of 10 % more of the value."""
_ROUND = ("0.0", "1.0", "2.0", "5.0")
_LEAST_LABELS = 3


@dataclass(frozen=True, slots=True)
class _Bins:
    """Where bins stand in the figure.

    Attributes:
        edges: The values between them.
        begins: Where each of them begins, and the last one ends.
        is_density: Whether widths are those of the values; without a bin that has two ends all are 1.
    """

    edges: Sequence[float]
    begins: Sequence[float]
    is_density: bool

    def place(self, value: float) -> float:
        """Where a value stands; in the middle of a bin that is only drawn as wide as another."""
        number = bisect_right(self.edges, value)
        low, high = [math.inf, *self.edges, math.inf][number : number + 2]
        steps, part = _steps(low, high), 0.0
        if value != low:
            part = _steps(low, value) / steps if steps else 0.5
        return self.begins[number] + part * (self.begins[number + 1] - self.begins[number])

    def labels(self) -> dict[float, str]:
        """What is written where: the edges that begin with 1, 2 or 5, where there are some, or else all."""
        every = dict(zip(self.begins[1:-1], self.edges, strict=True))
        few = {place: edge for place, edge in every.items() if f"{abs(edge):.1e}"[:3] in _ROUND}
        return {place: _shown(edge) for place, edge in (few if len(few) >= _LEAST_LABELS else every).items()}


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
    every, bins = variants_of(readout), _bins(edges)
    title = say("figure.values", metric=result.metric)
    return Figure(
        name_of("values", result.metric),
        title,
        " ".join([zero, *(_middle(arm, edges) for arm in arms), *notes]),
        specification(
            _chart(
                _outlines(arms, bins),
                bins,
                cut=result.cut,
                every=every,
                arms=[arm.variant for arm in arms],
                title=alt.TitleParams(title, subtitle=[zero, " ".join(notes)]),
            )
        ),
    )


def _bins(edges: Sequence[float]) -> _Bins:
    """Bins that have no two ends above zero, or below it, are drawn as wide as one beside them."""
    known = [0.0, *(_steps(low, high) for low, high in pairwise(edges)), 0.0]
    beside = [0.0, *known, 0.0]
    other = max(known) or 1.0
    widths = [width or beside[i] or beside[i + 2] or other for i, width in enumerate(known)]
    return _Bins(edges, list(accumulate(widths, initial=0.0)), any(known))


def _steps(low: float, high: float) -> float:
    """How many times 10 % more lead from one value to another; 0 where none do."""
    return abs(math.log(high / low)) / _STEP if 0 < low * high < math.inf else 0.0


def _outlines(arms: Sequence[ArmValues], bins: _Bins) -> list[dict[str, Any]]:
    """The outline of each arm: where each bin begins, and where the last one ends, which has no middle."""
    rows = []
    for arm in arms:
        for (begin, end), count in zip(pairwise(bins.begins), arm.counts, strict=True):
            share = 100 * count / arm.drawn / (end - begin)
            rows.append({"arm": arm.variant, "place": begin, "middle": (begin + end) / 2, "share": share})
        rows.append({**rows[-1], "place": bins.begins[-1], "middle": None})
    return rows


def _chart(
    rows: list[dict[str, Any]],
    bins: _Bins,
    *,
    cut: float | None,
    every: Sequence[str],
    arms: Sequence[str],
    title: alt.TitleParams,
) -> alt.TopLevelMixin:
    labels = bins.labels()
    places = list(labels)
    x = alt.X(
        "place:Q",
        title=say("figure.values.axis"),
        scale=alt.Scale(domain=[0, bins.begins[-1]], nice=False),
        axis=alt.Axis(
            values=places,
            labelExpr=f"{list(labels.values())}[indexof({places}, datum.value)]",
            labelOverlap="greedy",
            grid=False,
        ),
    )
    share = say("figure.values.density" if bins.is_density else "figure.values.share")
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=x,
        y=alt.Y("share:Q", title=share).stack(None),
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
        mark = alt.Chart(alt.InlineData(values=[{"place": bins.place(cut)}]))
        layers.append(mark.mark_rule(color=MUTED, strokeWidth=1.5, strokeDash=[5, 4]).encode(x=x))
    return alt.layer(*layers).properties(width=560, height=240, title=title)


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
    return f"{value:,.6g}".replace("-", "−")
