"""From events to one row a unit: the values of each measure."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import reduce

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.conditions import fits
from equipoise_service.analysis.properties import read_property
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.metrics.conditions import Condition
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation

_KINDS = ("text", "number", "truth")


def value_column(index: int, column: str = "y") -> str:
    """The column with the values of the measure at an index."""
    return f"m{index}_{column}"


@dataclass(frozen=True, slots=True)
class _Source:
    """What one column of values is made of: these events, aggregated so, in this span of hours.

    Without an aggregation, it is whether there is any event.
    """

    column: str
    measure: Measure
    name: str
    filters: tuple[Condition, ...]
    aggregation: Aggregation | None
    start: int
    end: int | None


def values_after_exposure(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """The values of the units that have facts.

    Args:
        units: Columns unit, variant (null for crossovers), first_time.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: What is measured.

    Returns:
        Columns variant, `m0_y`, …; a value is null where the unit is immature for the measure.
    """
    sources = list(_sources(request.measures))
    earliest = min(0, *(source.start for source in sources))
    facts = _facts(units, events, request, sources, earliest)
    facts, counted = _with_last_times(facts, sources, earliest)
    maturing = any(measure.matures_after for measure in request.measures)
    # The variant depends on the unit; grouping by it as well is cheaper than carrying any one value of it.
    keys = ["unit", "variant", *(["first_time"] if maturing else [])]
    values = facts.group_by(*keys).agg(
        **{
            source.column: _aggregate(facts, which, i, source)
            for i, (source, which) in enumerate(zip(sources, counted, strict=True))
        }
    )
    columns = {
        source.column: mature_only(values, values[source.column], source.measure, request)
        for source in sources
    }
    return values.select("variant", **columns)


def is_mature(units: ir.Table, measure: Measure, request: StoreRequest) -> ir.BooleanValue:
    """Whether a unit's window has passed when it is analysed.

    Args:
        units: Column first_time.
        measure: What is measured; it matures after more than no time.
        request: Says when it is analysed.
    """
    last = request.as_of.astimezone(UTC).replace(tzinfo=None) - timedelta(hours=measure.matures_after)
    return units.first_time <= last


def mature_only(units: ir.Table, value: ir.Value, measure: Measure, request: StoreRequest) -> ir.Value:
    """The value, or null where the unit is immature."""
    if not measure.matures_after:
        return value
    return ibis.ifelse(is_mature(units, measure, request), value, ibis.null(value.type()))


def _sources(measures: tuple[Measure, ...]) -> Iterator[_Source]:
    for i, measure in enumerate(measures):
        spans: dict[str, tuple[int, int | None]] = {"": (measure.delay_hours, measure.window_hours)}
        if measure.pre_period_days is not None:
            spans["_before"] = (-24 * measure.pre_period_days, 0)
        aggregation = None if measure.type.is_share else measure.aggregation
        under = measure.denominator
        for suffix, span in spans.items():
            name = value_column(i, f"y{suffix}")
            yield _Source(name, measure, measure.name, measure.filters, aggregation, *span)
            if under is None:
                continue
            yield _Source(
                value_column(i, f"d{suffix}"), measure, under.event, under.filters, under.aggregation, *span
            )


def _facts(
    units: ir.Table, events: ir.Table, request: StoreRequest, sources: list[_Source], earliest: int
) -> ir.Table:
    """The events of the units: columns unit, variant, first_time, time, name, value and more."""
    wanted = events.filter(
        events.place == request.place,
        events.unit_type == request.unit_type,
        events.name.isin(sorted({source.name for source in sources})),
    )
    # Properties are read before the join, which then carries a few bits instead of texts.
    filtered = {
        f"fits{i}": fits(wanted, source.name, source.filters)
        for i, source in enumerate(sources)
        if source.filters
    }
    for i, source in enumerate(sources):
        if source.measure.distinct is not None:
            filtered |= _by_type(wanted, i, source.measure.distinct)
    wanted = wanted.select("unit", "time", "name", "value", **filtered)
    stayed = units.filter(units.variant.notnull())
    begin = _from_exposure(stayed, earliest)
    met = wanted.join(stayed, [wanted.unit == stayed.unit, wanted.time >= begin])
    return met.select("unit", "variant", "first_time", "time", "name", "value", *filtered)


def _by_type(events: ir.Table, index: int, name: str) -> dict[str, ir.Value]:
    given = read_property(events, name)
    return {f"{kind}{index}": getattr(given, kind) for kind in _KINDS}


def _from_exposure(table: ir.Table, hours: int) -> ir.TimestampValue:
    """The moment so many hours after the first exposure, or before it."""
    if not hours:
        return table.first_time
    distance = ibis.interval(hours=abs(hours))
    return table.first_time + distance if hours > 0 else table.first_time - distance


def _counted(facts: ir.Table, index: int, source: _Source, earliest: int) -> ir.BooleanValue:
    """Whether an event counts for a source, when facts begin so many hours from the first exposure."""
    counted = facts[f"fits{index}"] if source.filters else facts.name == source.name
    if source.start > earliest:
        counted &= facts.time >= _from_exposure(facts, source.start)
    if source.end is not None:
        counted &= facts.time < _from_exposure(facts, source.end)
    return counted


def _with_last_times(
    facts: ir.Table, sources: list[_Source], earliest: int
) -> tuple[ir.Table, list[ir.BooleanValue]]:
    """The facts, and for each source which of them count.

    For a last value, an event counts that has a value, and that none with a value comes after.
    """
    counted = [_counted(facts, i, source, earliest) for i, source in enumerate(sources)]
    found = {
        f"last{i}": ibis.ifelse(which & facts.value.notnull(), facts.time, ibis.null(facts.time.type()))
        .max()
        .over(ibis.window(group_by=facts.unit))
        for i, (source, which) in enumerate(zip(sources, counted, strict=True))
        if source.aggregation is Aggregation.LAST
    }
    if not found:
        return facts, counted
    timed = facts.mutate(**found)
    again = [_counted(timed, i, source, earliest) for i, source in enumerate(sources)]
    return timed, [
        which & (timed.time == timed[f"last{i}"]) if f"last{i}" in found else which
        for i, which in enumerate(again)
    ]


def _aggregate(facts: ir.Table, counted: ir.BooleanValue, index: int, source: _Source) -> ir.Scalar:
    if source.measure.distinct is not None:
        kinds = [facts[f"{kind}{index}"].nunique(where=counted) for kind in _KINDS]
        return reduce(operator.add, kinds).cast("float64")
    if source.aggregation is None:
        found = counted.max()
        return found if source.measure.is_count else found.cast("int64").cast("float64")
    if source.aggregation is Aggregation.COUNT:
        return counted.sum().cast("float64")
    value = facts.value
    # The last value, too: of several at the last moment the largest, the same whatever order they came in.
    found = value.sum(where=counted) if source.aggregation is Aggregation.SUM else value.max(where=counted)
    return ibis.coalesce(found, 0.0)
