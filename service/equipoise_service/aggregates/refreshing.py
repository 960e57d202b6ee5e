"""The steps of a refresh in a workspace.

Each step's table is kept for a moment: engines plan small queries well, and one large one of all steps badly.
"""

import ibis.expr.types as ir

from equipoise_service.aggregates import expression
from equipoise_service.aggregates.facts import Facts
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.segments import labelled
from equipoise_service.analysis.unit_values import unit_values
from equipoise_service.events.stores.workspace import Workspace


def all_rows(workspace: Workspace, facts: Facts, request: StoreRequest) -> ir.Table:
    """The row of each unit, from all facts."""
    units = labelled(expression.exposed(facts.exposures, request), facts.events, request)
    return expression.base_rows(workspace.keep("units", units), facts.events, request)


def refreshed_rows(
    workspace: Workspace, facts: Facts, new: Facts, base: ir.Table, request: StoreRequest
) -> tuple[ir.Table, int]:
    """The row of each unit, from a base and what is new.

    Args:
        workspace: Of the store.
        facts: All facts.
        new: Those received since the base was made.
        base: The base.
        request: What is measured.

    Returns:
        The rows, and how many of them are not as they are in the base.
    """
    shown = workspace.keep("new_units", expression.exposed(new.exposures, request))
    touched = expression.changed_hashes(shown, base)
    seen = expression.event_hashes(new.events, request)
    if request.segments:
        touched = touched.union(expression.segment_hashes(new.events, request), distinct=True)
    if not expression.adds_up(request):
        touched = touched.union(seen, distinct=True)
    touched = workspace.keep("touched", touched)
    others = expression.of_others(base, touched)
    changed = [_worked_out(workspace, facts, touched, request)]
    if expression.adds_up(request):
        seen = workspace.keep("seen", expression.of_others(seen, touched))
        others = expression.of_others(others, seen)
        changed.append(_added(workspace, new, base, seen, request))
    return expression.together([others, *changed]), sum(count(workspace, rows) for rows in changed)


def count(workspace: Workspace, rows: ir.Table) -> int:
    """How many rows there are."""
    return int(workspace.backend.to_pyarrow(rows.agg(found=rows.count())).column(0)[0].as_py())


def _worked_out(workspace: Workspace, facts: Facts, touched: ir.Table, request: StoreRequest) -> ir.Table:
    """The rows of the touched units, from all of their facts."""
    shown = expression.of_touched(facts.exposures, touched)
    theirs = expression.of_touched(facts.events, touched)
    units = workspace.keep("touched_units", labelled(expression.exposed(shown, request), theirs, request))
    earliest = workspace.backend.to_pyarrow(units.agg(found=units.first_time.min())).column(0)[0].as_py()
    events = expression.measured(facts.events, request)
    # A moment that the engine reads in the query lets it skip what lies before.
    events = expression.within_reach(events, request, earliest) if earliest is not None else events.limit(0)
    events = expression.read_columns(expression.of_touched(events, touched))
    events = workspace.keep("touched_events", events)
    return workspace.keep("worked_out", expression.base_rows(units, events, request))


def _added(
    workspace: Workspace, new: Facts, base: ir.Table, seen: ir.Table, request: StoreRequest
) -> ir.Table:
    """The rows of the units that have new events and nothing else that is new."""
    before = workspace.keep("before", expression.of_touched(base, seen))
    events = expression.of_touched(expression.measured(new.events, request), seen)
    events = workspace.keep("new_events", expression.read_columns(events))
    rows = expression.added_to(before, unit_values(before, events, request), request)
    return workspace.keep("added", rows)
