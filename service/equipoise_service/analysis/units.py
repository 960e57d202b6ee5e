"""The first step: from exposures to one row a unit."""

from datetime import UTC, timedelta
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.conditions import fits
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.metrics.measures import Measure


def first_exposures(exposures: ir.Table, request: StoreRequest) -> ir.Table:
    """The units of a revision.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        request: Which experiment.

    Returns:
        One row a unit: unit, first and last (the variants that it met: the first and the last one by name),
        first_time (when it met one first).
    """
    shown = exposures_of(exposures, request)
    return shown.group_by("unit").agg(
        first=shown.variant.min(), last=shown.variant.max(), first_time=shown.time.min()
    )


def exposures_of(exposures: ir.Table, request: StoreRequest) -> ir.Table:
    """The exposures of a revision."""
    return exposures.filter(
        exposures.place == request.place,
        exposures.experiment == request.experiment,
        exposures.revision == request.revision,
        exposures.unit_type == request.unit_type,
    )


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
        Column unit.
    """
    found = []
    theirs = events.filter(events.place == request.place, events.unit_type == request.unit_type)
    asked = request.bots
    if asked is not None and asked.most_events is not None:
        days = theirs.group_by(theirs.unit, day=theirs.time.truncate("D")).agg(events=theirs.count())
        found.append(days.filter(days.events > asked.most_events).select("unit"))
    if asked is not None and asked.event is not None:
        found.append(theirs.filter(fits(theirs, asked.event, asked.filters)).select("unit"))
    if not found:
        return theirs.filter(ibis.literal(False)).select("unit")
    return ibis.union(*found, distinct=True) if len(found) > 1 else found[0].distinct()


def is_mature(units: ir.Table, measure: Measure, request: StoreRequest) -> ir.BooleanValue:
    """Whether a unit's window has passed when it is analysed.

    Args:
        units: Column first_time.
        measure: What is measured; it matures after more than no time.
        request: Says when it is analysed.
    """
    last = request.as_of.astimezone(UTC).replace(tzinfo=None) - timedelta(hours=measure.matures_after)
    return units.first_time <= last


def any_of(conditions: list[ir.BooleanValue]) -> ir.BooleanValue:
    """Whether one of several conditions holds; there is at least one."""
    return reduce(or_, conditions)
