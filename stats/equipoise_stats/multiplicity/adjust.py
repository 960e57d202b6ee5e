"""Adjusted p-values: family-wise error (Bonferroni, Holm, Hochberg) and false discoveries (BH, BY).

An adjusted p-value is at most α exactly when the procedure rejects at level α. All functions take an array
whose last axis is the family, so that a simulation adjusts thousands of families in one call; logarithms of
p-values are adjusted as such, so that nothing underflows.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def bonferroni(p_values: npt.ArrayLike, *, weights: npt.ArrayLike | None = None, log: bool = False) -> Floats:
    """Bonferroni's adjustment: p / w for weights that sum to 1, m p for equal ones.

    Controls the family-wise error whatever the dependence.

    Args:
        p_values: p-values, shape (…, m).
        weights: The share of alpha of each test, shape (m,), positive, of sum 1 at most; equal by default.
        log: The values are natural logarithms, and so is the result.

    Returns:
        Adjusted p-values, same shape.

    Raises:
        ValueError: A p-value lies outside [0, 1] or a weight is impossible.

    Example:
        >>> bonferroni([0.01, 0.04]).tolist()
        [0.02, 0.08]
        >>> bonferroni([0.01, 0.04], weights=[0.8, 0.2]).tolist()
        [0.0125, 0.2]
    """
    p = _checked(p_values, log)
    m = p.shape[-1]
    factors = np.full(m, float(m)) if weights is None else 1 / check_weights(weights, m)
    return _capped(_times(p, factors, log), log)


def holm(p_values: npt.ArrayLike, *, log: bool = False) -> Floats:
    """Holm's step-down adjustment: always at least as powerful as Bonferroni's, whatever the dependence.

    Args:
        p_values: p-values, shape (…, m).
        log: The values are natural logarithms, and so is the result.

    Returns:
        Adjusted p-values, same shape.

    Raises:
        ValueError: A p-value lies outside [0, 1].

    Source:
        Holm 1979, Scand. J. Stat. 6, 65–70.

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005]).round(12).tolist()
        [0.03, 0.06, 0.06, 0.02]
    """
    p = _checked(p_values, log)
    factors = np.arange(p.shape[-1], 0, -1, dtype=np.float64)
    return _stepwise(p, factors, log, down=True)


def hochberg(p_values: npt.ArrayLike, *, log: bool = False) -> Floats:
    """Hochberg's step-up adjustment: for independent or positively dependent tests.

    Args:
        p_values: p-values, shape (…, m).
        log: The values are natural logarithms, and so is the result.

    Returns:
        Adjusted p-values, same shape.

    Raises:
        ValueError: A p-value lies outside [0, 1].

    Source:
        Hochberg 1988, Biometrika 75, 800–802.

    Example:
        >>> hochberg([0.01, 0.04, 0.03, 0.005]).tolist()
        [0.03, 0.04, 0.04, 0.02]
    """
    p = _checked(p_values, log)
    factors = np.arange(p.shape[-1], 0, -1, dtype=np.float64)
    return _stepwise(p, factors, log, down=False)


def benjamini_hochberg(p_values: npt.ArrayLike, *, log: bool = False) -> Floats:
    """Benjamini and Hochberg's adjustment: false discovery rate of independent or positively dependent tests.

    Args:
        p_values: p-values, shape (…, m).
        log: The values are natural logarithms, and so is the result.

    Returns:
        Adjusted p-values, same shape.

    Raises:
        ValueError: A p-value lies outside [0, 1].

    Source:
        Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57, 289–300.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.005]).round(12).tolist()
        [0.02, 0.04, 0.04, 0.02]
    """
    p = _checked(p_values, log)
    m = p.shape[-1]
    return _stepwise(p, m / np.arange(1, m + 1, dtype=np.float64), log, down=False)


def benjamini_yekutieli(p_values: npt.ArrayLike, *, log: bool = False) -> Floats:
    """Benjamini and Yekutieli's adjustment: false discovery rate whatever the dependence.

    Args:
        p_values: p-values, shape (…, m).
        log: The values are natural logarithms, and so is the result.

    Returns:
        Adjusted p-values, same shape.

    Raises:
        ValueError: A p-value lies outside [0, 1].

    Source:
        Benjamini and Yekutieli 2001, Ann. Stat. 29, 1165–1188.

    Example:
        >>> benjamini_yekutieli([0.01, 0.04, 0.03, 0.005]).round(6).tolist()
        [0.041667, 0.083333, 0.083333, 0.041667]
    """
    p = _checked(p_values, log)
    m = p.shape[-1]
    return _stepwise(p, harmonic(m) * m / np.arange(1, m + 1, dtype=np.float64), log, down=False)


def harmonic(m: int) -> float:
    """The sum 1 + 1/2 + … + 1/m.

    Example:
        >>> harmonic(2)
        1.5
    """
    return float((1 / np.arange(1, m + 1)).sum())


def check_weights(weights: npt.ArrayLike, m: int) -> Floats:
    """Returns weights of m tests as an array.

    Args:
        weights: The weights.
        m: Number of tests.

    Raises:
        ValueError: There are not m of them, one is not positive, or their sum is above 1.
    """
    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != (m,):
        raise ValueError(f"There are weights of shape {shares.shape} for {m} tests; each test needs one.")
    if not (np.all(shares > 0) and shares.sum() <= 1 + 1e-9):
        raise ValueError(f"The weights {shares.tolist()} must be positive and sum to 1 at most.")
    return shares


def _checked(p_values: npt.ArrayLike, log: bool) -> Floats:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim == 0:
        raise ValueError("There is one number instead of a family of p-values.")
    if not np.all(p <= 0 if log else (p >= 0) & (p <= 1)):
        raise ValueError(f"{'Logarithms of p-values' if log else 'p-values'} {p.tolist()} are out of range.")
    return p


def _times(p: Floats, factors: Floats | float, log: bool) -> Floats:
    scaled: Floats = p + np.log(factors) if log else p * factors
    return scaled


def _capped(p: Floats, log: bool) -> Floats:
    return np.minimum(p, 0.0 if log else 1.0)


def _stepwise(p: Floats, factors: Floats, log: bool, *, down: bool) -> Floats:
    """Scales the sorted p-values and makes them monotone, from the smallest on or from the largest."""
    order = np.argsort(p, axis=-1, kind="stable")
    scaled = _times(np.take_along_axis(p, order, axis=-1), factors, log)
    if down:
        monotone = np.maximum.accumulate(scaled, axis=-1)
    else:
        monotone = np.flip(np.minimum.accumulate(np.flip(scaled, axis=-1), axis=-1), axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, _capped(monotone, log), axis=-1)
    return adjusted
