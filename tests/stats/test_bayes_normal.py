"""Normal–normal: conjugacy by quadrature, closed forms, and what must always hold."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from tests.stats.intervals import interval_of

from equipoise_stats import (
    ArmEstimate,
    Estimate,
    Moments,
    NormalBelief,
    Status,
    fixed_horizon,
    mean_difference,
    normal_posterior,
)
from equipoise_stats.inference.bayes.belief import normal_log_loss

FLAT = NormalBelief(0.0, math.inf)


@pytest.mark.parametrize("z", [-50.0, -3.0, -0.5, 0.0, 0.3, 2.0, 8.0, 15.9, 16.1, 30.0])
def test_unit_loss_is_the_integral(z: float) -> None:
    value, _ = (
        integrate.quad(lambda x: x * math.exp(-0.5 * x * x - z * x), 0, np.inf, epsabs=0, epsrel=1e-13)
        if z >= 0
        else (0.0, 0.0)
    )
    expected = (
        math.log(value) - 0.5 * z * z - 0.5 * math.log(2 * math.pi)
        if z >= 0
        else math.log(stats.norm.pdf(z) - z * stats.norm.sf(z))
    )
    assert normal_log_loss(z) == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_unit_loss_far_out() -> None:
    # Mills' ratio: the loss is φ(z)/z² (1 − 3/z² + …).
    assert normal_log_loss(1e6) == pytest.approx(-0.5e12 - 0.5 * math.log(2 * math.pi) - 2 * math.log(1e6))
    assert normal_log_loss(-1e9) == pytest.approx(math.log(1e9), rel=1e-15)


@given(st.floats(-5, 5), st.floats(0.1, 5), st.floats(-5, 5), st.floats(0.1, 5))
def test_update_is_bayes_theorem(mean: float, sd: float, estimate: float, error: float) -> None:
    posterior = NormalBelief(mean, sd).updated(estimate, error)
    # Density ratios at two points determine both parameters.
    for x in (-1.0, 0.5, 2.0):
        ours = stats.norm.logpdf(x, posterior.mean, posterior.standard_deviation)
        zero = stats.norm.logpdf(0.0, posterior.mean, posterior.standard_deviation)
        there, here = (
            stats.norm.logpdf(at, mean, sd) + stats.norm.logpdf(at, estimate, error) for at in (x, 0.0)
        )
        assert ours - zero == pytest.approx(float(there - here), rel=1e-9, abs=1e-9)


def test_published_conjugate_example() -> None:
    # Gelman et al. 2013, exercise 2.8: weights with prior N(180, 40²), ten students, mean 150, sd 20.
    posterior = NormalBelief(180.0, 40.0).updated(150.0, 20.0 / math.sqrt(10))
    assert posterior.mean == pytest.approx(150.7, abs=0.05)
    assert posterior.standard_deviation == pytest.approx(6.25, abs=0.01)


@given(st.floats(-3, 3), st.floats(0.2, 3), st.floats(-3, 3), st.floats(0.1, 2))
def test_probabilities_and_losses(mean: float, sd: float, at: float, width: float) -> None:
    belief = NormalBelief(mean, sd)
    reference = stats.norm(mean, sd)
    assert math.exp(belief.log_probability_above(at)) == pytest.approx(float(reference.sf(at)), rel=1e-11)
    assert math.exp(belief.log_probability_below(at)) == pytest.approx(float(reference.cdf(at)), rel=1e-11)
    inside = math.exp(belief.log_probability_between(at - width, at + width))
    assert inside == pytest.approx(float(reference.cdf(at + width) - reference.cdf(at - width)), rel=1e-8)
    gap = math.exp(belief.log_expected_excess(at)) - math.exp(belief.log_expected_shortfall(at))
    assert gap == pytest.approx(mean - at, rel=1e-9, abs=1e-12)
    assert belief.quantile(math.log(0.3)) == pytest.approx(float(reference.ppf(0.3)), rel=1e-9, abs=1e-12)


def test_probability_between_far_out() -> None:
    belief = NormalBelief(0.0, 1.0)
    expected = math.log(1 - math.exp(-0.5 * (50.1**2 - 50**2)) * (50 / 50.1))
    lower, upper = belief.log_probability_between(50, 50.1), belief.log_probability_between(-50.1, -50)
    assert lower == upper
    assert lower == pytest.approx(float(stats.norm.logsf(50)) + expected, rel=1e-7)
    assert belief.log_probability_between(1e160, 2e160) == -math.inf


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: NormalBelief(math.nan, 1.0), "mean nan"),
        (lambda: NormalBelief(0.0, 0.0), "standard deviation 0.0"),
        (lambda: NormalBelief(0.0, 1.0).updated(1.0, 0.0), "standard error 0.0"),
        (lambda: NormalBelief(0.0, 1.0).updated(math.inf, 1.0), "estimate of inf"),
        (lambda: FLAT.log_probability_above(0.0), "flat belief"),
        (lambda: NormalBelief(0.0, 1.0).log_probability_between(1.0, 1.0), "must lie below"),
    ],
)
def test_impossible_beliefs_are_refused(build: object, message: str) -> None:
    assert callable(build)
    with pytest.raises(ValueError, match=message):
        build()


def test_an_extreme_prior_does_not_overflow() -> None:
    assert NormalBelief(1.0, 1e-300).updated(5.0, 1.0).mean == 1.0
    assert NormalBelief(1.0, 1e300).updated(5.0, 1.0).mean == 5.0


def estimates() -> st.SearchStrategy[Estimate]:
    return st.builds(
        lambda m_t, m_c, s_t, s_c, rho: Estimate(
            "any",
            ArmEstimate(100, m_t, s_t**2),
            ArmEstimate(100, m_c, s_c**2),
            rho * s_t * s_c,
        ),
        st.floats(-20, 20),
        st.floats(0.5, 20),
        st.floats(0.05, 2),
        st.floats(0.05, 2),
        st.floats(-0.9, 0.9),
    )


@given(estimates(), st.sampled_from([0.01, 0.05, 0.2]))
def test_a_flat_prior_gives_the_fixed_horizon(estimate: Estimate, alpha: float) -> None:
    posterior = normal_posterior(estimate, prior=FLAT, alpha=alpha)
    fixed = fixed_horizon(estimate, alpha=alpha)
    ours, theirs = interval_of(posterior.difference.interval), interval_of(fixed.difference.interval)
    assert (ours.lower, ours.upper) == pytest.approx((theirs.lower, theirs.upper), rel=1e-9, abs=1e-9)
    assert posterior.lift.status == fixed.lift.status
    if fixed.lift.interval is not None:
        lift = interval_of(posterior.lift.interval)
        assert (lift.lower, lift.upper) == pytest.approx(
            (fixed.lift.interval.lower, fixed.lift.interval.upper), rel=1e-6, abs=1e-9
        )
    assert posterior.probability_below is not None
    one_sided = fixed_horizon(estimate, alpha=alpha, alternative="greater").test.p_value
    assert posterior.probability_below == pytest.approx(one_sided, rel=1e-9)


@given(estimates(), st.floats(-2, 2), st.floats(0.05, 10), st.sampled_from([0.01, 0.05, 0.2]))
def test_intervals_agree_with_probabilities(estimate: Estimate, mean: float, sd: float, alpha: float) -> None:
    posterior = normal_posterior(estimate, prior=NormalBelief(mean, sd), alpha=alpha)
    above, below = posterior.probability_above, posterior.probability_below
    assert above is not None
    assert below is not None
    interval = interval_of(posterior.difference.interval)
    if min(abs(above - alpha / 2), abs(below - alpha / 2)) > 1e-9:
        assert interval.excludes(0.0) is (min(above, below) < alpha / 2)
        if posterior.lift.interval is not None:
            assert posterior.lift.interval.excludes(0.0) is interval.excludes(0.0)
    assert above + below == pytest.approx(1, rel=1e-12)
    losses = (posterior.loss_of_treatment, posterior.loss_of_control)
    assert None not in losses
    assert posterior.difference.estimate is not None
    assert float(losses[1] or 0) - float(losses[0] or 0) == pytest.approx(
        posterior.difference.estimate, rel=1e-9, abs=1e-9
    )


@given(estimates(), st.floats(-2, 2), st.floats(0.05, 10))
def test_swapping_the_arms_mirrors(estimate: Estimate, mean: float, sd: float) -> None:
    swapped = Estimate("any", estimate.control, estimate.treatment, estimate.covariance)
    one = normal_posterior(estimate, prior=NormalBelief(mean, sd), rope=0.5)
    other = normal_posterior(swapped, prior=NormalBelief(-mean, sd), rope=0.5)
    assert one.log_probability_above == pytest.approx(other.log_probability_below, rel=1e-12)
    assert one.loss_of_treatment == pytest.approx(other.loss_of_control, rel=1e-9)
    assert one.probability_in_rope == pytest.approx(other.probability_in_rope, rel=1e-9)


def test_the_joint_posterior_is_that_of_quadrature() -> None:
    """Posterior of both arms on a grid: prior on the effect, flat on the control's value."""
    estimate = Estimate("any", ArmEstimate(9, 11.0, 0.5), ArmEstimate(9, 10.0, 0.3), 0.1)
    posterior = normal_posterior(estimate, prior=NormalBelief(0.2, 0.6))
    t, c = np.meshgrid(np.linspace(4, 18, 1401), np.linspace(4, 16, 1201), indexing="ij")
    likelihood = stats.multivariate_normal([11, 10], [[0.5, 0.1], [0.1, 0.3]]).pdf(np.dstack([t, c]))
    density = likelihood * stats.norm.pdf(t - c, 0.2, 0.6)
    density /= density.sum()
    for arm, values in ((posterior.treatment, t), (posterior.control, c)):
        mean = float((density * values).sum())
        assert arm.value == pytest.approx(mean, rel=1e-9)
        spread = float((density * (values - mean) ** 2).sum())
        assert arm.standard_error == pytest.approx(math.sqrt(spread), rel=1e-8)
    mean = float((density * (t - c)).sum())
    assert posterior.difference.estimate == pytest.approx(mean, rel=1e-9)
    lift = interval_of(posterior.lift.interval)
    # On a grid, the share of mass below a line is exact to about a cell.
    assert float(density[t < (1 + lift.upper) * c].sum()) == pytest.approx(0.975, abs=2e-3)
    assert float(density[t < (1 + lift.lower) * c].sum()) == pytest.approx(0.025, abs=2e-3)


