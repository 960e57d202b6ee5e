"""From one row a unit to one row an arm: counts and centred moments.

The two-pass algorithm (Chan, Golub and LeVeque 1983): sums of products of the deviations from a first
estimate of the mean. Plain sums lose the variance of values far from zero, and an engine's plain average of a
million values near 1e9 is off by a tenth of its standard error.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.cuts import cut_column, over_column, with_cuts
from equipoise_service.analysis.segments import fanned
from equipoise_service.analysis.value_columns import ingredients, value_column, value_columns
from equipoise_service.metrics.measures import Measure

NEAR = 1e100
"""What lies further from the first estimate is left out of third powers: they would overflow, or fail."""


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
        `m{i}_s1_units`, …) or, for columns *u*, *v*, *w* of the measure, `m{i}_u_centre` (a first estimate of
        the mean), `m{i}_u_sum` (sum of the deviations from it), `m{i}_u_v` (sum of the products of the
        deviations) and, but for ages, `m{i}_u_v_w` (that of the products of three, see `NEAR`), and where
        values are cut `m{i}_u_cut` and `m{i}_over` (of how many units).
    """
    values = with_cuts(values, measures)
    firsts = _firsts(measures)
    names = list(dict.fromkeys(firsts.values()))
    centred = _with_centres(values, names, centres) if names else values
    centred = _with_near(centred, measures, firsts)
    centred, keys = fanned(centred, segments)
    counts: dict[str, ir.Scalar] = {"active": centred.count()}
    for i, measure in enumerate(measures):
        columns = value_columns(i, measure)
        if measure.matures_after and columns:
            counts[f"m{i}_active"] = centred[columns[0]].count()
        if measure.is_count:
            counts |= {f"{name}_units": centred[name].sum() for name in columns}
        cuts = [value_column(i, column) for column in measure.cut_columns]
        counts |= {cut_column(name): centred[cut_column(name)].max() for name in cuts}
        if cuts:
            counts[over_column(i)] = centred[over_column(i)].sum()
    sums, shown = _sums(centred, measures, firsts)
    found = centred.group_by(keys).agg(**counts, **sums)
    return found.select(*keys, *counts, **{name: found[made] for name, made in shown.items()})


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


def _with_near(centred: ir.Table, measures: Sequence[Measure], firsts: Mapping[str, str]) -> ir.Table:
    """Adds `m{i}_u_near`: the deviations that third powers are taken of, 0 for those that are too large."""
    names = {
        firsts[value_column(i, column)]
        for i, measure in enumerate(measures)
        if measure.has_third
        for column in measure.columns
    }
    away = {name: centred[name] - centred[f"{name}_centre"] for name in sorted(names)}
    near = {f"{name}_near": ibis.ifelse(each.abs() < NEAR, each, 0.0) for name, each in away.items()}
    return centred.mutate(**near) if near else centred


def _firsts(measures: Sequence[Measure]) -> dict[str, str]:
    """For each column with moments the first one that holds the same: ratios are often of what has a mean."""
    made = ingredients(measures)
    firsts: dict[object, str] = {}
    found: dict[str, str] = {}
    for i, measure in enumerate(measures):
        # What was before the exposure is measured for other windows too, but there of other mature units.
        of = measure.delay_hours, measure.window_hours, measure.winsorize
        for column in measure.columns if measure.has_moments else ():
            name = value_column(i, column)
            found[name] = firsts.setdefault((made[name].identity, *of), name)
    return found


def _sums(
    centred: ir.Table, measures: Sequence[Measure], firsts: Mapping[str, str]
) -> tuple[dict[str, ir.Scalar], dict[str, str]]:
    """The sums, each made once, and for each that is asked for which of them it is."""
    deviations = {name: centred[name] - centred[f"{name}_centre"] for name in firsts.values()}
    made: dict[str, ir.Scalar] = {}
    asked: dict[str, str] = {}
    for i, measure in enumerate(measures):
        if not measure.has_moments:
            continue
        names = {column: value_column(i, column) for column in measure.columns}
        for name in names.values():
            first = firsts[name]
            asked |= {f"{name}_centre": f"{first}_centre", f"{name}_sum": f"{first}_sum"}
            made[f"{first}_centre"] = centred[f"{first}_centre"].max()
            made[f"{first}_sum"] = deviations[first].sum()
        for u, v in combinations_with_replacement(measure.columns, 2):
            one, other = sorted((firsts[names[u]], firsts[names[v]]))
            asked[f"{names[u]}_{v}"] = f"{one}_by_{other}"
            made[f"{one}_by_{other}"] = (deviations[one] * deviations[other]).sum()
        for u, v, w in combinations_with_replacement(measure.columns, 3) if measure.has_third else ():
            three = sorted(firsts[names[column]] for column in (u, v, w))
            asked[f"{names[u]}_{v}_{w}"] = "_by_".join(three)
            one, other, another = (centred[f"{name}_near"] for name in three)
            made["_by_".join(three)] = (one * other * another).sum()
    return made, asked
