"""Preferential weights: the primary tests keep most of alpha."""

from collections.abc import Collection


def preferential_weights(
    tests: Collection[str], *, primary: Collection[str], share: float = 0.8
) -> dict[str, float]:
    """Splits alpha unevenly: the primary tests share most of it, the others the rest.

    For `bonferroni` and `simultaneous`: primary tests lose little power however many others there are.

    Args:
        tests: Names of all tests, each once.
        primary: Names of the primary ones, at least one of them.
        share: The share of alpha of all primary tests together, between 0 and 1. Without other tests they
            have all of it.

    Returns:
        The weight of each test, in the order of `tests`; they sum to 1.

    Raises:
        ValueError: A name stands twice, a primary test is unknown or missing, or the share is out of range.

    Example:
        >>> preferential_weights(["revenue", "visits", "clicks"], primary=["revenue"], share=0.5)
        {'revenue': 0.5, 'visits': 0.25, 'clicks': 0.25}
    """
    if len(set(tests)) != len(tests) or len(set(primary)) != len(primary):
        raise ValueError("A test is named twice.")
    unknown = sorted(set(primary) - set(tests))
    if unknown or not primary:
        raise ValueError(
            f"The primary tests must be one or more of {sorted(tests)}; these are not: {unknown}."
        )
    if not 0 < share < 1:
        raise ValueError(f"share is {share!r}; it must lie between 0 and 1.")
    others = len(tests) - len(primary)
    weight = (share if others else 1.0) / len(primary)
    return {name: weight if name in primary else (1 - share) / others for name in tests}
