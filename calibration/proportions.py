"""Proportions, down to five expected successes: score tests, intervals, exact tests, power."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import equipoise_stats as es
from calibration.measure import Case, Cell, Row, Shares, shares

SECTION = "Proportions, one analysis"


def score_methods(
    replications: int, generator: np.random.Generator, *, probability: float, expected: int, ratio: int
) -> list[Row]:
    """The score test, Miettinen and Nurminen's and Newcombe's intervals; Wald where it is known to fail."""
    n_t = round(expected / probability)
    n_c = ratio * n_t
    condition = f"p = {probability:g}, {n_t:,} and {n_c:,} units, {expected} successes expected"
    drawn = _drawn(replications, generator, n_t, n_c, probability, probability)
    score = _run(drawn, lambda t, c: es.score_test(treatment=t, control=c))
    nurminen = _run(drawn, lambda t, c: es.miettinen_nurminen(treatment=t, control=c))
    newcombe = _run(drawn, lambda t, c: es.newcombe(treatment=t, control=c))
    # Counts are discrete: the error of a method without randomisation swings about its level with n and p, in
    # the score test (Pearson's chi-square) up to 0.0569, exactly, of two arms of 50 with p = 0.5.
    rows = [
        Case("score test", condition, replications).approximate("size", score.rejected, 0.0, 0.06),
        Case("Miettinen–Nurminen", condition, replications).approximate(
            "coverage", nurminen.covered, 0.94, 1.0
        ),
        Case("Newcombe", condition, replications).approximate("coverage", newcombe.covered, 0.94, 1.0),
    ]
    if ratio > 1 and expected == 5:
        wald = _run(drawn, lambda t, c: es.fixed_horizon(es.proportion_difference(treatment=t, control=c)))
        naive = Case("Wald", condition, replications, naive=True)
        rows.append(naive.approximate("size", wald.rejected, 0.0, 0.06))
    return rows


def boschloo_size(
    replications: int, generator: np.random.Generator, *, probability: float, n: int
) -> list[Row]:
    """The exact test never exceeds its level."""
    drawn = _drawn(replications, generator, n, n, probability, probability)
    done = _run(drawn, lambda t, c: es.boschloo(treatment=t, control=c))
    case = Case("Boschloo", f"p = {probability:g}, {n} units an arm", replications)
    return [case.at_most("size", done.rejected, 0.05)]


def power_of_proportions(
    replications: int, generator: np.random.Generator, *, baseline: float, lift: float, units: int
) -> list[Row]:
    """Power of the score test against the plan's."""
    n = units // 2
    drawn = _drawn(replications, generator, n, n, baseline * (1 + lift), baseline)
    done = _run(drawn, lambda t, c: es.score_test(treatment=t, control=c))
    plan = es.PlannedTest(es.proportion_outcome(baseline, test="score"), effect=lift, scale="lift")
    case = Case("score test", f"{baseline:g}, lift {lift:.0%}, {n:,} units an arm", replications)
    return [case.exact("power", done.above, es.planned_power(plan, units=units))]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Pairs of counts that were drawn, and how often."""

    pairs: list[tuple[es.Counts, es.Counts]]
    often: list[int]


def _drawn(
    replications: int, generator: np.random.Generator, n_t: int, n_c: int, p_t: float, p_c: float
) -> _Drawn:
    counts = generator.binomial([n_t, n_c], [p_t, p_c], size=(replications, 2))
    distinct, often = np.unique(counts, axis=0, return_counts=True)
    return _Drawn([(es.Counts(n_t, t), es.Counts(n_c, c)) for t, c in distinct.tolist()], often.tolist())


def _run(drawn: _Drawn, method: Callable[[es.Counts, es.Counts], es.Comparison]) -> Shares:
    """Runs a method once on each distinct pair."""
    return shares((method(t, c) for t, c in drawn.pairs), weights=drawn.often)


CELLS = (
    *(
        Cell(
            SECTION,
            f"score {probability} {expected} 1:{ratio}",
            partial(score_methods, probability=probability, expected=expected, ratio=ratio),
            full=50_000,
            short=2_000 if expected == 5 and probability == 0.01 else None,
        )
        for ratio in (1, 9)
        for expected in (5, 25, 100)
        for probability in (0.5, 0.1, 0.01, 0.001)
        if not (ratio == 9 and probability == 0.5)
    ),
    *(
        Cell(
            SECTION,
            f"boschloo {probability} {n}",
            partial(boschloo_size, probability=probability, n=n),
            full=10_000,
        )
        for probability, n in ((0.1, 12), (0.5, 12))
    ),
    *(
        Cell(
            SECTION,
            f"power {baseline}",
            partial(power_of_proportions, baseline=baseline, lift=lift, units=units),
            full=20_000,
            short=2_000 if baseline == 0.2 else None,
        )
        for baseline, lift, units in ((0.5, 0.1, 3_000), (0.2, 0.1, 13_000), (0.05, 0.2, 16_000))
    ),
)
