"""Every metric's lift with its interval: the forest plots of all units and of the parts of a segment."""

from collections.abc import Iterator, Sequence

from equipoise_service.figures.figure import Figure, name_of
from equipoise_service.figures.intervals import Row, interval_plot
from equipoise_service.figures.theme import OUTCOMES
from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import MarginScale
from equipoise_service.readouts.cells import lift_cells
from equipoise_service.readouts.schemas import Comparison, Readout, SegmentPart, SegmentResult
from equipoise_service.readouts.summary import Outcome, outcome

_MARK = "A tick marks a guardrail's margin."


def forest(readout: Readout) -> Iterator[Figure]:
    """The lift of every metric and treatment over the control."""
    rows = [
        _row(metric, comparison, _label(metric, comparison, readout))
        for metric, result in zip(readout.plan.metrics, readout.metrics, strict=True)
        for comparison in result.comparisons
    ]
    if not any(row.interval for row in rows):
        return
    marked = any(row.margin is not None for row in rows)
    yield Figure(
        "lifts",
        "Lift over the control",
        said(rows),
        interval_plot(
            rows,
            title=f"Lift over {readout.plan.control}",
            subtitle=" ".join([f"{certainty(readout)}.", *([_MARK] if marked else [])]),
            axis="lift in %",
        ),
    )


def segment_forests(readout: Readout) -> Iterator[Figure]:
    """The lift of each success metric among the parts of each segment."""
    for segment in readout.segments:
        for place, metric in enumerate(readout.plan.metrics):
            if metric.role is Role.SUCCESS:
                yield from _segment_forest(readout, segment, place, metric)


def _segment_forest(
    readout: Readout, segment: SegmentResult, place: int, metric: PlannedMetric
) -> Iterator[Figure]:
    several = len(readout.plan.treatments) > 1
    rows = [
        _row(metric, comparison, _part_label(part, comparison if several else None))
        for part in segment.parts
        for comparison in part.metrics[place].comparisons
    ]
    if not any(row.interval for row in rows):
        return
    overall = readout.metrics[place].comparisons
    lift = overall[0].lift.estimate if len(overall) == 1 else None
    declared = "declared in advance" if segment.declared else "exploratory: not declared in advance"
    dashed = [] if lift is None else ["The dashed line is all units together."]
    yield Figure(
        name_of("segment", segment.segment, metric.key),
        f"{metric.key} by {segment.segment}",
        said(rows),
        interval_plot(
            rows,
            title=f"{metric.key} by {segment.segment}",
            subtitle=[
                f"Lift over {readout.plan.control}, {declared}; not corrected for the number of parts.",
                " ".join([f"{certainty(readout)}.", *dashed]),
            ],
            axis="lift in %",
            reference=None if lift is None else 100 * lift,
        ),
    )


def certainty(readout: Readout) -> str:
    """What the intervals are."""
    level = f"{100 * (1 - readout.plan.alpha):g} % intervals"
    return level if readout.progress.valid else f"{level} that hold at any moment"


def said(rows: Sequence[Row]) -> str:
    """The rows in words."""
    return " ".join(f"{row.label}: {row.shown}, {OUTCOMES[row.outcome][0]}." for row in rows)


def _row(metric: PlannedMetric, comparison: Comparison, label: str) -> Row:
    found = outcome(metric, comparison)
    lift = comparison.lift
    estimate, interval = lift_cells(lift)
    if lift.estimate is None or lift.interval is None:
        return Row(label, Outcome.UNKNOWN, f"no lift: {estimate}")
    low, high = lift.interval
    return Row(
        label,
        Outcome.WAITING if found is Outcome.UNKNOWN else found,
        f"{estimate}  ({interval})",
        100 * lift.estimate,
        (100 * low, 100 * high),
        _margin(metric, comparison),
    )


def _margin(metric: PlannedMetric, comparison: Comparison) -> float | None:
    """The lift, in percent, that is the largest acceptable loss."""
    if metric.margin is None:
        return None
    margin = metric.margin
    if metric.scale is MarginScale.DIFFERENCE:
        baseline = comparison.statistics.baseline.value
        if not baseline or baseline < 0:
            return None
        margin /= baseline
    return -100 * margin if metric.direction is Direction.INCREASE else 100 * margin


def _label(metric: PlannedMetric, comparison: Comparison, readout: Readout) -> str:
    words = [metric.key]
    if len(readout.plan.treatments) > 1:
        words.append(f"· {comparison.variant}")
    if metric.direction is Direction.DECREASE:
        words.append("(less is better)")
    return " ".join(words)


def _part_label(part: SegmentPart, comparison: Comparison | None) -> str:
    units = sum(arm.units for arm in part.arms)
    value = "other values" if part.others else "(no value)" if part.value is None else part.value
    treatment = "" if comparison is None else f" · {comparison.variant}"
    return f"{value}{treatment} ({units:,} units)"
