"""Planning with a prior: posteriors of drawn estimates, the fixed horizon, and powers on a grid of sizes."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stats.planning import NORMAL, POWERS, SHARES, Z, planned

import equipoise_stats as es
from equipoise_stats.estimates.estimate import ArmEstimate

DRAWS = 20_000


def rejected(test: es.PlannedTest, prior: es.NormalBelief, units: float) -> float:
    """The share of drawn estimates whose posterior leaves less than the level beyond the null value.

    What an estimate has to be at least is found by asking `normal_posterior`, which decides by the effect
    alone where the standard error is known.
    """
    treated, control = test.outcome.unit_variances(test.difference)
    n_t, n_c = units * test.treatment_share, units * (1 - test.treatment_share)
    up = test.effect > test.null
    level = test.design.alpha / 2 if test.design.two_sided else test.design.alpha

    def shown(difference: float) -> bool:
        estimate = es.Estimate(
            "mean",
            ArmEstimate(round(n_t), test.outcome.baseline + difference, treated / n_t),
            ArmEstimate(round(n_c), test.outcome.baseline, control / n_c),
        )
        interval = es.normal_posterior(estimate, prior=prior, alpha=2 * level).difference.interval
        assert interval is not None
        return interval.lower > test.null if up else interval.upper < test.null

    error = math.sqrt(treated / n_t + control / n_c)
    drawn = np.sort(np.random.default_rng(3).normal(test.difference, error, DRAWS))
    ascending = drawn if up else drawn[::-1]
    # The larger an effect, the surer the posterior: the first draw that is shown, by bisection.
    low, high = 0, DRAWS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(float(ascending[middle])) else (middle + 1, high)
    return (DRAWS - low) / DRAWS


@pytest.mark.parametrize(
    ("effect", "null", "mean", "sd", "share", "alternative"),
    [
        (0.2, 0.0, 0.0, 0.1, 0.5, "two-sided"),
        (0.2, 0.0, 0.1, 0.1, 0.3, "greater"),
        (-0.2, 0.0, 0.05, 0.2, 0.5, "two-sided"),
        (0.0, -0.1, 0.02, 0.08, 0.6, "greater"),
        (0.0, 0.1, -0.02, 0.08, 0.5, "less"),
    ],
)
def test_posteriors_of_drawn_estimates_show_as_often_as_planned(
    effect: float, null: float, mean: float, sd: float, share: float, alternative: Any
) -> None:
    prior = es.NormalBelief(mean, sd)
    design = es.fixed_design(alpha=0.04, alternative=alternative)
    test = planned(NORMAL, effect, null=null, design=design, treatment_share=share, prior=prior)
    size = es.sample_size(test, power=0.85)
    for units in (size.units, size.units / 4):
        power = es.planned_power(test, units=units)
        assert rejected(test, prior, units) == pytest.approx(power, abs=4 * math.sqrt(0.25 / DRAWS))
    assert es.planned_power(test, units=size.units) == pytest.approx(0.85, abs=1e-9)
    assert size.prior_units == pytest.approx(4.0 / share / (1 - share) / sd**2)


@pytest.mark.parametrize(
    ("null", "share", "mean"), [(-0.05, 0.5, 0.01), (-0.3, 0.5, -0.28), (0.1, 0.3, 0.08), (0.3, 0.7, 0.31)]
)
def test_the_posterior_of_a_lift_is_planned_for(null: float, share: float, mean: float) -> None:
    """On the scale of lifts the interval of `normal_posterior` is Fieller's, of both arms together."""
    prior, units, alpha = es.NormalBelief(mean, 0.04), 1_000.0, 0.025
    design = es.fixed_design(alpha=alpha, alternative="greater" if null < 0 else "less")
    test = planned(NORMAL, 0.0, null=null, scale="lift", design=design, treatment_share=share, prior=prior)
    found = es.minimum_effect(
        NORMAL, units=units, design=design, null=null, scale="lift", treatment_share=share, prior=prior
    )
    at = es.planned_power(planned(**{**_parts(test), "effect": found.lift}), units=units)
    assert at == pytest.approx(0.8, abs=1e-9)
    v_t, v_c = 4.0 / units / share, 4.0 / units / (1 - share)
    random = np.random.default_rng(5)
    treatments = random.normal(10.0 * (1 + (found.lift or 0.0)), math.sqrt(v_t), 2_000)
    controls = random.normal(10.0, math.sqrt(v_c), 2_000)
    shown = 0
    for treatment, control in zip(treatments.tolist(), controls.tolist(), strict=True):
        estimate = es.Estimate("mean", ArmEstimate(99, treatment, v_t), ArmEstimate(99, control, v_c))
        interval = es.normal_posterior(estimate, prior=prior, scale="lift", alpha=2 * alpha).lift.interval
        assert interval is not None
        shown += interval.lower > null if null < 0 else interval.upper < null
    assert shown / 2_000 == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / 2_000))


