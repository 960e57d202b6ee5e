"""Power as planned, for margins, lifts, ratios, adjusted means and sequential designs."""

from functools import partial

import numpy as np

import equipoise_stats as es
from calibration.draws import arms_of_columns, in_chunks
from calibration.measure import Case, Cell, Row, shares

SECTION = "Power as planned"

_ONE_SIDED = es.fixed_design(alpha=0.025, alternative="greater")
_RATIO = es.RatioPopulation(0.2)


def from_plan(
    replications: int,
    generator: np.random.Generator,
    *,
    condition: str,
    treatment: es.Population,
    control: es.Population,
    plan: es.PlannedTest,
    units: int,
) -> list[Row]:
    """Simulates what was planned."""
    done = es.simulate(
        plan.design,
        treatment=treatment,
        control=control,
        units=units,
        null=plan.null,
        scale=plan.scale,
        seed=int(generator.integers(2**31)),
        replications=replications,
    )
    case = Case(plan.design.name.replace("_", " "), f"{condition}, {units:,} units", replications)
    return [case.exact("power", done.rejected_above, es.planned_power(plan, units=units))]


def ratio_within_margin(replications: int, generator: np.random.Generator) -> list[Row]:
    """Non-inferiority of a ratio of correlated events, planned from half a million past units."""
    views = generator.poisson(generator.lognormal(np.log(5.0) - 0.125, 0.5, size=500_000))
    clicks = generator.binomial(views, generator.beta(1.0, 4.0, size=views.size))
    past = es.Moments.from_arrays({"clicks": clicks, "views": views}, third=False)
    outcome = es.moments_outcome(past, column="clicks", denominator="views")
    plan = es.PlannedTest(outcome, effect=0.0, null=-0.025, design=_ONE_SIDED)
    return from_plan(
        replications,
        generator,
        condition="ratio of correlated events, margin 0.025",
        treatment=_RATIO,
        control=_RATIO,
        plan=plan,
        units=2_000,
    )


def adjusted_mean(replications: int, generator: np.random.Generator) -> list[Row]:
    """A mean adjusted for the pre-period, planned from what the adjustment left of past units."""

    def arms(size: int, n: int, effect: float) -> list[es.Moments]:
        x = generator.normal(size=(size, n))
        return arms_of_columns({"y": 10 + effect + 0.8 * x + 0.6 * generator.normal(size=(size, n)), "x": x})

    def estimate(treatment: es.Moments, control: es.Moments) -> es.Estimate | es.NoEstimate:
        return es.adjusted_difference(treatment=treatment, control=control, covariates=["x"], column="y")

    past = estimate(arms(1, 200_000, 0.0)[0], arms(1, 200_000, 0.0)[0])
    if isinstance(past, es.NoEstimate):
        raise ValueError(past.reason)
    plan = es.PlannedTest(es.observed_outcome(past), effect=0.12)
    comparisons = [
        es.fixed_horizon(estimate(t, c))
        for size in in_chunks(replications, 500)
        for t, c in zip(arms(size, 400, 0.12), arms(size, 400, 0.0), strict=True)
    ]
    case = Case("fixed horizon", "CUPED, correlation 0.8, effect 0.12 sd, 800 units", replications)
    return [case.exact("power", shares(comparisons).above, es.planned_power(plan, units=800))]


CELLS = (
    Cell(
        SECTION,
        "margin as a lift",
        partial(
            from_plan,
            condition="normal, mean 10, sd 2, margin 2 %",
            treatment=es.NormalPopulation(10.0, 2.0),
            control=es.NormalPopulation(10.0, 2.0),
            plan=es.PlannedTest(
                es.mean_outcome(mean=10.0, sd=2.0), effect=0.0, null=-0.02, scale="lift", design=_ONE_SIDED
            ),
            units=3_200,
        ),
        full=20_000,
        short=4_000,
    ),
    Cell(
        SECTION,
        "proportion in looks",
        partial(
            from_plan,
            condition="proportions 0.1 and 0.11, 5 looks",
            treatment=es.BernoulliPopulation(0.11),
            control=es.BernoulliPopulation(0.1),
            plan=es.PlannedTest(
                es.proportion_outcome(0.1), effect=0.1, scale="lift", design=es.group_sequential_design(5)
            ),
            units=30_000,
        ),
        full=20_000,
        short=4_000,
    ),
    Cell(
        SECTION,
        "proportion in a sequence",
        partial(
            from_plan,
            condition="proportions 0.1 and 0.11, 28 looks",
            treatment=es.BernoulliPopulation(0.11),
            control=es.BernoulliPopulation(0.1),
            plan=es.PlannedTest(
                es.proportion_outcome(0.1), effect=0.1, scale="lift", design=es.confidence_sequence_design(28)
            ),
            units=50_000,
        ),
        full=20_000,
    ),
    Cell(SECTION, "ratio within a margin", ratio_within_margin, full=40_000),
    Cell(SECTION, "adjusted mean", adjusted_mean, full=10_000, short=1_000),
)
