"""Who is a bot, as a base and what is new say it: who was one stays one.

More facts make bots and unmake none, and whatever deletes facts forgets all bases. So the bots are kept
beside a base, and a refresh looks at units with new events only: where many events of one day make a bot, at
all that these did since the day of the earliest new one.
"""

from dataclasses import dataclass, replace
from datetime import datetime, time

import ibis.expr.types as ir

from equipoise_service.aggregates.expression import of_others, of_touched
from equipoise_service.aggregates.facts import Facts
from equipoise_service.aggregates.names import Base
from equipoise_service.aggregates.statements import Statements, Table
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import bots, of_place, together, until_the_end


@dataclass(frozen=True, slots=True)
class FoundBots:
    """Units that behave like bots, exposed or not: columns unit and unit_hash.

    Attributes:
        all: All of them.
        new: Those that were none when the base was made; None without a base.
    """

    all: Table
    new: Table | None


def find_bots(statements: Statements, facts: Facts, request: StoreRequest, base: Base | None) -> FoundBots:
    """The bots; without a base all facts are looked at.

    Args:
        statements: Runs the steps.
        facts: All facts.
        request: Says what a bot does.
        base: The base.
    """
    if base is None:
        return FoundBots(statements.keep("bots", lambda: bots(facts.events, request)), None)

    def known() -> ir.Table:
        return statements.workspace.table(base.bots)

    def new() -> ir.Table:
        events = of_place(until_the_end(facts.since(base.until).events, request), request)
        # Who is a bot already has the most of them.
        return of_others(events, known())

    if request.bots is not None and request.bots.most_events is None:
        # One event is enough, so it is a new one.
        became = statements.keep("new_bots", lambda: bots(new(), request))
    else:
        became = _by_days(statements, facts.events, new, request)
    return FoundBots(statements.keep("bots", lambda: together([known(), became()])), became)


def without_bots(facts: Facts, found: FoundBots) -> Facts:
    """The facts without the exposures of bots."""
    return replace(facts, exposures=of_others(facts.exposures, found.all()))


def _by_days(statements: Statements, events: ir.Table, new: Table, request: StoreRequest) -> Table:
    """Who became a bot by many events of a day, or by one: of units with new events all are counted."""
    earliest = statements.rows("earliest_new", lambda: new().order_by("time").limit(1).select("time"))
    begin = datetime.combine(earliest[0]["time"], time.min) if earliest else None

    def became() -> ir.Table:
        if begin is None:
            return bots(new(), request)
        days = events.filter(events.time >= begin)
        return bots(of_touched(days, new().select("unit", "unit_hash").distinct()), request)

    return statements.keep("new_bots", became, begin)
