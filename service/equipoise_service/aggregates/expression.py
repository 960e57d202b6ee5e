"""The Ibis expressions of a refresh: a base and what is new make the units and values of a full analysis.

A unit is *touched* when what is new may change its row in another way than by adding to it: it is exposed for
the first time, or earlier than was known, or to another variant; or an event came whose metric is more than
a sum. Everything of the touched units is read and worked out again by the steps of a full analysis. For the
others the new events alone are worked out by the same steps, and added.

Which units are touched is told by their hash (31 bits of MD5): comparing integers is far cheaper than
comparing ids, and to take a few units more than necessary changes no number.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from equipoise_service.aggregates.names import Base
from equipoise_service.analysis.event_codes import have_names
from equipoise_service.analysis.facts import segment_columns
from equipoise_service.analysis.funnels import funnel_ingredients
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.unit_values import bare_values
from equipoise_service.analysis.units import any_of, first_exposures, is_mature, look_columns
from equipoise_service.analysis.value_columns import Ingredient, ingredients, value_columns
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation

UNIT_COLUMNS = ("unit", "unit_hash", "first", "last", "first_time")
"""What a base says of each unit; then `active`, 1 where the unit has facts, and the columns of values.

What several metrics are made of is one column, that of the first."""

_Part = tuple[ir.BooleanValue, ir.Value]
"""Whether there is a value, and the value."""

_ADDED = (None, Aggregation.COUNT, Aggregation.SUM, Aggregation.MAXIMUM)


def can_be_kept(request: StoreRequest) -> bool:
    """Whether new items change their own units' rows alone: by identity one can change another unit's.

    And whether none is being deleted.
    """
    alone = request.identity is None and request.deletions is not None
    return alone and any(map(_has_values, request.measures))


def adds_up(request: StoreRequest) -> bool:
    """Whether the values of a unit after new events follow from those before and those of the new events."""
    return not funnel_ingredients(request.measures) and all(
        each.aggregation in _ADDED and each.distinct is None
        for each in ingredients(request.measures).values()
    )


def base_rows(units: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """One row a unit: the unit's columns, active, and those of values, null for a unit without facts.

    Args:
        units: What `exposed` gives, with the labels of the segments.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: What is measured.
    """
    columns = _kept_columns(request)
    values = marked(bare_values(units, events, request), "unit_of_values", columns)
    joined = units.left_join(values, units.unit == values.unit_of_values)
    return joined.select(*units.columns, *columns, active=ibis.coalesce(joined.marked, 0))


def exposed(exposures: ir.Table, request: StoreRequest) -> ir.Table:
    """The units of a request's exposures: `UNIT_COLUMNS`.

    Args:
        exposures: Columns place, unit_type, unit, unit_hash, experiment, variant, revision, time.
        request: Which experiment.
    """
    return first_exposures(exposures, request).select(*UNIT_COLUMNS)


def known_units(new: ir.Table, base: ir.Table) -> ir.Table:
    """What a base says of units with the hashes of some others: `UNIT_COLUMNS`."""
    return with_hashes(base, new).select(*UNIT_COLUMNS)


def unknown_units(new: ir.Table, known: ir.Table, since: datetime) -> ir.Table:
    """The units that the base does not have, first exposed at a moment or later.

    Args:
        new: Units that were exposed since the base was made: `UNIT_COLUMNS`.
        known: What `known_units` gives for them.
        since: The moment.
    """
    return of_others(new.filter(new.first_time >= since), known)


def changed_units(new: ir.Table, known: ir.Table) -> ir.Table:
    """Columns unit and unit_hash: the units whose exposures are not what the base says.

    Args:
        new: Units that were exposed since: `UNIT_COLUMNS`.
        known: What `known_units` gives for them.
    """
    known = known.select("unit", known_first="first", known_last="last", known_time="first_time")
    known = marked(known, "known", ["known_first", "known_last", "known_time"])
    joined = new.left_join(known, new.unit == known.known)
    differs = (
        (ibis.coalesce(joined.marked, 0) == 0)
        | (joined["first"] < joined.known_first)
        | (joined["last"] > joined.known_last)
        | (joined.first_time < joined.known_time)
    )
    return joined.filter(differs).select("unit", "unit_hash")


def maturing_hashes(base: ir.Table, request: StoreRequest, before: datetime) -> ir.Table:
    """Column unit_hash: the units of a base that are mature for a measure at one of two moments only.

    Args:
        base: The base.
        request: What is measured, and one of the moments.
        before: The other one.
    """
    between = [
        is_mature(base, measure, request) ^ is_mature(base, measure, replace(request, as_of=before))
        for measure in request.measures
        if measure.matures_after
    ]
    return base.filter(any_of(between)).select("unit_hash").distinct()


def measured_units(events: ir.Table, request: StoreRequest) -> ir.Table:
    """Columns unit and unit_hash: the units with events that any metric is made of."""
    return measured(events, request).select("unit", "unit_hash").distinct()


def segment_units(events: ir.Table, request: StoreRequest) -> ir.Table:
    """Columns unit and unit_hash: the units with events that segments are made of."""
    names = sorted({segment.event for segment in request.segments})
    return _named(events, request, names).select("unit", "unit_hash").distinct()


def measured(events: ir.Table, request: StoreRequest) -> ir.Table:
    """The events that any metric is made of."""
    return _named(events, request, sorted({each.name for each in _made(request)}))


def reach(request: StoreRequest, earliest: datetime) -> datetime:
    """The moment from which on events can count for units that were first exposed at another or later."""
    return earliest + timedelta(hours=min(0, *(each.start for each in _made(request))))


def moments(request: StoreRequest, base: Base) -> list[datetime]:
    """What a base brings into the queries about it, beside its tables' names."""
    return [base.until, base.waits_from, reach(request, base.waits_from)]


