"""The lift of a success metric in each part of a segment: a forest plot that invites no hunt.

Colours stand only where the effects were tested to differ; an interval beside zero is no finding among many.
"""

from collections.abc import Iterator

from equipoise_service.figures.figure import Figure, name_of
from equipoise_service.figures.intervals import Row, interval_plot
from equipoise_service.figures.results import certainty
from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.cells import lift_cells
from equipoise_service.readouts.differing import MetricHeterogeneity, PartEffect
from equipoise_service.readouts.heterogeneity import part_name
from equipoise_service.readouts.numerals import p_value
from equipoise_service.readouts.outcomes import Outcome
from equipoise_service.readouts.schemas import Comparison, Readout, SegmentPart, SegmentResult
from equipoise_service.texts.saying import counted, say


def segment_forests(readout: Readout) -> Iterator[Figure]:
    """For each segment and success metric, the lifts in the parts beside that of all units."""
    for segment in readout.segments:
        for place, metric in enumerate(readout.plan.metrics):
            if metric.role is Role.SUCCESS:
                yield from _forest(readout, segment, place, metric)


def _forest(readout: Readout, segment: SegmentResult, place: int, metric: PlannedMetric) -> Iterator[Figure]:
    several = len(readout.plan.treatments) > 1
    tested = {each.variant: each for each in segment.heterogeneity if each.metric == metric.key}
    rows = [
        _row(metric, part, comparison, _effect(tested, comparison, i), several=several)
        for i, part in enumerate(segment.parts)
        for comparison in part.metrics[place].comparisons
    ]
    if not any(row.interval for row in rows):
        return
    overall = readout.metrics[place].comparisons
    lift = overall[0].lift.estimate if len(overall) == 1 else None
    since = "declared" if segment.declared else "exploratory"
    declared = say(f"figure.segment.{'unknown' if readout.locked is None else since}")
    dashed = [] if lift is None else [say("figure.segment.dashed")]
    found = " ".join(_found(each, several=several) for each in tested.values())
    title = say("figure.segment", metric=metric.key, segment=segment.segment)
    yield Figure(
        name_of("segment", segment.segment, metric.key),
        title,
        " ".join(
            [
                *([found] if found else []),
                *(say("figure.row", label=row.label, shown=row.shown) for row in rows),
            ]
        ),
        interval_plot(
            rows,
            title=title,
            subtitle=[
                say("figure.segment.over", control=readout.plan.control, declared=declared, found=found),
                " ".join([say("figure.segment.not_corrected", intervals=certainty(readout)), *dashed]),
            ],
            axis=say("figure.lift_axis"),
            reference=None if lift is None else 100 * lift,
            legend=False,
        ),
    )


def _effect(tested: dict[str, MetricHeterogeneity], comparison: Comparison, part: int) -> PartEffect | None:
    found = tested.get(comparison.variant)
    return found.parts[part] if found is not None and part < len(found.parts) else None


def _found(tested: MetricHeterogeneity, *, several: bool) -> str:
    """What the test says of the parts together."""
    if tested.detected is None or tested.corrected_p_value is None:
        return ""
    key = f"figure.segment.{'differ' if tested.detected else 'alike'}{'_of' if several else ''}"
    return say(key, variant=tested.variant, p=p_value(tested.corrected_p_value))


def _row(
    metric: PlannedMetric,
    part: SegmentPart,
    comparison: Comparison,
    effect: PartEffect | None,
    *,
    several: bool,
) -> Row:
    units = sum(arm.units for arm in part.arms)
    name = part_name(part.value, others=part.others)
    whose = f"{name} · {comparison.variant}" if several else name
    label = say("figure.segment.part", part=whose, units=counted("units", units))
    lift = comparison.lift
    estimate, interval = lift_cells(lift)
    if lift.estimate is None or lift.interval is None:
        return Row(label, Outcome.UNKNOWN, say("figure.no_lift", why=estimate))
    differs = effect is not None and bool(effect.differs)
    shown = f"{estimate}  ({interval})"
    return Row(
        label,
        _outcome(metric, effect) if differs else Outcome.FLAT,
        say("figure.segment.differs", shown=shown) if differs else shown,
        100 * lift.estimate,
        (100 * lift.interval[0], 100 * lift.interval[1]),
    )


def _outcome(metric: PlannedMetric, effect: PartEffect | None) -> Outcome:
    """Whether the effect is better here than elsewhere."""
    up = effect is not None and (effect.deviation or 0.0) > 0
    return Outcome.BETTER if up == (metric.direction is Direction.INCREASE) else Outcome.WORSE