def test_a_prior_about_lifts_is_one_about_differences() -> None:
    estimate = Estimate("any", ArmEstimate(9, 21.0, 0.5), ArmEstimate(9, 20.0, 0.3))
    lift = normal_posterior(estimate, prior=NormalBelief(0.01, 0.05), scale="lift", rope=0.02)
    same = normal_posterior(estimate, prior=NormalBelief(0.2, 1.0), rope=0.4)
    assert lift.difference == same.difference
    assert lift.probability_in_rope == pytest.approx(same.probability_in_rope, rel=1e-12)
    assert lift.method.to_dict()["parameters"] == {
        "alpha": 0.05,
        "prior_mean": 0.01,
        "prior_standard_deviation": 0.05,
        "scale": "lift",
        "rope": 0.02,
    }
    unlike = normal_posterior(estimate, prior=NormalBelief(0.01, 0.05))
    assert unlike.difference != same.difference


def test_no_answers_keep_their_reason() -> None:
    nothing = mean_difference(treatment=Moments.scalar(1, 1.0, None), control=Moments.scalar(1, 1.0, None))
    posterior = normal_posterior(nothing, prior=NormalBelief(0.0, 1.0))
    assert posterior.status == Status.TOO_FEW_UNITS
    assert posterior.reason == posterior.difference.reason == posterior.lift.reason
    assert posterior.probability_above is posterior.loss_of_control is None
    assert posterior.difference.interval is None
    negative = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(9, -1.0, 0.3))
    refused = normal_posterior(negative, prior=NormalBelief(0.0, 1.0), scale="lift")
    assert refused.status == Status.CONTROL_NOT_POSITIVE
    assert "-1" in str(refused.reason)
    assert refused.control.value == -1.0
    assert normal_posterior(negative, prior=NormalBelief(0.0, 1.0)).status == Status.OK


