"""The probability that an arm is the best, by quadrature: no random numbers, and no floor at 1 in 10,000."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, logsumexp

from equipoise_stats.moments import Moments
from equipoise_stats.results import Serialisable

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_WIDE = np.arange(-38.0, 39.0, 2.0)
# Beyond its own width an integrand may fall off exponentially at any slower rate, hence the doubling.
_BESIDE = np.concatenate([np.arange(1.0, 13.0), 12 * 2.0 ** np.arange(1, 31)])
_NEAR = np.concatenate([-_BESIDE[::-1], [0.0], _BESIDE])
_FARTHEST = 1e150
_ROOT_2 = math.sqrt(2)
_HALVINGS = 80


@dataclass(frozen=True, slots=True)
class ArmBelief(Serialisable):
    """What is believed of an arm's mean: a normal distribution.

    Attributes:
        mean: Its mean, in the metric's unit.
        standard_deviation: Its standard deviation; positive.

    Raises:
        ValueError: A number is not finite, or the standard deviation is not positive.
    """

    mean: float
    standard_deviation: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.standard_deviation < math.inf):
            raise ValueError(
                f"A belief with mean {self.mean!r} and standard deviation {self.standard_deviation!r} is "
                "impossible; the mean must be finite, the standard deviation positive and finite."
            )


def arm_belief(arm: Moments, *, prior: ArmBelief, column: str | None = None) -> ArmBelief:
    """Updates a normal prior by the mean of an arm (normal–normal, with the arm's own variance).

    Args:
        arm: Moments of the arm.
        prior: The belief before the data, fixed in advance.
        column: The column; may be left out when there is only one.

    Returns:
        The posterior; the prior itself as long as nothing measures the arm's spread (fewer than two units, or
        all of them equal), so that an arm without a success yet is not believed to be worthless for certain.

    Example:
        >>> arm_belief(Moments.scalar(100, 12.0, 400.0), prior=ArmBelief(10.0, 2.0))
        ArmBelief(mean=11.0, standard_deviation=1.4142135623730951)
    """
    index = arm.index(column)
    if arm.n < 2 or not arm.comoments[index][index] > 0:
        return prior
    variance = arm.comoments[index][index] / (arm.n - 1) / arm.n
    weight = prior.standard_deviation**2 / (prior.standard_deviation**2 + variance)
    return ArmBelief(
        prior.mean + weight * (arm.mean[index] - prior.mean),
        math.sqrt(weight * variance),
    )


def best_arm_probabilities(beliefs: Mapping[str, ArmBelief]) -> dict[str, float]:
    """The probability of each arm to have the largest mean of all.

    Args:
        beliefs: Independent beliefs by arm, two or more. Where small values are good, negate the means.

    Returns:
        Probabilities by arm, in the same order, with sum 1. Their relative error is about 1e-12, in the tails
        too.

    Raises:
        ValueError: There are fewer than two arms.

    Example:
        >>> best_arm_probabilities({"a": ArmBelief(0.0, 3.0), "b": ArmBelief(5.0, 4.0)})["b"].__round__(6)
        0.841345
    """
    return {
        arm: math.exp(log_probability)
        for arm, log_probability in zip(beliefs, best_arm_log_probabilities(beliefs).tolist(), strict=True)
    }


def best_arm_log_probabilities(beliefs: Mapping[str, ArmBelief]) -> NDArray[np.float64]:
    """The natural logarithms of `best_arm_probabilities`, which do not underflow.

    The probability of arm i is the integral of its density times the distribution functions of all others.
    All arms' integrands are evaluated at the same Gauss–Legendre nodes, in panels that are narrow where any
    arm varies and around every integrand's own peak.

    Args:
        beliefs: Independent beliefs by arm, two or more.

    Returns:
        Shape (arms,), in the order of the mapping.

    Raises:
        ValueError: There are fewer than two arms.

    Example:
        >>> beliefs = {"a": ArmBelief(0.0, 3.0), "b": ArmBelief(200.0, 4.0)}
        >>> best_arm_log_probabilities(beliefs).round(3).tolist()
        [-804.608, 0.0]
    """
    if len(beliefs) < 2:
        raise ValueError(f"There are {len(beliefs)} arms; the best of them is a question for two or more.")
    means = np.array([belief.mean for belief in beliefs.values()])
    sds = np.array([belief.standard_deviation for belief in beliefs.values()])
    # Ratios of distances are all that matters. In units of the widest belief nothing overflows, and with the
    # narrowest one at the origin its surroundings are resolved to the last digit.
    unit = sds.max()
    means, sds = (means - means[sds.argmin()]) / unit, sds / unit
    edges = _edges(means, sds)
    half = np.diff(edges)[:, np.newaxis] / 2
    x = (edges[:-1, np.newaxis] + half * (1 + _NODES)).ravel()
    u = np.clip((x - means[:, np.newaxis]) / sds[:, np.newaxis], -_FARTHEST, _FARTHEST)
    log_below = log_ndtr(u)
    log_density = -0.5 * u * u - np.log(sds)[:, np.newaxis]
    log_integrand = log_density + (log_below.sum(axis=0) - log_below) + np.log(half * _WEIGHTS).ravel()
    log_integral = logsumexp(log_integrand, axis=1)
    return np.asarray(log_integral - logsumexp(log_integral))


def _edges(means: NDArray[np.float64], sds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Borders of panels: about each arm in steps of its standard deviation, about each peak of its width."""
    peaks = _peaks(means, sds)
    u = (peaks[:, np.newaxis] - means) / sds
    hazard = _hazard(u)
    # −(ln Φ)″ = h (h + u) lies between 0 and 1 and tends to 1 on the left, where the sum loses its digits.
    bend_of_cdf = np.where(u < -1e4, 1.0, hazard * (hazard + np.maximum(u, -1e4)))
    bends = np.where(np.eye(means.size, dtype=bool), 1.0, bend_of_cdf) / sds**2
    widths = 1 / np.sqrt(bends.sum(axis=1))
    return np.unique(
        np.concatenate(
            [
                (means[:, np.newaxis] + sds[:, np.newaxis] * _WIDE).ravel(),
                (peaks[:, np.newaxis] + widths[:, np.newaxis] * _NEAR).ravel(),
            ]
        )
    )


def _peaks(means: NDArray[np.float64], sds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the log-concave integrand of each arm is largest, by bisection of its slope."""
    own = np.eye(means.size, dtype=bool)
    low, high = means.copy(), np.full_like(means, means.max() + 10 * sds.max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        u = (middle[:, np.newaxis] - means) / sds
        rising = (np.where(own, -u, _hazard(u)) / sds).sum(axis=1) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return low


def _hazard(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """φ(u)/Φ(u), without cancellation or underflow."""
    return np.asarray(math.sqrt(2 / math.pi) / erfcx(-u / _ROOT_2))
