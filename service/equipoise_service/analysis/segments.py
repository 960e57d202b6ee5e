"""Segments: units split by what a property of theirs was when they were first exposed."""

from datetime import date

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.event_codes import have_names
from equipoise_service.analysis.facts import segment_columns
from equipoise_service.analysis.properties import read_property
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import any_of

NO_VALUE, OTHER, _VALUE = "none", "other", "="
NO_DAY = date(1970, 1, 1)
"""The day of rows of a segment, which are of all days together."""

_LONGEST_VALUE = 200
_LARGEST_NUMBER = 1e15


def with_segments(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """Adds the columns of the segments to units: what `labelled` gives, but for what is seldom.

    Args:
        units: Columns unit and first_time.
        events: Columns place, unit_type, unit, name, properties, time.
        request: Its segments.
    """
    return most_frequent(labelled(units, events, request), request)


def labelled(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """Adds the label of each segment to units.

    A unit has the value of its latest event of the segment's at or before its first exposure that has one;
    with different values at that moment it has none.

    Args:
        units: Columns unit and first_time.
        events: Columns place, unit_type, unit, name, properties, time.
        request: Its segments.

    Returns:
        The units with, for each segment, `s0`, …: what `segment_value` reads.
    """
    if not request.segments:
        return units
    columns = segment_columns(request)
    found = _last_values(units, events, request).rename(segment_unit="unit")
    joined = units.left_join(found, units.unit == found.segment_unit)
    return joined.select(
        *units.columns, **{column: ibis.coalesce(joined[column], NO_VALUE) for column in columns}
    )


def most_frequent(units: ir.Table, request: StoreRequest) -> ir.Table:
    """Keeps the most frequent values of each segment; the others are one, `OTHER`.

    Args:
        units: One row a unit, with the labels of `labelled`.
        request: Its segments, and how many values of one are kept.
    """
    for column in segment_columns(request):
        units = _most_frequent(units, column, request.segment_values)
    return units


def segment_value(label: str) -> str | None:
    """A value as text; None for units without one. `OTHER` stands for what is no value by itself.

    Raises:
        ValueError: It is the label of the units with other values.
    """
    if label == OTHER:
        raise ValueError("other values together have no value")
    return None if label == NO_VALUE else label.removeprefix(_VALUE)


def segment_label(value: str | None, *, others: bool) -> str:
    """The label that `segment_value` reads.

    Args:
        value: The value; None for units without one.
        others: Whether it is the label of the units with other values.
    """
    if others:
        return OTHER
    return NO_VALUE if value is None else f"{_VALUE}{value}"


def fanned(table: ir.Table, segments: int) -> tuple[ir.Table, list[str]]:
    """Makes each row one of all units and one of each segment's value, so that one pass serves them all.

    Args:
        table: Columns variant, `s0`, …, day where it is known, and look where there are several.
        segments: How many segments there are.

    Returns:
        The table, and the columns that name an arm: look where there are several, variant, day where it is
        known (the same one for all rows of a segment), and where there are segments `segment` (0: all units,
        from 1: of the segment of that number) and `segment_value` (its label; empty for all units).
    """
    names = [name for name in ("look", "variant", "day") if name in table.columns]
    if not segments:
        return table, names
    numbers = ibis.range(segments + 1).unnest().name("segment").as_table()
    crossed = table.cross_join(numbers)
    label = ibis.cases(
        *((crossed.segment == i + 1, crossed[f"s{i}"]) for i in range(segments)), else_=ibis.literal("")
    )
    columns: dict[str, ir.Value] = {"segment_value": label}
    if "day" in names:
        columns["day"] = ibis.ifelse(crossed.segment == 0, crossed.day, ibis.literal(NO_DAY))
    return crossed.mutate(**columns), [*names, "segment", "segment_value"]


def _last_values(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    wanted = events.filter(
        events.place == request.place,
        events.unit_type == request.unit_type,
        have_names(events, sorted({segment.event for segment in request.segments})),
    )
    columns = segment_columns(request)
    wanted = wanted.select(
        "unit",
        "time",
        **{
            column: ibis.ifelse(
                wanted.name == segment.event, _label(wanted, segment.property), ibis.null("string")
            )
            for column, segment in zip(columns, request.segments, strict=True)
        },
    )
    shown = units.select("unit", "first_time")
    met = wanted.join(shown, [wanted.unit == shown.unit, wanted.time <= shown.first_time]).select(
        "unit", "time", *columns
    )
    met = met.filter(any_of([met[column].notnull() for column in columns]))
    timed = met.mutate(
        **{
            f"{column}_time": ibis.ifelse(met[column].notnull(), met.time, ibis.null(met.time.type()))
            .max()
            .over(ibis.window(group_by=met.unit))
            for column in columns
        }
    )
    ends = timed.group_by("unit").agg(
        **{
            f"{column}_{end}": getattr(timed[column], end)(where=timed.time == timed[f"{column}_time"])
            for column in columns
            for end in ("min", "max")
        }
    )
    return ends.select(
        "unit",
        **{
            column: ibis.ifelse(
                ends[f"{column}_min"] == ends[f"{column}_max"], ends[f"{column}_min"], ibis.null("string")
            )
            for column in columns
        },
    )


def _label(events: ir.Table, name: str) -> ir.StringValue:
    """A string, a boolean or a whole number as text; null where it is anything else."""
    given = read_property(events, name)
    near = ibis.ifelse(given.number.abs() < _LARGEST_NUMBER, given.number, ibis.null("float64"))
    whole = ibis.ifelse(near.cast("int64").cast("float64") == near, near.cast("int64"), ibis.null("int64"))
    truth = ibis.cases((given.truth, "true"), (~given.truth, "false"), else_=ibis.null("string"))
    text = ibis.coalesce(given.text.substr(0, _LONGEST_VALUE), truth, whole.cast("string"))
    return ibis.ifelse(text.notnull(), ibis.literal(_VALUE).concat(text), ibis.null("string"))


def _most_frequent(units: ir.Table, column: str, most: int) -> ir.Table:
    """Labels all but the most frequent values as others; of equally frequent ones the first are kept."""
    counts = units.filter(units[column] != NO_VALUE).group_by(label=units[column]).agg(n=ibis._.count())
    ranked = counts.mutate(rank=ibis.row_number().over(order_by=[ibis.desc("n"), "label"]))
    others = ranked.filter(ranked.rank >= most).select(other="label")
    # The others come from the same units: as itself, `units` would be taken for the right side of the join.
    left = units.view()
    joined = left.left_join(others, left[column] == others.other)
    # ClickHouse gives an empty text where a left join finds none: no label is empty, and none is null.
    label = ibis.ifelse(joined.other == joined[column], ibis.literal(OTHER), joined[column])
    kept = {name: joined[name] for name in left.columns if name != column}
    return joined.select(**kept, **{column: label})
