"""What happens to bases: they are found, kept and forgotten."""

from datetime import timedelta

import ibis.expr.types as ir

from equipoise_service.aggregates.names import PREFIX, Base, read_base
from equipoise_service.aggregates.sums import arm_sums, have_sums, to_be_kept
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.events.stores.workspace import Workspace

# A base that nobody has folded for so long is of an experiment that nobody looks at.
_FORGET_AFTER = timedelta(days=30)


def newest(workspace: Workspace, digest: str) -> Base | None:
    """The newest base of a request; None where there is none."""
    names = workspace.kept(f"{PREFIX}{digest}_")
    return max((base for name in names if (base := read_base(name)) is not None), default=None)


def keep(workspace: Workspace, base: Base, rows: ir.Table, request: StoreRequest) -> ir.Table:
    """Keep rows as a base, and forget the bases that it replaces and those that nobody looks at.

    Args:
        workspace: Where.
        base: Its name.
        rows: The row of each unit.
        request: What is measured, and when it is analysed.

    Returns:
        The table; the one with the sums is kept as well where there are any.
    """
    kept = workspace.keep(base.name, rows, lasting=True)
    if have_sums(request):
        workspace.keep(base.sums, to_be_kept(arm_sums(kept, request), request), lasting=True)
    for name in workspace.kept(PREFIX):
        other = read_base(name)
        if other is None or other.name == base.name:
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
    for name in workspace.kept(PREFIX):
        base = read_base(name)
        if base is not None and base.deletions < deletions:
            _forget(workspace, base)


def forget_all(workspace: Workspace) -> None:
    """Forget every base: facts were deleted, so what was made of them must go as well."""
    for name in workspace.kept(PREFIX):
        workspace.forget(name)


def _forget(workspace: Workspace, base: Base) -> None:
    for made in (base.name, base.sums):
        workspace.forget(made)
