"""Identity: anonymous units joined with known ones, before everything else.

A link is an event of an anonymous unit that names a known one, such as the event of a device when somebody
logs in. It holds for all that the anonymous unit did, before the link and after it. The first link wins. A
unit with links to several known ones is a conflict: by rule its first link wins nevertheless, or it is left
out; it is left out in any case when the first moment has links to several. An item that names a known unit
beside the anonymous one says itself whose it is, and is that one's alone.
"""

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.properties import read_property
from equipoise_service.analysis.requests import Identity, StoreRequest
from equipoise_service.analysis.units import until_the_end
from equipoise_service.plans.population import Conflicts

# Before an anonymous unit's id, so that it cannot be taken for a known unit's.
_APART = "\x1f"


class NoIdentity(ValueError):
    """A request that says nothing about identity."""


def joined_facts(exposures: ir.Table, events: ir.Table, request: StoreRequest) -> tuple[ir.Table, ir.Table]:
    """Exposures and events of persons: known units, and anonymous ones that nothing links to a known one.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        events: Columns place, unit_type, unit, name, value, properties, time; and id, where one item may be
            several rows.
        request: Says how units are joined.

    Returns:
        Both with the request's unit type and the persons' ids; those of other unit types are not in them.
    """
    links = _links(events, request)
    return _of_persons(exposures, links, request), _of_persons(_once(events, request), links, request)


def joined_counts(exposures: ir.Table, events: ir.Table, request: StoreRequest) -> ir.Table:
    """Counts what came of joining among the exposed units.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: Says how units are joined, and which experiment.

    Returns:
        One row, the columns of `statistics.Joined`.
    """
    links = _links(events, request)
    asked = _asked(request)
    shown = until_the_end(exposures, request)
    shown = shown.filter(shown.experiment == request.experiment, shown.revision == request.revision)
    anonymous = shown.filter(shown.place == request.place, shown.unit_type == asked.anonymous)
    anonymous = anonymous.select("unit").distinct()
    linked = anonymous.left_join(links, anonymous.unit == links.device)
    units = linked.agg(
        anonymous=linked.count(),
        joined=_number(linked.known.notnull()),
        conflicts=_number(linked.conflict.fill_null(False)),
        left_out=_number(linked.device.notnull() & linked.known.isnull()),
    )
    met = _persons(shown, links, request)
    each = met.group_by("person", "unit_type", "unit").agg(low=met.variant.min(), high=met.variant.max())
    persons = each.group_by("person").agg(
        low=each.low.min(), high=each.high.max(), before=_number(each.low != each.high)
    )
    caused = persons.agg(crossovers=_number((persons.low != persons.high) & (persons.before == 0)))
    return units.cross_join(caused)


def _asked(request: StoreRequest) -> Identity:
    if request.identity is None:
        raise NoIdentity("the request says nothing about identity")
    return request.identity


def _links(events: ir.Table, request: StoreRequest) -> ir.Table:
    """One row an anonymous unit with links: device, device_type, known (null for the left out), conflict."""
    asked = _asked(request)
    wanted = until_the_end(events, request)
    wanted = wanted.filter(
        wanted.place == request.place, wanted.unit_type == asked.anonymous, wanted.name == asked.event
    )
    named = wanted.select("unit", "time", known=read_property(wanted, asked.property).text)
    named = named.filter(named.known.notnull() & (named.known != ""))
    timed = named.mutate(first=named.time.min().over(ibis.window(group_by=named.unit)))
    first = timed.time == timed["first"]
    found = timed.group_by("unit").agg(
        low=timed.known.min(),
        high=timed.known.max(),
        first_low=timed.known.min(where=first),
        first_high=timed.known.max(where=first),
    )
    wins = asked.conflicts is Conflicts.FIRST
    low, high = (found.first_low, found.first_high) if wins else (found.low, found.high)
    return found.select(
        # Of a column that may be null: else a left join gives empty texts for nulls on ClickHouse.
        device=ibis.ifelse(found.low.notnull(), found.unit, ibis.null("string")),
        device_type=ibis.literal(asked.anonymous),
        known=ibis.ifelse(low == high, low, ibis.null("string")),
        conflict=found.low != found.high,
    )


def _once(events: ir.Table, request: StoreRequest) -> ir.Table:
    """Without the rows of anonymous units whose items name a known unit, too."""
    if "id" not in events.columns:
        return events
    asked = _asked(request)
    known = events.filter(events.place == request.place, events.unit_type == asked.known)
    items = known.select(item=known.id).distinct().view()
    # Of other rows it is null, which equals nothing: an engine sees a join on one column.
    nothing = ibis.null(events.id.type().copy(nullable=True))
    anonymous = ibis.ifelse(events.unit_type == asked.anonymous, events.id, nothing)
    return events.anti_join(items, anonymous == items.item)


def _persons(table: ir.Table, links: ir.Table, request: StoreRequest) -> ir.Table:
    """The rows of anonymous and known units with a column person; those left out are not in it."""
    asked = _asked(request)
    theirs = table.filter(table.place == request.place, table.unit_type.isin([asked.anonymous, asked.known]))
    joined = theirs.left_join(links, [theirs.unit == links.device, theirs.unit_type == links.device_type])
    kept = joined.filter(joined.device.isnull() | joined.known.notnull())
    apart = ibis.literal(asked.anonymous + _APART).concat(kept.unit)
    person = ibis.cases(
        (kept.known.notnull(), kept.known), (kept.unit_type == asked.anonymous, apart), else_=kept.unit
    )
    return kept.select(*(kept[name] for name in table.columns), person=person)


def _of_persons(table: ir.Table, links: ir.Table, request: StoreRequest) -> ir.Table:
    joined = _persons(table, links, request)
    # The hash is that of the unit, and a person has another one.
    kept = [name for name in table.columns if name not in ("unit_type", "unit", "unit_hash")]
    return joined.select(*kept, unit_type=ibis.literal(request.unit_type), unit=joined.person)


def _number(asked: ir.BooleanValue) -> ir.IntegerScalar:
    return ibis.coalesce(ibis.ifelse(asked, 1, 0).sum(), 0)
