"""What happens to bases: they are made, read together with what is new, and folded when that has grown."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import ibis.expr.types as ir

from equipoise_service.aggregates import expression
from equipoise_service.aggregates.facts import Facts, bring_left_out, settled_facts, without_left_out
from equipoise_service.aggregates.names import PREFIX, Base, digest_of, new_base, read_base
from equipoise_service.aggregates.refreshing import all_rows, count, refreshed_rows
from equipoise_service.analysis.expression import newest_receipt
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.segments import most_frequent
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.analysis.store import analyse_store, overridden_units, statistics_of
from equipoise_service.analysis.units import exposures_of
from equipoise_service.events.stores.store import EventStore
from equipoise_service.events.stores.workspace import Workspace

# A base that nobody has folded for so long is of an experiment that nobody looks at.
_FORGET_AFTER = timedelta(days=30)


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


def analyse(store: EventStore, request: StoreRequest, keeping: Keeping = _KEEPING) -> Statistics:
    """Computes what `analyse_store` computes, reading only what is new since the last time.

    The first call for a request reads everything and keeps a base: a table in the store with the row of each
    unit. Later calls read the base and what was received since, late items included.

    Args:
        store: Where exposures and events are.
        request: Which experiment, and what is measured.
        keeping: When bases are kept.
    """
    with store.workspace() as workspace:
        left_out = bring_left_out(workspace, request)
        settled = settled_facts(workspace)
        kept = expression.can_be_kept(request)
        found = _rows(workspace, settled, left_out, request, keeping) if kept else None
        if found is None:
            return analyse_store(workspace.backend, request, left_out)
        rows, watermark = most_frequent(found[0], request), found[1]
        units, values = expression.units_of(rows, request), expression.values_of(rows, request)
        overridden = 0
        if left_out is not None:
            overridden = overridden_units(workspace.backend, settled.exposures, request, left_out)
        return replace(
            statistics_of(workspace.backend, units, values, settled.events, request),
            watermark=watermark,
            overridden=overridden,
        )


def forget_all(workspace: Workspace) -> None:
    """Forget every base: facts were deleted, so what was made of them must go as well."""
    for name in workspace.kept(PREFIX):
        workspace.forget(name)


def _rows(
    workspace: Workspace,
    settled: Facts,
    left_out: ir.Table | None,
    request: StoreRequest,
    keeping: Keeping,
) -> tuple[ir.Table, datetime] | None:
    """The row of each unit and the newest receipt of all; None where a base is not worth its keeping."""
    base = _newest(workspace, request)
    watermark = _watermark(workspace, settled if base is None else settled.since(base.until), request)
    facts, asked = without_left_out(settled, left_out, request)
    if base is None:
        exposures = count(workspace, exposures_of(facts.exposures, asked))
        if watermark is None or exposures < keeping.smallest:
            return None
        return _keep(workspace, all_rows(workspace, facts, asked), new_base(request, watermark)), watermark
    kept = workspace.backend.table(base.name)
    if watermark is None:
        return kept, base.until
    rows, changed = refreshed_rows(workspace, facts, facts.since(base.until), kept, asked)
    if changed > keeping.fold_at * count(workspace, kept):
        rows = _keep(workspace, rows, new_base(request, watermark))
    return rows, watermark


def _newest(workspace: Workspace, request: StoreRequest) -> Base | None:
    names = workspace.kept(f"{PREFIX}{digest_of(request)}_")
    return max((base for name in names if (base := read_base(name)) is not None), default=None)


def _keep(workspace: Workspace, rows: ir.Table, base: Base) -> ir.Table:
    """Keep rows as a base, and forget the bases that it replaces and those that nobody looks at."""
    kept = workspace.keep(base.name, rows, lasting=True)
    for name in workspace.kept(PREFIX):
        other = read_base(name)
        if other is None or other.name == base.name:
            continue
        if other.digest == base.digest or other.until < base.until - _FORGET_AFTER:
            workspace.forget(name)
    return kept


def _watermark(workspace: Workspace, facts: Facts, request: StoreRequest) -> datetime | None:
    """When the newest of some facts was received."""
    newest = newest_receipt(facts.exposures, facts.events, request.place)
    found: datetime | None = workspace.backend.to_pyarrow(newest).column(0)[0].as_py()
    return found
