"""The steps of a refresh in a workspace.

Each step's table is kept for a moment: engines plan small queries well, and one large one of all steps badly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import ibis.expr.types as ir

from equipoise_service.aggregates import expression
from equipoise_service.aggregates.facts import Facts
from equipoise_service.aggregates.statements import Statements
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.segments import labelled
from equipoise_service.analysis.unit_values import unit_values
from equipoise_service.events.stores.workspace import Workspace

Table = Callable[[], ir.Table]
"""Finds a table: most are not looked at when the statements that read them are remembered."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a refresh changes in a base.

    Attributes:
        hashes: Column unit_hash: of which units the rows may be others.
        were: Their rows in the base.
        now: Their rows.
    """

    hashes: Table
    were: Table
    now: Table


def all_rows(workspace: Workspace, facts: Facts, request: StoreRequest) -> ir.Table:
    """The row of each unit, from all facts."""
    units = labelled(expression.exposed(facts.exposures, request), facts.events, request)
    return expression.base_rows(workspace.keep("units", units), facts.events, request)


def changes(
    statements: Statements,
    facts: Facts,
    new: Facts,
    base: Table,
    request: StoreRequest,
    matured: datetime | None,
) -> Changes:
    """Works out the rows that are not as they are in a base.

    Args:
        statements: Runs the steps.
        facts: All facts.
        new: Those received since the base was made.
        base: The base.
        request: What is measured.
        matured: Units that are mature at the moment of the analysis and were not at this one, or the other
            way round, are among them; None where that does not matter.
    """
    shown = statements.keep("new_units", lambda: expression.exposed(new.exposures, request))
    touched = statements.keep("touched", lambda: _touched(shown(), new, base(), request))
    moments = () if matured is None else (matured, request.as_of)
    hashes = statements.keep("changed", lambda: _changed(touched(), new, base(), request, matured), *moments)
    were = statements.keep("were", lambda: expression.with_hashes(base(), hashes()))
    units = statements.keep("touched_units", lambda: _units(facts, touched(), request))
    earliest = statements.rows("earliest", lambda: _earliest(units()))[0]["found"]
    # Whole days: as seldom as they change, so seldom is the statement another one.
    begin = None if earliest is None else datetime(earliest.year, earliest.month, earliest.day)
    events = statements.keep("all_events", lambda: _events(facts, new, touched(), begin, request), begin)
    before = statements.keep("before", lambda: expression.before(were(), units(), touched(), request))
    now = statements.keep(
        "now",
        lambda: expression.added_to(before(), unit_values(before(), events(), request), request),
    )
    return Changes(hashes, were, now)


def refreshed(base: ir.Table, changed: Changes) -> ir.Table:
    """The row of each unit."""
    return expression.together([expression.without_hashes(base, changed.hashes()), changed.now()])


def _touched(shown: ir.Table, new: Facts, base: ir.Table, request: StoreRequest) -> ir.Table:
    """The units whose rows are worked out from all of their facts."""
    touched = [expression.changed_units(shown, base)]
    if request.segments:
        touched.append(expression.segment_units(new.events, request))
    if not expression.adds_up(request):
        touched.append(expression.measured_units(new.events, request))
    return _any_of(touched)


def _changed(
    touched: ir.Table, new: Facts, base: ir.Table, request: StoreRequest, matured: datetime | None
) -> ir.Table:
    hashes = [
        rows.select("unit_hash").distinct() for rows in (touched, expression.measured(new.events, request))
    ]
    if matured is not None:
        hashes.append(expression.maturing_hashes(base, request, matured))
    return _any_of(hashes)


def _any_of(hashes: list[ir.Table]) -> ir.Table:
    return expression.together(hashes).distinct() if len(hashes) > 1 else hashes[0]


def _units(facts: Facts, touched: ir.Table, request: StoreRequest) -> ir.Table:
    shown = expression.of_touched(facts.exposures, touched)
    theirs = expression.of_touched(facts.events, touched)
    return labelled(expression.exposed(shown, request), theirs, request)


def _earliest(units: ir.Table) -> ir.Table:
    return units.agg(found=units.first_time.min())


def _events(
    facts: Facts, new: Facts, touched: ir.Table, begin: datetime | None, request: StoreRequest
) -> ir.Table:
    """All events of the touched units, and the new ones of others."""
    added = expression.of_others(expression.measured(new.events, request), touched)
    if begin is None:
        return expression.read_columns(added, request)
    events = expression.measured(facts.events, request)
    # A moment that the engine reads in the query lets it skip what lies before.
    events = expression.within_reach(events, request, begin)
    theirs = expression.of_touched(events, touched)
    return expression.together([expression.read_columns(rows, request) for rows in (theirs, added)])
