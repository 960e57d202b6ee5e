"""The facts that a request is analysed from, all of them or what is new."""

from dataclasses import dataclass, replace
from datetime import datetime

import ibis.expr.types as ir

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.store import named_units
from equipoise_service.events.stores.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Facts:
    """Exposures and events."""

    exposures: ir.Table
    events: ir.Table

    def since(self, moment: datetime) -> "Facts":
        """What was received after a moment."""
        return Facts(*(rows.filter(rows.received_at > moment) for rows in (self.exposures, self.events)))

    def until(self, moment: datetime) -> "Facts":
        """What was received up to a moment."""
        return Facts(*(rows.filter(rows.received_at <= moment) for rows in (self.exposures, self.events)))


def settled_facts(workspace: Workspace) -> Facts:
    """The facts of a store that no later commit comes before."""
    facts = Facts(workspace.backend.table("exposures"), workspace.backend.table("events"))
    return facts if workspace.settled is None else facts.until(workspace.settled)


def bring_left_out(workspace: Workspace, request: StoreRequest) -> ir.Table | None:
    """The units that a request leaves out, in the workspace; None where it leaves none out."""
    return workspace.bring("left_out", named_units(request)) if request.left_out else None


def without_left_out(
    facts: Facts, left_out: ir.Table | None, request: StoreRequest
) -> tuple[Facts, StoreRequest]:
    """The facts without the exposures of units that a request leaves out, and the request without these."""
    if left_out is None:
        return facts, request
    without = replace(facts, exposures=facts.exposures.anti_join(left_out, "unit"))
    return without, replace(request, left_out=())
