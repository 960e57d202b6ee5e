"""How many exposures and events there are of each day."""

from datetime import datetime
from typing import Any

import ibis.expr.types as ir

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import exposures_of


def exposures_by_day(backend: Any, exposures: ir.Table, request: StoreRequest) -> dict[str, int]:
    """The exposures of a revision by the day on which they happened, in UTC, in order."""
    return _by_day(backend, exposures_of(exposures, request))


def events_by_day(
    backend: Any, events: ir.Table, request: StoreRequest, first: datetime, end: datetime
) -> dict[str, int]:
    """The events of the unit type by day, whoever's they are.

    Args:
        backend: Where they are.
        events: Columns place, unit_type and time.
        request: Says the place and the unit type.
        first: From when on, UTC without a zone.
        end: Up to when.
    """
    theirs = events.filter(
        events.place == request.place,
        events.unit_type == request.unit_type,
        events.time >= first,
        events.time < end,
    )
    return _by_day(backend, theirs)


def _by_day(backend: Any, facts: ir.Table) -> dict[str, int]:
    counted = facts.group_by(day=facts.time.date()).agg(facts=facts.count())
    rows = backend.to_pyarrow(counted).to_pylist()
    return dict(sorted((row["day"].isoformat()[:10], int(row["facts"])) for row in rows))
