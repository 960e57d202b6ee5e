"""Bayesian inference averaged over its prior; what many experiments tell about each other."""

import math
from functools import partial

import numpy as np
from scipy.special import ndtri

import equipoise_stats as es
from calibration.measure import Case, Cell, Row

SECTION = "Beliefs and many experiments"


def normal_beliefs(replications: int, generator: np.random.Generator) -> list[Row]:
    """The truth is drawn from the prior: intervals cover, and stated probabilities come true."""
    prior, spread = es.NormalBelief(0.1, 0.3), 0.2
    truth = generator.normal(0.1, 0.3, size=replications)
    seen = truth + generator.normal(scale=spread, size=replications)
    covered, stated, above = 0, 0.0, 0
    for effect, value in zip(truth.tolist(), seen.tolist(), strict=True):
        posterior = es.normal_posterior(_estimate(value, spread), prior=prior)
        interval = posterior.difference.interval
        covered += interval is not None and not interval.excludes(effect)
        stated += posterior.probability_above or 0.0
        above += effect > 0
    case = Case("normal prior", "truth drawn from the prior", replications)
    return [
        case.exact("coverage", covered / replications, 0.95),
        case.exact("share above 0, as stated", above / replications, stated / replications),
    ]


def beta_beliefs(replications: int, generator: np.random.Generator) -> list[Row]:
    """Two proportions drawn from their prior; exact beta posteriors."""
    prior, n = es.BetaBelief(4.0, 16.0), 60
    covered, stated, above = 0, 0.0, 0
    for _ in range(replications):
        p_t, p_c = generator.beta(4.0, 16.0, size=2).tolist()
        posterior = es.beta_binomial_posterior(
            treatment=es.Counts(n, int(generator.binomial(n, p_t))),
            control=es.Counts(n, int(generator.binomial(n, p_c))),
            prior=prior,
        )
        interval = posterior.difference.interval
        covered += interval is not None and not interval.excludes(p_t - p_c)
        stated += posterior.probability_above or 0.0
        above += p_t > p_c
    case = Case("beta prior", "truth drawn from the prior, 60 units an arm", replications)
    return [
        case.exact("coverage", covered / replications, 0.95),
        case.exact("share above 0, as stated", above / replications, stated / replications),
    ]


def pooled_effects(replications: int, generator: np.random.Generator, *, experiments: int) -> list[Row]:
    """Heterogeneous experiments: Hartung and Knapp's interval covers, that of one common effect does not."""
    covered, fixed = 0, 0
    for _ in range(replications):
        errors = generator.uniform(0.1, 0.4, size=experiments)
        effects = (
            0.2 + generator.normal(scale=0.3, size=experiments) + errors * generator.normal(size=experiments)
        )
        pooled = es.meta_analysis(effects, errors, method="paule_mandel", hartung_knapp=True)
        common = es.meta_analysis(effects, errors, method="fixed", hartung_knapp=False)
        covered += pooled.interval is not None and not pooled.interval.excludes(0.2)
        fixed += common.interval is not None and not common.interval.excludes(0.2)
    condition = f"{experiments} experiments, τ = 0.3, standard errors 0.1 to 0.4"
    case = Case("random effects, Hartung–Knapp", condition, replications)
    return [
        # An approximation: the interval counts the uncertainty of τ by a t quantile.
        case.approximate("coverage", covered / replications, 0.94, 0.96),
        Case("fixed effect", condition, replications, naive=True).at_least(
            "coverage", fixed / replications, 0.95
        ),
    ]


def shrinkage(replications: int, generator: np.random.Generator, *, experiments: int = 50) -> list[Row]:
    """Shrinkage with the true prior, and with one learnt from the experiments themselves."""
    closer, known, learnt = 0, 0, 0
    true_prior = es.NormalBelief(0.0, 0.05)
    for _ in range(replications):
        truth = generator.normal(scale=0.05, size=experiments)
        errors = generator.uniform(0.02, 0.1, size=experiments)
        seen = truth + errors * generator.normal(size=experiments)
        # Where the effects differ no more than by chance, no prior is learnt, and nothing is shrunken.
        found = es.effect_prior(seen, errors).prior or es.NormalBelief(0.0, 1e6)
        shrunken = es.shrink(seen, errors, prior=found)
        values = np.array([one.shrunken for one in shrunken])
        closer += float(((values - truth) ** 2).sum()) < float(((seen - truth) ** 2).sum())
        learnt += _covering(shrunken, truth.tolist())
        known += _covering(es.shrink(seen, errors, prior=true_prior), truth.tolist())
    condition = f"{experiments} experiments, τ = 0.05, standard errors 0.02 to 0.1"
    total = replications * experiments
    return [
        Case("empirical Bayes", condition, replications).between(
            "share in which it is closer", closer / replications, 0.95, 1.0
        ),
        Case("shrinkage, true prior", condition, total).exact("coverage", known / total, 0.95),
        # The uncertainty of the learnt prior is not in the interval.
        Case("shrinkage, learnt prior taken as true", condition, total, naive=True).at_least(
            "coverage", learnt / total, 0.95
        ),
    ]


def _covering(shrunken: tuple[es.ShrunkenEffect, ...], truth: list[float]) -> int:
    return sum(not one.interval.excludes(effect) for one, effect in zip(shrunken, truth, strict=True))


def winners(replications: int, generator: np.random.Generator, *, effect: float) -> list[Row]:
    """Only what was significant is corrected, and covered; the naive interval is not."""
    z = effect + generator.normal(size=40 * replications)
    won = z[np.abs(z) > -ndtri(0.025)][:replications]
    results = [es.conditional_estimate(value, 1.0) for value in won.tolist()]
    covered = np.mean([one.interval is not None and not one.interval.excludes(effect) for one in results])
    naive = np.mean(np.abs(won - effect) <= -ndtri(0.025))
    condition = f"significant effects only, true effect {effect:g} standard errors"
    case = Case("conditional estimate", condition, won.size)
    return [
        case.exact("coverage", float(covered), 0.95),
        Case("fixed-horizon interval of winners", condition, won.size, naive=True).at_least(
            "coverage", float(naive), 0.95
        ),
    ]


def _estimate(value: float, spread: float) -> es.Estimate:
    half = spread**2 / 2
    return es.Estimate(
        "mean_welch", es.ArmEstimate(1000, 10 + value, half), es.ArmEstimate(1000, 10.0, half), df=math.inf
    )


CELLS = (
    Cell(SECTION, "normal", normal_beliefs, full=20_000, short=2_000),
    Cell(SECTION, "beta", beta_beliefs, full=500),
    Cell(SECTION, "meta 8", partial(pooled_effects, experiments=8), full=10_000, short=1_000),
    Cell(SECTION, "shrinkage", shrinkage, full=2_000),
    *(
        Cell(SECTION, f"winners {effect}", partial(winners, effect=effect), full=10_000, short=None)
        for effect in (0.5, 1.5)
    ),
)
