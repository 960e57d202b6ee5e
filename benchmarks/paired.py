"""Paired measurement: the two sides take turns, so that a machine's drift hits both alike."""

import statistics
from collections.abc import Callable


def paired(
    measured: Callable[[], float], floor: Callable[[], float], rounds: int
) -> tuple[float, float, list[float]]:
    """Measure two sides in turn, after one round that is not counted.

    Args:
        measured: Runs one round and gives its rate or time.
        floor: The same for what it is compared with.
        rounds: Rounds that count.

    Returns:
        The medians of both sides, and the ratio measured/floor of each round.
    """
    measured()
    floor()
    pairs = [(measured(), floor()) for _ in range(rounds)]
    ratios = [one / other for one, other in pairs]
    return (
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
        ratios,
    )


def row(name: str, measured: str, floor: str, ratios: list[float]) -> None:
    """Print one figure: both medians, and the median ratio with its range."""
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"  {name:<58} {measured:>12} {floor:>12}   ratio {statistics.median(ratios):.2f} ({spread})")
