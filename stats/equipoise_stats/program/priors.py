"""Priors from past experiments: what effects and proportions of this program have been (empirical Bayes)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, expit, gammaln

from equipoise_stats.counts import Counts
from equipoise_stats.inference.bayes.belief import NormalBelief
from equipoise_stats.inference.bayes.beta_binomial import SMALLEST, BetaBelief
from equipoise_stats.program.between_variance import maximum_likelihood, weighted_mean
from equipoise_stats.program.studies import Floats, checked_studies
from equipoise_stats.results import Serialisable, Status

_FEWEST = 3
_BOUNDS = [(-20.0, 20.0), (math.log(0.05), math.log(1e7))]
_GAIN = 1e-6


@dataclass(frozen=True, slots=True)
class EffectPrior(Serialisable):
    """A normal prior learnt from past experiments.

    Attributes:
        status: `ok`, or why there is none: `too_few_studies` below three, `no_variance` where the effects
            differ no more than by chance.
        reason: A sentence for a person, None when the status is `ok`.
        experiments: Number of past experiments.
        prior: The prior; None when there is none.
    """

    status: Status
    reason: str | None
    experiments: int
    prior: NormalBelief | None = None


@dataclass(frozen=True, slots=True)
class ProportionPrior(Serialisable):
    """A beta prior learnt from past arms or experiments.

    Attributes:
        status: `ok`, or why there is none, as for `EffectPrior`.
        reason: A sentence for a person, None when the status is `ok`.
        experiments: Number of past counts.
        prior: The prior; None when there is none.
    """

    status: Status
    reason: str | None
    experiments: int
    prior: BetaBelief | None = None


def effect_prior(effects: ArrayLike, standard_errors: ArrayLike, *, mean: float | None = 0.0) -> EffectPrior:
    """Learns a normal prior of true effects from past experiments, by marginal maximum likelihood.

    Take **all** experiments, not those that were shipped. Its standard deviation also serves as the
    `effect_sd` of `mixture_sprt`.

    Args:
        effects: Past effects on one scale (lifts, or differences of one metric), shape (k,).
        standard_errors: Their standard errors, shape (k,).
        mean: Mean of the prior; 0 unless changes are known to help or hurt on average. None estimates it.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Efron 2010, Large-Scale Inference, chapter 1; Azevedo, Deng, Montiel Olea and Weyl 2019, Empirical
        Bayes Estimation of Treatment Effects with Many A/B Tests (tails heavier than the normal's, which
        shrink large effects less than this prior does).

    Example:
        >>> learnt = effect_prior([0.03, -0.04, 0.02, -0.01, 0.05], [0.01] * 5)
        >>> round(learnt.prior.standard_deviation, 4)
        0.0316
    """
    values, errors = checked_studies(effects, standard_errors)
    k = values.size
    if k < _FEWEST:
        return EffectPrior(Status.TOO_FEW_STUDIES, _few(k), k)
    if mean is not None and not math.isfinite(mean):
        raise ValueError(f"The prior's mean is {mean!r}; it must be a finite number, or None to estimate it.")
    unit = float(errors.max())
    centre = float(values[0]) if mean is None else mean
    tau_squared = (
        maximum_likelihood((values - centre) / unit, errors / unit, None if mean is None else 0.0)
        * unit
        * unit
    )
    if tau_squared == 0:
        return EffectPrior(Status.NO_VARIANCE, _ALIKE, k)
    where = weighted_mean(values, errors, tau_squared)[0] if mean is None else mean
    return EffectPrior(Status.OK, None, k, NormalBelief(where, math.sqrt(tau_squared)))


def proportion_prior(counts: Sequence[Counts]) -> ProportionPrior:
    """Learns a beta prior of a proportion from past arms, by marginal maximum likelihood.

    Args:
        counts: Counts of past control arms (one an experiment), or of the arms of one program.

    Returns:
        The prior, its parameters 0.01 at least.

    Source:
        Skellam 1948, J. R. Stat. Soc. B 10, 257–261 (the beta–binomial distribution).

    Example:
        >>> learnt = proportion_prior([Counts(100, 5), Counts(200, 30), Counts(150, 15), Counts(120, 6)])
        >>> round(learnt.prior.mean, 3)
        0.091
    """
    from scipy.optimize import minimize  # a third of this package's import time

    k = len(counts)
    if k < _FEWEST:
        return ProportionPrior(Status.TOO_FEW_STUDIES, _few(k), k)
    n = np.array([each.n for each in counts], dtype=np.float64)
    x = np.array([each.successes for each in counts], dtype=np.float64)
    if not 0 < x.sum() < n.sum():
        return ProportionPrior(
            Status.NO_VARIANCE, "All past units are alike, successes or failures: no beta fits.", k
        )

    rate = float(x.sum() / n.sum())

    def loss(at: Floats) -> tuple[float, Floats]:
        """The negative log likelihood at (log odds of the mean, logarithm of a + b), and its gradient."""
        size, share = math.exp(at[1]), float(expit(at[0]))
        a, b = size * share, size * (1 - share)
        terms = (
            gammaln(a + x) - gammaln(a) + gammaln(b + n - x) - gammaln(b) + gammaln(size) - gammaln(size + n)
        )
        shared = digamma(size) - digamma(size + n)
        in_a = float((digamma(a + x) - digamma(a) + shared).sum())
        in_b = float((digamma(b + n - x) - digamma(b) + shared).sum())
        gradient = np.array([-(in_a - in_b) * size * share * (1 - share), -(in_a * a + in_b * b)])
        return -float(terms.sum()), gradient

    fits = [
        minimize(
            loss,
            [math.log(rate / (1 - rate)), math.log(start)],
            jac=True,
            bounds=_BOUNDS,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
        )
        for start in (2.0, 100.0, 5000.0)
    ]
    best = min(fits, key=lambda fit: float(fit.fun))
    # As a + b grows, the likelihood becomes the binomial one: no spread at all.
    without_spread = -float((x * math.log(rate) + (n - x) * math.log1p(-rate)).sum())
    if float(best.fun) > without_spread - _GAIN:
        return ProportionPrior(Status.NO_VARIANCE, _ALIKE, k)
    size, share = math.exp(float(best.x[1])), float(expit(best.x[0]))
    prior = BetaBelief(max(size * share, SMALLEST), max(size * (1 - share), SMALLEST))
    return ProportionPrior(Status.OK, None, k, prior)


def _few(k: int) -> str:
    return f"There are {k} past experiments; a prior needs {_FEWEST} at least, and rather 20."


_ALIKE = "Past experiments differ no more than by chance: the spread of true effects cannot be told from 0."
