"""From one row a unit to one row an arm: counts and centred moments.

The two-pass algorithm (Chan, Golub and LeVeque 1983): sums of products of the deviations from a first
estimate of the mean. Plain sums lose the variance of values far from zero, and an engine's plain average of a
million values near 1e9 is off by a tenth of its standard error.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.cuts import cut_column, over_column, with_cuts
from equipoise_service.analysis.segments import fanned
from equipoise_service.analysis.value_columns import value_column, value_columns
from equipoise_service.metrics.measures import Measure


def moments(
    values: ir.Table, measures: Sequence[Measure], segments: int = 0, centres: ir.Table | None = None
) -> ir.Table:
    """Reduces the units that have facts to arms.

    Args:
        values: Columns variant, `m0_y`, …, those of the segments, and day where it is known; a unit that is
            immature for a measure has null there.
        measures: What is measured.
        segments: How many segments there are.
        centres: Columns variant, active and `m{i}_u_centre`: the first estimates, so that sums of several
            sets of units can be added; 0 for an arm that has none. None: the means of these values.

    Returns:
        One row an arm and day; the first estimates are the arm's, the same on all days. Columns: those of the
        arm (see `segments.fanned`), active (units with facts), and for measure *i* over the mature ones
        `m{i}_active` (their number, where it takes time), `m{i}_y_units` (for counts; for funnels
        `m{i}_s1_units`, …) or, for columns *u*, *v* of the measure, `m{i}_u_centre` (a first estimate of the
        mean), `m{i}_u_sum` (sum of the deviations from it) and `m{i}_u_v` (sum of the products of the
        deviations), and where values are cut `m{i}_u_cut` and `m{i}_u_over` (how many were).
    """
    values = with_cuts(values, measures)
    means = [(i, measure) for i, measure in enumerate(measures) if measure.has_moments]
    names = [value_column(i, column) for i, measure in means for column in measure.columns]
    centred = _with_centres(values, names, centres) if names else values
    centred, keys = fanned(centred, segments)
    aggregates: dict[str, ir.Scalar] = {"active": centred.count()}
    for i, measure in enumerate(measures):
        columns = value_columns(i, measure)
        if measure.matures_after and columns:
            aggregates[f"m{i}_active"] = centred[columns[0]].count()
        if measure.is_count:
            aggregates |= {f"{name}_units": centred[name].sum() for name in columns}
    for i, measure in means:
        aggregates |= _sums(centred, i, measure.columns)
    for i, measure in enumerate(measures):
        cuts = [cut_column(value_column(i, column)) for column in measure.cut_columns]
        aggregates |= {name: centred[name].max() for name in cuts}
        overs = [over_column(value_column(i, column)) for column in measure.cut_columns]
        aggregates |= {name: centred[name].sum() for name in overs}
    return centred.group_by(keys).agg(**aggregates)


def _with_centres(values: ir.Table, names: Sequence[str], given: ir.Table | None) -> ir.Table:
    if given is not None:
        # ClickHouse fills what a left join does not find with zeros.
        columns = [f"{name}_centre" for name in names]
        acting = given.filter(given.active > 0)
        given = acting.group_by(centred_variant=acting.variant).agg(
            **{name: acting[name].max() for name in columns}
        )
        joined = values.left_join(given, values.variant == given.centred_variant)
        filled = {name: ibis.coalesce(joined[name], 0.0) for name in columns}
        return joined.select(*values.columns, **filled)
    centres = values.group_by("variant").agg(**{f"{name}_centre": values[name].mean() for name in names})
    return values.join(centres, "variant")


def _sums(centred: ir.Table, index: int, columns: Sequence[str]) -> dict[str, ir.Scalar]:
    names = {column: value_column(index, column) for column in columns}
    centres = {column: centred[f"{name}_centre"] for column, name in names.items()}
    deviations = {column: centred[name] - centres[column] for column, name in names.items()}
    found = {f"{name}_centre": centres[column].max() for column, name in names.items()}
    found |= {f"{name}_sum": deviations[column].sum() for column, name in names.items()}
    for u, v in combinations_with_replacement(columns, 2):
        found[f"{names[u]}_{v}"] = (deviations[u] * deviations[v]).sum()
    return found
