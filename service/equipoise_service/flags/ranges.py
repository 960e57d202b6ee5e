"""Which buckets serve what: ranges that grow without moving anybody who need not move."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equipoise import BUCKETS

Range = tuple[str, int, int]
"""A variant and a half-open interval of buckets."""


def ranges_for(shares: Mapping[str, int], before: Iterable[Sequence[Any]] = ()) -> list[Range]:
    """Ranges of buckets with these shares, moving as few buckets as possible from one variant to another.

    A variant that shrinks gives back its last buckets; one that grows takes the first that are free. So where
    no variant shrinks and there is room, nobody who had a variant gets another.

    Args:
        shares: Basis points by variant; together at most 10,000.
        before: The ranges that the rule had.

    Returns:
        Disjoint ranges, ascending, neighbours of one variant joined; an empty one for a share of nothing.

    Example:
        >>> ranges_for({"a": 1500, "b": 1000}, [["a", 0, 1000], ["b", 1000, 2000]])
        [('a', 0, 1000), ('b', 1000, 2000), ('a', 2000, 2500)]
    """
    kept: list[Range] = []
    missing = dict(shares)
    for variant, start, end in sorted(before, key=lambda each: each[1]):
        stays = min(end - start, missing.get(variant, 0))
        if stays:
            kept.append((variant, start, start + stays))
            missing[variant] -= stays
    free = _gaps(kept)
    for variant, count in missing.items():
        while count:
            start, end = free.pop(0)
            taken = min(count, end - start)
            kept.append((variant, start, start + taken))
            count -= taken
            if start + taken < end:
                free.insert(0, (start + taken, end))
    kept += [(variant, 0, 0) for variant, share in shares.items() if share == 0]
    return _joined(kept)


def shares_of(ranges: Iterable[Sequence[Any]]) -> dict[str, int]:
    """The share of each variant in basis points, in the order of the ranges."""
    shares: dict[str, int] = {}
    for variant, start, end in ranges:
        shares[variant] = shares.get(variant, 0) + end - start
    return shares


def _gaps(ranges: Iterable[Range]) -> list[tuple[int, int]]:
    gaps = []
    edge = 0
    for _, start, end in sorted(ranges, key=lambda each: each[1]):
        if edge < start:
            gaps.append((edge, start))
        edge = end
    return [*gaps, (edge, BUCKETS)] if edge < BUCKETS else gaps


def _joined(ranges: Iterable[Range]) -> list[Range]:
    joined: list[Range] = []
    for variant, start, end in sorted(ranges, key=lambda each: each[1]):
        if joined and joined[-1][0] == variant and joined[-1][2] == start:
            joined[-1] = (variant, joined[-1][1], end)
        else:
            joined.append((variant, start, end))
    return joined
