"""Wald tests of several contrasts at once, and of the independence of two assignments."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise_stats.distributions import chi_square_log_upper_tail, p_value_from_log
from equipoise_stats.estimates.mean import centred_squares
from equipoise_stats.moments import Moments
from equipoise_stats.results import Serialisable

Floats = NDArray[np.float64]

_SINGULAR = 1e-11


@dataclass(frozen=True, slots=True)
class ChiSquareTest(Serialisable):
    """A chi-square test.

    Attributes:
        statistic: The statistic.
        df: Its degrees of freedom.
        p_value: The p-value.
        log_p_value: Its natural logarithm.
    """

    statistic: float
    df: int
    p_value: float
    log_p_value: float

    @classmethod
    def of(cls, statistic: float, df: int) -> "ChiSquareTest":
        """The test with its p-value.

        Example:
            >>> round(ChiSquareTest.of(3.841459, 1).p_value, 6)
            0.05
        """
        log_p = chi_square_log_upper_tail(statistic, df)
        return cls(statistic, df, p_value_from_log(log_p), log_p)


@dataclass(frozen=True, slots=True)
class Cells:
    """The moments of one column in the cells of two crossed factors, as arrays of shape (rows, columns).

    Attributes:
        rows: Levels of the first factor.
        columns: Levels of the second.
        n: Units.
        mean: Means.
        variance: Sampling variances of the means; 0 in cells with fewer than two units.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    n: NDArray[np.int64]
    mean: Floats
    variance: Floats


def crossed_cells(cells: Mapping[tuple[str, str], Moments], column: str | None) -> Cells:
    """Arranges cells by the levels of their two factors, in order of first appearance.

    Args:
        cells: Moments by (level of the first factor, level of the second); every combination.
        column: The column; may be left out when there is only one.

    Raises:
        ValueError: A factor has one level only, or a combination is missing.

    Example:
        >>> one = Moments.scalar(10, 2.0, 5.0)
        >>> crossed_cells({(a, b): one for a in "AB" for b in "CD"}, None).variance.tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    rows = tuple(dict.fromkeys(first for first, _ in cells))
    columns = tuple(dict.fromkeys(second for _, second in cells))
    if len(rows) < 2 or len(columns) < 2:
        raise ValueError(f"Two factors with two levels at least are needed; there are {rows} and {columns}.")
    missing = [(a, b) for a in rows for b in columns if (a, b) not in cells]
    if missing:
        raise ValueError(f"The cells {missing} are missing; give empty ones as Moments.empty(columns).")
    table = [[cells[a, b] for b in columns] for a in rows]
    return Cells(
        rows,
        columns,
        np.array([[cell.n for cell in row] for row in table]),
        np.array([[cell.mean[cell.index(column)] for cell in row] for row in table]),
        np.array([[_variance(cell, column) for cell in row] for row in table]),
    )


def independence(n: NDArray[np.int64]) -> ChiSquareTest | None:
    """Pearson's test that two assignments are independent, given how many units each level got.

    Args:
        n: Units, shape (rows, columns); levels without any unit are left out.

    Returns:
        The test; None where fewer than two levels of a factor have units.

    Source:
        Pearson 1900; Fisher 1922.

    Example:
        >>> round(independence(np.array([[60, 40], [40, 60]])).statistic, 9)
        8.0
    """
    used = n[n.sum(axis=1) > 0][:, n.sum(axis=0) > 0].astype(np.float64)
    if min(used.shape) < 2:
        return None
    df = (used.shape[0] - 1) * (used.shape[1] - 1)
    expected = np.outer(used.sum(axis=1), used.sum(axis=0)) / used.sum()
    return ChiSquareTest.of(float(((used - expected) ** 2 / expected).sum()), df)


def wald(values: Floats, covariance: Floats) -> tuple[float, int]:
    """The quadratic form v' V⁻¹ v and the rank of V.

    Directions without variance are left out, so that a covariate given twice counts once. It does not depend
    on units.

    Args:
        values: Estimates, shape (k,).
        covariance: Their covariance matrix, shape (k, k).

    Example:
        >>> statistic, rank = wald(np.array([2.0, 2.0]), np.array([[1.0, 1.0], [1.0, 1.0]]))
        >>> round(statistic, 9), rank
        (4.0, 1)
    """
    used = np.diag(covariance) > 0
    scale = np.sqrt(np.diag(covariance)[used])
    spread, vectors = np.linalg.eigh(covariance[np.ix_(used, used)] / np.outer(scale, scale))
    solid = spread > _SINGULAR * max(1, scale.size)
    along = (vectors.T @ (values[used] / scale))[solid]
    return float((along**2 / spread[solid]).sum()), int(solid.sum())


def wald_test(contrasts: Floats, means: Floats, variances: Floats) -> ChiSquareTest | None:
    """Tests that contrasts of independent means are all 0 (large samples).

    Args:
        contrasts: Shape (q, m).
        means: Shape (m,).
        variances: Their sampling variances, shape (m,).

    Returns:
        The test; None where no contrast has a variance.
    """
    # Means from a common origin: contrasts sum to 0, and means far from zero lose nothing.
    values = contrasts @ (means - means[0])
    statistic, rank = wald(values, contrasts @ np.diag(variances) @ contrasts.T)
    return ChiSquareTest.of(statistic, rank) if rank else None


def _variance(cell: Moments, column: str | None) -> float:
    return centred_squares(cell, cell.index(column)) / (cell.n - 1) / cell.n if cell.n > 1 else 0.0
