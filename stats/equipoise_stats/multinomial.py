"""The Dirichlet-multinomial mixture: an e-value for the shares in which events or units fall into arms.

If each of N events falls into arm i with probability θ_i, independently of the past, the likelihood ratio of
a Dirichlet mixture of shares to θ is a martingale that starts at 1:

    E = B(a + n) / B(a) / Π θ_i^{n_i},    B(x) = Π Γ(x_i) / Γ(Σ x_i).

The direct formula subtracts numbers of size N log N. Here it is rearranged by Stirling's formula into

    Σ d(a_i + n_i, (k + N) θ_i) − Σ d(a_i, k θ_i) − ½ [Σ ln((a_i + n_i)/a_i) − ln((k + N)/k)] + remainders

with k = Σ a_i and the deviance d(x, y) = x ln(x/y) − x + y, in which a billion counts cost no digits.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, xlog1py

_SERIES_FROM = 16.0
_HALF_LOG_2_PI = 0.5 * np.log(2 * np.pi)


def dirichlet_multinomial_log_e(
    counts: ArrayLike, *, null: ArrayLike, prior: ArrayLike
) -> NDArray[np.float64]:
    """The natural logarithm of the e-value against given shares.

    Args:
        counts: Events by arm, shape (…, arms); not negative.
        null: The shares tested, shape (…, arms); positive, with sum 1. The two broadcast.
        prior: Parameters of the Dirichlet mixture, shape (arms,); positive. Their sum says how closely the
            mixture lies around their mean.

    Returns:
        The logarithms, shape (…).

    Source:
        Lindon and Malek 2022, Anytime-valid inference for multinomial count data, NeurIPS 35.

    Example:
        >>> float(dirichlet_multinomial_log_e([60, 40], null=[0.5, 0.5], prior=[50, 50]).round(6))
        0.658892
    """
    n = np.asarray(counts, dtype=np.float64)
    theta = np.asarray(null, dtype=np.float64)
    a = np.asarray(prior, dtype=np.float64)
    k = a.sum()
    posterior, total = a + n, k + n.sum(axis=-1)
    log_e = (
        deviance(posterior, total[..., np.newaxis] * theta).sum(axis=-1)
        - deviance(a, k * theta).sum(axis=-1)
        - 0.5 * (np.log1p(n / a).sum(axis=-1) - np.log1p((total - k) / k))
        + (stirling_remainder(posterior) - stirling_remainder(a)).sum(axis=-1)
        - (stirling_remainder(total) - stirling_remainder(k))
    )
    return np.asarray(log_e)


def deviance(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The deviance x ln(x/y) − x + y, with an error of the size of x − y rather than of x."""
    d = (x - y) / y
    return np.asarray(y * (xlog1py(1 + d, d) - d))


def stirling_remainder(x: ArrayLike) -> NDArray[np.float64]:
    """The excess of ln Γ(x) over Stirling's formula (x − ½) ln x − x + ½ ln 2π (DLMF 5.11.1)."""
    x = np.asarray(x, dtype=np.float64)
    large = np.maximum(x, _SERIES_FROM)
    small = np.minimum(x, _SERIES_FROM)
    square = 1 / (large * large)
    series = (
        1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188))))
    ) / large
    direct = gammaln(small) - ((small - 0.5) * np.log(small) - small + _HALF_LOG_2_PI)
    return np.asarray(np.where(x >= _SERIES_FROM, series, direct))
