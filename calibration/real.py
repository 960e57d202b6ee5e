"""Resampled A/A tests on real metrics: both arms are drawn from the same units of real experiments."""

import csv
import gzip
from functools import cache, partial
from pathlib import Path

import numpy as np

import equipoise_stats as es
from calibration.draws import Floats, arms_of_columns, in_chunks
from calibration.measure import Case, Cell, Row, shares

SECTION = "Resampled A/A tests on real metrics"

DATA = Path(__file__).parents[2] / "shared" / "data"
_FILES = {
    "game rounds": ("cookie_cats", "sum_gamerounds"),
    "retention after a day": ("cookie_cats", "retention_1"),
    "retention after a week": ("cookie_cats", "retention_7"),
    "spend": ("hillstrom", "spend"),
    "spend before": ("hillstrom", "history"),
    "visits": ("hillstrom", "visit"),
}
_FRACTIONS = tuple((look + 1) / 100 for look in range(100))


def available() -> bool:
    """Whether the data lie beside the repository."""
    return all((DATA / f"{file}.csv.gz").exists() for file, _ in _FILES.values())


def fixed_and_sequential(replications: int, generator: np.random.Generator, *, metric: str) -> list[Row]:
    """One analysis at the end; a look after every 1 % under a sequence; and the naive test at those looks."""
    population = es.EmpiricalPopulation(_capped(metric) if metric == "game rounds" else _values(metric))
    units = 4_000

    def rejected(design: es.Design, times: int) -> float:
        return es.simulate(
            design,
            treatment=population,
            control=population,
            units=units,
            seed=int(generator.integers(2**31)),
            replications=times,
            burn_in=100,
        ).rejected

    binary = len(set(_values(metric).tolist())) == 2
    cap = ", capped at the 99.9th percentile" if metric == "game rounds" else ""
    condition = f"{metric}{cap}, {units // 2:,} units an arm"
    few = max(200, replications // 5)
    naive = es.Design("naive", 0.05, "two-sided", _FRACTIONS, (1.959964,) * len(_FRACTIONS))
    fixed = Case("Wald" if binary else "Welch", condition, replications)
    size = rejected(es.fixed_design(), replications)
    planned = rejected(es.group_sequential_design(14), replications)
    sequential = Case("O'Brien–Fleming type, 14 looks", condition, replications)
    # Rare large values in equal arms make t tests conservative, not exact.
    skewed = metric in ("spend", "game rounds")
    return [
        (fixed.at_most if skewed else fixed.exact)("size", size, 0.05),
        (sequential.at_most if skewed else sequential.exact)("size over all looks", planned, 0.05),
        Case("confidence sequence, 100 looks", condition, few).at_most(
            "size over all looks", rejected(es.confidence_sequence_design(_FRACTIONS), few), 0.05
        ),
        Case("fixed-horizon test, 100 looks", condition, few, naive=True).at_most(
            "size over all looks", rejected(naive, few), 0.05
        ),
    ]


def score_of_retention(replications: int, generator: np.random.Generator) -> list[Row]:
    """Retention after a week under a 10/90 split, by the score test."""
    rate = float(_values("retention after a week").mean())
    drawn = generator.binomial([500, 4_500], rate, size=(replications, 2))
    pairs, often = np.unique(drawn, axis=0, return_counts=True)
    done = shares(
        (es.score_test(treatment=es.Counts(500, t), control=es.Counts(4_500, c)) for t, c in pairs.tolist()),
        weights=often.tolist(),
    )
    case = Case("score test", "retention after a week, 500 and 4,500 units", replications)
    return [case.exact("size", done.rejected, 0.05)]


def adjusted_spend(replications: int, generator: np.random.Generator) -> list[Row]:
    """Spend adjusted for what the same people spent before."""
    spend, before = _values("spend"), _values("spend before")
    comparisons = []
    for size in in_chunks(replications, 250):
        arms = []
        for _ in range(2):
            drawn = generator.integers(spend.size, size=(size, 2_000))
            arms.append(arms_of_columns({"y": spend[drawn], "x": before[drawn]}))
        comparisons += [
            es.fixed_horizon(es.adjusted_difference(treatment=t, control=c, covariates=["x"], column="y"))
            for t, c in zip(*arms, strict=True)
        ]
    case = Case("CUPED", "spend, adjusted for spend before, 2,000 units an arm", replications)
    return [case.at_most("size", shares(comparisons).rejected, 0.05)]


def guarded_rounds(replications: int, generator: np.random.Generator) -> list[Row]:
    """Game rounds as recorded, with one player of 49,854 rounds, under a 10/90 split."""
    values = _values("game rounds")
    guarded = []
    for size in in_chunks(replications, 250):
        treatment, control = (
            [
                es.Moments.from_arrays({"y": row})
                for row in values[generator.integers(values.size, size=(size, n))]
            ]
            for n in (500, 4_500)
        )
        for t, c in zip(treatment, control, strict=True):
            guarded.append(es.fixed_horizon(es.guarded_mean_difference(treatment=t, control=c)))
    condition = "game rounds, not capped, 500 and 4,500 units"
    return [
        Case("Welch, guarded against skewness", condition, replications).at_most(
            "size", shares(guarded).rejected, 0.05
        ),
    ]


def _capped(metric: str) -> Floats:
    values = _values(metric)
    return np.minimum(values, es.pooled_cut({"all": values}, upper=0.999, zeros=True).upper)


@cache
def _values(metric: str) -> Floats:
    file, column = _FILES[metric]
    with gzip.open(DATA / f"{file}.csv.gz", "rt", newline="") as lines:
        values = [row[column] for row in csv.DictReader(lines)]
    truth = {"TRUE": 1.0, "FALSE": 0.0}
    return np.array([truth[value] if value in truth else float(value) for value in values])


CELLS = (
    *(
        Cell(
            SECTION,
            metric,
            partial(fixed_and_sequential, metric=metric),
            full=10_000,
            short=400 if metric == "retention after a day" else None,
        )
        for metric in ("game rounds", "retention after a day", "retention after a week", "spend", "visits")
    ),
    Cell(SECTION, "score", score_of_retention, full=10_000, short=2_000),
    Cell(SECTION, "cuped", adjusted_spend, full=10_000),
    Cell(SECTION, "guard", guarded_rounds, full=10_000),
)
