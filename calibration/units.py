"""Units with several events: ratios by the delta method, quantiles of clustered events."""

from functools import partial

import numpy as np

import equipoise_stats as es
from calibration.draws import arms_of_columns, in_chunks
from calibration.measure import Case, Cell, Row, shares

SECTION = "Ratios and quantiles of correlated events, one analysis"


def ratio_of_correlated(
    replications: int, generator: np.random.Generator, *, n_t: int, n_c: int, ratio: float
) -> list[Row]:
    """Poisson events around a lognormal level, each unit with its own beta-distributed rate."""
    comparisons, naive = [], []
    for size in in_chunks(replications, 1_000):
        treatment, control = (_ratio_arms(generator, size, n, ratio) for n in (n_t, n_c))
        for t, c in zip(treatment, control, strict=True):
            effect = es.ratio_difference(treatment=t, control=c, numerator="clicks", denominator="views")
            comparisons.append(es.fixed_horizon(effect))
            naive.append(
                es.fixed_horizon(
                    es.proportion_difference(treatment=_event_counts(t), control=_event_counts(c))
                )
            )
    condition = f"{n_t:,} and {n_c:,} units of 5 correlated events, ratio {ratio:g}"
    done = shares(comparisons)
    case = Case("ratio, delta method", condition, replications)
    return [
        case.exact("size", done.rejected, 0.05),
        case.exact("coverage of the lift", done.lift_covered, 0.95),
        Case("events as if they were units", condition, replications, naive=True).at_most(
            "size", shares(naive).rejected, 0.05
        ),
    ]


def clustered_quantile(
    replications: int, generator: np.random.Generator, *, q: float, n: int = 400, events: int = 7
) -> list[Row]:
    """Lognormal events, half of whose logarithm's variance is the unit's own."""
    units = np.repeat(np.arange(n), events)
    clustered, naive = [], []
    for _ in range(replications):
        arms = [
            np.exp(np.repeat(generator.normal(size=n), events) + generator.normal(size=n * events))
            for _ in range(2)
        ]
        t, c = (es.arm_quantile(values, q=q, units=units) for values in arms)
        clustered.append(es.fixed_horizon(es.quantile_difference(treatment=t, control=c)))
        t, c = (es.arm_quantile(values, q=q) for values in arms)
        naive.append(es.fixed_horizon(es.quantile_difference(treatment=t, control=c)))
    condition = f"{n} units an arm of {events} correlated lognormal events"
    name = f"p{100 * q:g}"
    rows = [
        Case(f"quantile {name}, clustered", condition, replications).at_most(
            "size", shares(clustered).rejected, 0.05
        )
    ]
    if q < 0.99:
        rows.append(
            Case(
                f"quantile {name}, events as if they were units", condition, replications, naive=True
            ).at_most("size", shares(naive).rejected, 0.05)
        )
    return rows


def _ratio_arms(generator: np.random.Generator, replications: int, n: int, ratio: float) -> list[es.Moments]:
    shape, log_sd, concentration = (replications, n), 0.5, 5.0
    views = generator.poisson(generator.lognormal(np.log(5.0) - log_sd**2 / 2, log_sd, size=shape))
    own = generator.beta(ratio * concentration, (1 - ratio) * concentration, size=shape)
    clicks = generator.binomial(views, own)
    return arms_of_columns({"clicks": clicks.astype(np.float64), "views": views.astype(np.float64)})


def _event_counts(arm: es.Moments) -> es.Counts:
    clicks, views = arm.mean
    return es.Counts(round(views * arm.n), round(clicks * arm.n))


CELLS = (
    *(
        Cell(
            SECTION,
            f"ratio {n_t}/{n_c}",
            partial(ratio_of_correlated, n_t=n_t, n_c=n_c, ratio=0.2),
            full=10_000,
            short=1_000 if n_t == n_c else None,
        )
        for n_t, n_c in ((500, 500), (200, 1_800))
    ),
    *(
        Cell(
            SECTION,
            f"quantile {q}",
            partial(clustered_quantile, q=q),
            full=10_000,
            short=800 if q == 0.9 else None,
        )
        for q in (0.5, 0.9, 0.99)
    ),
)
