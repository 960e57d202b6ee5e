"""The rows that a refresh changes, as they were in the base and as new events find them, in one table.

Most are the same in both: only touched units have a row in the base that goes, and one that comes for it. So
they are read from the base once, and nothing of it is written. Each row says where it belongs: `was` is 1 for
those of the base, `stays` is 1 for those that new events are added to.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from equipoise_service.aggregates.expression import marked
from equipoise_service.analysis.units import together

_WAS, _STAYS = "was", "stays"


def changed_rows(were: ir.Table, touched: ir.Table, made: Sequence[ir.Table]) -> ir.Table:
    """All rows, of the base and not.

    Args:
        were: Those of the base, of all units that may have another row.
        touched: Column unit, each once: whose rows are made again.
        made: Rows without values, of the touched units and of others that the base does not have.
    """
    again = marked(touched, "touched_unit", [])
    joined = were.left_join(again, were.unit == again.touched_unit)
    kept = joined.select(*were.columns, touched=ibis.coalesce(joined.marked, 0))
    kept = kept.mutate(**{_WAS: ibis.literal(1), _STAYS: ibis.ifelse(kept.touched == 1, 0, 1)})
    come = (rows.mutate(**{_WAS: ibis.literal(0), _STAYS: ibis.literal(1)}) for rows in made)
    return together([kept.drop("touched"), *come])


def as_they_were(rows: ir.Table) -> ir.Table:
    """Those that the base has."""
    return _of(rows, _WAS)


def without_new(rows: ir.Table) -> ir.Table:
    """Those that new events are added to."""
    return _of(rows, _STAYS)


def _of(rows: ir.Table, belongs: str) -> ir.Table:
    return rows.filter(rows[belongs] == 1).drop(_WAS, _STAYS)
