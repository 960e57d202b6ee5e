"""The normal mixture: e-value, critical value and p-value of every anytime-valid inference of an effect.

Everything is a function of two numbers: the standardised distance z of the estimate from the null value, and
the *mixture ratio* r, the variance of the mixture over the squared standard error. It grows with the data:
n/ρ for a confidence sequence, τ²/se² for the mixture SPRT.

Two-sided, the effect is mixed over N(0, τ²), and the e-value is

    E = (1 + r)^(−1/2) exp( z² r / (2 (1 + r)) ).

One-sided it is mixed over the half of N(0, τ²) on that side: E₁ = 2 E Φ(z √(r/(1 + r))), with z signed
towards the alternative. Under the null value, E is a martingale that starts at 1, so that it ever reaches 1/α
with probability α at most (Ville 1939).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr

from equipoise_stats.inference.comparison import Alternative
from equipoise_stats.inference.settings import check_alpha, tail_alpha

_LOG_2 = math.log(2)
_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
_NEGLIGIBLE = 1e-15


def optimal_mixture_ratio(alpha: float = 0.05, alternative: Alternative = "two-sided") -> float:
    """The mixture ratio κ at which the boundary, as a function of the data so far, is tightest.

    κ minimises ((1 + r)/r)(ln(1 + r) − 2 ln α): it solves κ − ln(1 + κ) = −2 ln α, which is
    κ = −W₋₁(−α²/e) − 1 with the lower branch of Lambert's W. A one-sided boundary of level α is tuned as the
    two-sided one of level 2α.

    Args:
        alpha: Level, below 0.5.
        alternative: `two-sided`, `greater` or `less`.

    Raises:
        ValueError: alpha or alternative is out of range.

    Source:
        Howard, Ramdas, McAuliffe and Sekhon 2021, Annals of Statistics 49, 1055–1080, section 3.5;
        Waudby-Smith et al. 2024, Annals of Statistics 52, 2613–2640, appendix B.2.

    Example:
        >>> round(optimal_mixture_ratio(0.05), 6), round(optimal_mixture_ratio(0.01), 6)
        (8.211968, 11.756371)
    """
    two_sided = 2 * tail_alpha(check_alpha(alpha), alternative)
    distance = -2 * math.log(two_sided)
    # Newton's method falls monotonically to the root of a convex function from any point above it; scipy's
    # lambertw loses all digits at its branch point, where one-sided levels near 0.5 lie.
    ratio = distance + math.sqrt(2 * distance)
    step = math.inf
    while step > _NEGLIGIBLE * ratio:
        step = (ratio - math.log1p(ratio) - distance) * (1 + ratio) / ratio
        ratio -= step
    return ratio


def normal_mixture_critical(
    ratio: ArrayLike, *, alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> NDArray[np.float64]:
    """The distances, in standard errors, beyond which the mixture e-value exceeds 1/α.

    Args:
        ratio: Mixture ratios, of any shape; positive.
        alpha: Level. Two-sided, both sides share it; one-sided, all of it lies on that side.
        alternative: `two-sided`, `greater` or `less`.

    Returns:
        Critical values in the shape of `ratio`. Two-sided they are √((1 + r)/r · ln((1 + r)/α²)); one-sided
        the exact root, which is a little tighter than the closed form in the literature.

    Raises:
        ValueError: A ratio is not positive and finite, or alpha or alternative is out of range.

    Source:
        Robbins 1970, Annals of Mathematical Statistics 41, 1397–1409; Howard et al. 2021, propositions 5 and
        6.

    Example:
        >>> normal_mixture_critical([1.0, 8.211968]).round(4).tolist()
        [3.6564, 3.0351]
    """
    tail_alpha(check_alpha(alpha), alternative)
    r = _checked(ratio)
    weight = r / (1 + r)
    target = 0.5 * np.log1p(r) - math.log(alpha)
    if alternative == "two-sided":
        return np.asarray(np.sqrt(2 * target / weight))
    # With u = z √w, ln E₁ + ½ ln(1 + r) = ln 2 + u²/2 + ln Φ(u) is convex and increasing, and at √(2 target)
    # it is at least the target; from there Newton's method falls monotonically.
    u = np.sqrt(2 * target)
    step = u
    while np.any(step > _NEGLIGIBLE * u):
        log_phi = log_ndtr(u)
        slope = u + np.exp(-0.5 * u * u - _LOG_ROOT_2_PI - log_phi)
        step = (_LOG_2 + 0.5 * u * u + log_phi - target) / slope
        u = u - step
    return np.asarray(u / np.sqrt(weight))


def normal_mixture_log_p(
    statistic: ArrayLike, ratio: ArrayLike, *, alternative: Alternative = "two-sided"
) -> NDArray[np.float64]:
    """The natural logarithms of the always-valid p-values, min(1, 1/E).

    They are closed forms on every side, and at most ln α exactly where the distance reaches the critical
    value.

    Args:
        statistic: Standardised distances from the null value.
        ratio: Mixture ratios; positive. The two broadcast against one another.
        alternative: `two-sided`, `greater` or `less`.

    Raises:
        ValueError: A ratio is not positive and finite, or the alternative is unknown.

    Source:
        Johari, Koomen, Pekelis and Walsh 2022, Operations Research 70, 1806–1821 (two-sided); Howard et al.
        2021, proposition 6 (one-sided).

    Example:
        >>> import numpy as np
        >>> np.exp(normal_mixture_log_p([0.0, 3.0351, 4.0], 8.211968)).round(4).tolist()
        [1.0, 0.05, 0.0024]
    """
    tail_alpha(0.05, alternative)
    r = _checked(ratio)
    z = np.asarray(statistic, dtype=np.float64)
    weight = r / (1 + r)
    log_p = 0.5 * np.log1p(r) - 0.5 * weight * z * z
    if alternative != "two-sided":
        towards = z if alternative == "greater" else -z
        log_p = log_p - _LOG_2 - log_ndtr(towards * np.sqrt(weight))
    return np.asarray(np.minimum(0.0, log_p))


def _checked(ratio: ArrayLike) -> NDArray[np.float64]:
    r = np.asarray(ratio, dtype=np.float64)
    if not (np.all(r > 0) and np.all(np.isfinite(r))):
        raise ValueError("A mixture ratio must be positive and finite; check the tuning constant's unit.")
    return r
