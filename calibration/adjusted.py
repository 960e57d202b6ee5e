"""Regression adjustment (unequal slopes, missing pre-periods), strata, randomised clusters."""

from functools import partial

import numpy as np

import equipoise_stats as es
from calibration.draws import Floats, arms_of_columns, in_chunks
from calibration.measure import Case, Cell, Row, shares

SECTION = "Adjustment, strata and clusters, one analysis"


def adjusted(
    replications: int,
    generator: np.random.Generator,
    *,
    correlation: float,
    slope_t: float = 1.0,
    n_t: int,
    n_c: int,
    missing: float = 0.0,
) -> list[Row]:
    """Size of the adjusted test, and the variance that is left against what theory says."""
    comparisons, estimates, raw = [], [], []
    for size in in_chunks(replications, 500):
        treatment = _pairs(generator, size, n_t, correlation, slope_t, missing)
        control = _pairs(generator, size, n_c, correlation, 1.0, missing)
        covariates = ["x", "known"] if missing else ["x"]
        for t, c in zip(treatment, control, strict=True):
            effect = es.adjusted_difference(treatment=t, control=c, covariates=covariates, column="y")
            comparisons.append(es.fixed_horizon(effect))
            if isinstance(effect, es.Estimate):
                estimates.append((effect.difference, effect.variance))
            raw.append(t.mean[0] - c.mean[0])
    slopes = "" if slope_t == 1 else f", slopes {slope_t:g} : 1"
    gaps = f", {missing:.0%} without a pre-period" if missing else ""
    condition = f"correlation {correlation:g}{slopes}{gaps}, {n_t:,} and {n_c:,} units"
    case = Case("CUPED", condition, replications)
    done = np.array(estimates)
    # 5 %; a variance from R runs has a standard error of √(2/R) of itself, more than that of few runs.
    reach = max(0.05, 3 * np.sqrt(2 / replications))
    rows = [
        case.exact("size", shares(comparisons).rejected, 0.05),
        case.between(
            "mean reported variance / variance",
            done[:, 1].mean() / done[:, 0].var(),
            1 - reach,
            1 + reach,
        ),
    ]
    if slope_t == 1:
        left = done[:, 0].var() / np.var(raw)
        theory = 1 - correlation**2 * (1 - missing)
        rows.append(case.between("variance left", left, theory * (1 - reach), theory * (1 + reach)))
    return rows


def stratified(replications: int, generator: np.random.Generator, *, n_t: int, n_c: int) -> list[Row]:
    """Three strata with far-apart means."""
    shares_of, means = np.array([0.2, 0.3, 0.5]), np.array([0.0, 2.0, 5.0])
    comparisons = []
    for _ in range(replications):
        treatment, control = (
            _strata(generator, generator.multinomial(n, shares_of).tolist(), means.tolist())
            for n in (n_t, n_c)
        )
        effect = es.stratified_difference(treatment=treatment, control=control)
        comparisons.append(es.fixed_horizon(effect))
    case = Case("post-stratified", f"three strata, {n_t:,} and {n_c:,} units", replications)
    return [case.exact("size", shares(comparisons).rejected, 0.05)]


def clusters(replications: int, generator: np.random.Generator, *, n: int) -> list[Row]:
    """Whole clusters are randomised, of unequal sizes and with effects of their own."""
    comparisons, naive = [], []
    for size in in_chunks(replications, 2_000):
        arms = [_cluster_arms(generator, size, n) for _ in range(2)]
        for (t, events_t), (c, events_c) in zip(*arms, strict=True):
            comparisons.append(es.fixed_horizon(es.cluster_difference(treatment=t, control=c)))
            naive.append(es.fixed_horizon(es.mean_difference(treatment=events_t, control=events_c)))
    condition = f"{n} clusters an arm, 1 to 40 individuals, icc 0.2"
    return [
        Case("clusters", condition, replications).exact("size", shares(comparisons).rejected, 0.05),
        Case("individuals as if they were randomised", condition, replications, naive=True).at_most(
            "size", shares(naive).rejected, 0.05
        ),
    ]


def _pairs(
    generator: np.random.Generator,
    replications: int,
    n: int,
    correlation: float,
    slope: float,
    missing: float,
) -> list[es.Moments]:
    x = generator.normal(size=(replications, n))
    noise = generator.normal(size=(replications, n))
    columns: dict[str, Floats] = {
        "y": 10 + slope * correlation * x + np.sqrt(1 - correlation**2) * noise,
        "x": x,
    }
    if missing:
        known = generator.random(size=(replications, n)) >= missing
        columns["x"] = np.where(known, x, 0.0)
        columns["known"] = known.astype(np.float64)
    return arms_of_columns(columns)


def _strata(generator: np.random.Generator, sizes: list[int], means: list[float]) -> dict[str, es.Moments]:
    return {
        f"stratum {k}": es.Moments.scalar(
            n, generator.normal(mean, 1 / np.sqrt(n)), generator.chisquare(n - 1) / (n - 1)
        )
        for k, (n, mean) in enumerate(zip(sizes, means, strict=True))
    }


def _cluster_arms(
    generator: np.random.Generator, replications: int, n: int
) -> list[tuple[es.Moments, es.Moments]]:
    sizes = generator.integers(1, 41, size=(replications, n)).astype(np.float64)
    own = np.sqrt(0.2) * generator.normal(size=sizes.shape)
    means = own + np.sqrt(0.8 / sizes) * generator.normal(size=sizes.shape)
    within = np.where(sizes > 1, 0.8 * generator.chisquare(np.maximum(sizes - 1, 1)), 0.0)
    totals = sizes * means
    arms = arms_of_columns({"total": totals, "size": sizes})
    individuals = sizes.sum(axis=1)
    overall = totals.sum(axis=1) / individuals
    squares = (within + sizes * (means - overall[:, None]) ** 2).sum(axis=1)
    return [
        (arm, es.Moments.scalar(int(count), mean, square / (count - 1)))
        for arm, count, mean, square in zip(
            arms, individuals.tolist(), overall.tolist(), squares.tolist(), strict=True
        )
    ]


CELLS = (
    *(
        Cell(
            SECTION,
            f"cuped {correlation} {n_t}/{n_c} {slope_t} {missing}",
            partial(adjusted, correlation=correlation, n_t=n_t, n_c=n_c, slope_t=slope_t, missing=missing),
            full=10_000,
            short=1_000 if correlation == 0.5 and n_t == 100 and slope_t == 1 else None,
        )
        for correlation, n_t, n_c, slope_t, missing in (
            (0.0, 300, 300, 1.0, 0.0),
            (0.5, 300, 300, 1.0, 0.0),
            (0.9, 300, 300, 1.0, 0.0),
            (0.5, 100, 900, 1.0, 0.0),
            (0.9, 100, 900, 1.0, 0.0),
            (0.7, 100, 900, 2.0, 0.0),
            (0.7, 300, 300, 1.0, 0.4),
        )
    ),
    Cell(
        SECTION,
        "strata",
        partial(stratified, n_t=150, n_c=450),
        full=10_000,
        short=1_000,
    ),
    *(
        Cell(SECTION, f"clusters {n}", partial(clusters, n=n), full=10_000, short=1_000 if n == 50 else None)
        for n in (50, 200)
    ),
)
