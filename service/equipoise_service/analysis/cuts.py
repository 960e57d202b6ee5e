"""Winsorization: a first pass finds the cuts, from all arms together; what lies above them is set to them."""

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.units import any_of
from equipoise_service.analysis.value_columns import value_column
from equipoise_service.metrics.measures import Measure

_MILLION = 1_000_000


def with_cuts(values: ir.Table, measures: Sequence[Measure]) -> ir.Table:
    """Cuts the values of the measures that are winsorized.

    Args:
        values: Columns `m0_y`, …, one row a unit that has facts; null for the immature.
        measures: What is measured.

    Returns:
        The values, and for every column that is cut its cut, `m0_y_cut`, the same in every row: the ⌈qn⌉-th
        smallest of the n values that are not zero; null where it is not above zero, and nothing is cut. And
        for every measure `m0_over`: 1 where its value, or of a ratio one of its two, lay above the cut.
    """
    shares = _shares(measures)
    if not shares:
        return values
    # From the values as they came: with cuts beside them each cut would double what the next one reads.
    for one_row in [_cut(values.select(name), name, share) for name, share in shares.items()]:
        values = values.cross_join(one_row)
    changed: dict[str, ir.Value] = {}
    for name in shares:
        cut = values[cut_column(name)]
        changed[name] = ibis.ifelse(values[name] > cut, cut, values[name])
    for i, measure in enumerate(measures):
        if measure.winsorize is not None:
            names = [value_column(i, column) for column in measure.columns if column in ("y", "d")]
            above = any_of([values[name] > values[cut_column(name)] for name in names])
            changed[over_column(i)] = ibis.ifelse(above, 1, 0)
    return values.mutate(**changed)


def cut_column(name: str) -> str:
    """The column with the cut of a column of values."""
    return f"{name}_cut"


def over_column(index: int) -> str:
    """The column that tells of which units a measure's value was cut."""
    return f"m{index}_over"


def _shares(measures: Sequence[Measure]) -> Mapping[str, float]:
    return {
        value_column(i, column): measure.winsorize
        for i, measure in enumerate(measures)
        if measure.winsorize is not None
        for column in measure.cut_columns
    }


def _cut(values: ir.Table, name: str, share: float) -> ir.Table:
    """One row with the cut. Engines have quantiles of several kinds, some approximate; a rank is a rank."""
    acting = values.filter(values[name] != 0)
    ranked = acting.mutate(
        rank=ibis.row_number().over(order_by=acting[name]) + 1, total=acting.count().over(ibis.window())
    )
    above = ranked.filter(ranked.rank * _MILLION >= ranked.total * round(share * _MILLION))
    found = above.agg(found=above[name].min())
    positive = ibis.ifelse(found.found > 0, found.found, ibis.null("float64"))
    return found.select(positive.name(cut_column(name)))
