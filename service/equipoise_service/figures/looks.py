"""Where the looks of a group-sequential plan stand against its bounds.

Where the plan corrects for several tests, the bounds are those of the level that one of them is held to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt

from equipoise_service.figures.arms import colours_of, shapes_of, variants_of
from equipoise_service.figures.figure import Figure, name_of, specification
from equipoise_service.figures.theme import BAND, INK, MUTED
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import Passed, fractions_of, leading_metric, passed
from equipoise_service.plans.schemas import Method, Multiplicity
from equipoise_service.readouts.cells import alpha_shares
from equipoise_service.readouts.numerals import number, percent
from equipoise_service.readouts.schemas import Readout
from equipoise_service.texts.saying import say

_HIGHEST = 6.0
_NARROWEST = 3.0
"""Half the width of the ground of a look that is alone, in % of the horizon."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """The critical value of a look at a part of the horizon, and the share of alpha that is spent by then."""

    fraction: float
    critical: float
    spent: float


@dataclass(frozen=True, slots=True)
class _Point:
    variant: str
    fraction: float
    z: float


def bounds(readout: Readout, earlier: Sequence[Readout]) -> Iterator[Figure]:
    """For the leading metric and each success metric its standardised effect at the looks, and its bounds."""
    plan, lead = readout.plan, leading_metric(readout.plan)
    if plan.method is not Method.GROUP_SEQUENTIAL:
        return
    others = [each.key for each in plan.metrics if each.role is Role.SUCCESS and each.key != lead]
    for metric in (*([] if lead is None else [lead]), *others):
        looked = passed(readout.looks, metric)
        if looked is not None:
            yield _of_metric(readout, earlier, metric, looked, leading=metric == lead)


def _of_metric(
    readout: Readout, earlier: Sequence[Readout], metric: str, looked: Passed, *, leading: bool
) -> Figure:
    plan, fractions = readout.plan, fractions_of(readout.looks, metric)
    at_looks = {
        len(fractions_of(each.looks, metric)) - 1: each
        for each in (*earlier, readout)
        if each.progress.look is not None and metric in each.looks[-1].fractions
    }
    tests = _tests(readout, metric)
    alphas = [_alpha(plan, tests, at_looks.get(i)) for i in range(len(fractions))]
    passed_looks = {alpha: looked.history(_at(plan, alpha)).looks for alpha in (plan.alpha, *alphas)}
    bound_at = {
        alpha: [
            _Bound(fraction, look.critical, min(1.0, look.spent / alpha))
            for fraction, look in zip(fractions, looks, strict=True)
        ]
        for alpha, looks in passed_looks.items()
    }
    taken = [
        replace(bound_at[alpha][i], spent=bound_at[plan.alpha][i].spent) for i, alpha in enumerate(alphas)
    ]
    planned = _to_come(_at(plan, alphas[-1]), looked, fractions[-1])
    points = [
        point for i, each in at_looks.items() for point in _points(each, metric, bound_at[plan.alpha][i])
    ]
    return Figure(
        name_of("bounds", *([] if leading else [metric])),
        say("figure.bounds", metric=metric),
        _said(taken, points),
        specification(_chart(readout, metric, [*taken, *planned], len(taken), points, tests)),
        leading,
    )


def _tests(readout: Readout, metric: str) -> int:
    """How many tests the plan corrects that of a metric for, itself among them."""
    success = [result for result in readout.metrics if result.role is Role.SUCCESS]
    alone = readout.plan.multiplicity is Multiplicity.NONE or metric not in {each.metric for each in success}
    return 1 if alone else sum(len(result.comparisons) for result in success)


def _alpha(plan: Plan, tests: int, look: Readout | None) -> float:
    """The level that separates the tests that a look shows to differ from the others.

    Holm rejects the p-values up to alpha over the number of those that it does not reject, Benjamini and
    Hochberg those up to alpha times the share of those that they reject. Where no readout says what a look
    showed, it is the level that the first of them needs.

    Args:
        plan: The plan.
        tests: How many tests are corrected together.
        look: The readout of the look; None where it is not at hand.
    """
    shown = sum(
        bool(comparison.detected)
        for result in (() if look is None or tests == 1 else look.metrics)
        if result.role is Role.SUCCESS
        for comparison in result.comparisons
    )
    if plan.multiplicity is Multiplicity.BENJAMINI_HOCHBERG:
        return plan.alpha * max(1, shown) / tests
    return plan.alpha / max(1, tests - shown)


def _at(plan: Plan, alpha: float) -> Plan:
    return plan.model_copy(update={"alpha": alpha})


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
            spent = min(1.0, history.current.spent / plan.alpha)
            bounds.append(_Bound(fraction, history.current.critical, spent))
    return bounds


def _points(look: Readout, metric: str, plain: _Bound) -> Iterator[_Point]:
    """The standardised effects at a look: intervals, which are not corrected, end at its plain bound."""
    result = next(each for each in look.metrics if each.metric == metric)
    for comparison in result.comparisons:
        found = comparison.difference
        if found.estimate is not None and found.interval is not None:
            low, high = found.interval
            reach = high - found.estimate if found.estimate < 0 else found.estimate - low
            if reach > 0:
                yield _Point(comparison.variant, plain.fraction, plain.critical * found.estimate / reach)


def _said(taken: Sequence[_Bound], points: Sequence[_Point]) -> str:
    bound = taken[-1]
    last = [point for point in points if point.fraction == bound.fraction]
    places = [
        say("figure.bounds.stands", variant=point.variant, z=number(point.z, decimals=2, signed=True))
        for point in last
    ]
    where = percent(bound.fraction, decimals=0)
    look = say(
        "figure.bounds.look",
        fraction=where,
        bound=number(bound.critical, decimals=2),
        **alpha_shares(bound.spent),
    )
    return " ".join([look, *places])


def _chart(
    readout: Readout, metric: str, looks: Sequence[_Bound], taken: int, points: Sequence[_Point], tests: int
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
    ground = base if len(rows) > 1 else alt.Chart(alt.InlineData(values=_beside(rows[0])))
    taken_looks = base.transform_filter("datum.taken")
    ahead = base.transform_filter("datum.ahead")
    layers: list[alt.Chart] = []
    for edge, wall in (("top", "upper"), ("bottom", "lower")):
        at = alt.Y(f"{wall}:Q", scale=y, title=say("figure.bounds.up"), axis=alt.Axis(format="d"))
        layers += [
            ground.mark_area(color=BAND).encode(x=x, y=at, y2=f"{edge}:Q"),
            taken_looks.mark_line(color=INK, strokeWidth=1.5, point=alt.OverlayMarkDef(color=INK)).encode(
                y=at
            ),
            ahead.mark_line(color=MUTED, strokeWidth=1.5, strokeDash=[4, 3]).encode(y=at),
        ]
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK, strokeWidth=1.5)
    direction = next(each.direction for each in readout.plan.metrics if each.key == metric)
    chart = alt.layer(*layers, zero.encode(y=alt.Y("zero:Q", scale=y)), *_path(readout, points, y))
    title = alt.TitleParams(
        say("figure.bounds", metric=metric),
        subtitle=[
            say(f"figure.bounds.{direction}"),
            *([say("figure.bounds.corrected", tests=f"{tests}")] if tests > 1 else []),
            _numbers(looks, taken),
        ],
    )
    return chart.properties(width=560, height=300, title=title)


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
        "spent": 100 * look.spent,
        "left": 100 * (1 - look.spent),
    }


def _beside(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The ground of a look that is alone: as wide as it can be seen."""
    return [{**row, "fraction": row["fraction"] + aside} for aside in (-_NARROWEST, _NARROWEST)]


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
