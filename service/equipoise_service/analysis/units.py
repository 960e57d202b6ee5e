"""The first step: from exposures to one row a unit."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.conditions import fits
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.metrics.measures import Measure

CLOCKS = timedelta(seconds=60)
"""So much clocks may differ, as `events.clocks` sees it."""


def first_exposures(exposures: ir.Table, request: StoreRequest) -> ir.Table:
    """The units of a revision.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        request: Which experiment.

    Returns:
        One row a unit: unit, first and last (the variants that it met: the first and the last one by name),
        first_time (when it met one first), and unit_hash where exposures have it.
    """
    shown = exposures_of(exposures, request)
    hashes = {"unit_hash": shown.unit_hash.min()} if "unit_hash" in shown.columns else {}
    return shown.group_by("unit").agg(
        first=shown.variant.min(), last=shown.variant.max(), first_time=shown.time.min(), **hashes
    )


def exposures_of(exposures: ir.Table, request: StoreRequest) -> ir.Table:
    """The exposures of a revision."""
    shown = until_the_end(exposures, request)
    return shown.filter(
        shown.place == request.place,
        shown.experiment == request.experiment,
        shown.revision == request.revision,
        shown.unit_type == request.unit_type,
    )


def which_exposures(request: StoreRequest) -> tuple[object, ...]:
    """All of a request that says which exposures `exposures_of` gives."""
    return request.until, request.place, request.experiment, request.revision, request.unit_type


def until_the_end(facts: ir.Table, request: StoreRequest) -> ir.Table:
    """The facts from before the revision ended; all of them while it goes on.

    Args:
        facts: Column time.
        request: Says when it ended.
    """
    return facts if request.until is None else facts.filter(facts.time < naive(request.until))


def one_variant(units: ir.Table) -> ir.StringValue:
    """The variant that a unit met; null for a crossover, which met several.

    Args:
        units: Columns first and last.
    """
    return ibis.ifelse(units["first"] == units["last"], units["first"], ibis.null("string"))


def bots(events: ir.Table, request: StoreRequest) -> ir.Table:
    """The units that behave like bots, exposed or not.

    Args:
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: Says what a bot does.

    Returns:
        Column unit, and unit_hash where events have it.
    """
    found = []
    theirs = of_place(until_the_end(events, request), request)
    names = [name for name in ("unit", "unit_hash") if name in theirs.columns]
    asked = request.bots
    if asked is not None and asked.most_events is not None:
        busy = theirs
        if "unit_hash" in names:
            # By integers it is soon told whose events are not so many even on all days together.
            each = theirs.group_by("unit_hash").agg(events=theirs.count())
            busy = theirs.semi_join(each.filter(each.events > asked.most_events), "unit_hash")
        days = busy.group_by(*names, day=busy.time.truncate("D")).agg(events=busy.count())
        found.append(days.filter(days.events > asked.most_events).select(*names))
    if asked is not None and asked.event is not None:
        found.append(theirs.filter(fits(theirs, asked.event, asked.filters)).select(*names))
    if not found:
        return theirs.filter(ibis.literal(False)).select(*names)
    return together(found).distinct()


def of_place(facts: ir.Table, request: StoreRequest) -> ir.Table:
    """The facts of a request's place and unit type."""
    return facts.filter(facts.place == request.place, facts.unit_type == request.unit_type)


def is_mature(units: ir.Table, measure: Measure, request: StoreRequest) -> ir.BooleanValue:
    """Whether a unit's window has passed when it is analysed; without one, its delay by the end.

    Args:
        units: Column first_time, and as_of where it is not the request that says when they are analysed.
        measure: What is measured; it matures after more than no time.
        request: Says when it is analysed.
    """
    # Nothing after the end counts, so a delay that had not passed by then never does.
    end = request.until if measure.window_hours is None else None
    if "as_of" in units.columns:
        moment = units.as_of if end is None else ibis.least(units.as_of, naive(end))
        return units.first_time + ibis.interval(hours=measure.matures_after) <= moment
    moment = request.as_of if end is None else min(request.as_of, end)
    return units.first_time <= naive(moment) - timedelta(hours=measure.matures_after)


def look_columns(rows: ir.Table) -> list[str]:
    """Those of rows that are looked at twice in one query: look, a number, and as_of where units mature."""
    return [name for name in ("look", "as_of") if name in rows.columns]


def exposure_day(units: ir.Table, request: StoreRequest) -> ir.DateValue:
    """The day of a unit's first exposure; that of the start where it was exposed before.

    Args:
        units: Column first_time.
        request: Says when the revision began.
    """
    if request.since is None:
        return units.first_time.date()
    start = ibis.literal(naive(request.since), units.first_time.type())
    return ibis.ifelse(units.first_time < start, start, units.first_time).date()


def was_early(units: ir.Table, request: StoreRequest) -> ir.IntegerValue:
    """1 for a unit that was exposed before the revision began, by more than clocks may differ; else 0.

    Args:
        units: Column first_time.
        request: Says when the revision began.
    """
    if request.since is None:
        return ibis.literal(0)
    return ibis.ifelse(units.first_time < naive(request.since) - CLOCKS, 1, 0)


def naive(moment: datetime) -> datetime:
    """A moment as the tables hold it: UTC, without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def together(parts: Sequence[ir.Table]) -> ir.Table:
    """Rows of several tables: Ibis wants them to agree on types, and on which columns may be null."""
    types = {name: type.copy(nullable=True) for name, type in parts[0].schema().items()}
    return ibis.union(*(rows.select(*types).cast(types) for rows in parts))


def any_of(conditions: list[ir.BooleanValue]) -> ir.BooleanValue:
    """Whether one of several conditions holds; there is at least one."""
    return reduce(or_, conditions)
