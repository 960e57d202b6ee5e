"""Where the looks of a group-sequential plan stand against its bounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt

from equipoise_service.figures.arms import colours_of, shapes_of, variants_of
from equipoise_service.figures.figure import Figure, specification
from equipoise_service.figures.theme import BAND, INK, MUTED
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.looks import Passed, fractions_of, leading_metric, passed
from equipoise_service.plans.schemas import Method, Multiplicity
from equipoise_service.readouts.numerals import number, percent
from equipoise_service.readouts.schemas import Readout
from equipoise_service.texts.saying import say

_HIGHEST = 6.0


@dataclass(frozen=True, slots=True)
class _Bound:
    """The critical value of a look, where so much of the horizon has passed."""

    fraction: float
    critical: float


@dataclass(frozen=True, slots=True)
class _Point:
    variant: str
    fraction: float
    z: float


def bounds(readout: Readout, earlier: Sequence[Readout]) -> Iterator[Figure]:
    """The standardised effect on the leading metric at the looks, and the bounds that it has to cross."""
    plan, lead = readout.plan, leading_metric(readout.plan)
    looked = passed(readout.looks, lead or "")
    if plan.method is not Method.GROUP_SEQUENTIAL or lead is None or looked is None:
        return
    fractions = fractions_of(readout.looks, lead)
    taken = [
        _Bound(fraction, look.critical)
        for fraction, look in zip(fractions, looked.history(plan).looks, strict=True)
    ]
    planned = _to_come(plan, looked, fractions[-1])
    points = [point for each in (*earlier, readout) for point in _points(each, lead, taken)]
    yield Figure(
        "bounds",
        say("figure.bounds", metric=lead),
        _said(taken, points),
        specification(_chart(readout, lead, [*taken, *planned], len(taken), points)),
    )


def _to_come(plan: Plan, looked: Passed, reached: float) -> list[_Bound]:
    """The bounds of the looks that are planned after these: the next ones, and the one at the horizon.

    By the calendar they are those of units that go on coming as they came so far.
    """
    count = plan.looks.count if plan.looks is not None else None
    if looked.times is not None:
        looked = replace(looked, information=tuple(each * reached for each in looked.information))
    history = looked.history(plan)
    if reached >= 1 or history.current.spent >= plan.alpha * (1 - 1e-12):
        return []
    bounds = []
    for fraction in [k / count for k in range(1, count + 1)] if count else [1.0]:
        if fraction > reached * (1 + 1e-5):
            history = history.next_look(fraction, spending_time=None if looked.times is None else fraction)
            bounds.append(_Bound(fraction, history.current.critical))
    return bounds


def _points(readout: Readout, lead: str, taken: Sequence[_Bound]) -> Iterator[_Point]:
    """The standardised effects at a look: beyond the bound exactly when the interval excludes zero."""
    fractions = fractions_of(readout.looks, lead)
    if readout.progress.look is None or lead not in readout.looks[-1].fractions:
        return
    bound = taken[len(fractions) - 1]
    result = next(each for each in readout.metrics if each.metric == lead)
    for comparison in result.comparisons:
        found = comparison.difference
        if found.estimate is not None and found.interval is not None:
            low, high = found.interval
            reach = high - found.estimate if found.estimate < 0 else found.estimate - low
            if reach > 0:
                yield _Point(comparison.variant, bound.fraction, bound.critical * found.estimate / reach)


def _said(taken: Sequence[_Bound], points: Sequence[_Point]) -> str:
    bound = taken[-1]
    last = [point for point in points if point.fraction == bound.fraction]
    places = [
        say("figure.bounds.stands", variant=point.variant, z=number(point.z, decimals=2, signed=True))
        for point in last
    ]
    where = percent(bound.fraction, decimals=0)
    look = say("figure.bounds.look", fraction=where, bound=number(bound.critical, decimals=2))
    return " ".join([look, *places])


def _chart(
    readout: Readout, lead: str, looks: Sequence[_Bound], taken: int, points: Sequence[_Point]
) -> alt.TopLevelMixin:
    top = max([_HIGHEST, *(1.1 * abs(point.z) for point in points)])
    rows = [_row(look, top, taken=i < taken, ahead=i >= taken - 1) for i, look in enumerate(looks)]
    x = alt.X(
        "fraction:Q",
        title=say("figure.bounds.across"),
        scale=alt.Scale(domain=[0, max(104.0, 1.04 * rows[-1]["fraction"])], nice=False),
        axis=alt.Axis(tickCount=6, grid=False),
    )
    y = alt.Scale(domain=[-top, top], nice=False)
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x)
    taken_looks = base.transform_filter("datum.taken")
    ahead = base.transform_filter("datum.ahead")
    layers: list[alt.Chart] = []
    for edge, wall in (("top", "upper"), ("bottom", "lower")):
        at = alt.Y(f"{wall}:Q", scale=y, title=say("figure.bounds.up"), axis=alt.Axis(format="d"))
        layers += [
            base.mark_area(color=BAND).encode(y=at, y2=f"{edge}:Q"),
            taken_looks.mark_line(color=INK, strokeWidth=1.5, point=alt.OverlayMarkDef(color=INK)).encode(
                y=at
            ),
            ahead.mark_line(color=MUTED, strokeWidth=1.5, strokeDash=[4, 3]).encode(y=at),
        ]
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK, strokeWidth=1.5)
    metric = next(each for each in readout.plan.metrics if each.key == lead)
    chart = alt.layer(*layers, zero.encode(y=alt.Y("zero:Q", scale=y)), *_path(readout, points, y))
    title = alt.TitleParams(
        say("figure.bounds", metric=lead),
        subtitle=[
            say(f"figure.bounds.{metric.direction}"),
            *_correction(readout.plan, metric),
            _numbers(looks, taken),
        ],
    )
    return chart.properties(width=560, height=300, title=title)


def _correction(plan: Plan, lead: PlannedMetric) -> list[str]:
    """That the bounds are those of one test, where the plan corrects for several."""
    tests = len(plan.treatments) * sum(metric.role is Role.SUCCESS for metric in plan.metrics)
    is_one = lead.role is not Role.SUCCESS or plan.multiplicity is Multiplicity.NONE or tests == 1
    return [] if is_one else [say("figure.bounds.uncorrected", tests=f"{tests}")]


def _row(look: _Bound, top: float, *, taken: bool, ahead: bool) -> dict[str, Any]:
    reached = min(look.critical, top)
    return {
        "fraction": 100 * look.fraction,
        "upper": reached,
        "lower": -reached,
        "top": top,
        "bottom": -top,
        "taken": taken,
        "ahead": ahead,
    }


def _path(readout: Readout, points: Sequence[_Point], y: alt.Scale) -> list[alt.Chart]:
    """The way of each treatment through the looks."""
    every = variants_of(readout)
    last = {point.variant: number(point.z, decimals=2, signed=True) for point in points}
    arms = [variant for variant in every if variant in last]
    told = {variant: f"{variant} {last[variant]}" for variant in arms}
    values = [
        {"arm": told[point.variant], "fraction": 100 * point.fraction, "z": point.z} for point in points
    ]
    names = list(told.values())
    colours = alt.Scale(domain=names, range=colours_of(every, arms))
    shapes = alt.Scale(domain=names, range=shapes_of(every, arms))
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x="fraction:Q", y=alt.Y("z:Q", scale=y), color=alt.Color("arm:N", scale=colours)
    )
    return [
        base.mark_line(strokeWidth=2),
        base.mark_point(filled=True, size=90, opacity=1).encode(shape=alt.Shape("arm:N", scale=shapes)),
    ]


def _numbers(looks: Sequence[_Bound], taken: int) -> str:
    """The bounds, in words."""
    last, horizon = (number(each.critical, decimals=2) for each in (looks[taken - 1], looks[-1]))
    if taken == len(looks):
        return say("figure.bounds.last", bound=last)
    return say("figure.bounds.last_and_to_come", bound=last, horizon=horizon)
