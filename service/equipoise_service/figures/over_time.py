"""How the effect and the shares of the arms went: by day, or where no days are known by readout."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import NormalDist, median
from typing import Any

import altair as alt

from equipoise_service.figures.arms import colour_scale, colours_of, shape_scale, variants_of
from equipoise_service.figures.figure import Figure, name_of, specification
from equipoise_service.figures.theme import BAND, INK
from equipoise_service.plans.looks import leading_metric
from equipoise_service.readouts.cells import lift_cells
from equipoise_service.readouts.found import CHECK_ALPHA
from equipoise_service.readouts.numerals import decimals_for, number, percent
from equipoise_service.readouts.schemas import Readout
from equipoise_service.texts.saying import say

# The first intervals are so wide that they would press the others flat.
_WIDEST = 2.5
_HOURS_MATTER = timedelta(days=4)
_MOST_SAID = 6
_MOST_MARKED = 31

Rows = list[dict[str, Any]]


def effects_over_time(readout: Readout, earlier: Sequence[Readout]) -> Iterator[Figure]:
    """For each metric and treatment the lift over time, with its intervals: the leading metric first."""
    lead = leading_metric(readout.plan)
    keys = [metric.key for metric in readout.plan.metrics]
    for metric in sorted(keys, key=lambda key: key != lead):
        for variant in readout.plan.treatments:
            yield from _effect_over_time(readout, earlier, metric, variant, leading=metric == lead)


def _effect_over_time(
    readout: Readout, earlier: Sequence[Readout], metric: str, variant: str, *, leading: bool
) -> Iterator[Figure]:
    several = len(readout.plan.treatments) > 1
    by_day = list(_daily_lifts(readout, metric, variant))
    rows = by_day or [row for each in (*earlier, readout) for row in _lifts(each, metric, variant)]
    if len(rows) >= 2:
        title = say("figure.effect.of" if several else "figure.effect", metric=metric, variant=variant)
        yield Figure(
            name_of("effect-over-time", *([] if leading else [metric]), *([variant] if several else [])),
            title,
            _said(rows),
            _chart(
                readout,
                rows,
                bands=rows,
                band=alt.value(colours_of(variants_of(readout), [variant])[0]),
                title=alt.TitleParams(title, subtitle=_of_effects(readout, by_day=bool(by_day))),
                axis=say("figure.lift_over_control_axis"),
            ),
            leading,
        )


def shares_over_time(readout: Readout, earlier: Sequence[Readout]) -> Iterator[Figure]:
    """How far the shares of the arms were from their plan, of all units so far and of those of each day."""
    daily = _daily_units(readout)
    so_far = [(at, _sum(units for _, units in daily[: i + 1])) for i, (at, _) in enumerate(daily)]
    if not daily:
        so_far = [(each.generated_at, {arm.variant: arm.units for arm in each.arms}) for each in earlier]
        so_far.append((readout.generated_at, {arm.variant: arm.units for arm in readout.arms}))
    name = "figure.shares_over_time"
    yield from _shares_figure(readout, so_far, "sample-ratio-over-time", name, None)
    check = readout.health.daily_sample_ratio
    found = None if check is None else check.reason
    yield from _shares_figure(readout, daily, "sample-ratio-by-day", "figure.shares_by_day", found)


def _shares_figure(
    readout: Readout,
    units: Sequence[tuple[str, Mapping[str, int]]],
    name: str,
    text: str,
    found: str | None,
) -> Iterator[Figure]:
    counted = [(at, arms) for at, arms in units if sum(arms.values())]
    if len(counted) < 2:
        return
    rows = [row for at, arms in counted for row in _shares(readout, at, arms)]
    level = f"{100 * (1 - CHECK_ALPHA):g} %"
    title = say(text)
    subtitle = say("figure.shares.chance", whose=say(f"{text}.whose"), level=level)
    yield Figure(
        name,
        title,
        " ".join(filter(None, [found, _said(rows)])),
        _chart(
            readout,
            rows,
            bands=[_chance(readout, at, sum(arms.values())) for at, arms in counted],
            band=alt.value(BAND),
            title=alt.TitleParams(title, subtitle=subtitle),
            axis=say("figure.share_axis"),
        ),
    )


def _daily_units(readout: Readout) -> list[tuple[str, Mapping[str, int]]]:
    return [] if readout.by_day is None else [(day.last, day.units) for day in readout.by_day.days]


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for variant, units in part.items():
            found[variant] = found.get(variant, 0) + units
    return found


def _of_effects(readout: Readout, *, by_day: bool) -> list[str]:
    level = f"{100 * (1 - readout.plan.alpha):g} %"
    if not by_day:
        return [say("figure.effect.by_readout", level=level)]
    return [say("figure.effect.by_day"), say("figure.effect.all_days", level=level)]


def _daily_lifts(readout: Readout, key: str, variant: str) -> Iterator[dict[str, Any]]:
    if readout.by_day is None:
        return
    metric = next((each for each in readout.by_day.metrics if each.metric == key), None)
    for effect in () if metric is None else metric.effects:
        for day, so_far in zip(readout.by_day.days, effect.so_far, strict=True):
            if effect.variant == variant and so_far.lift is not None and so_far.lift_interval is not None:
                values = [100 * value for value in (so_far.lift, *so_far.lift_interval)]
                value, low, high = (
                    number(each, decimals=decimals_for(values[1:]), signed=True) for each in values
                )
                yield {
                    "at": day.last,
                    "arm": variant,
                    "value": values[0],
                    "low": values[1],
                    "high": values[2],
                    "shown": say("figure.effect.lift", value=value, range=say("range", low=low, high=high)),
                }


def _lifts(readout: Readout, key: str, variant: str) -> Iterator[dict[str, Any]]:
    result = next((each for each in readout.metrics if each.metric == key), None)
    for comparison in () if result is None else result.comparisons:
        lift = comparison.lift
        if comparison.variant == variant and lift.estimate is not None and lift.interval is not None:
            low, high = lift.interval
            yield {
                "at": readout.generated_at,
                "arm": variant,
                "value": 100 * lift.estimate,
                "low": 100 * low,
                "high": 100 * high,
                "shown": "{} ({})".format(*lift_cells(lift)),
            }


def _shares(readout: Readout, at: str, arms: Mapping[str, int]) -> Rows:
    units = sum(arms.values())
    return [
        {
            "at": at,
            "arm": arm.variant,
            "value": 100 * (arms.get(arm.variant, 0) / units - arm.expected_share),
            "shown": say(
                "share_of",
                part=percent(arms.get(arm.variant, 0) / units),
                whole=percent(arm.expected_share),
            ),
        }
        for arm in readout.arms
    ]


def _chance(readout: Readout, at: str, units: int) -> dict[str, Any]:
    """What chance does to the share of the largest arm."""
    widest = max(arm.expected_share * (1 - arm.expected_share) for arm in readout.arms)
    reach = 100 * NormalDist().inv_cdf(1 - CHECK_ALPHA / 2) * (widest / units) ** 0.5
    return {"at": at, "low": -reach, "high": reach}


def _said(rows: Rows) -> str:
    """The values in words, of many times only the last ones."""
    times = list(dict.fromkeys(row["at"] for row in rows))[-_MOST_SAID:]
    return " ".join(
        say("figure.over_time.point", day=row["at"][:10], arm=row["arm"], shown=row["shown"])
        for row in rows
        if row["at"] in times
    )


def _chart(
    readout: Readout, rows: Rows, *, bands: Rows, band: Any, title: alt.TitleParams, axis: str
) -> dict[str, Any]:
    every = variants_of(readout)
    there = {row["arm"] for row in rows}
    arms = [variant for variant in every if variant in there]
    low, high = _domain(rows, bands)
    y = alt.Scale(domain=[low, high], nice=False)
    x = alt.X("at:T", scale=alt.Scale(type="utc"), title=say("figure.over_time.axis"), axis=_days(rows))
    ground = alt.Chart(alt.InlineData(values=bands)).encode(x=x)
    path, marks = (
        alt.Chart(alt.InlineData(values=part)).encode(
            x=x,
            y=alt.Y("value:Q", scale=y),
            color=alt.Color("arm:N", scale=colour_scale(every, arms)),
        )
        for part in (rows, _marked(rows))
    )
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK, strokeWidth=1.5)
    chart = alt.layer(
        ground.mark_area(clip=True, opacity=0.22 if bands is rows else 1).encode(
            y=alt.Y("low:Q", scale=y, title=axis), y2="high:Q", color=band
        ),
        zero.encode(y=alt.Y("zero:Q", scale=y)),
        path.mark_line(strokeWidth=2, clip=True),
        marks.mark_point(filled=True, size=70, opacity=1).encode(
            shape=alt.Shape("arm:N", scale=shape_scale(every, arms))
        ),
    )
    return specification(chart.properties(width=560, height=260, title=title))


def _marked(rows: Rows) -> Rows:
    """Of many times only some, the last among them: marks of all would be one thick line."""
    times = list(dict.fromkeys(row["at"] for row in rows))
    marked = set(times[:: -math.ceil(len(times) / _MOST_MARKED)])
    return [row for row in rows if row["at"] in marked]


def _domain(rows: Rows, bands: Rows) -> tuple[float, float]:
    limit = _WIDEST * median(max(abs(band["low"]), abs(band["high"])) for band in bands)
    values = [row["value"] for row in rows]
    ends = [min(max(band[end], -limit), limit) for band in bands for end in ("low", "high")]
    low, high = min(0.0, *values, *ends), max(0.0, *values, *ends)
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _days(rows: Rows) -> alt.Axis:
    """Days; with the hours where there are only a few."""
    times = [datetime.fromisoformat(row["at"]) for row in rows]
    short = max(times) - min(times) < _HOURS_MATTER and any(
        len(row["at"]) > len("2026-01-31") for row in rows
    )
    return alt.Axis(
        grid=False,
        format="%-d %b %H:%M" if short else "%-d %b",
        labelOverlap=True,
        tickCount=6,
        labelFlush=True,
    )
