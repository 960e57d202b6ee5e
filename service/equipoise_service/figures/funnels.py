"""How far units come through a funnel, arm by arm."""

from collections.abc import Iterator
from typing import Any

import altair as alt

from equipoise_service.figures.arms import colour_scale, variants_of
from equipoise_service.figures.figure import Figure, name_of, specification
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.measured import FunnelStatistics
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.schemas import MetricResult, Readout
from equipoise_service.texts.saying import say

_BAR = 22


def funnels(readout: Readout) -> Iterator[Figure]:
    """For each funnel, the share of the units that reached each step."""
    for metric, result in zip(readout.plan.metrics, readout.metrics, strict=True):
        arms = _arms(result)
        if any(arm.n for arm in arms.values()):
            yield _funnel(readout, metric, arms)


def _arms(result: MetricResult) -> dict[str, FunnelStatistics]:
    sides = [
        (variant, each)
        for comparison in result.comparisons
        for variant, each in (
            (comparison.baseline, comparison.statistics.baseline),
            (comparison.variant, comparison.statistics.variant),
        )
    ]
    return {variant: each for variant, each in sides if isinstance(each, FunnelStatistics)}


def _funnel(readout: Readout, metric: PlannedMetric, arms: dict[str, FunnelStatistics]) -> Figure:
    events = [metric.event or metric.key, *(step.event for step in metric.steps)]
    steps = [f"{number}. {event}" for number, event in enumerate(events, 1)]
    rows = [
        {
            "step": step,
            "arm": variant,
            "share": 100 * reached / arm.n,
            "shown": f"{percent(reached / arm.n)}  ({reached:,})",
        }
        for variant, arm in arms.items()
        if arm.n
        for step, reached in zip(steps, arm.steps, strict=True)
    ]
    every = variants_of(readout)
    variants = [variant for variant in every if variant in arms]
    return Figure(
        name_of("funnel", metric.key),
        say("figure.funnel", metric=metric.key),
        " ".join(
            say("figure.funnel.bar", step=row["step"], arm=row["arm"], shown=row["shown"]) for row in rows
        ),
        specification(_chart(rows, steps, metric.key, variants, colour_scale(every, variants))),
    )


def _chart(
    rows: list[dict[str, Any]], steps: list[str], key: str, variants: list[str], colours: alt.Scale
) -> alt.TopLevelMixin:
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y(
            "step:N",
            sort=None,
            title=None,
            scale=alt.Scale(domain=steps, paddingInner=0.25),
            axis=alt.Axis(labelLimit=280, ticks=False, domain=False, labelPadding=10),
        ),
        yOffset=alt.YOffset("arm:N", sort=None, scale=alt.Scale(domain=variants, paddingInner=0.12)),
        x=alt.X(
            "share:Q",
            title=say("figure.funnel.axis"),
            scale=alt.Scale(domain=[0, 100]),
            # Lines would run through the numbers beside the bars.
            axis=alt.Axis(tickCount=6, grid=False),
        ),
    )
    bars = base.mark_bar().encode(
        color=alt.Color("arm:N", scale=colours, legend=alt.Legend(symbolType="square"))
    )
    texts = base.mark_text(align="left", baseline="middle", dx=6).encode(text="shown:N")
    return alt.layer(bars, texts).properties(
        width=400,
        height=len(steps) * (len(variants) * _BAR + 12),
        title=alt.TitleParams(say("figure.funnel", metric=key), subtitle=say("figure.funnel.whose")),
    )
