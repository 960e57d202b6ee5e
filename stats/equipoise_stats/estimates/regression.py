"""Least squares from co-moments: sweeps covariates out of an outcome, one after the other.

Plain Python, because the matrices are tiny (a covariate or three) and this runs for
every metric of a readout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

_COLLINEAR = 1e-9


@dataclass(slots=True)  # not frozen, which would triple the time to make one
class Regression:
    """Coefficients of an outcome on k covariates.

    Attributes:
        coefficients: One for each covariate; 0 for those that are constant or collinear with earlier ones.
        rank: Number of covariates used.
        residual: What the covariates leave of the outcome's sum of squares.
        distance: The quadratic form δ' V⁻¹ δ of the vector δ that was given.
        shift: What the coefficients θ make of that vector, θ'δ.
    """

    coefficients: tuple[float, ...]
    rank: int
    residual: float
    distance: float
    shift: float


def regress(matrix: list[list[float]], cross: list[float], total: float, offset: list[float]) -> Regression:
    """Solves V θ = c by symmetric sweeps, leaving out what is constant or collinear.

    Args:
        matrix: V, k × k, the covariates' (co)variances, symmetric; a row of zeros where one is constant.
        cross: c, k covariances of covariates and outcome.
        total: Variance of the outcome.
        offset: δ, k numbers for the quadratic form δ' V⁻¹ δ and the product θ'δ.

    Source:
        Goodnight 1979, A tutorial on the SWEEP operator, The American Statistician 33, 149–158.

    Example:
        >>> regress([[2.0, 1.0], [1.0, 2.0]], [3.0, 3.0], 10.0, [1.0, 0.0])
        Regression(coefficients=(1.0, 1.0), rank=2, residual=4.0, distance=0.6666666666666666, shift=1.0)
    """
    k = len(cross)
    # The columns are V, c and δ; eliminating in V leaves the reduced rows from which θ is substituted back.
    rows = [[*matrix[i], cross[i], offset[i]] for i in range(k)]
    used: list[int] = []
    residual, distance = total, 0.0
    for p in range(k):
        pivot = rows[p][p]
        if not pivot > _COLLINEAR * matrix[p][p]:
            continue
        used.append(p)
        residual -= rows[p][k] ** 2 / pivot
        distance += rows[p][k + 1] ** 2 / pivot
        for i in range(p + 1, k):
            factor = rows[i][p] / pivot
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[p], strict=True)]
    coefficients = [0.0] * k
    for p in reversed(used):
        known = sum(rows[p][j] * coefficients[j] for j in used if j > p)
        coefficients[p] = (rows[p][k] - known) / rows[p][p]
    return Regression(tuple(coefficients), len(used), residual, distance, dot(coefficients, offset))


def regress_on_one(variance: float, cross: float, total: float, offset: float) -> Regression:
    """What `regress` gives for one covariate, the usual case, in a fraction of the time.

    Args:
        variance: Variance of the covariate; 0 where it is constant.
        cross: Covariance of covariate and outcome.
        total: Variance of the outcome.
        offset: δ, one number.

    Example:
        >>> regress_on_one(2.0, 3.0, 10.0, 1.0)
        Regression(coefficients=(1.5,), rank=1, residual=5.5, distance=0.5, shift=1.5)
    """
    if not variance > 0:
        return Regression((0.0,), 0, total, 0.0, 0.0)
    theta = cross / variance
    return Regression((theta,), 1, total - cross**2 / variance, offset**2 / variance, theta * offset)


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """Σ aᵢ bᵢ.

    Args:
        a: k numbers.
        b: k numbers.
    """
    total: float = sum(map(mul, a, b))
    return total


def quadratic(vector: Sequence[float], matrix: Sequence[Sequence[float]]) -> float:
    """The quadratic form v' M v.

    Args:
        vector: k numbers.
        matrix: k × k numbers.

    Example:
        >>> quadratic([1.0, 2.0], [[1.0, 0.5], [0.5, 1.0]])
        7.0
    """
    return dot(vector, [dot(row, vector) for row in matrix])
