"""Proportions and sample ratios beside scipy, statsmodels, tea-tasting and Spotify's."""

import warnings
from functools import partial
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped] # it has no types
from scipy import stats
from spotify_confidence import ZTest
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
    proportions_ztest,
)
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics import Proportion, SampleRatio

import equipoise_stats as es
from benchmarks.peers.agreement import Agreement, Pairs, agreement
from benchmarks.peers.answers import ends, p_and_ends, p_of

Generator = np.random.Generator
Tables = tuple[es.Counts, es.Counts]


def agreements() -> list[Agreement]:
    """Every row about proportions."""
    return [
        agreement("Pooled z test: p", "statsmodels `proportions_ztest`", _statsmodels_z),
        agreement("Pooled z test: p", "scipy `chi2_contingency`, uncorrected", _scipy_chi_square),
        agreement("Pooled z test: p", "tea-tasting `Proportion`, uncorrected", _tea_pooled),
        agreement(
            "Pooled z test: p",
            "tea-tasting `Proportion`, as it comes",
            _tea_default,
            reason="A continuity correction makes it conservative: it rejects less often than it may.",
        ),
        agreement(
            "Unpooled z test: p, interval", "tea-tasting, `equal_var=False`, uncorrected", _tea_unpooled
        ),
        agreement("Unpooled z test: p, interval", "Spotify `ZTest`", _spotify, cases=30),
        agreement("Newcombe: interval", "statsmodels `confint_proportions_2indep`", _newcombe),
        agreement(
            "Miettinen–Nurminen: interval of the ratio",
            "statsmodels `confint_proportions_2indep`",
            _ratio_interval,
        ),
        agreement(
            "Miettinen–Nurminen: width of the interval",
            "statsmodels `confint_proportions_2indep`",
            _miettinen_nurminen,
            reason="A coefficient of statsmodels' constrained estimate is wrong (its issue 10269): 56/70 "
            "against 48/80 must give (0.0528, 0.3382), as Newcombe 1998 prints and this engine gives. On "
            "many tables its root finder fails.",
        ),
        agreement("Wilson: interval", "statsmodels `proportion_confint`", partial(_one_arm, "wilson")),
        agreement("Clopper–Pearson: interval", "statsmodels `proportion_confint`", partial(_one_arm, "beta")),
        agreement("Fisher, one-sided: p", "scipy `fisher_exact`", partial(_fisher, "greater")),
        agreement(
            "Fisher, two-sided: p",
            "scipy `fisher_exact`",
            partial(_fisher, "two-sided"),
            reason="scipy adds up all tables as improbable as the observed one; ours doubles the smaller "
            "tail, which is the test that the exact interval inverts.",
        ),
        agreement(
            "Boschloo, one-sided: p",
            "scipy `boschloo_exact`",
            _boschloo,
            cases=20,
        ),
        agreement("Sample ratio: p", "scipy `chisquare`", _scipy_ratio),
        agreement("Sample ratio: p", "tea-tasting `SampleRatio`, uncorrected", _tea_ratio),
    ]


