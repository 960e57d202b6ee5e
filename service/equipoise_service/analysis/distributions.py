"""How the values of units are spread: counts of units in narrow bins, of a sample of the units.

The bins are the same for every metric and every experiment, of two significant digits: 1.0 to 1.1, 1.1 to
1.2, …, 9.9 to 10, 10 to 11, …, and below zero their mirror images. Each is a tenth to a hundredth of its
value wide, and that suits values whose tails are a thousand times their median as well as those that are all
near 100: bins of equal width would hold all but a few units in the first one, and quantiles as edges would
take a pass to find them and one to count. As the edges are known beforehand, one pass counts, and counts of
several sets of units are added up. Most units have the value zero, which is in no bin; nor is what is nearer
to it than the smallest edge, as a sum that ought to be zero may be. `spreading` puts bins together for
people.

Of many units those are drawn whose `unit_hash` is small: always the same ones, and they are as the others
are, because the hash knows nothing of what a unit met or did.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import is_mature
from equipoise_service.analysis.value_columns import value_column
from equipoise_service.metrics.measures import Measure

MOST_DRAWN = 100_000
"""More units than so many are not looked at."""

LEAST_POWER, MOST_POWER = -9, 15
"""Powers of ten of the smallest and the largest values that are told apart."""

# Bits of `unit_hash`.
_BITS = 31
_PER_DECADE = 90
# What is below an edge by less than its rounding belongs above it: 0.1 + 0.2 is no less than 0.3.
_ROUNDING = 1e-9
# No bin: all units that were drawn are counted under it.
_DRAWN = 0

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """One arm.

    Attributes:
        drawn: How many of its mature units were drawn.
        bins: How many of them have a value in each bin, by number; the others have the value zero.
    """

    drawn: int
    bins: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Counts:
    """The units that were drawn, for one metric.

    Attributes:
        halvings: Of all units one in 2 to the power of so many is drawn.
        arms: The arms with such units, by variant.
    """

    halvings: int
    arms: Mapping[str, ArmCounts]


def is_spread(measure: Measure) -> bool:
    """Whether each unit has one number that can be anything."""
    one = measure.is_aggregate and measure.denominator is None and not measure.ages
    return one and not measure.type.is_share


def halvings_of(units: int) -> int:
    """How often the units are halved until few enough are left.

    Example:
        >>> halvings_of(0), halvings_of(100_000), halvings_of(100_001), halvings_of(2_000_000)
        (0, 0, 1, 5)
    """
    return (max(1, -(-units // MOST_DRAWN)) - 1).bit_length()


def counts(units: ir.Table, values: ir.Table, request: StoreRequest, halvings: int) -> ir.Table:
    """Counts the units that are drawn.

    Args:
        units: Columns unit, first, last, first_time, and `unit_hash` where not all are drawn.
        values: What `unit_values.unit_values` gives; with `unit_hash`, the units need not be looked for.
        request: What is measured, and when it is analysed; a metric of it is spread.
        halvings: How often the units are halved.

    Returns:
        Columns look where the units have it, measure, variant, bin (`bin_of`, 0 for all mature units that are
        drawn) and units.
    """
    asked = [i for i, measure in enumerate(request.measures) if is_spread(measure)]
    # Of the values and of the units the same: whoever has facts is among the units.
    theirs = drawn(units.filter(units["first"] == units["last"]), halvings)
    hashed = "unit_hash" in values.columns
    valued = drawn(values, halvings) if hashed or not halvings else values.semi_join(theirs, "unit")
    ones = {i: ibis.literal(1.0) for i in asked}
    own = {i: valued[value_column(i)] for i in asked}
    everybody = _fanned(theirs.mutate(variant=theirs["first"]), ones, request)
    acting = _fanned(valued, own, request)
    acting = acting.filter(acting.value.abs() >= 10.0**LEAST_POWER)
    keys = [name for name in everybody.columns if name != "value"]
    counted = [
        everybody.select(*keys, bin=ibis.literal(_DRAWN, type="int64")),
        acting.select(*keys, bin=bin_of(acting.value)),
    ]
    return ibis.union(*(each.group_by([*keys, "bin"]).agg(units=each.count()) for each in counted))


def read_counts(rows: Iterable[Row], request: StoreRequest, halvings: int) -> dict[str, Counts]:
    """Reads the rows that `counts` gives, those of the same bin added up.

    Args:
        rows: The rows.
        request: What is measured.
        halvings: How often the units were halved.

    Returns:
        For each metric that is spread, by key, its counts.
    """
    added: dict[tuple[int, str], dict[int, int]] = {}
    for row in rows:
        bins = added.setdefault((int(row["measure"]), row["variant"]), {})
        bins[int(row["bin"])] = bins.get(int(row["bin"]), 0) + int(row["units"])
    return {
        measure.metric: Counts(
            halvings,
            {
                variant: ArmCounts(
                    bins.get(_DRAWN, 0),
                    {each: n for each, n in sorted(bins.items()) if each != _DRAWN and n},
                )
                for (of, variant), bins in sorted(added.items())
                if of == i and bins.get(_DRAWN, 0)
            },
        )
        for i, measure in enumerate(request.measures)
        if is_spread(measure)
    }


def bin_of(value: ir.FloatingValue) -> ir.IntegerValue:
    """The number of the bin of a value, which is not nearer to zero than the smallest edge."""
    near = ibis.least(value.abs(), 10.0**MOST_POWER)
    # One too high or too low at a power of ten does no harm: the digits make up for it.
    power = (near.ln() * ibis.literal(0.4342944819032518)).floor()
    digits = (near / ibis.literal(10.0).pow(power) * 10.0 + _ROUNDING).floor()
    number = (power - LEAST_POWER) * _PER_DECADE + digits - 9
    return ibis.ifelse(value < 0, -number, number).cast("int64")


def edge(number: int) -> float:
    """An edge between bins: the bin of a number above zero begins at its edge; below zero it is mirrored.

    Example:
        >>> edge(811), edge(812), edge(900), edge(901), edge(-811), edge(0)
        (1.0, 1.1, 9.9, 10.0, -1.0, 0.0)
    """
    if number <= 0:
        return -edge(-number) if number else 0.0
    power, digits = divmod(number - 1, _PER_DECADE)
    return float(f"{digits + 10}e{power + LEAST_POWER - 1}")


def edge_number(digits: int, power: int) -> int:
    """The number of an edge above zero: of two digits, from 10 to 99, tenths of a power of ten.

    Example:
        >>> edge(edge_number(25, 3))
        2500.0
    """
    return (power - LEAST_POWER) * _PER_DECADE + digits - 9


def drawn(rows: ir.Table, halvings: int) -> ir.Table:
    """The rows of units that are drawn.

    Args:
        rows: Column unit_hash, if some are not.
        halvings: How often the units are halved.
    """
    return rows.filter(rows.unit_hash < 1 << (_BITS - halvings)) if halvings else rows


def _fanned(rows: ir.Table, values: Mapping[int, ir.Value], request: StoreRequest) -> ir.Table:
    """Each row once for each measure that the unit is mature for, with its value: one pass for them all."""
    columns: dict[str, ir.Value] = {}
    for i, value in values.items():
        # A maximum of no values is 0.
        whole = ibis.coalesce(value, 0.0)
        measure = request.measures[i]
        mature = is_mature(rows, measure, request) if measure.matures_after else ibis.literal(True)
        columns[f"v{i}"] = ibis.ifelse(mature, whole, ibis.null("float64"))
    numbers = ibis.range(len(values)).unnest().name("place").as_table()
    arms = [name for name in ("look", "variant") if name in rows.columns]
    crossed = rows.select(*arms, **columns).cross_join(numbers)
    places = list(enumerate(values))
    value = ibis.cases(
        *((crossed.place == place, crossed[f"v{i}"]) for place, i in places), else_=ibis.null("float64")
    )
    measure = ibis.cases(
        *((crossed.place == place, ibis.literal(i, type="int64")) for place, i in places),
        else_=ibis.literal(0, type="int64"),
    )
    fan = crossed.select(*arms, measure=measure, value=value)
    return fan.filter(fan.value.notnull())
