"""What a metric meets in the events: how many, of what values, on which days, and what is odd."""

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.conditions import fits
from equipoise_service.analysis.statistics import ArmValues, QuantileValues, StepCounts
from equipoise_service.metrics.schemas import Aggregation, MetricType
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.previews.schemas import Day, Distribution, PreviewWarning
from equipoise_service.texts.saying import say
from equipoise_stats import Counts, Moments

_DAYS = 14
_NAMES = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a metric's events.

    Attributes:
        named: Events of the metric's name.
        events: Those that meet the filters.
        units: Different units that have one.
        with_value: Those that have a value.
        distribution: Of these values; None without any.
        days: The latest days with such events.
        names: Names that there are, the most frequent first.
        empty: Names of the metric, such as the denominator's, that no event has, or whose filters none meets.
    """

    named: int
    events: int
    units: int
    with_value: int
    distribution: Distribution | None
    days: list[Day]
    names: list[str]
    empty: list[str]


def look(backend: Any, events: ir.Table, metric: PinnedMetric) -> Found:
    """Looks at the events that a metric is made of.

    Args:
        backend: The Ibis backend.
        events: The events of the units and the time that are looked at.
        metric: The metric.
    """
    counting = events.mutate(counts=fits(events, metric.event, metric.filters))
    named = counting.filter(counting.name == metric.event)
    row = backend.to_pyarrow(_totals(named)).to_pylist()[0]
    matching = named.filter(named.counts)
    days = matching.group_by(day=matching.time.date()).agg(
        events=matching.count(), units=matching.unit.nunique(), total=matching.value.sum()
    )
    latest = backend.to_pyarrow(days.order_by(ibis.desc("day")).limit(_DAYS)).to_pylist()
    names = events.group_by("name").agg(rows=events.count()).order_by(ibis.desc("rows"), "name")
    found_names = [each["name"] for each in backend.to_pyarrow(names.limit(_NAMES)).to_pylist()]
    return Found(
        named=row["named"],
        events=row["events"] or 0,
        units=row["units"],
        with_value=row["with_value"],
        distribution=_distribution(row),
        days=[Day.model_validate(each) for each in reversed(latest)],
        names=found_names,
        empty=_empty_parts(backend, events, metric),
    )


def summary(values: ArmValues) -> tuple[float | None, float | None]:
    """The metric's value over all units, and the standard deviation of the units' values."""
    if isinstance(values, StepCounts):
        values = values.completed
    if isinstance(values, QuantileValues):
        return (None if values.found is None else values.found.value), None
    if isinstance(values, Counts):
        share = values.successes / values.n if values.n else None
        return share, None if share is None else math.sqrt(share * (1 - share))
    if isinstance(values, Moments) and values.n:
        mean = values.mean[0]
        if "d" in values.columns:
            under = values.mean[values.columns.index("d")]
            return (mean / under if under else None), None
        return mean, math.sqrt(values.comoments[0][0] / (values.n - 1)) if values.n > 1 else None
    return None, None


def warnings(metric: PinnedMetric, found: Found) -> list[PreviewWarning]:
    """What about a definition does not fit the facts, in words."""
    return [PreviewWarning(code=code, message=message) for code, message in _said(metric, found)]


def _said(metric: PinnedMetric, found: Found) -> Iterator[tuple[str, str]]:
    if not found.named:
        yield "no-such-event", _no_such_event(metric.event, found.names)
    elif not found.events:
        yield (
            "filters-match-nothing",
            say("preview.nothing_meets_all", count=f"{found.named:,}", event=metric.event),
        )
    elif _needs_values(metric) and found.with_value < found.events:
        key = "preview.values_missing" if found.with_value else "preview.no_values"
        missing = f"{found.events - found.with_value:,}"
        yield "value-missing", say(key, missing=missing, count=f"{found.events:,}", event=metric.event)
    for name in found.empty:
        if name in found.names:
            yield "filters-match-nothing", say("preview.nothing_meets", event=name)
        elif name != metric.event:
            yield "no-such-event", _no_such_event(name, found.names)
    if metric.winsorize is None and found.distribution is not None and _has_outliers(found.distribution):
        yield (
            "large-values",
            say(
                "preview.large_values",
                largest=f"{found.distribution.maximum:g}",
                high=f"{found.distribution.p99:g}",
            ),
        )


def _no_such_event(name: str, names: list[str]) -> str:
    if not names:
        return say("preview.no_events")
    near = difflib.get_close_matches(name, names, n=1)
    more = (
        say("preview.near", event=near[0]) if near else say("preview.there_are", events=", ".join(names[:10]))
    )
    return say("preview.no_such_event", event=name, more=more)


def _needs_values(metric: PinnedMetric) -> bool:
    by_value = metric.type in (MetricType.MEAN, MetricType.RATIO)
    return by_value and metric.aggregation is not Aggregation.COUNT


def _has_outliers(distribution: Distribution) -> bool:
    return distribution.p99 > 0 and distribution.maximum > 20 * distribution.p99


def _totals(named: ir.Table) -> ir.Table:
    counts = named.counts
    value = ibis.ifelse(counts, named.value, ibis.null("float64"))
    unit = ibis.ifelse(counts, named.unit, ibis.null("string"))
    return named.agg(
        named=named.count(),
        events=ibis.ifelse(counts, 1, 0).sum(),
        units=unit.nunique(),
        with_value=value.count(),
        minimum=value.min(),
        median=value.quantile(0.5),
        p90=value.quantile(0.9),
        p99=value.quantile(0.99),
        maximum=value.max(),
        negative=ibis.ifelse(value < 0, 1, 0).sum(),
        zero=ibis.ifelse(value == 0, 1, 0).sum(),
    )


def _distribution(row: dict[str, Any]) -> Distribution | None:
    return Distribution.model_validate(row) if row["with_value"] else None


def _empty_parts(backend: Any, events: ir.Table, metric: PinnedMetric) -> list[str]:
    parts = [metric.denominator, metric.covariate, *metric.steps]
    named = [part for part in parts if part is not None]
    if not named:
        return []
    counts = events.agg(
        **{
            f"part{i}": ibis.ifelse(fits(events, part.event, part.filters), 1, 0).sum()
            for i, part in enumerate(named)
        }
    )
    row = backend.to_pyarrow(counts).to_pylist()[0]
    return list(dict.fromkeys(part.event for i, part in enumerate(named) if not row[f"part{i}"]))
