"""What happens to bases: they are found, kept and forgotten."""

from datetime import timedelta

import ibis.expr.types as ir

from equipoise_service.aggregates.names import PREFIX, Base, read_bases
from equipoise_service.aggregates.statements import Statements, Table
from equipoise_service.aggregates.sums import arm_sums, have_sums, maturing_at, to_be_kept
from equipoise_service.aggregates.waiting import keep_waiting
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.events.stores.workspace import Workspace

# A base that nobody has folded for so long is of an experiment that nobody looks at.
_FORGET_AFTER = timedelta(days=30)


def newest(workspace: Workspace, digest: str) -> Base | None:
    """The newest base of a request; None where there is none."""
    return max(read_bases(workspace.kept(f"{PREFIX}{digest}_")), default=None)


def keep(
    before: Statements,
    made: Statements,
    base: Base,
    rows: Table,
    events: ir.Table,
    request: StoreRequest,
    bots: Table | None,
) -> Table:
    """Keep rows as a base, and forget the bases that it replaces and those that nobody looks at.

    Args:
        before: Runs what makes the rows.
        made: Runs what reads the base.
        base: Its name.
        rows: Makes the query for the row of each unit.
        events: Those that were received up to the base's moment.
        request: What is measured, and when it is analysed.
        bots: Who is left out as a bot, exposed or not; None where nobody asks.

    Returns:
        Finds the table. Beside it are kept the sums where there are any, and events that may be needed next.
    """
    workspace = before.workspace
    kept = before.keep_lasting(base.name, "rows_of_base", rows)
    if bots is not None:
        before.keep_lasting(base.bots, "bots_of_base", bots)
    if have_sums(request):

        def sums() -> ir.Table:
            return to_be_kept(arm_sums(kept(), kept(), request), request)

        made.keep_lasting(base.sums, "made_sums", sums, maturing_at(request))
    keep_waiting(made, base, kept, events, request, bots)
    for other in read_bases(workspace.kept(PREFIX)):
        if other.name == base.name:
            continue
        outdated = other.deletions < base.deletions or other.until < base.until - _FORGET_AFTER
        if other.digest == base.digest or outdated:
            _forget(workspace, other)
    return kept


def forget_outdated(workspace: Workspace, deletions: int) -> None:
    """Forget the bases that were made before facts were deleted.

    Args:
        workspace: Where they are.
        deletions: How often facts were deleted.
    """
    for base in read_bases(workspace.kept(PREFIX)):
        if base.deletions < deletions:
            _forget(workspace, base)


def forget_all(workspace: Workspace) -> None:
    """Forget every base: facts were deleted, so what was made of them must go as well."""
    for name in workspace.kept(PREFIX):
        workspace.forget(name)


def _forget(workspace: Workspace, base: Base) -> None:
    # Together: who has read one of them will read the others.
    workspace.forget(base.name, base.sums, base.counts, base.bots, base.waiting)