def test_far_out_nothing_is_zero() -> None:
    estimate = Estimate("any", ArmEstimate(9, 50.0, 0.5), ArmEstimate(9, 10.0, 0.5))
    posterior = normal_posterior(estimate, prior=FLAT, rope=0.01)
    assert posterior.log_probability_below == pytest.approx(-804.608442, abs=1e-6)
    assert posterior.probability_below is not None
    assert posterior.loss_of_treatment is not None
    assert posterior.probability_in_rope is not None
    assert min(posterior.probability_below, posterior.loss_of_treatment, posterior.probability_in_rope) > 0
    json.dumps(posterior.to_dict(), allow_nan=False)


@pytest.mark.parametrize("rope", [0.0, -1.0, math.inf, math.nan])
def test_impossible_regions_are_refused(rope: float) -> None:
    estimate = Estimate("any", ArmEstimate(9, 2.0, 0.5), ArmEstimate(9, 1.0, 0.3))
    with pytest.raises(ValueError, match="rope is"):
        normal_posterior(estimate, prior=FLAT, rope=rope)
    with pytest.raises(ValueError, match="alpha is"):
        normal_posterior(estimate, prior=FLAT, alpha=0.7)


def test_posteriors_are_calibrated_when_the_prior_is_right() -> None:
    """Simulation-based calibration (Talts et al. 2018): the rank of the truth in its posterior is uniform."""
    generator = np.random.default_rng(11)
    truth = generator.normal(0.1, 0.5, 4000)
    ranks = []
    covered = 0
    for effect, noise in zip(truth, generator.normal(0, 0.5, 4000), strict=True):
        estimate = Estimate("any", ArmEstimate(9, 10 + effect + noise, 0.25), ArmEstimate(9, 10.0, 0.0))
        posterior = normal_posterior(estimate, prior=NormalBelief(0.1, 0.5))
        assert posterior.difference.estimate is not None
        assert posterior.difference.standard_error is not None
        ranks.append(
            stats.norm.cdf(effect, posterior.difference.estimate, posterior.difference.standard_error)
        )
        covered += not interval_of(posterior.difference.interval).excludes(effect)
    assert stats.kstest(ranks, "uniform").pvalue > 0.001
    assert abs(covered / 4000 - 0.95) < 3 * math.sqrt(0.05 * 0.95 / 4000)
