"""Weights of arms, and their ranges: half-open integer intervals of 10,000."""

from collections.abc import Sequence

from equipoise import BUCKETS


def ranges_for(weights: Sequence[tuple[str, int]]) -> list[list[str | int]]:
    """The range of buckets of each arm, in the arms' order.

    Args:
        weights: Variant and weight in basis points; they sum to 10,000.
    """
    ranges: list[list[str | int]] = []
    start = 0
    for variant, weight in weights:
        ranges.append([variant, start, start + weight])
        start += weight
    if start != BUCKETS:
        raise ValueError(f"the weights sum to {start}, not {BUCKETS}")
    return ranges


def equal_weights(count: int) -> list[int]:
    """Weights as equal as integers allow, larger ones first."""
    share, rest = divmod(BUCKETS, count)
    return [share + (index < rest) for index in range(count)]
