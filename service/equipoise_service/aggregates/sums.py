"""The sums of arms that are kept beside a base, and what changed rows make of them.

A sum of all units is the kept one, less what the changed rows were in it, plus what they are now: all about
the same first estimates of the means. Where what is left is small beside what was taken away, digits are
lost, and the sums are made again from all rows.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.aggregates.expression import units_of, values_of
from equipoise_service.analysis.arms import reduce_to_arms
from equipoise_service.analysis.days import over_days
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import naive
from equipoise_service.analysis.value_columns import value_column

Row = Mapping[str, Any]

# Three of the sixteen digits of a sum may be lost.
_MOST_LOST = 1000


def have_sums(request: StoreRequest) -> bool:
    """Whether all are sums: cuts and quantiles move with each unit, and segments have many arms."""
    return not request.segments and all(
        measure.quantile is None and measure.winsorize is None for measure in request.measures
    )


def arm_sums(
    units: ir.Table, rows: ir.Table, request: StoreRequest, centres: ir.Table | None = None
) -> ir.Table:
    """The sums of each arm, see `reduce_to_arms`.

    Args:
        units: Of a base; only what they say of the units themselves is read.
        rows: The same rows with the values.
        request: What is measured, and when it is analysed.
        centres: Sums whose first estimates are taken; None: the means of these rows.
    """
    return reduce_to_arms(units_of(units, request), values_of(rows, request), request, centres)


def maturing_at(request: StoreRequest) -> datetime | None:
    """The moment of the analysis where sums depend on it, because units mature; else None."""
    return request.as_of if any(measure.matures_after for measure in request.measures) else None


def to_be_kept(sums: ir.Table, request: StoreRequest) -> ir.Table:
    """Sums with the column `as_of`: when they were analysed."""
    return sums.mutate(as_of=ibis.literal(naive(request.as_of)))


def analysed_at(sums: Iterable[Row]) -> datetime:
    """When kept sums were analysed; there are some."""
    moment: datetime = next(iter(sums))["as_of"]
    return moment.replace(tzinfo=UTC)


def units_of_arms(sums: Iterable[Row]) -> int:
    """How many units the arms have, without the crossovers."""
    return sum(int(row["units"]) for row in sums if row["variant"] is not None)


def with_changes(
    kept: Iterable[Row], were: Iterable[Row], now: Iterable[Row], request: StoreRequest
) -> list[Row] | None:
    """The sums of all units; None where too many digits are lost.

    Args:
        kept: The sums of a base.
        were: Those of the changed rows as they were in it, about the same first estimates.
        now: Those of the changed rows as they are.
        request: What is measured.
    """
    parts = [{(row["variant"], row["day"]): row for row in rows} for rows in (kept, were, now)]
    found: list[Row] = []
    for variant, day in dict.fromkeys(key for part in parts for key in part):
        of_day = [part.get((variant, day), {}) for part in parts]
        row = _changed(*of_day)
        if not row["units"]:
            continue
        if not _is_kept(row, of_day, request):
            return None
        found.append({**row, "variant": variant, "day": day})
    wholes = {row["variant"]: row for row in over_days(found)}
    summed = [{row["variant"]: row for row in over_days(part.values())} for part in parts]
    for variant, whole in wholes.items():
        if not _is_exact(whole, [part.get(variant, {}) for part in summed], request):
            return None
    return found


def _changed(kept: Row, were: Row, now: Row) -> dict[str, float]:
    found = {}
    for name in {**kept, **were, **now}:
        if name in ("variant", "day", "as_of"):
            continue
        # Thousands of numbers: a loop over the three takes more than twice as long.
        one, less, more = float(kept.get(name) or 0), float(were.get(name) or 0), float(now.get(name) or 0)
        found[name] = one or less or more if name.endswith("_centre") else one - less + more
    return found


def _is_kept(row: Row, parts: list[Row], request: StoreRequest) -> bool:
    """Whether what was taken away from a day is not most of what is left of it."""
    for name, n, column in _squares(row, request):
        if n and _summed(parts, f"{name}_{column}") > _MOST_LOST * row[f"{name}_{column}"]:
            return False
    return True


def _is_exact(row: Row, parts: list[Row], request: StoreRequest) -> bool:
    """Whether the sums of squares of all days are not most of what remains about the mean."""
    for name, n, column in _squares(row, request):
        summed = _summed(parts, f"{name}_{column}")
        if not math.isfinite(summed):
            return False
        if n:
            about = row[f"{name}_{column}"] - row[f"{name}_sum"] * (row[f"{name}_sum"] / n)
            if summed > _MOST_LOST * about:
                return False
    return True


def _squares(row: Row, request: StoreRequest) -> Iterator[tuple[str, float, str]]:
    """For each number with moments its name, the units with facts and its column."""
    for i, measure in enumerate(request.measures):
        if measure.has_moments:
            n = row.get(f"m{i}_active" if measure.matures_after else "active") or 0
            for column in measure.columns:
                yield value_column(i, column), n, column


def _summed(parts: Iterable[Row], name: str) -> float:
    # Sums of squares: none is below zero.
    return sum(float(part.get(name) or 0) for part in parts)
