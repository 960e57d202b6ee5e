"""What a Bayesian plan believes of a lift, as a distribution."""

from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import altair as alt

from equipoise_service.figures.arms import colour_scale, variants_of
from equipoise_service.figures.figure import Figure, name_of, specification
from equipoise_service.figures.theme import INK
from equipoise_service.plans.looks import leading_metric
from equipoise_service.plans.schemas import Prior
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.schemas import MetricResult, Readout
from equipoise_service.texts.saying import say

_POINTS = 121
_REACH = 4.0


def beliefs(readout: Readout) -> Iterator[Figure]:
    """For each metric the distribution of its lift after the data, beside the one from before."""
    lead, prior = leading_metric(readout.plan), readout.plan.prior
    if prior is not None:
        for result in sorted(readout.metrics, key=lambda each: each.metric != lead):
            yield from _beliefs(readout, prior, result, leading=result.metric == lead)


def _beliefs(readout: Readout, prior: Prior, result: MetricResult, *, leading: bool) -> Iterator[Figure]:
    reach = NormalDist().inv_cdf(1 - readout.plan.alpha / 2)
    found: dict[str, NormalDist] = {}
    said = []
    for comparison in result.comparisons:
        lift, posterior = comparison.lift, comparison.posterior
        if posterior is not None and lift.estimate is not None and lift.interval is not None:
            # The posterior of a lift is normal, so its interval tells all of it.
            found[comparison.variant] = NormalDist(
                lift.estimate, (lift.interval[1] - lift.interval[0]) / (2 * reach)
            )
            above = percent(posterior.probability_above, decimals=1)
            said.append(say("figure.beliefs.above", variant=comparison.variant, probability=above))
    if found:
        before = NormalDist(prior.mean, prior.standard_deviation)
        yield Figure(
            name_of("beliefs", *([] if leading else [result.metric])),
            say("figure.beliefs", metric=result.metric),
            " ".join(said),
            specification(_chart(readout, result.metric, before, found, " ".join(said))),
            leading,
        )


def _chart(
    readout: Readout, metric: str, before: NormalDist, found: dict[str, NormalDist], said: str
) -> alt.TopLevelMixin:
    every = [*found.values()]
    low = min(0.0, *(each.mean - _REACH * each.stdev for each in every))
    high = max(0.0, *(each.mean + _REACH * each.stdev for each in every))
    places = [low + (high - low) * i / (_POINTS - 1) for i in range(_POINTS)]
    after = alt.Chart(alt.InlineData(values=_curves(found, places)))
    prior = alt.Chart(alt.InlineData(values=_curves({say("figure.beliefs.before"): before}, places)))
    x = alt.X(
        "lift:Q",
        title=say("figure.lift_over_control_axis"),
        scale=alt.Scale(nice=False),
        axis=alt.Axis(grid=False, tickCount=8),
    )
    y = alt.Y("density:Q", axis=None)
    colour = alt.Color("arm:N", scale=colour_scale(variants_of(readout), list(found)))
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK, strokeWidth=1.5)
    return alt.layer(
        after.mark_area(opacity=0.2, line=True).encode(x=x, y=y, color=colour),
        prior.mark_line(color=INK, strokeDash=[4, 3], strokeWidth=1.5).encode(x=x, y=y),
        zero.encode(x="zero:Q"),
    ).properties(
        width=560,
        height=220,
        title=alt.TitleParams(
            say("figure.beliefs", metric=metric), subtitle=[said, say("figure.beliefs.dashed")]
        ),
    )


def _curves(of: dict[str, NormalDist], places: list[float]) -> list[dict[str, Any]]:
    return [
        {"arm": arm, "lift": 100 * place, "density": belief.pdf(place)}
        for arm, belief in of.items()
        for place in places
    ]
