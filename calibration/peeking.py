"""Looking all the time: confidence sequences, the anytime-valid t test, the mixture SPRT."""

import math
from functools import partial

import numpy as np

import equipoise_stats as es
from calibration.draws import revenue_arms
from calibration.measure import Case, Cell, Row

SECTION = "Looking after every 20 units, up to 10,000"

LOOKS = 500
UNITS = 10_000
_FRACTIONS = tuple((look + 1) / LOOKS for look in range(LOOKS))

POPULATIONS: dict[str, es.Population] = {
    "normal": es.NormalPopulation(10.0, 3.0),
    "Bernoulli, p = 0.1": es.BernoulliPopulation(0.1),
    "Bernoulli, p = 0.01": es.BernoulliPopulation(0.01),
    "revenue, 5 % buyers, log-sd 1": es.RevenuePopulation(2.0, log_sd=1.0),
    "revenue, 5 % buyers, log-sd 1.5": es.RevenuePopulation(2.0, log_sd=1.5),
    "ratio of correlated events": es.RatioPopulation(0.2),
}


def continuously(replications: int, generator: np.random.Generator, *, condition: str) -> list[Row]:
    """The sequence's error over all looks; and what 1.96 does there."""
    population = POPULATIONS[condition]
    seed = int(generator.integers(2**31))
    naive = es.Design("naive", 0.05, "two-sided", _FRACTIONS, (1.959964,) * LOOKS)
    run = partial(
        es.simulate,
        treatment=population,
        control=population,
        units=UNITS,
        seed=seed,
        replications=replications,
    )
    sequence = run(es.confidence_sequence_design(_FRACTIONS), burn_in=100)
    case = Case("confidence sequence", condition, replications)
    return [
        case.at_most("size over all looks", sequence.rejected, 0.05),
        case.at_least("coverage at all looks", sequence.coverage_throughout, 0.95),
        Case("fixed-horizon test at every look", condition, replications, naive=True).at_most(
            "size over all looks", run(naive, burn_in=100).rejected, 0.05
        ),
    ]


def small_and_exact(replications: int, generator: np.random.Generator) -> list[Row]:
    """From the second unit on, where only the t version of the sequence is valid."""
    looks = np.arange(2, 202)
    values = generator.normal(size=(2, replications, looks[-1]))
    total, squares = values.cumsum(axis=2)[..., 1:], (values**2).cumsum(axis=2)[..., 1:]
    mean = total / looks
    variance = (squares - total * mean) / (looks - 1)
    difference, spread = mean[0] - mean[1], variance.sum(axis=0) / 2
    # The pooled t statistic of equal arms, held against the radius that the engine gives at each size.
    statistic = np.abs(difference) / np.sqrt(2 * spread / looks)
    t_version = np.array([_t_critical(int(n)) for n in looks])
    normal = es.sequence_critical(2 * looks, tuning_units=20)
    condition = "normal, a look at every pair of units from the second to the 201st, tuned for 20"
    return [
        Case("anytime-valid t test", condition, replications).at_most(
            "size over all looks", float((statistic > t_version).any(axis=1).mean()), 0.05
        ),
        Case("confidence sequence without its burn-in", condition, replications, naive=True).at_most(
            "size over all looks", float((statistic > normal).any(axis=1).mean()), 0.05
        ),
    ]


def mixture(replications: int, generator: np.random.Generator) -> list[Row]:
    """The normal-mixture SPRT: the boundary in standard errors from the engine, on normal sums."""
    looks = np.arange(1, LOOKS + 1) * (UNITS // LOOKS)
    variances = 4.0 / looks
    z = np.cumsum(generator.normal(size=(replications, LOOKS)), axis=1) / np.sqrt(np.arange(1, LOOKS + 1))
    critical = np.array([_sprt_critical(float(v)) for v in variances])
    return [
        Case("mixture SPRT", "normal with known variance", replications).at_most(
            "size over all looks", float((np.abs(z) > critical).any(axis=1).mean()), 0.05
        )
    ]


def skewed_and_unequal(replications: int, generator: np.random.Generator) -> list[Row]:
    """A 10/90 split of revenue: the sequence fails on Welch's estimate, and holds on the guarded one."""
    outcomes = [_first_rejections(generator) for _ in range(replications)]
    plain = [result for result, _ in outcomes if result is not None]
    guarded = [result for _, result in outcomes if result is not None]
    warned = sum(any(notice.code == "skewed_unequal_arms" for notice in one.warnings) for one in guarded)
    condition = "revenue, 5 % buyers, log-sd 1.5, 10/90 split, 50 looks"
    case = Case("confidence sequence, guarded against skewness", condition, replications)
    return [
        case.at_most("size over all looks", len(guarded) / replications, 0.05),
        case.between("false rejections that carry a warning", warned / max(len(guarded), 1), 0.95, 1.0),
        Case("confidence sequence, unguarded", condition, replications, naive=True).at_most(
            "size over all looks", len(plain) / replications, 0.05
        ),
    ]


def _first_rejections(generator: np.random.Generator) -> tuple[es.Comparison | None, es.Comparison | None]:
    """Of one path: the first look that rejects on Welch's estimate, and on the guarded one."""
    parts = [revenue_arms(generator, 50, n=size, log_sd=1.5) for size in (20, 180)]
    arms = [es.Moments.empty(("y",)) for _ in parts]
    plain: es.Comparison | None = None
    guarded: es.Comparison | None = None
    for look in zip(*parts, strict=True):
        treatment, control = arms = [arm.merge(part) for arm, part in zip(arms, look, strict=True)]
        compare = partial(es.confidence_sequence, tuning_units=UNITS / 2)
        if plain is None:
            result = compare(es.mean_difference(treatment=treatment, control=control))
            plain = result if result.test.rejected else None
        if guarded is None:
            result = compare(es.guarded_mean_difference(treatment=treatment, control=control))
            guarded = result if result.test.rejected else None
    return plain, guarded


def _t_critical(n: int) -> float:
    arm = es.Moments.scalar(n, 0.0, 1.0)
    effect = es.mean_difference(treatment=arm, control=arm, variance="pooled")
    critical = es.anytime_t(effect, tuning_units=20).test.critical
    return math.inf if critical is None else critical


def _sprt_critical(variance: float) -> float:
    effect = es.Estimate(
        "mean", es.ArmEstimate(100, 0.0, variance / 2), es.ArmEstimate(100, 0.0, variance / 2)
    )
    critical = es.mixture_sprt(effect, effect_sd=0.05).test.critical
    return math.inf if critical is None else critical


CELLS = (
    *(
        Cell(
            SECTION,
            condition,
            partial(continuously, condition=condition),
            full=2_000 if condition.startswith("ratio") else 10_000,
            short=1_000 if condition in ("normal", "revenue, 5 % buyers, log-sd 1.5") else None,
        )
        for condition in POPULATIONS
    ),
    Cell(SECTION, "anytime t", small_and_exact, full=10_000, short=2_000),
    Cell(SECTION, "mixture", mixture, full=10_000, short=2_000),
    Cell(SECTION, "skewed", skewed_and_unequal, full=4_000, short=300),
)
