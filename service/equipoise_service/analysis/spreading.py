"""A distribution for people: narrow bins put together, until there are few enough and each holds units."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from equipoise_service.analysis.distributions import LEAST_POWER, MOST_POWER, Counts, edge, edge_number

MOST_BINS = 40
"""More bins than so many are not shown."""
LEAST_IN_TAIL = 10
"""The first bin and the last one hold at least so many units, so that neither shows the value of one."""

# So many of a thousand units at the end of a tail are one bin: there may be decades between them.
_TAIL = 2
# At least so many of the bins hold units: whole numbers have none between them, and few units are everywhere.
_OCCUPIED = 0.8
# Where a decade is cut, in tenths of its beginning, and after how many decades again: from fine to coarse.
_SCALES: tuple[tuple[Sequence[int], int], ...] = (
    (range(10, 100), 1),
    ((10, 12, 14, 16, 18, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90), 1),
    (range(10, 100, 10), 1),
    ((10, 20, 50), 1),
    ((10,), 1),
    ((10,), 3),
)


@dataclass(frozen=True, slots=True)
class ArmSpread:
    """How the values of one arm are spread.

    Attributes:
        drawn: How many of its mature units were drawn.
        counts: How many of them have a value in each bin; the others have the value zero.
    """

    drawn: int
    counts: tuple[int, ...]

    @property
    def zero(self) -> int:
        """How many have the value zero."""
        return self.drawn - sum(self.counts)


@dataclass(frozen=True, slots=True)
class Distribution:
    """How the values of a metric are spread.

    Attributes:
        halvings: Of all units one in 2 to the power of so many is drawn.
        edges: Where one bin ends and the next begins, ascending; the first bin has no lower end and the last
            no upper one. None where there are too few values to show any.
        arms: The arms with units, by variant.
    """

    halvings: int
    edges: tuple[float, ...] | None
    arms: Mapping[str, ArmSpread]


def spread(counts: Counts) -> Distribution:
    """Puts narrow bins together, the same ones in all arms.

    The finest of a few scales is taken with few enough bins, most of which hold units; every edge is a round
    number.

    Example:
        >>> from equipoise_service.analysis.distributions import ArmCounts
        >>> visits = {811: 40, 821: 30, 831: 20, 841: 10}
        >>> found = spread(Counts(0, {"control": ArmCounts(150, visits)}))
        >>> found.edges, found.arms["control"].counts, found.arms["control"].zero
        ((2.0, 3.0, 4.0), (40, 30, 20, 10), 50)
    """
    pooled: Counter[int] = Counter()
    for arm in counts.arms.values():
        pooled.update(arm.bins)
    inner = _inner_edges(pooled)
    arms = {
        variant: ArmSpread(arm.drawn, _in_bins(arm.bins, inner or ())) for variant, arm in counts.arms.items()
    }
    return Distribution(counts.halvings, None if inner is None else tuple(map(edge, inner)), arms)


def _inner_edges(pooled: Mapping[int, int]) -> list[int] | None:
    """The edges between bins, by number, see `edge`; None where there are too few units for two bins."""
    units = sum(pooled.values())
    least = max(LEAST_IN_TAIL, -(-units * _TAIL // 1000))
    if units < 2 * least:
        return None
    above = {number: n for number, n in pooled.items() if number > 0}
    below = {-number: n for number, n in pooled.items() if number < 0}
    found: list[int] = []
    for grid in _grids():
        edges = [-each for each in reversed(_side(below, grid, least))]
        # Zero is an edge where there are values on both sides of it, and enough of them.
        edges += [0] if min(sum(above.values()), sum(below.values())) >= least else []
        edges += _side(above, grid, least)
        found = edges
        held = sum(map(bool, _in_bins(pooled, edges)))
        if len(edges) < MOST_BINS and held >= _OCCUPIED * (len(edges) + 1):
            break
    return found


@cache
def _grids() -> tuple[tuple[int, ...], ...]:
    """The edges of each scale above zero, ascending."""
    return tuple(
        tuple(edge_number(cut, power) for power in range(LEAST_POWER, MOST_POWER, decades) for cut in cuts)
        for cuts, decades in _SCALES
    )


def _side(bins: Mapping[int, int], grid: Sequence[int], least: int) -> list[int]:
    """The edges above zero: those with enough units below them, and enough at or above them."""
    numbers = sorted(bins)
    if not numbers:
        return []
    summed = [0, *accumulate(bins[number] for number in numbers)]
    # Edges that all bins are beyond need not be looked at one by one.
    near = grid[bisect_right(grid, numbers[0]) : bisect_right(grid, numbers[-1])]
    below = ((each, summed[bisect_left(numbers, each)]) for each in near)
    return [each for each, under in below if least <= under <= summed[-1] - least]


def _in_bins(bins: Mapping[int, int], edges: Sequence[int]) -> tuple[int, ...]:
    """How many units are in each of the wider bins."""
    found = [0] * (len(edges) + 1)
    for number, units in bins.items():
        # A bin begins at the edge of its number, below zero at the one before.
        found[bisect_right(edges, number if number > 0 else number - 1)] += units
    return tuple(found)
