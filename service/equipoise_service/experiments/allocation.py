"""Slots and arm ranges, in half-open integer intervals of 10,000."""

from collections.abc import Sequence

from equipoise import BUCKETS


def slots_for(traffic: int) -> list[list[int]]:
    """The slots of an experiment that owns its layer: a prefix, so that more traffic only adds units.

    Args:
        traffic: Share of units in basis points, 0 to 10,000.
    """
    return [[0, traffic]] if traffic else []


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