def of_touched(rows: ir.Table, touched: ir.Table) -> ir.Table:
    """The rows of the touched units."""
    # Few rows are left once the hashes are compared; only of these are the ids.
    return with_hashes(rows, touched).semi_join(touched, "unit")


def of_others(rows: ir.Table, units: ir.Table) -> ir.Table:
    """The rows of other units than these."""
    return rows.anti_join(units, "unit")


def with_hashes(rows: ir.Table, hashes: ir.Table) -> ir.Table:
    """The rows of units with some hashes."""
    return rows.semi_join(hashes, "unit_hash")


def without_hashes(rows: ir.Table, hashes: ir.Table) -> ir.Table:
    """The rows of units with other hashes."""
    return rows.anti_join(hashes, "unit_hash")


def without_values(units: ir.Table, request: StoreRequest) -> ir.Table:
    """Rows of a base for units that have no events yet.

    Args:
        units: `UNIT_COLUMNS`, and the labels of the segments.
        request: What is measured.
    """
    return units.mutate(**{name: ibis.null("float64") for name in _kept_columns(request)}, active=0)


def added_to(rows: ir.Table, new: ir.Table, request: StoreRequest) -> ir.Table:
    """Rows with what events add to their values.

    Args:
        rows: Of a base, or as `without_values` gives them.
        new: What `bare_values` gives for these units and the events.
        request: What is measured; where it does not add up, only rows without values have events.
    """
    columns = {name: f"new_{name}" for name in _kept_columns(request)}
    named = new.select("unit", **{to: name for name, to in columns.items()})
    named = marked(named, "new_unit", list(columns.values()))
    joined = rows.left_join(named, rows.unit == named.new_unit)
    acted, acts = joined.active == 1, ibis.coalesce(joined.marked, 0) == 1
    made = ingredients(request.measures)
    sums = {
        name: _sum(
            (acted, joined[name]), (acts, joined[to]), made[name].aggregation if name in made else None
        )
        for name, to in columns.items()
    }
    kept = [name for name in rows.columns if name not in (*columns, "active")]
    return joined.select(*kept, **sums, active=ibis.ifelse(acted | acts, 1, 0))


def units_of(rows: ir.Table, request: StoreRequest) -> ir.Table:
    """The units of a base's rows, as a full analysis has them."""
    return rows.select(*UNIT_COLUMNS, *segment_columns(request), *look_columns(rows))


def values_of(rows: ir.Table, request: StoreRequest) -> ir.Table:
    """The values of a base's rows, as a full analysis has them: of units with facts that met one variant."""
    acting = rows.filter(rows.active == 1)
    named = ("unit", "unit_hash", "first_time", *segment_columns(request), *look_columns(rows))
    columns = {name: acting[kept] for name, kept in _kept(request).items()}
    return acting.select(*named, **columns, variant=acting["first"])


def read_columns(events: ir.Table, request: StoreRequest) -> ir.Table:
    """The columns of events that their values are worked out from, of events that any metric is made of."""
    # Literals: an engine may read what it has compared before once more, for every row.
    others = {
        "place": ibis.literal(request.place),
        "unit_type": ibis.literal(request.unit_type),
        "properties": ibis.null("string"),
    }
    names = read_names(request)
    return events.select(*names, **{name: value for name, value in others.items() if name not in names})


def read_names(request: StoreRequest) -> list[str]:
    """The names of those columns that are not the same for all these events."""
    read = any(each.filters or each.distinct for each in _made(request))
    return ["unit", "name", "value", "time", *(["properties"] if read else [])]


def _has_values(measure: Measure) -> bool:
    return measure.is_aggregate or measure.is_funnel


def _made(request: StoreRequest) -> list[Ingredient]:
    return [*ingredients(request.measures).values(), *funnel_ingredients(request.measures)]


def _named(events: ir.Table, request: StoreRequest, names: list[str]) -> ir.Table:
    return events.filter(
        events.place == request.place, events.unit_type == request.unit_type, have_names(events, names)
    )


def _kept(request: StoreRequest) -> dict[str, str]:
    """For each column of values the one of a base that it is."""
    made = ingredients(request.measures)
    firsts: dict[object, str] = {}
    columns = [name for i, measure in enumerate(request.measures) for name in value_columns(i, measure)]
    return {name: firsts.setdefault(made[name].identity if name in made else name, name) for name in columns}


def _kept_columns(request: StoreRequest) -> list[str]:
    return list(dict.fromkeys(_kept(request).values()))


def marked(rows: ir.Table, unit: str, columns: list[str]) -> ir.Table:
    """Rows for the right side of a left join, which tell that they are there by `marked`.

    ClickHouse fills what a left join does not find with empty texts and zeros, other engines with nulls.
    """
    return rows.select(*columns, **{unit: rows.unit}, marked=ibis.literal(1, type="int8"))


def _sum(before: _Part, new: _Part, aggregation: Aggregation | None) -> ir.Value:
    """What two parts come to, of which there may be one, or none: then nobody reads it."""
    if aggregation is Aggregation.MAXIMUM:
        # Of no values it is null.
        one, other = (ibis.ifelse(there, value, ibis.null("float64")) for there, value in (before, new))
        return ibis.greatest(ibis.coalesce(one, other), ibis.coalesce(other, one))
    one, other = (ibis.ifelse(there, value, 0.0) for there, value in (before, new))
    return ibis.greatest(one, other) if aggregation is None else one + other
