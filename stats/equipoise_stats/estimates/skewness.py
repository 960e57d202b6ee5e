"""The skewness of a difference: how far its tests are off in one tail."""

import math


def difference_skewness(treatment: int, control: int, *, squares: float, third: float | None) -> float | None:
    """Third cumulant of a difference of means over the cube of its standard error, κ₃/se³.

    It is the one that the difference has if both arms have the distribution of all units, up to a shift:
    μ₃ (1/nₜ² − 1/n꜀²) / (σ² (1/nₜ + 1/n꜀))^1.5. The arms' own third moments would not do: where values are
    skewed most, one value decides them, and chance decides in which arm it is. A small arm without it seems
    neither skewed nor variable, and equal arms, in which no test errs, seem skewed nearly always.

    Args:
        treatment: Units of the treatment arm.
        control: Units of the control arm.
        squares: Sum of squared deviations from the arm's mean, over both arms.
        third: Sum of third powers of the same deviations; None where it is not known.

    Returns:
        The skewness; None where it is not known, or no finite number.

    Source:
        Hall 1992, The Bootstrap and Edgeworth Expansion, section 2.6.

    Example:
        >>> round(difference_skewness(1000, 9000, squares=9998.0, third=40_000.0), 3)
        0.107
    """
    n = treatment + control
    if third is None or not squares > 0 or n <= 2:
        return None
    deviation = math.sqrt(squares / (n - 2))
    # One after another: the cube of a tiny or a huge deviation is no number.
    of_units = third / n / deviation / deviation / deviation
    found = of_units * (1 / treatment**2 - 1 / control**2) / (1 / treatment + 1 / control) ** 1.5
    return found if math.isfinite(found) else None
