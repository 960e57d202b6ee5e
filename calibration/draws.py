"""Sufficient statistics of many simulated arms at once."""

import math

import numpy as np
from numpy.typing import NDArray

import equipoise_stats as es

Floats = NDArray[np.float64]


def normal_arms(
    generator: np.random.Generator, replications: int, *, n: int, mean: float, sd: float
) -> list[es.Moments]:
    """Arms of n normal units, from the sampling distributions of mean and variance."""
    means = generator.normal(mean, sd / math.sqrt(n), size=replications)
    variances = sd**2 * generator.chisquare(n - 1, size=replications) / (n - 1)
    return [es.Moments.scalar(n, m, v) for m, v in zip(means.tolist(), variances.tolist(), strict=True)]


def revenue_arms(
    generator: np.random.Generator, replications: int, *, n: int, log_sd: float, buyers: float = 0.05
) -> list[es.Moments]:
    """Arms of n units of which 5 % spend a lognormal amount, of mean 1 over all units; third moments too."""
    spending = generator.binomial(n, buyers, size=replications)
    spent = generator.lognormal(-math.log(buyers) - log_sd**2 / 2, log_sd, size=int(spending.sum()))
    owner = np.repeat(np.arange(replications), spending)
    mean = np.bincount(owner, weights=spent, minlength=replications) / n
    centred = spent - mean[owner]
    zeros = n - spending
    squares = np.bincount(owner, weights=centred**2, minlength=replications) + zeros * mean**2
    cubes = np.bincount(owner, weights=centred**3, minlength=replications) - zeros * mean**3
    columns = zip(mean.tolist(), squares.tolist(), cubes.tolist(), strict=True)
    return [es.Moments(n, ("y",), (m,), ((s,),), (c,)) for m, s, c in columns]


def arms_of_columns(columns: dict[str, Floats]) -> list[es.Moments]:
    """Arms from unit-level values, each column of shape (replications, units)."""
    names = tuple(columns)
    values = np.stack([columns[name] for name in names])
    mean = values.mean(axis=2)
    centred = values - mean[..., None]
    spread = np.einsum("irn,jrn->rij", centred, centred)
    spread = (spread + spread.transpose(0, 2, 1)) / 2
    n = values.shape[2]
    return [
        es.Moments(n, names, tuple(m), tuple(map(tuple, s)))
        for m, s in zip(mean.T.tolist(), spread.tolist(), strict=True)
    ]


def in_chunks(replications: int, size: int) -> list[int]:
    """Splits replications into parts of at most `size`, so that memory stays bounded.

    Example:
        >>> in_chunks(25, 10)
        [10, 10, 5]
    """
    return [min(size, replications - start) for start in range(0, replications, size)]