def _tables(rng: Generator, most: int = 20_000) -> Tables:
    base = rng.uniform(0.05, 0.5)

    def arm() -> es.Counts:
        n = int(rng.integers(most // 4, most))
        return es.Counts(n, int(rng.binomial(n, base * rng.uniform(0.95, 1.05))))

    return arm(), arm()


def _shown(tables: Tables) -> tuple[list[int], list[int]]:
    return [arm.successes for arm in tables], [arm.n for arm in tables]


def _score(tables: Tables) -> es.Comparison:
    return es.score_test(treatment=tables[0], control=tables[1])


def _statsmodels_z(rng: Generator) -> Pairs:
    tables = _tables(rng)
    return [(p_of(_score(tables)), proportions_ztest(*_shown(tables))[1])]


def _scipy_chi_square(rng: Generator) -> Pairs:
    tables = _tables(rng)
    square = [[arm.successes, arm.n - arm.successes] for arm in tables]
    return [(p_of(_score(tables)), stats.chi2_contingency(square, correction=False).pvalue)]


def _tea(tables: Tables, **choices: bool) -> Any:
    treatment, control = (Aggregates(arm.n, {"y": arm.successes / arm.n}) for arm in tables)
    return Proportion("y", method="norm", **choices).analyze_aggregates(control, treatment)


def _tea_pooled(rng: Generator) -> Pairs:
    tables = _tables(rng)
    return [(p_of(_score(tables)), _tea(tables, correction=False).pvalue)]


def _tea_default(rng: Generator) -> Pairs:
    tables = _tables(rng)
    return [(p_of(_score(tables)), _tea(tables).pvalue)]


def _unpooled(tables: Tables) -> es.Comparison:
    return es.fixed_horizon(es.proportion_difference(treatment=tables[0], control=tables[1]))


def _tea_unpooled(rng: Generator) -> Pairs:
    tables = _tables(rng)
    theirs = _tea(tables, correction=False, equal_var=False)
    return p_and_ends(
        _unpooled(tables), theirs.pvalue, theirs.effect_size_ci_lower, theirs.effect_size_ci_upper
    )


def _spotify(rng: Generator) -> Pairs:
    tables = _tables(rng)
    frame = pd.DataFrame({"arm": ["treatment", "control"], "x": _shown(tables)[0], "n": _shown(tables)[1]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, about the peer's use of it
        asked = ZTest(frame, "x", "x", "n", "arm", interval_size=0.95)
        row = asked.difference("control", "treatment", absolute=True).iloc[0]
    return p_and_ends(_unpooled(tables), row["p-value"], row["ci_lower"], row["ci_upper"])


def _statsmodels_interval(tables: Tables, method: str, compare: str) -> tuple[float, float]:
    t, c = tables
    lower, upper = confint_proportions_2indep(
        t.successes, t.n, c.successes, c.n, method=method, compare=compare, alpha=0.05
    )
    return float(lower), float(upper)


def _newcombe(rng: Generator) -> Pairs:
    tables = _tables(rng, 400)
    ours = es.newcombe(treatment=tables[0], control=tables[1])
    return zip(ends(ours.difference), _statsmodels_interval(tables, "newcomb", "diff"), strict=True)


def _ratio_interval(rng: Generator) -> Pairs:
    tables = _tables(rng, 400)
    result = es.miettinen_nurminen(treatment=tables[0], control=tables[1])
    ours = [1 + end for end in ends(result.lift)]
    return zip(ours, _statsmodels_interval(tables, "score", "ratio"), strict=True)


def _miettinen_nurminen(rng: Generator) -> Pairs:
    tables = _tables(rng, 400)
    ours = es.miettinen_nurminen(treatment=tables[0], control=tables[1])
    lower, upper = ends(ours.difference)
    try:
        their_lower, their_upper = _statsmodels_interval(tables, "score", "diff")
    except ValueError:  # the peer's root finder failed: the reason given in the table says so
        return []
    return [(upper - lower, their_upper - their_lower)]


def _one_arm(method: str, rng: Generator) -> Pairs:
    arm = _tables(rng, 400)[0]
    ours = (es.wilson if method == "wilson" else es.clopper_pearson)(arm)
    theirs = proportion_confint(arm.successes, arm.n, 0.05, method=method)
    return [(ours.lower, float(theirs[0])), (ours.upper, float(theirs[1]))]


def _fisher(alternative: es.Alternative, rng: Generator) -> Pairs:
    t, c = _tables(rng, 400)
    square = np.array([[t.successes, t.n - t.successes], [c.successes, c.n - c.successes]])
    ours = es.fisher_exact(treatment=t, control=c, alternative=alternative)
    return [(ours.p_value or 0.0, stats.fisher_exact(square, alternative=alternative).pvalue)]


def _boschloo(rng: Generator) -> Pairs:
    t, c = _tables(rng, 60)
    if t.successes * c.n < c.successes * t.n:  # beyond the null value ours is 1, whatever the data
        t, c = c, t
    square = [[t.successes, c.successes], [t.n - t.successes, c.n - c.successes]]
    ours = es.boschloo(treatment=t, control=c, alternative="greater")
    return [(p_of(ours), stats.boschloo_exact(square, alternative="greater", n=64).pvalue)]


def _scipy_ratio(rng: Generator) -> Pairs:
    units = rng.multinomial(10_000, [0.5, 0.3, 0.2])
    check = es.sample_ratio(
        {name: int(n) for name, n in zip("abc", units, strict=True)}, {"a": 5, "b": 3, "c": 2}
    )
    return [(check.p_value or 0.0, stats.chisquare(units, [5_000, 3_000, 2_000]).pvalue)]


def _tea_ratio(rng: Generator) -> Pairs:
    treatment = int(rng.binomial(20_000, 0.5))
    check = es.sample_ratio({"t": treatment, "c": 20_000 - treatment}, {"t": 1, "c": 1})
    arms = {"t": Aggregates(treatment), "c": Aggregates(20_000 - treatment)}
    return [(check.p_value or 0.0, SampleRatio(correction=False).analyze(arms, "c", "t").pvalue)]
