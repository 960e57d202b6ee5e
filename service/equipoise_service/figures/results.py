"""Every metric's lift with its interval: the forest plot."""

from collections.abc import Iterator

from equipoise_service.figures.figure import Figure
from equipoise_service.figures.intervals import Row, interval_plot
from equipoise_service.figures.theme import OUTCOMES
from equipoise_service.metrics.schemas import Direction
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import MarginScale
from equipoise_service.readouts.cells import lift_cells
from equipoise_service.readouts.outcomes import Outcome, outcome
from equipoise_service.readouts.schemas import Comparison, Readout
from equipoise_service.texts.saying import say


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
        say("figure.lifts"),
        " ".join(
            say("figure.lifts.row", label=row.label, shown=row.shown, outcome=OUTCOMES[row.outcome][0])
            for row in rows
        ),
        interval_plot(
            rows,
            title=say("figure.lifts.over", control=readout.plan.control),
            subtitle=" ".join(
                [
                    say("figure.lifts.intervals", intervals=certainty(readout)),
                    *([say("figure.lifts.margin")] if marked else []),
                ]
            ),
            axis=say("figure.lift_axis"),
        ),
    )


def certainty(readout: Readout) -> str:
    """What the intervals are."""
    level = f"{100 * (1 - readout.plan.alpha):g} %"
    return say("intervals" if readout.progress.valid else "intervals.any_moment", level=level)


def _row(metric: PlannedMetric, comparison: Comparison, label: str) -> Row:
    found = outcome(metric, comparison)
    lift = comparison.lift
    estimate, interval = lift_cells(lift)
    if lift.estimate is None or lift.interval is None:
        return Row(label, Outcome.UNKNOWN, say("figure.no_lift", why=estimate))
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
        words.append(say("figure.lifts.less_is_better"))
    return " ".join(words)
