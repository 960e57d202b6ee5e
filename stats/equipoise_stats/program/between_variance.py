"""How much the true effects of several experiments differ: Cochran's Q and estimates of τ²."""

import math
from typing import Literal, get_args

import numpy as np

from equipoise_stats.program.studies import Floats

BetweenVariance = Literal[
    "paule_mandel", "dersimonian_laird", "maximum_likelihood", "restricted_maximum_likelihood"
]
"""How τ² is estimated."""

_TOLERANCE = 1e-15
_GRID = 64


def weighted_mean(effects: Floats, errors: Floats, tau_squared: float) -> tuple[float, float]:
    """The mean weighted by 1/(se² + τ²), and its variance when the τ² is right.

    Args:
        effects: Shape (k,).
        errors: Standard errors, shape (k,).
        tau_squared: Variance between the true effects.

    Example:
        >>> import numpy as np
        >>> weighted_mean(np.array([0.0, 2.0]), np.array([1.0, 1.0]), 1.0)
        (1.0, 1.0)
    """
    weights = 1 / (errors * errors + tau_squared)
    whole = float(weights.sum())
    # From the first effect, so that effects far from zero lose nothing.
    offsets = effects - effects[0]
    return float(effects[0] + float(weights @ offsets) / whole), 1 / whole


def cochran_q(effects: Floats, errors: Floats, tau_squared: float = 0.0) -> float:
    """Σ w (effect − mean)² with the weights 1/(se² + τ²); chi-square with k − 1 if that τ² is right.

    Args:
        effects: Shape (k,).
        errors: Standard errors, shape (k,).
        tau_squared: Variance between the true effects.

    Source:
        Cochran 1954, Biometrics 10, 101–129.

    Example:
        >>> import numpy as np
        >>> cochran_q(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
        2.0
    """
    offsets = effects - effects[0]
    mean, _ = weighted_mean(offsets, errors, tau_squared)
    return float((((offsets - mean) ** 2) / (errors * errors + tau_squared)).sum())


def between_variance(effects: Floats, errors: Floats, method: BetweenVariance) -> float:
    """Estimates the variance τ² between the true effects; 0 where they differ no more than by chance.

    Args:
        effects: Shape (k,), k ≥ 2.
        errors: Standard errors, shape (k,).
        method: `paule_mandel` (the τ² at which Q is k − 1), `dersimonian_laird` (moments),
            `maximum_likelihood`, `restricted_maximum_likelihood` (REML: allows for the estimated mean).

    Raises:
        ValueError: The method is unknown.

    Source:
        Paule and Mandel 1982; DerSimonian and Laird 1986, Controlled Clinical Trials 7, 177–188; Viechtbauer
        2005, J. Educ. Behav. Stat. 30, 261–293 (likelihoods).

    Example:
        >>> import numpy as np
        >>> between_variance(np.array([0.0, 4.0]), np.array([1.0, 1.0]), "paule_mandel").__round__(9)
        7.0
    """
    if method not in get_args(BetweenVariance):
        raise ValueError(
            f"The method is {method!r}; it must be one of {', '.join(get_args(BetweenVariance))}."
        )
    unit = float(errors.max())
    effects, errors = (effects - effects[0]) / unit, errors / unit
    if method == "dersimonian_laird":
        tau_squared = _dersimonian_laird(effects, errors)
    elif method == "paule_mandel":
        tau_squared = _paule_mandel(effects, errors)
    else:
        restricted = method == "restricted_maximum_likelihood"
        tau_squared = maximum_likelihood(effects, errors, None, restricted=restricted)
    return tau_squared * unit * unit


def maximum_likelihood(
    effects: Floats, errors: Floats, mean: float | None, *, restricted: bool = False
) -> float:
    """The τ² that makes effects ~ N(mean, se² + τ²) most likely.

    The likelihood may have several peaks. Fisher's scoring stops at one of them, or does not converge; here
    the slope's changes of sign are bracketed on a grid of τ², so there always is an answer, the highest.

    Args:
        effects: Shape (k,).
        errors: Standard errors, shape (k,).
        mean: The mean, or None to estimate it too.
        restricted: Whether the likelihood is that of the differences between the effects, which do not
            depend on the mean; for an estimated mean and two effects or more.
    """
    from scipy.optimize import brentq  # a third of this package's import time

    def score(tau_squared: float) -> float:
        """Twice the slope of the log likelihood in τ²."""
        weights = 1 / (errors * errors + tau_squared)
        centre = weighted_mean(effects, errors, tau_squared)[0] if mean is None else mean
        slope = float((weights * weights * (effects - centre) ** 2 - weights).sum())
        return slope + float((weights * weights).sum() / weights.sum()) if restricted else slope

    def log_likelihood(tau_squared: float) -> float:
        spread = errors * errors + tau_squared
        centre = weighted_mean(effects, errors, tau_squared)[0] if mean is None else mean
        likelihood = float(-0.5 * (np.log(spread) + (effects - centre) ** 2 / spread).sum())
        return likelihood - 0.5 * math.log(float((1 / spread).sum())) if restricted else likelihood

    # Beyond `top` the slope is negative: Σ w (effect − mean)² is at most D² Σ w, D the largest distance.
    centre = weighted_mean(effects, errors, 0.0)[0] if mean is None else mean
    top = 4 * float(((effects - centre) ** 2).max() + (errors * errors).max())
    low = float((errors * errors).min()) * 1e-6
    edges = [0.0, *(low * (top / low) ** (i / _GRID) for i in range(_GRID + 1))]
    slopes = [score(edge) for edge in edges]
    peaks = [
        float(brentq(score, edges[i], edges[i + 1], xtol=_TOLERANCE, rtol=_TOLERANCE))
        for i in range(_GRID + 1)
        if slopes[i] > 0 >= slopes[i + 1]
    ]
    return max([0.0, *peaks], key=log_likelihood)


def _dersimonian_laird(effects: Floats, errors: Floats) -> float:
    weights = 1 / (errors * errors)
    whole = float(weights.sum())
    spread = whole - float((weights * weights).sum()) / whole
    return max(0.0, (cochran_q(effects, errors) - (effects.size - 1)) / spread)


def _paule_mandel(effects: Floats, errors: Floats) -> float:
    from scipy.optimize import brentq  # a third of this package's import time

    df = effects.size - 1

    def excess(tau_squared: float) -> float:
        return cochran_q(effects, errors, tau_squared) - df

    if excess(0.0) <= 0:
        return 0.0
    # At this τ² the sum of squares about any mean, over τ², is below k − 1.
    top = float(((effects - effects.mean()) ** 2).sum()) / df
    return float(brentq(excess, 0.0, top * (1 + 1e-9), xtol=_TOLERANCE, rtol=_TOLERANCE))
