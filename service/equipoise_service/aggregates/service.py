"""Analyses that read only what is new since the last time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import ibis.expr.types as ir

from equipoise_service.aggregates import bases, expression
from equipoise_service.aggregates.amounts import (
    COUNTS,
    SUMS,
    Amounts,
    at_once,
    both_looks,
    packed,
    read_amounts,
)
from equipoise_service.aggregates.bots import FoundBots, find_bots, without_bots
from equipoise_service.aggregates.counts import changed_counts, have_counts, unit_counts
from equipoise_service.aggregates.facts import Facts, bring_left_out, settled_facts, without_left_out
from equipoise_service.aggregates.names import Base, digest_of, new_base
from equipoise_service.aggregates.refreshing import Changes, Known, all_rows, changes, refreshed, write
from equipoise_service.aggregates.statements import Statements, Table
from equipoise_service.aggregates.sums import (
    Row,
    analysed_at,
    arm_sums,
    have_sums,
    maturing_at,
    units_of_arms,
    with_changes,
)
from equipoise_service.analysis.days import over_days, read_days, read_early
from equipoise_service.analysis.distributions import halvings_of
from equipoise_service.analysis.expression import newest_receipt
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.segments import most_frequent
from equipoise_service.analysis.statistics import Statistics, read_arms, read_distributions
from equipoise_service.analysis.store import (
    analyse_store,
    exposed_bots,
    halvings_of_arms,
    overridden_units,
    statistics_of,
    with_bots,
)
from equipoise_service.analysis.units import exposures_of
from equipoise_service.events.stores.store import EventStore
from equipoise_service.events.stores.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Keeping:
    """When bases are kept.

    Attributes:
        smallest: Fewest exposures that a base is kept for; fewer are read each time as quickly.
        fold_at: Share of a base's units with something new from which on a new base is kept.
    """

    smallest: int = 20_000
    fold_at: float = 0.2


_KEEPING = Keeping()


@dataclass(frozen=True, slots=True)
class _Look:
    """What one analysis works with; facts and request are without the units that are left out.

    Where the request says what a bot does, so are the facts as soon as `bots` are found.
    """

    workspace: Workspace
    facts: Facts
    request: StoreRequest
    keeping: Keeping
    bots: FoundBots | None = None


def analyse(store: EventStore, request: StoreRequest, keeping: Keeping = _KEEPING) -> Statistics:
    """Computes what `analyse_store` computes, reading only what is new since the last time.

    The first call for a request reads everything and keeps a base: a table in the store with the row of each
    unit, and one with the sums of each arm. Later calls read what was received since, late items included,
    and the rows that it changes.

    Args:
        store: Where exposures and events are.
        request: Which experiment, and what is measured.
        keeping: When bases are kept.
    """
    with store.workspace() as workspace:
        left_out = bring_left_out(workspace, request)
        settled = settled_facts(workspace)
        look = _Look(workspace, *without_left_out(settled, left_out, request), keeping)
        kept = expression.can_be_kept(request)
        found = _statistics(look, settled, digest_of(request)) if kept else None
        if found is None:
            return analyse_store(workspace.backend, request, left_out, workspace.keep)
        overridden = 0
        if left_out is not None:
            overridden = overridden_units(workspace.backend, settled.exposures, request, left_out)
        return replace(found, overridden=overridden)


def _statistics(look: _Look, settled: Facts, digest: str) -> Statistics | None:
    """The statistics; None where a base is not worth its keeping."""
    request = look.request
    base = bases.newest(look.workspace, digest)
    statements = Statements(look.workspace, digest, request, base)
    new = settled if base is None else settled.since(base.until)
    found = statements.rows("newest", lambda: newest_receipt(new.exposures, new.events, request.place))
    newest: datetime | None = found[0]["watermark"]
    if base is not None:
        until = newest or base.until
    elif newest is not None and _is_worth_it(look, statements):
        until = newest
    else:
        return None
    bots = None if request.bots is None else find_bots(statements, look.facts, request, base)
    human = look if bots is None else replace(look, facts=without_bots(look.facts, bots), bots=bots)
    if base is None:
        rows = all_rows(statements, human.facts, request)
        statistics = _anew(human, statements, rows, new_base(digest, until))
    else:
        statistics = _again(human, base, newest, statements)
    statistics = replace(statistics, watermark=until)
    if bots is None:
        return statistics
    return with_bots(statistics, statements.rows("exposed_bots", lambda: _exposed_bots(look, bots)))


def _is_worth_it(look: _Look, statements: Statements) -> bool:
    exposures = statements.count("exposures", lambda: exposures_of(look.facts.exposures, look.request))
    return exposures >= look.keeping.smallest


def _exposed_bots(look: _Look, found: FoundBots) -> ir.Table:
    exposures = expression.with_hashes(look.facts.exposures, found.all())
    return exposed_bots(exposures, found.all(), look.request)


def _anew(look: _Look, before: Statements, rows: Table, base: Base) -> Statistics:
    """The statistics of rows, which are kept as a base."""
    request = look.request
    statements = Statements(look.workspace, base.digest, request, base)
    bots = None if look.bots is None else look.bots.all
    kept = bases.keep(before, statements, base, rows, look.facts.events, request, bots)
    if not have_sums(request):
        return _of_rows(look, kept())
    found = _of_sums(statements.rows("sums", lambda: _sums(look, base)), look)
    if not have_counts(request):
        return found
    halvings = halvings_of_arms(found.arms)

    def counts() -> ir.Table:
        return unit_counts(kept(), kept(), request, halvings)

    statements.keep_lasting(base.counts, "made_counts", counts, halvings, maturing_at(request))
    return _with_distributions(found, _kept_counts(look, base, statements), look)


def _again(look: _Look, base: Base, newest: datetime | None, statements: Statements) -> Statistics:
    """The statistics from a base and what is new; `newest` is when the newest of this was received."""
    request, digest = look.request, base.digest
    table = look.workspace.table
    known = Known(
        statements,
        look.facts,
        base,
        lambda: table(base.name),
        lambda: table(base.waiting),
        request,
        None if look.bots is None else look.bots.new,
    )
    sums = statements.rows("sums", lambda: _sums(look, base)) if have_sums(request) else []
    matured = analysed_at(sums) if sums and maturing_at(request) else None
    if newest is None and matured in (None, request.as_of):
        if not sums:
            return _of_rows(look, known.rows())
        return _with_distributions(_of_sums(sums, look), _kept_counts(look, base, statements), look)
    changed, most = changes(known, matured), look.keeping.fold_at * statements.count("kept", known.rows)
    few = statements.count("most", changed.most) <= most
    if not (few and look.workspace.shares):
        changed = write(known, changed)
    if not few and statements.count("before", changed.before) > most:
        return _anew(look, statements, refreshed(known, changed), new_base(digest, newest or base.until))
    if not sums:
        return _of_rows(look, refreshed(known, changed)())
    halvings = halvings_of(units_of_arms(sums))
    amounts = _amounts(look, known, changed, sums, halvings)
    added = with_changes(sums, amounts.sums_were, amounts.sums_now, request)
    if added is None:
        return _of_rows(look, refreshed(known, changed)())
    if halvings_of(units_of_arms(added)) != halvings:
        # Other units are drawn from now on, and only of those are the counts kept.
        return _anew(look, statements, refreshed(known, changed), new_base(digest, newest or base.until))
    kept = _kept_counts(look, base, statements)
    counts = changed_counts(kept, amounts.counts_were, amounts.counts_now)
    return _with_distributions(_of_sums(added, look), counts, look)


def _amounts(look: _Look, known: Known, changed: Changes, sums: Sequence[Row], halvings: int) -> Amounts:
    """What the changed rows come to."""
    request, then = look.request, analysed_at(sums)
    moments = (then, request.as_of) if maturing_at(request) else None

    def query() -> ir.Table:
        were = changed.were()
        units = both_looks(were, changed.before(), moments)
        rows = both_looks(were, changed.now(), moments)
        parts = {SUMS: arm_sums(units, rows, request, _sums(look, known.base))}
        if have_counts(request):
            parts[COUNTS] = packed(unit_counts(units, rows, request, halvings))
        return at_once(parts)

    found = known.statements.rows("amounts", query, halvings, changed.written, *(moments or (None, None)))
    return read_amounts(found)


def _kept_counts(look: _Look, base: Base, statements: Statements) -> Sequence[Row]:
    if not have_counts(look.request):
        return []
    return statements.rows("counts", lambda: look.workspace.table(base.counts))


def _with_distributions(found: Statistics, counts: Sequence[Row], look: _Look) -> Statistics:
    halvings = halvings_of_arms(found.arms)
    return replace(found, distributions=read_distributions(counts, look.request, halvings, found.arms))


def _sums(look: _Look, base: Base) -> ir.Table:
    return look.workspace.table(base.sums)


def _of_sums(sums: Sequence[Row], look: _Look) -> Statistics:
    rows, measures = over_days(sums), look.request.measures
    arms, crossovers = read_arms(rows, measures)
    days, early = read_days(sums, measures), read_early(rows, look.request)
    return Statistics(arms, crossovers, None, days=days, early=early)


def _of_rows(look: _Look, rows: ir.Table) -> Statistics:
    request, rows = look.request, most_frequent(rows, look.request)
    units, values = expression.units_of(rows, request), expression.values_of(rows, request)
    return statistics_of(
        look.workspace.backend, units, values, look.facts.events, request, look.workspace.keep
    )
