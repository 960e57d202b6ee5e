"""The steps of a refresh in a workspace.

The tables of the first steps are kept for a moment: engines plan small queries well, and one large one of
all steps badly. Where the changed rows are few, they are worked out in the statement that sums them, from the
base on: to write them to a table and read it again takes longer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time

import ibis.expr.types as ir

from equipoise_service.aggregates import expression
from equipoise_service.aggregates.changed_rows import as_they_were, changed_rows, without_new
from equipoise_service.aggregates.facts import Facts
from equipoise_service.aggregates.names import Base
from equipoise_service.aggregates.statements import Statements, Table
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.segments import labelled
from equipoise_service.analysis.unit_values import bare_values
from equipoise_service.analysis.units import together


@dataclass(frozen=True, slots=True)
class Known:
    """What a refresh works with.

    Attributes:
        statements: Runs the steps.
        facts: All facts, without the exposures of who is left out.
        base: The base.
        rows: Its rows.
        waiting: The events that wait beside it, see `waiting`; there are some where `base.waits`.
        request: What is measured.
        new_bots: Units that became bots since the base was made; None where nobody asks.
    """

    statements: Statements
    facts: Facts
    base: Base
    rows: Table
    waiting: Table
    request: StoreRequest
    new_bots: Table | None = None

    @property
    def new(self) -> Facts:
        """The facts that were received since the base was made."""
        return self.facts.since(self.base.until)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a refresh changes in a base.

    Attributes:
        hashes: Column unit_hash: of which units the rows may be others.
        awaited: The units whose events waited for them; they have no row in the base.
        rows: All rows that may be others, as `changed_rows` has them.
        events: Their events that have to be added.
        request: What is measured.
        written: Whether `rows` is a table that was written; else it is worked out by who reads it.
    """

    hashes: Table
    awaited: Table
    rows: Table
    events: Table
    request: StoreRequest
    written: bool = False

    def most(self) -> ir.Table:
        """Has a row for each that may be another one, or more."""
        parts = (each().select("unit_hash") for each in (self.hashes, self.awaited))
        return together(list(parts))

    def were(self) -> ir.Table:
        """The rows as they are in the base."""
        return as_they_were(self.rows())

    def before(self) -> ir.Table:
        """The rows of all units that may be others, without what is new."""
        return without_new(self.rows())

    def now(self) -> ir.Table:
        """Those rows with what is new."""
        before = self.before()
        return expression.added_to(before, bare_values(before, self.events(), self.request), self.request)


def all_rows(statements: Statements, facts: Facts, request: StoreRequest) -> Table:
    """The row of each unit, from all facts."""
    units = statements.keep(
        "units", lambda: labelled(expression.exposed(facts.exposures, request), facts.events, request)
    )
    return lambda: expression.base_rows(units(), facts.events, request)


def changes(of: Known, matured: datetime | None) -> Changes:
    """Works out the rows that are not as they are in a base.

    Args:
        of: What it works with.
        matured: Units that are mature at the moment of the analysis and were not at this one, or the other
            way round, are among them; None where that does not matter.
    """
    keep, request = of.statements.keep, of.request
    shown = keep("shown", lambda: expression.exposed(of.new.exposures, request))
    known = keep("known", lambda: expression.known_units(shown(), of.rows()))
    awaited = keep("awaited", lambda: _awaited(of, shown(), known()))
    touched = keep("touched", lambda: _touched(of, shown(), known(), awaited()))
    moments = () if matured is None else (matured, request.as_of)
    hashes = keep("changed", lambda: _changed(of, touched(), matured), *moments)
    units = keep("touched_units", lambda: _units(of, touched()))
    begin = _begin(of.statements.rows("earliest", lambda: _earliest(_measured(units()))), request)
    found = keep("found", lambda: _found(of, _measured(units()), begin), begin)

    def rows() -> ir.Table:
        exposed = [units(), awaited()] if of.base.waits else [units()]
        made = [expression.without_values(each, request) for each in exposed]
        return changed_rows(expression.with_hashes(of.rows(), hashes()), touched(), made)

    def events() -> ir.Table:
        return _events(of, found(), touched(), awaited())

    return Changes(hashes, awaited, rows, events, request)


def write(of: Known, changed: Changes) -> Changes:
    """Write the changed rows to a passing table, for who reads them several times."""
    return replace(changed, rows=of.statements.keep("rows", changed.rows), written=True)


def refreshed(of: Known, changed: Changes) -> Table:
    """The row of each unit."""
    now = of.statements.keep("now", changed.now, changed.written)
    return lambda: together([expression.without_hashes(of.rows(), changed.hashes()), now()])


def _awaited(of: Known, shown: ir.Table, known: ir.Table) -> ir.Table:
    """The units whose events waited for them."""
    return expression.unknown_units(shown, known, of.base.waits_from) if of.base.waits else shown.limit(0)


def _touched(of: Known, shown: ir.Table, known: ir.Table, awaited: ir.Table) -> ir.Table:
    """The units whose rows are worked out from all of their facts, which have to be looked for."""
    touched = [expression.changed_units(expression.of_others(shown, awaited), known)]
    if of.new_bots is not None:
        # They have no exposures any more, so no row is made for them.
        touched.append(expression.with_hashes(of.new_bots(), of.rows()))
    if of.request.segments:
        touched.append(expression.segment_units(of.new.events, of.request))
    if not expression.adds_up(of.request):
        touched.append(expression.measured_units(of.new.events, of.request))
    return _any_of(touched)


def _changed(of: Known, touched: ir.Table, matured: datetime | None) -> ir.Table:
    events = expression.measured(of.new.events, of.request)
    hashes = [rows.select("unit_hash") for rows in (touched, events)]
    if matured is not None:
        hashes.append(expression.maturing_hashes(of.rows(), of.request, matured))
    return _any_of(hashes)


def _any_of(hashes: list[ir.Table]) -> ir.Table:
    return together(hashes).distinct() if len(hashes) > 1 else hashes[0]


def _units(of: Known, touched: ir.Table) -> ir.Table:
    shown = expression.of_touched(of.facts.exposures, touched)
    theirs = expression.of_touched(of.facts.events, touched)
    return labelled(expression.exposed(shown, of.request), theirs, of.request)


def _measured(units: ir.Table) -> ir.Table:
    """Those that met one variant: nothing of the others counts."""
    return units.filter(units["first"] == units["last"])


def _earliest(units: ir.Table) -> ir.Table:
    return units.order_by("first_time").limit(1).select("first_time")


def _begin(earliest: Sequence[Mapping[str, datetime]], request: StoreRequest) -> datetime | None:
    """When the first event can be that counts; None where there are no units."""
    if not earliest:
        return None
    # Whole days: as seldom as they change, so seldom is the statement another one.
    return expression.reach(request, datetime.combine(earliest[0]["first_time"], time.min))


def _found(of: Known, units: ir.Table, begin: datetime | None) -> ir.Table:
    """All events that can count for some units."""
    events = expression.measured(of.facts.events, of.request)
    # A moment that the engine reads in the query lets it skip what lies before.
    events = events.limit(0) if begin is None else events.filter(events.time >= begin)
    return expression.read_columns(expression.of_touched(events, units), of.request)


def _events(of: Known, found: ir.Table, touched: ir.Table, awaited: ir.Table) -> ir.Table:
    """All events of the touched and the awaited units, and the new ones of others."""
    others = [expression.of_others(expression.measured(of.new.events, of.request), touched)]
    if of.base.waits:
        others.append(expression.of_touched(of.waiting(), awaited))
    read = (expression.read_columns(each, of.request) for each in others)
    return together([found, *read])
