"""The effect of a treatment on a success metric by days since exposure, once the end is reached."""

from collections.abc import Iterator

from equipoise_service.figures.figure import Figure, name_of
from equipoise_service.figures.intervals import Row, interval_plot
from equipoise_service.metrics.schemas import Direction
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.by_age import AgeEffect, AgeMetric
from equipoise_service.readouts.novelty import age_name
from equipoise_service.readouts.numerals import decimals_for, number
from equipoise_service.readouts.outcomes import Outcome
from equipoise_service.readouts.schemas import Readout
from equipoise_service.texts.saying import counted, say


def effects_by_age(readout: Readout) -> Iterator[Figure]:
    """For each success metric and treatment its effect at each age.

    Colours stand only where the effect was tested to change: an interval beside zero is no finding by itself.
    """
    metrics = {metric.key: metric for metric in readout.plan.metrics}
    for found in readout.by_age.metrics if readout.by_age is not None else ():
        for effect in found.effects:
            if any(each.interval for each in effect.at):
                yield _figure(readout, metrics[found.metric], found, effect)


def _figure(readout: Readout, metric: PlannedMetric, found: AgeMetric, effect: AgeEffect) -> Figure:
    several = len(readout.plan.treatments) > 1
    title = say("figure.ages.of" if several else "figure.ages", metric=metric.key, variant=effect.variant)
    units = sum(arm.n for arm in found.arms if arm.variant in (effect.variant, readout.plan.control))
    rows = list(_rows(metric, found, effect))
    over = say(
        "figure.ages.over",
        control=readout.plan.control,
        units=counted("units", units),
        level=f"{100 * (1 - readout.plan.alpha):g} %",
    )
    return Figure(
        name_of("ages", metric.key, *([effect.variant] if several else [])),
        title,
        " ".join(say("figure.row", label=row.label, shown=row.shown) for row in rows),
        interval_plot(
            rows,
            title=title,
            subtitle=over,
            axis=say("figure.ages.axis.share" if metric.type.is_share else "figure.ages.axis"),
            legend=False,
        ),
    )


def _rows(metric: PlannedMetric, found: AgeMetric, effect: AgeEffect) -> Iterator[Row]:
    scale = 100.0 if metric.type.is_share else 1.0
    ends = [scale * end for each in effect.at for end in each.interval or ()]
    decimals = decimals_for(ends)
    for age, each in zip(found.ages, effect.at, strict=True):
        if each.difference is None or each.interval is None:
            yield Row(age_name(age), Outcome.UNKNOWN, say("figure.ages.none"))
            continue
        value, low, high = (scale * one for one in (each.difference, *each.interval))
        first, lower, upper = (number(one, decimals=decimals, signed=True) for one in (value, low, high))
        up = value > 0
        colour = Outcome.BETTER if up == (metric.direction is Direction.INCREASE) else Outcome.WORSE
        yield Row(
            age_name(age),
            colour if effect.detected and low * high > 0 else Outcome.FLAT,
            f"{first}  ({say('range', low=lower, high=upper)})",
            value,
            (low, high),
        )
