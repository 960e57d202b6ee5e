"""Events that wait for their units to be exposed: kept beside a base, so that a pre-period needs no search.

A unit that is exposed for the first time after the base was made has most of what counts for it in events
that came before: its pre-period. To look for them among all events is the dearest step of a refresh. Where
most units are exposed already, the events of all others are few, and they are kept.
"""

from datetime import datetime, timedelta

import ibis.expr.types as ir

from equipoise_service.aggregates import expression
from equipoise_service.aggregates.names import Base
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.events.stores.workspace import Workspace

# Most events that wait, for each row of the base. More would be a second copy of the events.
_MOST = 2
# An exposure may be received so long after it happened.
_LATE = timedelta(days=1)
# One of so many units, those of the least hashes, is asked first. Where twice too many of its events would
# wait, no more is asked: a base may be made again and again, and all units take as long as to keep events.
_ONE_OF = 64
_HASHES = 1 << 31


def keep_waiting(
    workspace: Workspace, base: Base, rows: ir.Table, events: ir.Table, request: StoreRequest
) -> None:
    """Keep the events that wait, where they are few.

    Args:
        workspace: Where.
        base: Beside which base.
        rows: Its rows.
        events: Those that were received up to the base's moment.
        request: What is measured.
    """
    if request.segments or not expression.adds_up(request):
        # All events of the touched units are looked for in any case.
        return
    most = _MOST * _count(workspace, rows)
    events = expression.within_reach(expression.measured(events, request), request, exposed_from(base))
    others = expression.of_others(events, rows)
    some = others.filter(others.unit_hash < _HASHES // _ONE_OF)
    if _count(workspace, some) * _ONE_OF > 2 * most:
        return
    # To find that they are too many takes no longer than to read so many.
    found = others.select("unit_hash", *expression.read_names(request)).limit(most + 1)
    few = workspace.keep("waiting", found)
    if _count(workspace, few) <= most:
        workspace.keep(base.waiting, few, lasting=True)


def exposed_from(base: Base) -> datetime:
    """For units that were first exposed at this moment or later, all events that count are kept."""
    return base.until - _LATE


def _count(workspace: Workspace, rows: ir.Table) -> int:
    return int(workspace.rows(str(workspace.backend.compile(rows.agg(found=rows.count()))))[0]["found"])
