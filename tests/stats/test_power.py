"""Power, and what planning knows of a metric: other libraries, simulation, quadrature, invariants."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestIndPower
from tests.stats.planning import NORMAL, SHARES, Z, planned

import equipoise_stats as es

_MANY = 10**13


@given(st.floats(0.2, 2.0), st.integers(3, 400), st.floats(0.2, 5.0), st.sampled_from([0.01, 0.05, 0.1]))
def test_t_power_agrees_with_statsmodels(effect: float, n: int, ratio: float, alpha: float) -> None:
    n_t = max(2, round(n * ratio))
    outcome = es.mean_outcome(mean=5.0, sd=3.0, variance="pooled")
    design = es.fixed_design(alpha=alpha, alternative="greater")
    test = planned(outcome, effect * 3, design=design, treatment_share=n_t / (n + n_t))
    other = TTestIndPower().power(effect, n, alpha, ratio=n_t / n, alternative="larger")
    assert es.planned_power(test, units=n + n_t) == pytest.approx(other, abs=1e-9)
    down = planned(outcome, -effect * 3, design=es.fixed_design(alpha=alpha, alternative="less"))
    assert es.planned_power(down, units=2 * n) == pytest.approx(
        TTestIndPower().power(effect, n, alpha, alternative="larger"), abs=1e-9
    )


def test_welch_power_is_the_share_of_simulated_rejections() -> None:
    test = planned(es.mean_outcome(mean=0.0, sd=1.0, treatment_sd=3.0), 2.0, treatment_share=0.25)
    result = es.simulate(
        test.design,
        treatment=es.NormalPopulation(2.0, 3.0),
        control=es.NormalPopulation(0.0, 1.0),
        units=60,
        treatment_share=0.25,
        seed=5,
    )
    expected = es.planned_power(test, units=60)
    assert result.rejected_above == pytest.approx(expected, abs=3 * result.standard_error(expected))


def test_power_of_looks_is_what_happens() -> None:
    outcome = es.proportion_outcome(0.2)
    test = planned(outcome, 0.05, design=es.group_sequential_design([0.3, 0.7, 1.0]))
    size = es.sample_size(test, power=0.85)
    happened = es.simulate(
        test.design,
        treatment=es.BernoulliPopulation(0.25),
        control=es.BernoulliPopulation(0.2),
        units=round(size.units),
        seed=11,
    )
    assert happened.rejected_above == pytest.approx(0.85, abs=3.5 * happened.standard_error(0.85))
    assert happened.units == pytest.approx(size.expected_units, rel=0.01)
    assert es.planned_power(test, units=size.units) == pytest.approx(0.85, abs=1e-9)


@given(
    st.sampled_from(["normal", "score"]),
    st.floats(0.05, 0.9),
    st.floats(0.01, 0.2),
    SHARES,
    st.booleans(),
)
def test_margins_of_proportions(test: Any, p: float, margin: float, share: float, relative: bool) -> None:
    null = -margin if relative else -margin * p
    design = es.fixed_design(alpha=0.025, alternative="greater")
    plan = planned(
        es.proportion_outcome(p, test=test),
        0.0,
        null=null,
        scale="lift" if relative else "difference",
        design=design,
        treatment_share=share,
    )
    size = es.sample_size(plan, power=0.8)
    # The test as it will be done, on the counts that are expected: z − critical = z(power).
    n_t, n_c = _MANY * share, _MANY * (1 - share)
    n_t, n_c = round(n_t), round(n_c)
    x_t, x_c = round(n_t * p), round(n_c * p)
    arms: dict[str, Any] = {"treatment": es.Counts(n_t, x_t), "control": es.Counts(n_c, x_c)}
    if test == "score":
        # Only the variance at the null value enters the test; the true one, the power.
        z = es.score_test(**arms, null=null, alternative="greater", scale=plan.scale).test.statistic
    else:
        z = es.fixed_horizon(
            es.proportion_difference(**arms), null=null, alternative="greater", scale=plan.scale
        ).test.statistic
    assert z is not None
    distance = margin * p
    form = 1 + null if relative else 1.0
    true = p * (1 - p) * (1 / n_t + form**2 / n_c)
    used = (distance / z) ** 2
    needed = (Z(0.025) * math.sqrt(used) + Z(0.2) * math.sqrt(true)) ** 2 / distance**2
    assert size.units == pytest.approx(needed * _MANY, rel=1e-6)


def test_tiny_samples() -> None:
    huge = es.sample_size(planned(es.mean_outcome(mean=0.0, sd=1.0), 100.0))
    assert (huge.units, huge.treatment, huge.control) == (4.0, 2, 2)
    clusters = es.mean_outcome(mean=0.0, sd=1.0).clustered(10, 0.1)
    assert es.sample_size(planned(clusters, 100.0)).units == 40
    strict = es.fixed_design(alpha=0.001)
    found = es.minimum_effect(es.mean_outcome(mean=0.0, sd=1.0), units=4, power=0.999, design=strict)
    assert found.difference is not None
    critical = stats.t.isf(0.0005, 2)
    assert stats.nct.sf(critical, 2, found.difference) == pytest.approx(0.999, abs=1e-9)
    tail = es.fixed_design(alpha=1e-6)  # t needs far more units than a normal test here
    few = planned(es.mean_outcome(mean=0.0, sd=1.0), 8.0, design=tail)
    units = es.sample_size(few, power=0.9).units
    expected = stats.nct.sf(stats.t.isf(5e-7, units - 2), units - 2, 4 * math.sqrt(units))
    assert expected == pytest.approx(0.9, abs=1e-9)
    # Where the miss is below every double, some of these probabilities are NaN in scipy.
    assert es.planned_power(planned(es.mean_outcome(mean=0.0, sd=1.0), 60.0), units=4) == pytest.approx(1.0)
    assert es.planned_power(planned(es.mean_outcome(mean=0.0, sd=1.0), 1e200), units=40) == 1.0


def test_clusters_cost_units_and_degrees_of_freedom() -> None:
    outcome = es.mean_outcome(mean=0.0, sd=2.0).clustered(20, 0.05, size_variation=0.5)
    assert outcome.factor == pytest.approx(1 + (1.25 * 20 - 1) * 0.05)
    test = planned(outcome, 1.0)
    drift = 1 / math.sqrt(4 * outcome.factor * (1 / 100 + 1 / 100))
    expected = stats.nct.sf(stats.t.isf(0.025, 8), 8, drift)  # five clusters an arm
    assert es.planned_power(test, units=200) == pytest.approx(expected, abs=1e-9)


@given(st.floats(0.0, 0.95))
def test_adjustment_saves_its_share(removed: float) -> None:
    plain = es.sample_size(planned(NORMAL, 0.2)).units
    assert es.sample_size(planned(NORMAL.adjusted(removed), 0.2)).units == pytest.approx(
        plain * (1 - removed), rel=1e-9
    )


@given(st.floats(-6, 6), st.floats(0.5, 3))
def test_more_units_and_larger_effects_are_found_more_often(exponent: float, effect: float) -> None:
    units = 10 ** (2 + abs(exponent) / 6)
    test = planned(es.mean_outcome(mean=20.0, sd=50.0), effect)
    assert es.planned_power(test, units=units) < es.planned_power(test, units=1.1 * units)
    larger = planned(test.outcome, effect * 1.1)
    assert es.planned_power(test, units=units) < es.planned_power(larger, units=units)


@given(SHARES, st.floats(0.05, 1.0), st.sampled_from(["two-sided", "greater"]))
def test_swapping_the_arms_turns_everything_around(share: float, effect: float, side: Any) -> None:
    design = es.fixed_design(alternative=side)
    turned = es.fixed_design(alternative="less") if side == "greater" else design
    one = es.Outcome("x", 3.0, 4.0)
    there = es.sample_size(planned(one, effect, null=-0.01, design=design, treatment_share=share))
    back = es.sample_size(planned(one, -effect, null=0.01, design=turned, treatment_share=1 - share))
    assert back.units == pytest.approx(there.units, rel=1e-12)


@given(st.floats(-6, 6), st.floats(0.5, 3))
def test_units_of_measurement_do_not_matter(exponent: float, effect: float) -> None:
    scale = 10**exponent
    one = es.mean_outcome(mean=20.0, sd=5.0)
    other = es.mean_outcome(mean=20.0 * scale, sd=5.0 * scale)
    a, b = es.sample_size(planned(one, effect)), es.sample_size(planned(other, effect * scale))
    assert b.units == pytest.approx(a.units, rel=1e-9)
    found = es.minimum_effect(other, units=a.units).difference
    assert found == pytest.approx(effect * scale, rel=1e-7)


def test_outcomes_from_data_agree_with_their_estimators() -> None:
    rng = np.random.default_rng(3)
    views = rng.poisson(6.0, 4000) + 1.0
    clicks = rng.binomial(views.astype(int), 0.3).astype(float)
    past = es.Moments.from_arrays({"clicks": clicks, "views": views})
    half = es.Moments.from_arrays({"clicks": clicks[:2000], "views": views[:2000]})
    ratio = es.moments_outcome(past, column="clicks", denominator="views")
    estimate = es.ratio_difference(treatment=past, control=past, numerator="clicks", denominator="views")
    assert isinstance(estimate, es.Estimate)
    assert ratio.baseline == estimate.control.value
    assert ratio.variance / 4000 == pytest.approx(estimate.control.variance, rel=1e-12)
    mean = es.moments_outcome(past, column="views")
    assert mean.reference == "welch"
    assert mean.variance == pytest.approx(float(np.var(views, ddof=1)))
    uneven = es.mean_difference(treatment=half, control=past, column="views")
    assert isinstance(uneven, es.Estimate)
    seen = es.observed_outcome(uneven)
    assert seen.variance * (1 / 2000 + 1 / 4000) == pytest.approx(uneven.variance, rel=1e-12)
    assert (seen.kind, seen.baseline) == ("mean_welch", uneven.control.value)


def test_rate_and_quantile_outcomes() -> None:
    rate = es.rate_outcome(0.5, exposure=4.0, dispersion=2.0)
    assert rate.unit_variances(0.5) == (0.5, 0.25)
    median = es.quantile_outcome(0.9, value=3.0, density=0.2)
    assert median.variance == pytest.approx(0.09 / 0.04)
    clustered = es.quantile_outcome(0.9, value=3.0, density=0.2, distribution_variance=0.2)
    assert clustered.variance == pytest.approx(0.2 / 0.04)
    assert es.Outcome("x", 4.0, 2.0, "quadratic", variance_ratio=3.0).unit_variances(-2.0) == (1.5, 2.0)
    p = es.proportion_outcome(0.2)
    assert p.unit_variances(0.3) == pytest.approx((0.25, 0.16))


def test_duration_is_whole_weeks() -> None:
    assert es.planned_duration(7000, daily_units=1000) == es.Duration(1, 7, 7000.0)
    assert es.planned_duration(7001, daily_units=1000) == es.Duration(2, 14, 14000.0)
    assert es.planned_duration(7000, daily_units=1000, share=0.5, window_days=3) == es.Duration(2, 17, 7000.0)
    # A size that is a whole number of weeks but for rounding takes that number.
    assert es.planned_duration(0.1 + 0.2, daily_units=0.3 / 7).weeks == 1


def test_designs() -> None:
    plan = es.plan_looks([0.5, 1.0], alpha=0.02, alternative="less")
    design = es.group_sequential_design([0.5, 1.0], alpha=0.02, alternative="less")
    assert design.critical == plan.critical_values
    assert not design.two_sided
    sequence = es.confidence_sequence_design([0.1, 1.0], tuning_fraction=0.25, tuning_alpha=0.01)
    expected = es.sequence_critical([100, 1000], tuning_units=250, tuning_alpha=0.01)
    assert sequence.critical == pytest.approx(expected.tolist())
    assert sequence.to_dict()["fractions"] == [0.1, 1.0]
    assert es.fixed_design(alpha=0.01, alternative="greater").critical[0] == pytest.approx(2.3263479)
    with pytest.raises(ValueError, match="1 to 1000"):
        es.group_sequential_design(0)
    with pytest.raises(ValueError, match="tuning_fraction is 0"):
        es.confidence_sequence_design(3, tuning_fraction=0.0)
    for fractions, critical, message in (
        ((), (), "give as many"),
        ((1.0,), (2.0, 2.0), "give as many"),
        ((0.5, 0.5, 1.0), (2.0,) * 3, "ascend"),
        ((0.5,), (2.0,), "ascend"),
        ((0.0, 1.0), (2.0, 2.0), "ascend"),
        ((1.0,), (0.0,), "positive"),
        ((1.0,), (math.inf,), "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            es.Design("x", 0.05, "two-sided", fractions, critical)


def test_a_look_that_cannot_reject_costs_nothing() -> None:
    design = es.Design("x", 0.05, "two-sided", (0.5, 1.0), (math.inf, float(Z(0.025))))
    test = planned(NORMAL, 0.2, design=design)
    assert es.sample_size(test).inflation == pytest.approx(1.0, rel=1e-9)
    assert es.planned_power(test, units=1e9) == pytest.approx(1.0)


@pytest.mark.parametrize("looks", [10, 14, 30])
@pytest.mark.parametrize("units", [1e3, 1e4, 1e5])
def test_power_is_a_probability(looks: int, units: float) -> None:
    """Summed over looks it would end a little above 1."""
    for sd in (1.0, 2.0, 5.0):
        test = planned(es.mean_outcome(mean=1.0, sd=sd), 1.0, design=es.group_sequential_design(looks))
        power = es.planned_power(test, units=units)
        assert 0.8 < power <= 1
        assert es.ship_probability(successes=[power], guardrails=[]) <= 1


def test_wrong_direction_is_not_power() -> None:
    up = es.fixed_design(alternative="greater")
    wrong = planned(NORMAL, -0.5, design=up)
    assert es.planned_power(wrong, units=400) == pytest.approx(stats.norm.sf(Z(0.05) + 2.5))
    for effect in (-0.5, 0.0):
        with pytest.raises(ValueError, match="its side of the null value"):
            es.sample_size(planned(NORMAL, effect, design=up))
    with pytest.raises(ValueError, match="its side of the null value"):
        es.sample_size(planned(NORMAL, 0.0))
    assert es.planned_power(planned(NORMAL, 0.0), units=10) == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: es.Outcome("x", math.nan, 1.0), "baseline is nan"),
        (lambda: es.Outcome("x", 0.0, 0.0), "variance is 0.0"),
        (lambda: es.Outcome("x", 0.0, 1.0, variance_ratio=math.inf), "ratio of variances"),
        (lambda: es.Outcome("x", 0.0, 1.0, factor=-1.0), "factor"),
        (lambda: es.Outcome("x", 0.0, 1.0, cluster_size=0.5), "cluster size"),
        (lambda: es.Outcome("x", 0.0, 1.0, "linear"), "positive one"),
        (lambda: es.Outcome("x", 1.0, 1.0, "bernoulli"), "between 0 and 1"),
        (lambda: es.Outcome("x", 1.0, 1.0, reference="score"), "one of proportions"),
        (lambda: es.Outcome("x", 1.0, 1.0, "cubic"), "response is"),  # type: ignore[arg-type]
        (lambda: es.Outcome("x", 1.0, 1.0, reference="f"), "test is 'f'"),  # type: ignore[arg-type]
        (lambda: NORMAL.adjusted(1.0), "variance_removed is 1.0"),
        (lambda: NORMAL.clustered(0.5, 0.1), "cluster size is 0.5"),
        (lambda: NORMAL.clustered(5, 1.5), "correlation is 1.5"),
        (lambda: NORMAL.clustered(5, 0.5, size_variation=-1), "size_variation"),
        (lambda: es.proportion_outcome(0.2).unit_variances(0.9), "between 0 and 1"),
        (lambda: es.rate_outcome(0.2).unit_variances(-0.2), "above 0"),
        (lambda: es.mean_outcome(mean=0.0, sd=0.0), "standard deviation is 0.0"),
        (lambda: es.mean_outcome(mean=1.0, sd=1.0, effect="x"), "effect is 'x'"),  # type: ignore[arg-type]
        (lambda: es.mean_outcome(mean=1.0, sd=1.0, variance="x"), "variance is 'x'"),  # type: ignore[arg-type]
        (lambda: es.mean_outcome(mean=1.0, sd=1.0, treatment_sd=2.0, variance="pooled"), "equal variances"),
        (lambda: es.mean_outcome(mean=1.0, sd=1.0, effect="multiply", variance="pooled"), "equal variances"),
        (lambda: es.proportion_outcome(1.0), "between 0 and 1"),
        (lambda: es.proportion_outcome(0.5, test="x"), "test is 'x'"),  # type: ignore[arg-type]
        (lambda: es.rate_outcome(0.0), "rate is 0.0"),
        (lambda: es.rate_outcome(1.0, exposure=0.0), "exposure"),
        (lambda: es.quantile_outcome(1.0, value=1.0, density=1.0), "probability is 1.0"),
        (lambda: es.quantile_outcome(0.5, value=1.0, density=0.0), "density is 0.0"),
        (lambda: es.moments_outcome(es.Moments.scalar(1, 1.0, None)), "two units"),
        (lambda: es.moments_outcome(es.Moments.scalar(9, 1.0, 0.0)), "variance is 0"),
        (
            lambda: es.moments_outcome(
                es.Moments.from_arrays({"y": [1.0, 2.0], "d": [0.0, 0.0]}), column="y", denominator="d"
            ),
            "denominator",
        ),
        (lambda: planned(NORMAL, 0.1, treatment_share=1.0), "treatment_share is 1.0"),
        (lambda: planned(es.Outcome("x", 0.0, 1.0), 0.1, scale="lift"), "lift needs a positive"),
        (lambda: planned(NORMAL, math.inf), "finite"),
        (lambda: planned(NORMAL, 0.1, null=math.nan), "finite"),
        (lambda: planned(es.proportion_outcome(0.1), 0.0, null=-0.2), "treated value"),
        (lambda: planned(es.proportion_outcome(0.1, test="baseline"), 0.0, null=-0.01), "no margins"),
        (lambda: es.planned_power(planned(NORMAL, 0.1), units=0.0), "positive number"),
        (lambda: es.planned_power(planned(NORMAL, 0.1), units=math.inf), "positive number"),
        (lambda: es.planned_power(planned(es.mean_outcome(mean=0.0, sd=1.0), 0.1), units=3), "4 at least"),
        (lambda: es.sample_size(planned(NORMAL, 0.1), power=0.05), "between alpha"),
        (lambda: es.sample_size(planned(NORMAL, 0.1), power=1.0), "between alpha"),
        (lambda: es.minimum_effect(NORMAL, units=10, power=1.0), "between alpha"),
        (lambda: es.minimum_effect(NORMAL, units=-1), "positive number"),
        (lambda: es.minimum_effect(NORMAL, units=9, direction="up"), "direction is"),  # type: ignore[arg-type]
        (lambda: es.planned_duration(0, daily_units=5), "units is 0"),
        (lambda: es.planned_duration(5, daily_units=math.inf), "daily_units is inf"),
        (lambda: es.planned_duration(5, daily_units=5, share=0.0), "share is 0.0"),
        (lambda: es.planned_duration(5, daily_units=5, window_days=-1), "window_days is -1"),
    ],
)
def test_what_is_out_of_range_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
