"""How the effect and the shares of the arms went, readout by readout."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import NormalDist, median
from typing import Any

import altair as alt

from equipoise_service.figures.arms import colour_scale, colours_of, shape_scale, variants_of
from equipoise_service.figures.figure import Figure, name_of, specification
from equipoise_service.figures.theme import BAND, INK
from equipoise_service.plans.looks import leading_metric
from equipoise_service.readouts.cells import lift_cells
from equipoise_service.readouts.health import CHECK_ALPHA
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.schemas import Readout

# The first intervals are so wide that they would press the others flat.
_WIDEST = 2.5
_HOURS_MATTER = timedelta(days=4)

Rows = list[dict[str, Any]]


def effects_over_time(readout: Readout, earlier: Sequence[Readout]) -> Iterator[Figure]:
    """For each treatment its lift on the leading metric at each readout, with the interval of then."""
    lead = leading_metric(readout.plan)
    several = len(readout.plan.treatments) > 1
    for variant in readout.plan.treatments:
        rows = [row for each in (*earlier, readout) for row in _lifts(each, lead, variant)]
        if len(rows) < 2:
            continue
        title = f"{lead} over time: {variant}" if several else f"{lead} over time"
        yield Figure(
            name_of("effect-over-time", *([variant] if several else [])),
            title,
            _said(rows),
            _chart(
                readout,
                rows,
                bands=rows,
                band=alt.value(colours_of(variants_of(readout), [variant])[0]),
                title=alt.TitleParams(
                    title,
                    subtitle=f"{100 * (1 - readout.plan.alpha):g} % intervals, as each readout had them.",
                ),
                axis="lift over the control, in %",
            ),
        )


def shares_over_time(readout: Readout, earlier: Sequence[Readout]) -> Iterator[Figure]:
    """How far the shares of the arms were from their plan at each readout."""
    counted = [each for each in (*earlier, readout) if any(arm.units for arm in each.arms)]
    if len(counted) < 2:
        return
    rows = [row for each in counted for row in _shares(each)]
    level = f"{100 * (1 - CHECK_ALPHA):g} %"
    yield Figure(
        "sample-ratio-over-time",
        "Shares of the arms over time",
        _said(rows),
        _chart(
            readout,
            rows,
            bands=[_chance(each) for each in counted],
            band=alt.value(BAND),
            title=alt.TitleParams(
                "Shares of the arms over time",
                subtitle=f"All units so far. Shaded: what chance does to the largest arm, {level} "
                "at each readout.",
            ),
            axis="share minus planned share, in percentage points",
        ),
    )


def _lifts(readout: Readout, lead: str | None, variant: str) -> Iterator[dict[str, Any]]:
    result = next((each for each in readout.metrics if each.metric == lead), None)
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


def _shares(readout: Readout) -> Rows:
    units = sum(arm.units for arm in readout.arms)
    return [
        {
            "at": readout.generated_at,
            "arm": arm.variant,
            "value": 100 * (arm.units / units - arm.expected_share),
            "shown": f"{percent(arm.units / units)} of {percent(arm.expected_share)}",
        }
        for arm in readout.arms
    ]


def _chance(readout: Readout) -> dict[str, Any]:
    """What chance does to the share of the largest arm."""
    units = sum(arm.units for arm in readout.arms)
    widest = max(arm.expected_share * (1 - arm.expected_share) for arm in readout.arms)
    reach = 100 * NormalDist().inv_cdf(1 - CHECK_ALPHA / 2) * (widest / units) ** 0.5
    return {"at": readout.generated_at, "low": -reach, "high": reach}


def _said(rows: Rows) -> str:
    return " ".join(f"{row['at'][:10]}, {row['arm']}: {row['shown']}." for row in rows)


def _chart(
    readout: Readout, rows: Rows, *, bands: Rows, band: Any, title: alt.TitleParams, axis: str
) -> dict[str, Any]:
    every = variants_of(readout)
    there = {row["arm"] for row in rows}
    arms = [variant for variant in every if variant in there]
    low, high = _domain(rows, bands)
    y = alt.Scale(domain=[low, high], nice=False)
    x = alt.X("at:T", scale=alt.Scale(type="utc"), title="UTC", axis=_days(rows))
    ground = alt.Chart(alt.InlineData(values=bands)).encode(x=x)
    path = alt.Chart(alt.InlineData(values=rows)).encode(
        x=x,
        y=alt.Y("value:Q", scale=y),
        color=alt.Color("arm:N", scale=colour_scale(every, arms)),
    )
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK, strokeWidth=1.5)
    chart = alt.layer(
        ground.mark_area(clip=True, opacity=0.22 if bands is rows else 1).encode(
            y=alt.Y("low:Q", scale=y, title=axis), y2="high:Q", color=band
        ),
        zero.encode(y=alt.Y("zero:Q", scale=y)),
        path.mark_line(strokeWidth=2, clip=True),
        path.mark_point(filled=True, size=70, opacity=1).encode(
            shape=alt.Shape("arm:N", scale=shape_scale(every, arms))
        ),
    )
    return specification(chart.properties(width=560, height=260, title=title))


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
    short = max(times) - min(times) < _HOURS_MATTER
    return alt.Axis(
        grid=False,
        format="%-d %b %H:%M" if short else "%-d %b",
        labelOverlap=True,
        tickCount=6,
        labelFlush=True,
    )
