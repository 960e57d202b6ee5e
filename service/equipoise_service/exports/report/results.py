"""What happened: every metric by arm, treatments against each other, and segments."""

from collections.abc import Iterator, Mapping, Sequence

from equipoise_service.exports.markup import Markup, tag
from equipoise_service.exports.report.page import cell, pill, section, table
from equipoise_service.exports.report.verdict import failed
from equipoise_service.figures.theme import OUTCOMES
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import MarginScale
from equipoise_service.readouts.cells import (
    corrected_p,
    decimals_of,
    difference_cells,
    is_corrected,
    lift_cells,
    notes_of,
    p_cell,
    part_cells,
    value_cells,
)
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.outcomes import Outcome, outcome
from equipoise_service.readouts.schemas import Comparison, MetricResult, Readout
from equipoise_service.texts.saying import say

_PILLS: Mapping[Outcome, str] = {Outcome.BETTER: "good", Outcome.WORSE: "bad", Outcome.WAITING: "care"}


def results(readout: Readout, *figures: Markup) -> Markup:
    """Every metric, after the figures that show them together."""
    warned = [tag("p", say("report.results.failed"), class_="alarm")] if failed(readout) else []
    parts = [*warned, *figures, _arms(readout)]
    for metric, result in zip(readout.plan.metrics, readout.metrics, strict=True):
        if result.comparisons:
            parts += _metric(metric, result)
    level = say("report.covered", level=f"{100 * (1 - readout.plan.alpha):g} %")
    parts += [tag("p", note, class_="muted small") for note in (level, *notes_of(readout))]
    return section(say("report.results"), *parts)


def segments(readout: Readout, *figures: Markup) -> Iterator[Markup]:
    """The parts of each segment, where the plan has any."""
    if not readout.segments:
        return
    parts = [tag("p", say("report.segments.note"), class_="muted")]
    parts += [tag("p", tag("strong", each.segment), f" {each.text}") for each in readout.segments]
    yield section(say("report.segments"), *parts, *figures)


def _arms(readout: Readout) -> Markup:
    total = sum(arm.units for arm in readout.arms)
    names = [say(f"column.{name}") for name in ("arm", "units", "share", "planned")]
    rows = [
        [
            cell(arm.variant, kind="name"),
            cell(f"{arm.units:,}", kind="figure"),
            cell(percent(arm.units / total) if total else say("no_number"), kind="figure"),
            cell(percent(arm.expected_share), kind="figure"),
        ]
        for arm in readout.arms
    ]
    return table(names, rows, figures=1)


def _metric(metric: PlannedMetric, result: MetricResult) -> list[Markup]:
    asked = say(
        "report.metric",
        type=say(f"type.{metric.type}"),
        role=say(f"role.{metric.role}"),
        direction=say(f"direction.{metric.direction}"),
    )
    wanted = [
        say(f"report.{name}", **{name: _size(metric, value)})
        for name, value in (("margin", metric.margin), ("mde", metric.mde))
        if value is not None
    ]
    parts = [
        tag("h3", metric.key),
        tag("p", "; ".join([asked, *wanted]), class_="muted small"),
        _comparisons(metric, result.comparisons),
        *(tag("p", said, class_="small") for said in result.notes),
    ]
    if result.between_treatments:
        parts += [
            tag("p", say("report.between"), class_="muted small"),
            _comparisons(metric, result.between_treatments, concluded=False),
        ]
    return parts


def _comparisons(
    metric: PlannedMetric, comparisons: Sequence[Comparison], *, concluded: bool = True
) -> Markup:
    corrected = any(is_corrected(each) for each in comparisons)
    decimals = decimals_of(comparisons)
    names = [say(f"column.{name}") for name in ("arm", "value", "difference", "lift", "p")]
    names += [say("column.p_corrected")] if corrected else []
    names += [say("column.conclusion")] if concluded else []
    rows = []
    baselines = list(dict.fromkeys(each.baseline for each in comparisons))
    if len(baselines) == 1:
        value = value_cells(metric.type, comparisons[0].statistics.baseline, decimals)
        rest = [cell("") for _ in names[2:]]
        rows.append([cell(baselines[0], kind="name"), cell(*value, kind="figure"), *rest])
    for each in comparisons:
        found = outcome(metric, each)
        words = OUTCOMES[found][0]
        against = say("report.against", baseline=each.baseline) if len(baselines) > 1 else ""
        rows.append(
            [
                cell(each.variant, against, kind="name"),
                cell(*value_cells(metric.type, each.statistics.variant, decimals), kind="figure"),
                cell(*difference_cells(metric.type, each.difference), kind="figure"),
                cell(*lift_cells(each.lift), kind="figure"),
                cell(p_cell(each.difference.p_value), kind="figure"),
                *([cell(p_cell(corrected_p(each)), kind="figure")] if corrected else []),
                *([tag("td", pill(words, _PILLS.get(found, "")), class_="figure")] if concluded else []),
            ]
        )
        for name, values, cells in part_cells(metric, each):
            rest = [cell("") for _ in names[3:]]
            rows.append(
                [
                    cell("", name, kind="name"),
                    cell("", values, kind="figure"),
                    cell(*cells, kind="figure"),
                    *rest,
                ]
            )
    return table(names, rows, figures=1)


def _size(metric: PlannedMetric, value: float) -> str:
    if metric.scale is MarginScale.LIFT or metric.type.is_share:
        unit = " %" if metric.scale is MarginScale.LIFT else f" {say('points')}"
        return f"{100 * value:g}{unit}"
    return f"{value:g}"
