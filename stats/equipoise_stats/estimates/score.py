"""Linear scores: how ratios, adjusted means and rates become means of linear combinations of columns.

A smooth function of an arm's means has, to first order, the sampling variance of the mean of a linear
combination of the columns: its score. For the mean of y the score is y; for the ratio Σy/Σd it is
(y − r d) / d̄ (the delta method; Deng, Knoblich and Lu 2018, KDD, arXiv 1803.06336).
"""

import math
import sys
from dataclasses import dataclass

from equipoise_stats.estimates.estimate import ArmSummary, NoEstimate
from equipoise_stats.estimates.mean import centred_squares
from equipoise_stats.estimates.skewness import difference_skewness
from equipoise_stats.moments import Moments, triples
from equipoise_stats.results import Status

Weights = tuple[tuple[int, float], ...]
"""A linear combination: positions of columns and the weight on each."""

_ROUNDING = 256 * sys.float_info.epsilon


@dataclass(frozen=True, slots=True)
class Score:
    """One arm's estimate as a linear combination of columns.

    Attributes:
        value: The arm's estimate.
        weights: The score, whose sampling variance is that of `value`.
    """

    value: float
    weights: Weights


def mean_score(arm: Moments, column: str | None) -> Score:
    """The score of a mean: the column itself.

    Args:
        arm: Moments of the arm.
        column: The column; may be left out when there is only one.
    """
    i = arm.index(column)
    return Score(arm.mean[i], ((i, 1.0),))


def ratio_score(arm: Moments, numerator: str, denominator: str) -> Score:
    """The score of a ratio of means, (y − r d) / d̄.

    Args:
        arm: Moments of the arm, the denominator's mean positive.
        numerator: Column y.
        denominator: Column d.

    Example:
        >>> arm = Moments.from_arrays({"y": [1.0, 4.0], "d": [1.0, 3.0]})
        >>> ratio_score(arm, "y", "d")
        Score(value=1.25, weights=((0, 0.5), (1, -0.625)))
    """
    i, j = arm.index(numerator), arm.index(denominator)
    base = arm.mean[j]
    ratio = arm.mean[i] / base
    return Score(ratio, ((i, 1 / base), (j, -ratio / base)))


def cross_product(arm: Moments, first: Weights, second: Weights) -> float:
    """Σ (u − ū)(v − v̄) over the units, for two linear combinations u and v of the columns.

    Example:
        >>> arm = Moments.from_arrays({"y": [1.0, 3.0], "d": [1.0, 2.0]})
        >>> cross_product(arm, ((0, 1.0), (1, -1.5)), ((1, 1.0),))
        0.25
    """
    total = 0.0
    for i, a in first:
        row = arm.comoments[i]
        for j, b in second:
            total += a * b * row[j]
    return total


def score_squares(arm: Moments, weights: Weights) -> float:
    """Σ (u − ū)² of a linear combination, 0 where it is nothing but the rounding error of its terms.

    A ratio that is the same for every unit leaves such an error behind.
    """
    if len(weights) == 1:
        ((i, weight),) = weights
        return weight * weight * centred_squares(arm, i)
    squares = cross_product(arm, weights, weights)
    terms = sum(weight * weight * arm.comoments[i][i] for i, weight in weights)
    return squares if squares > _ROUNDING * terms else 0.0


def score_skewness(
    *, treatment: Moments, of_treatment: Weights, control: Moments, of_control: Weights
) -> float | None:
    """The skewness of a difference of means of scores, see `difference_skewness`.

    Args:
        treatment: Moments of the treatment arm.
        of_treatment: Its score.
        control: Moments of the control arm.
        of_control: Its score.

    Example:
        >>> arms = [Moments.from_arrays({"y": [0.0] * n + [5.0], "d": [1.0] * n + [2.0]}) for n in (9, 90)]
        >>> t, c = (ratio_score(arm, "y", "d").weights for arm in arms)
        >>> round(score_skewness(treatment=arms[0], of_treatment=t, control=arms[1], of_control=c), 2)
        1.75
    """
    third_t, third_c = _score_cubes(treatment, of_treatment), _score_cubes(control, of_control)
    return difference_skewness(
        treatment.n,
        control.n,
        squares=score_squares(treatment, of_treatment) + score_squares(control, of_control),
        third=None if third_t is None or third_c is None else third_t + third_c,
    )


def _score_cubes(arm: Moments, weights: Weights) -> float | None:
    """Σ (u − ū)³ of a linear combination, 0 where it is nothing but the rounding error of its terms."""
    if arm.third is None:
        return None
    of_column = [0.0] * len(arm.columns)
    for i, weight in weights:
        of_column[i] += weight
    total = size = 0.0
    for value, (i, j, k) in zip(arm.third, triples(len(of_column)), strict=True):
        orders = 1 if i == k else 6 if i < j < k else 3
        term = orders * of_column[i] * of_column[j] * of_column[k] * value
        total += term
        size += abs(term)
    if not math.isfinite(size):
        return None
    return total if abs(total) > _ROUNDING * size else 0.0


def without_denominator(
    estimator: str, *, treatment: Moments, control: Moments, denominator: str
) -> NoEstimate | None:
    """The answer when the mean of a ratio's denominator is not positive in an arm; None when it is in both.

    Args:
        estimator: Name of the estimator.
        treatment: Moments of the treatment arm.
        control: Moments of the control arm.
        denominator: The denominator's column.
    """
    means = [arm.mean[arm.index(denominator)] for arm in (treatment, control)]
    if min(means) > 0:
        return None
    return NoEstimate(
        estimator,
        Status.DENOMINATOR_NOT_POSITIVE,
        f"A ratio needs a positive mean of its denominator {denominator!r} in each arm; treatment has "
        f"{means[0]:.6g}, control has {means[1]:.6g}.",
        ArmSummary(treatment.n),
        ArmSummary(control.n),
    )
