"""The counts of distributions that are kept beside a base, and what changed rows make of them.

A count of all units is the kept one, less that of the changed rows as they were, plus that of the changed
rows as they are: whole numbers, so nothing is lost. The rows are those of units that are drawn only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import ibis.expr.types as ir

from equipoise_service.aggregates.expression import units_of, values_of
from equipoise_service.analysis.distributions import counts, is_spread
from equipoise_service.analysis.requests import StoreRequest

Row = Mapping[str, Any]


def have_counts(request: StoreRequest) -> bool:
    """Whether any metric has a distribution."""
    return any(map(is_spread, request.measures))


def unit_counts(units: ir.Table, rows: ir.Table, request: StoreRequest, halvings: int) -> ir.Table:
    """The counts of rows, see `analysis.distributions.counts`.

    Args:
        units: Of a base; only what they say of the units themselves is read.
        rows: The same rows with the values.
        request: What is measured, and when it is analysed; there is a distribution.
        halvings: How often the units are halved.
    """
    return counts(units_of(units, request), values_of(rows, request), request, halvings)


def changed_counts(kept: Iterable[Row], were: Iterable[Row], now: Iterable[Row]) -> list[Row]:
    """Rows that add up to the counts of all units.

    Args:
        kept: The counts of a base.
        were: Those of the changed rows as they were in it.
        now: Those of the changed rows as they are.
    """
    return [*kept, *({**row, "units": -row["units"]} for row in were), *now]
