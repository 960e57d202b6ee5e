"""Shrinkage: what each experiment's effect is in the light of all others."""

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.inference.bayes.belief import NormalBelief
from equipoise_stats.inference.comparison import Interval
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.program.studies import checked_studies
from equipoise_stats.results import Serialisable


@dataclass(frozen=True, slots=True)
class ShrunkenEffect(Serialisable):
    """An effect after shrinkage.

    Attributes:
        effect: The effect as it was estimated.
        standard_error: Its standard error.
        shrunken: Posterior mean.
        standard_deviation: Posterior standard deviation.
        weight: Weight of the estimate against the prior's mean, between 0 and 1.
        interval: Credible interval.
    """

    effect: float
    standard_error: float
    shrunken: float
    standard_deviation: float
    weight: float
    interval: Interval


def shrink(
    effects: ArrayLike, standard_errors: ArrayLike, *, prior: NormalBelief, alpha: float = 0.05
) -> tuple[ShrunkenEffect, ...]:
    """Pulls each effect towards the prior's mean by τ²/(τ² + se²): the noisier, the more.

    Effects that were picked because they were large are corrected by this too, if the prior is right
    (Senn 2008; Dawid 1994): the posterior does not depend on the selection.

    Args:
        effects: Effects on the prior's scale, shape (k,).
        standard_errors: Their standard errors, shape (k,).
        prior: What true effects are like, from `effect_prior`.
        alpha: The credible intervals hold 1 − α.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Efron and Morris 1975, J. Am. Stat. Assoc. 70, 311–319.

    Example:
        >>> (one,) = shrink([0.06], [0.02], prior=NormalBelief(0.0, 0.02))
        >>> round(one.shrunken, 3), round(one.weight, 3)
        (0.03, 0.5)
    """
    check_alpha(alpha)
    critical = normal_upper_quantile(alpha / 2)
    values, errors = checked_studies(effects, standard_errors)
    return tuple(
        _shrunken(effect, error, prior, critical)
        for effect, error in zip(values.tolist(), errors.tolist(), strict=True)
    )


def _shrunken(effect: float, error: float, prior: NormalBelief, critical: float) -> ShrunkenEffect:
    belief = prior.updated(effect, error)
    noise = error / prior.standard_deviation
    radius = critical * belief.standard_deviation
    return ShrunkenEffect(
        effect,
        error,
        belief.mean,
        belief.standard_deviation,
        1 / (1 + noise * noise) if math.isfinite(noise) else 0.0,
        Interval(belief.mean - radius, belief.mean + radius),
    )
