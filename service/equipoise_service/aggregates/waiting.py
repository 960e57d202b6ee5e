"""Events that wait for their units to be exposed: kept beside a base, so that a pre-period needs no search.

A unit that is exposed for the first time after the base was made has most of what counts for it in events
that came before: its pre-period. To look for them among all events is the dearest step of a refresh. Where
most units are exposed already, the events of all others are few, and they are kept.
"""

import ibis.expr.types as ir

from equipoise_service.aggregates import expression
from equipoise_service.aggregates.names import Base
from equipoise_service.aggregates.statements import Statements, Table
from equipoise_service.analysis.requests import StoreRequest

# Most events that wait, for each row of the base. More would be a second copy of the events.
_MOST = 2
# One of so many units, those of the least hashes, is asked first. Where twice too many of its events would
# wait, no more is asked: a base may be made again and again, and all units take as long as to keep events.
_ONE_OF = 64
_HASHES = 1 << 31


def keep_waiting(
    statements: Statements,
    base: Base,
    rows: Table,
    events: ir.Table,
    request: StoreRequest,
    bots: Table | None,
) -> None:
    """Keep the events that wait, where they are few.

    Args:
        statements: Runs the steps.
        base: Beside which base.
        rows: Finds its rows.
        events: Those that were received up to the base's moment.
        request: What is measured.
        bots: Units whose events do not wait; None where nobody is a bot.
    """
    if request.segments or not expression.adds_up(request):
        # All events of the touched units are looked for in any case.
        return

    def others() -> ir.Table:
        measured = expression.measured(events, request)
        reached = measured.filter(measured.time >= expression.reach(request, base.waits_from))
        unknown = expression.of_others(reached, rows())
        return unknown if bots is None else expression.of_others(unknown, bots())

    def some() -> ir.Table:
        found = others()
        return found.filter(found.unit_hash < _HASHES // _ONE_OF)

    most = _MOST * statements.count("rows", rows)
    if statements.count("some_waiting", some) * _ONE_OF > 2 * most:
        return
    columns = ("unit_hash", *expression.read_names(request))
    # To find that they are too many takes no longer than to read so many.
    limit = 1 << most.bit_length()
    few = statements.keep("waiting", lambda: others().select(*columns).limit(limit), limit)
    if statements.count("waiting", few) <= most:
        statements.keep_lasting(base.waiting, "kept_waiting", few)