def _parts(test: es.PlannedTest) -> dict[str, Any]:
    names = ("outcome", "null", "scale", "design", "treatment_share", "prior")
    return {name: getattr(test, name) for name in names}


@given(st.floats(0.05, 0.5), st.booleans(), SHARES, POWERS, st.sampled_from(["two-sided", "greater"]))
def test_a_flat_prior_is_the_fixed_horizon(
    effect: float, up: bool, share: float, power: float, side: Any
) -> None:
    effect = effect if up or side == "greater" else -effect
    design = es.fixed_design(alpha=0.05, alternative=side)
    plain = planned(NORMAL, effect, design=design, treatment_share=share)
    expected = es.sample_size(plain, power=power)
    for sd in (1e9, math.inf):
        flat = planned(NORMAL, effect, design=design, treatment_share=share, prior=es.NormalBelief(0.3, sd))
        size = es.sample_size(flat, power=power)
        assert size.units == pytest.approx(expected.units, rel=1e-9)
        assert size.fixed_units == expected.fixed_units
        assert es.planned_power(flat, units=500) == pytest.approx(
            es.planned_power(plain, units=500), abs=1e-9
        )
        found = es.minimum_effect(
            NORMAL,
            units=500,
            power=power,
            design=design,
            treatment_share=share,
            direction="increase" if effect > 0 else "decrease",
            prior=es.NormalBelief(0.3, sd),
        )
        before = es.minimum_effect(
            NORMAL,
            units=500,
            power=power,
            design=design,
            treatment_share=share,
            direction="increase" if effect > 0 else "decrease",
        )
        assert found.difference == pytest.approx(before.difference, rel=1e-8)
    assert expected.prior_units == 0


@pytest.mark.parametrize("effect", [0.02, 0.2, 1.0])
@pytest.mark.parametrize("power", [0.1, 0.3, 0.8, 0.99])
@pytest.mark.parametrize("level", [0.05, 1e-6])
def test_from_the_size_on_the_power_is_reached(effect: float, power: float, level: float) -> None:
    """Whatever the prior, also where power falls with the units before it grows."""
    design = es.fixed_design(alpha=level, alternative="greater")
    grid = np.geomspace(1e-6, 1e12, 2000)
    for distance in (-3.0, -0.5, 0.0, 0.5, 0.9, 0.99, 1.0, 1.01, 1.2, 2.0, 6.0):
        prior = es.NormalBelief(distance * 0.1 * float(Z(level)), 0.1)
        test = planned(NORMAL, effect, design=design, prior=prior)
        size = es.sample_size(test, power=power)
        powers = np.array([es.planned_power(test, units=float(units)) for units in grid])
        below = grid[powers < power - 1e-9]
        last = below[-1] if len(below) else 0.0
        assert last <= size.units * (1 + 1e-9)
        following = grid[grid > last]
        assert size.units <= following[0] if len(below) else size.units <= grid[0]


def test_power_can_fall_with_the_units() -> None:
    prior = es.NormalBelief(0.21, 0.1)
    test = planned(NORMAL, 0.02, prior=prior)
    few, more, size = 10.0, 2_000.0, es.sample_size(test)
    assert es.planned_power(test, units=few) > 0.8 > es.planned_power(test, units=more)
    assert size.units > more


def test_the_smallest_effect_of_a_prior() -> None:
    share = es.proportion_outcome(0.2)
    for mean, direction in ((0.0, "increase"), (0.005, "decrease"), (-0.005, "increase")):
        prior = es.NormalBelief(mean, 0.02)
        found = es.minimum_effect(share, units=20_000, direction=direction, prior=prior)  # type: ignore[arg-type]
        assert found.difference is not None
        size = es.sample_size(planned(share, found.difference, prior=prior))
        assert size.units == pytest.approx(20_000, rel=1e-6)
    # Where the prior shows it whatever happens, so it does when nothing does.
    sure = es.minimum_effect(share, units=100, prior=es.NormalBelief(0.1, 0.01))
    assert (sure.status, sure.difference, sure.lift) == (es.Status.OK, 0.0, 0.0)
    size = es.sample_size(planned(share, 0.1, prior=es.NormalBelief(0.1, 0.01)))
    assert (size.units, size.treatment, size.control) == (0, 0, 0)


def test_what_has_no_prior_says_so() -> None:
    prior = es.NormalBelief(0.0, 0.1)
    with pytest.raises(ValueError, match="2 looks; a prior goes with one"):
        planned(NORMAL, 0.1, design=es.group_sequential_design(2), prior=prior)
    with pytest.raises(ValueError, match="'score' has no prior"):
        planned(es.proportion_outcome(0.2, test="score"), 0.1, prior=prior)
    # The variance is taken as known, so no t distribution.
    mean = es.mean_outcome(mean=10.0, sd=2.0)
    assert es.sample_size(planned(mean, 1.0, prior=prior)).units == pytest.approx(
        es.sample_size(planned(NORMAL, 1.0, prior=prior)).units
    )
