"""Empirical-Bayes priors and shrinkage."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from equipoise_stats import (
    Counts,
    NormalBelief,
    Status,
    effect_prior,
    proportion_prior,
    shrink,
)

# Efron and Morris 1975, table 1: eighteen players, hits in their first 45 times at bat of 1970.
HITS = [18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7]


def test_effect_prior_maximises_the_marginal_likelihood() -> None:
    generator = np.random.default_rng(3)
    errors = generator.uniform(0.01, 0.05, 60)
    effects = generator.normal(0.02, np.hypot(0.04, errors))

    def loss(parameters: Any) -> float:
        logs = stats.norm.logpdf(effects, parameters[0], np.hypot(parameters[1], errors))
        return -float(np.sum(logs))

    best = optimize.minimize(
        loss, [0.0, 0.03], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12}
    )
    learnt = effect_prior(effects, errors, mean=None)
    assert learnt.status == Status.OK
    assert learnt.experiments == 60
    assert learnt.prior is not None
    assert learnt.prior.mean == pytest.approx(best.x[0], rel=1e-5)
    assert learnt.prior.standard_deviation == pytest.approx(abs(best.x[1]), rel=1e-5)
    fixed = effect_prior(effects, errors)
    assert fixed.prior is not None
    assert fixed.prior.mean == 0.0
    centred = optimize.minimize_scalar(
        lambda tau: loss([0.0, tau]), bounds=(0, 1), method="bounded", options={"xatol": 1e-12}
    )
    assert fixed.prior.standard_deviation == pytest.approx(float(centred.x), rel=1e-5)
    shifted = effect_prior(effects + 2.0, errors, mean=2.0)
    assert shifted.prior is not None
    assert shifted.prior.standard_deviation == pytest.approx(fixed.prior.standard_deviation, rel=1e-9)


def test_equal_precision_has_a_closed_form() -> None:
    learnt = effect_prior([0.03, -0.04, 0.02, -0.01, 0.05], [0.01] * 5)
    assert learnt.prior is not None
    assert learnt.prior.standard_deviation == pytest.approx(math.sqrt(0.0055 / 5 - 0.0001), rel=1e-12)


def test_priors_that_cannot_be_learnt() -> None:
    assert effect_prior([1.0, 2.0], [0.1, 0.1]).status == Status.TOO_FEW_STUDIES
    alike = effect_prior([0.1, -0.1, 0.05, 0.0], [1.0] * 4)
    assert (alike.status, alike.prior) == (Status.NO_VARIANCE, None)
    assert "no more than by chance" in str(alike.reason)
    with pytest.raises(ValueError, match="prior's mean is nan"):
        effect_prior([1.0, 2.0, 3.0], [0.1] * 3, mean=math.nan)


def test_proportion_prior_maximises_the_marginal_likelihood() -> None:
    generator = np.random.default_rng(4)
    counts = [
        Counts(int(n), int(generator.binomial(n, p)))
        for n, p in zip(generator.integers(50, 400, 80), generator.beta(6, 60, 80), strict=True)
    ]
    learnt = proportion_prior(counts)
    assert learnt.prior is not None

    def loss(a: float, b: float) -> float:
        return -sum(float(stats.betabinom.logpmf(c.successes, c.n, a, b)) for c in counts)

    a, b = learnt.prior.parameters
    here = loss(a, b)
    for factor_a, factor_b in ((1.02, 1), (0.98, 1), (1, 1.02), (1, 0.98), (1.02, 1.02), (0.98, 0.98)):
        assert loss(a * factor_a, b * factor_b) > here
    assert learnt.prior.mean == pytest.approx(6 / 66, rel=0.1)
    assert learnt.experiments == 80


def test_proportion_priors_that_cannot_be_learnt() -> None:
    assert proportion_prior([Counts(10, 2)] * 2).status == Status.TOO_FEW_STUDIES
    assert proportion_prior([Counts(100, 10)] * 20).status == Status.NO_VARIANCE
    for counts in (Counts(10, 0), Counts(10, 10)):
        learnt = proportion_prior([counts] * 5)
        assert (learnt.status, learnt.prior) == (Status.NO_VARIANCE, None)
        assert "all past units are alike" in str(learnt.reason).lower()


@given(st.floats(-5, 5), st.floats(0.1, 3), st.floats(-2, 2), st.floats(0.1, 3))
def test_shrinkage_is_a_weighted_mean(effect: float, error: float, mean: float, sd: float) -> None:
    (one,) = shrink([effect], [error], prior=NormalBelief(mean, sd), alpha=0.1)
    weight = sd**2 / (sd**2 + error**2)
    assert one.weight == pytest.approx(weight, rel=1e-12)
    assert one.shrunken == pytest.approx(weight * effect + (1 - weight) * mean, rel=1e-9, abs=1e-12)
    assert one.standard_deviation == pytest.approx(math.sqrt(weight) * error, rel=1e-12)
    radius = float(stats.norm.isf(0.05)) * one.standard_deviation
    assert one.interval.upper - one.shrunken == pytest.approx(radius, rel=1e-9)
    assert one.shrunken - one.interval.lower == pytest.approx(radius, rel=1e-9)
    assert (one.effect, one.standard_error) == (effect, error)


def test_extreme_priors() -> None:
    (flat,) = shrink([1.0], [0.5], prior=NormalBelief(0.0, math.inf))
    assert (flat.shrunken, flat.weight) == (1.0, 1.0)
    (sure,) = shrink([1.0], [1.0], prior=NormalBelief(0.0, 1e-310))
    assert (sure.shrunken, sure.weight) == (0.0, 0.0)


def test_shrinkage_predicts_better() -> None:
    """C16: the squared error of shrunken effects is below that of raw ones in nearly every program."""
    generator = np.random.default_rng(16)
    better = 0
    for _ in range(200):
        truth = generator.normal(0, 0.02, 50)
        errors = generator.uniform(0.01, 0.05, 50)
        effects = truth + errors * generator.normal(size=50)
        learnt = effect_prior(effects, errors)
        prior = learnt.prior or NormalBelief(0.0, 1e-9)
        shrunken = np.array([one.shrunken for one in shrink(effects, errors, prior=prior)])
        better += ((shrunken - truth) ** 2).sum() < ((effects - truth) ** 2).sum()
    assert better >= 190


def test_baseball() -> None:
    """Efron and Morris 1975: shrinking the 18 averages more than halves the squared error to the season."""
    season = [
        0.346,
        0.298,
        0.276,
        0.222,
        0.273,
        0.270,
        0.263,
        0.210,
        0.269,
        0.230,
        0.264,
        0.256,
        0.303,
        0.264,
    ]
    season += [0.226, 0.286, 0.316, 0.200]
    raw = np.array(HITS) / 45
    average = raw.mean()
    prior = effect_prior(raw, [math.sqrt(average * (1 - average) / 45)] * 18, mean=None).prior
    if prior is None:
        shrunken = np.full(18, average)
    else:
        error = math.sqrt(average * (1 - average) / 45)
        shrunken = np.array([one.shrunken for one in shrink(raw, [error] * 18, prior=prior)])
    ratio = ((shrunken - season) ** 2).sum() / ((raw - season) ** 2).sum()
    assert ratio < 0.5
