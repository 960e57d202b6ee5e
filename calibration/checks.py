"""Quality checks and interactions: how often they raise a false alarm."""

import numpy as np

import equipoise_stats as es
from calibration.draws import arms_of_columns, normal_arms, revenue_arms
from calibration.measure import Case, Cell, Row, shares

SECTION = "Quality checks, false alarms"


def interactions(replications: int, generator: np.random.Generator) -> list[Row]:
    """Two experiments with 3 × 2 arms whose effects add up."""
    cells = {
        (first, second): normal_arms(generator, replications, n=n, mean=10 + i + 2 * j, sd=1.0 + i)
        for i, first in enumerate(("control", "a", "b"))
        for j, (second, n) in enumerate((("off", 300), ("on", 100)))
    }
    found = 0
    for index in range(replications):
        result = es.interaction_test(
            {key: arms[index] for key, arms in cells.items()},
            first_control="control",
            second_control="off",
            alpha=0.05,
        )
        found += bool(result.detected)
    case = Case("interaction of two experiments", "3 × 2 arms, 100 or 300 units a cell", replications)
    return [case.exact("size", found / replications, 0.05)]


def segments(replications: int, generator: np.random.Generator) -> list[Row]:
    """Six segments with one common effect: Cochran's Q."""
    sizes = (300, 400, 500, 800, 1_000, 2_000)
    arms = [
        [normal_arms(generator, replications, n=n, mean=mean, sd=2.0) for n in sizes] for mean in (10.2, 10.0)
    ]
    found = 0
    for index in range(replications):
        estimates = {
            f"segment {k}": es.mean_difference(treatment=arms[0][k][index], control=arms[1][k][index])
            for k in range(len(sizes))
        }
        found += bool(es.heterogeneity(estimates).detected)
    case = Case("heterogeneity over segments", "six segments, 300 to 2,000 units an arm", replications)
    return [case.exact("size", found / replications, 0.05)]


def balance(replications: int, generator: np.random.Generator) -> list[Row]:
    """Three correlated covariates, compared before exposure, 10/90."""
    failed = 0
    for _ in range(max(1, replications // 500)):
        arms = []
        for n in (100, 900):
            common = generator.normal(size=(500, n))
            arms.append(
                arms_of_columns({f"x{k}": common + generator.normal(size=(500, n)) for k in range(3)})
            )
        for t, c in zip(*arms, strict=True):
            check = es.pre_exposure_balance(treatment=t, control=c, alpha=0.05)
            failed += check.status == es.CheckStatus.FAILED
    done = 500 * max(1, replications // 500)
    case = Case("pre-exposure balance", "three correlated covariates, 100 and 900 units", done)
    return [case.exact("size", failed / done, 0.05)]


def shares_of_units(replications: int, generator: np.random.Generator) -> list[Row]:
    """Three arms with planned shares."""
    planned = {"control": 0.5, "a": 0.3, "b": 0.2}
    counts = generator.multinomial(5_000, list(planned.values()), size=replications)
    failed = sum(
        es.sample_ratio(dict(zip(planned, row, strict=True)), planned, alpha=0.05).status
        == es.CheckStatus.FAILED
        for row in counts.tolist()
    )
    case = Case("sample ratio", "three arms, 5,000 units", replications)
    return [case.exact("size", failed / replications, 0.05)]


def novelty(replications: int, generator: np.random.Generator) -> list[Row]:
    """A constant effect over four ages, measured on the same units."""
    failed = 0
    done = 500 * max(1, replications // 500)
    ages = {f"week {age}": float(7 * age) for age in range(1, 5)}
    for _ in range(done // 500):
        arms = []
        for mean in (10.5, 10.0):
            own = generator.normal(size=(500, 300))
            arms.append(
                arms_of_columns({name: mean + own + generator.normal(size=own.shape) for name in ages})
            )
        for t, c in zip(*arms, strict=True):
            check = es.novelty(treatment=t, control=c, ages=ages, alpha=0.05)
            failed += check.slope.test.p_value is not None and check.slope.test.p_value <= 0.05
    case = Case("novelty: slope of the effect", "four ages of the same 300 units an arm", done)
    return [case.exact("size", failed / done, 0.05)]


def skewness(replications: int, generator: np.random.Generator) -> list[Row]:
    """In equal arms, where Welch needs no guard, the guard does no harm."""
    arms = [revenue_arms(generator, replications, n=10_000, log_sd=1.0) for _ in range(2)]
    done = shares(
        es.fixed_horizon(es.guarded_mean_difference(treatment=t, control=c))
        for t, c in zip(*arms, strict=True)
    )
    case = Case(
        "Welch, guarded against skewness", "revenue, log-sd 1, 10,000 units in both arms", replications
    )
    return [case.at_most("size", done.rejected, 0.05)]


CELLS = (
    Cell(SECTION, "interactions", interactions, full=10_000, short=800),
    Cell(SECTION, "segments", segments, full=10_000, short=800),
    Cell(SECTION, "balance", balance, full=10_000, short=1_000),
    Cell(SECTION, "shares", shares_of_units, full=20_000, short=2_000),
    Cell(SECTION, "novelty", novelty, full=10_000, short=1_000),
    Cell(SECTION, "skewness", skewness, full=10_000),
)
