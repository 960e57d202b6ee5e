"""Sums over the units of many simulated experiments, grouped by look."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums about a centre, of an arm's k columns.

    Attributes:
        centre: The values that were subtracted, of shape (k,).
        total: Sums of the deviations, of shape (replications, looks, k).
        products: Sums of their cross products, of shape (replications, looks, k, k).
    """

    centre: Floats
    total: Floats
    products: Floats

    def accumulated(self) -> "Sums":
        """The sums of each look with all earlier ones."""
        return Sums(self.centre, self.total.cumsum(axis=1), self.products.cumsum(axis=1))


def sums_of_columns(columns: list[Floats], sizes: Counts, centre: Floats) -> Sums:
    """The sums of unit-level values.

    Args:
        columns: k arrays of shape (replications, units).
        sizes: Units that each look adds, of shape (looks,), each at least one.
        centre: The centre, of shape (k,).

    Example:
        >>> sums = sums_of_columns([np.array([[1.0, 2.0, 5.0]])], np.array([2, 1]), np.array([1.0]))
        >>> sums.total[0, :, 0].tolist(), sums.products[0, :, 0, 0].tolist()
        ([1.0, 4.0], [1.0, 16.0])
    """
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    deviations = [column - middle for column, middle in zip(columns, centre, strict=True)]
    total = np.stack([np.add.reduceat(column, starts, axis=1) for column in deviations], axis=-1)
    products = np.stack(
        [np.stack([np.add.reduceat(a * b, starts, axis=1) for b in deviations], axis=-1) for a in deviations],
        axis=-2,
    )
    return Sums(centre, total, products)


def single_column(centre: float, total: Floats, squares: Floats) -> Sums:
    """Sums of one column, of shapes (replications, looks)."""
    return Sums(np.array([centre]), total[..., None], squares[..., None, None])


def arm_values(sums: Sums, n: Counts) -> tuple[Floats, Floats]:
    """An arm's values and their sampling variances.

    Args:
        sums: Accumulated sums; of two columns for a ratio (numerator, denominator).
        n: Units at each look, of shape (looks,), at least two.

    Returns:
        Values and variances, each of shape (replications, looks); NaN for a ratio whose denominator is not
        positive.
    """
    mean = sums.centre + sums.total / n[:, None]
    spread = sums.products - sums.total[..., :, None] * sums.total[..., None, :] / n[:, None, None]
    covariance = spread / (n - 1)[:, None, None]
    if mean.shape[-1] == 1:
        # What is left of units that do not vary is the rounding error of the subtraction.
        varies = spread[..., 0, 0] > _ROUNDING * sums.products[..., 0, 0]
        return mean[..., 0], np.where(varies, covariance[..., 0, 0], 0.0) / n
    denominator = np.where(mean[..., 1] > 0, mean[..., 1], np.nan)
    ratio = mean[..., 0] / denominator
    score = covariance[..., 0, 0] - 2 * ratio * covariance[..., 0, 1] + ratio**2 * covariance[..., 1, 1]
    return ratio, score / denominator**2 / n
