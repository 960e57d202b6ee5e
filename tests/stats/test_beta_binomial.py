"""Beta–binomial: exact fractions, independent quadrature, and what must always hold."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from tests.stats.intervals import interval_of

from equipoise_stats import BetaBelief, Counts, Status, beta_binomial_posterior
from equipoise_stats.inference.bayes.beta_quadrature import log_expected_gap, log_probability_beyond


def beta_function(a: int, b: int) -> Fraction:
    return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))


def exact_probability(first: tuple[int, int], second: tuple[int, int]) -> Fraction:
    """P(second > first) as a fraction (Miller 2015, Formulas for Bayesian A/B Testing, equation 6)."""
    (a, b), (c, d) = first, second
    return sum(
        (beta_function(a + i, b + d) / ((d + i) * beta_function(1 + i, d) * beta_function(a, b)))
        for i in range(c)
    ) + Fraction(0)


def log_of(fraction: Fraction) -> float:
    shift = fraction.denominator.bit_length() - fraction.numerator.bit_length()
    return math.log(fraction * 2**shift) - shift * math.log(2)


CASES = [
    ((3, 5), (4, 6)),
    ((121, 881), (101, 901)),
    ((10, 990), (200, 800)),
    ((1, 1), (1, 1)),
    ((1, 500), (80, 3)),
    ((300, 20), (10, 310)),
]


@pytest.mark.parametrize(("first", "second"), CASES)
def test_probabilities_are_exact(first: tuple[int, int], second: tuple[int, int]) -> None:
    exact = exact_probability(first, second)
    assert log_probability_beyond(second, first) == pytest.approx(log_of(exact), rel=1e-12, abs=1e-12)
    assert log_probability_beyond(first, second) == pytest.approx(log_of(1 - exact), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("first", "second"), CASES)
def test_losses_are_exact(first: tuple[int, int], second: tuple[int, int]) -> None:
    """E[max(F − S, 0)] = E[F] P(F' > S) − E[S] P(F > S'), F' and S' with one success more."""
    (a, b), (c, d) = first, second
    exact = Fraction(a, a + b) * (1 - exact_probability((a + 1, b), second)) - Fraction(c, c + d) * (
        1 - exact_probability(first, (c + 1, d))
    )
    assert log_expected_gap(second, first) == pytest.approx(log_of(exact), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("shift", "ratio"), [(0.05, 1), (-0.1, 1), (0, 1.2), (0, 0.7), (0.3, 1), (-0.9, 1)])
@pytest.mark.parametrize(
    ("first", "second"), [((12, 30), (15, 40)), ((0.5, 10.5), (3.5, 7.5)), ((120, 880), (10, 90))]
)
def test_shifted_and_scaled(
    first: tuple[float, float], second: tuple[float, float], shift: float, ratio: float
) -> None:
    low, high = max(0.0, -shift / ratio), min(1.0, (1 - shift) / ratio)
    middle, _ = integrate.quad(
        lambda x: stats.beta.pdf(x, *second) * stats.beta.sf(shift + ratio * x, *first),
        low,
        high,
        epsabs=0,
        epsrel=1e-11,
        limit=400,
    )
    expected = float(stats.beta.cdf(low, *second)) + middle
    ours = log_probability_beyond(first, second, shift=shift, ratio=ratio)
    assert ours == pytest.approx(math.log(expected), rel=1e-9, abs=1e-10)


@given(
    st.tuples(st.floats(0.05, 1e5), st.floats(0.05, 1e5)),
    st.tuples(st.floats(0.05, 1e5), st.floats(0.05, 1e5)),
)
@settings(max_examples=60)
def test_both_sides_sum_to_one(first: tuple[float, float], second: tuple[float, float]) -> None:
    one, other = log_probability_beyond(first, second), log_probability_beyond(second, first)
    assert math.exp(one) + math.exp(other) == pytest.approx(1, abs=1e-9)
    gain, loss = log_expected_gap(first, second), log_expected_gap(second, first)
    means = [a / (a + b) for a, b in (first, second)]
    assert math.exp(gain) - math.exp(loss) == pytest.approx(means[1] - means[0], abs=1e-9)
    assert math.exp(one) <= 1


def test_a_billion_units() -> None:
    # Nearly normal; the exact answer differs from it by about one over the root of the counts.
    first, second = (300_060_000.0, 699_940_000.0), (300_000_000.0, 700_000_000.0)
    z = 6e-5 / math.sqrt(2 * 0.3 * 0.7 / 1e9)
    assert log_probability_beyond(second, first) == pytest.approx(float(stats.norm.logsf(z)), rel=1e-4)
    total = math.exp(log_probability_beyond(first, second)) + math.exp(log_probability_beyond(second, first))
    assert total == pytest.approx(1, rel=1e-10)


def test_an_impossible_shift() -> None:
    assert log_probability_beyond((2.0, 3.0), (4.0, 5.0), shift=1.0) == -math.inf
    assert log_probability_beyond((2.0, 3.0), (4.0, 5.0), shift=-1.0) == pytest.approx(0.0, abs=1e-12)


BELIEFS = [BetaBelief(1.0, 1.0), BetaBelief(0.5, 0.5), BetaBelief(0.01, 0.01), BetaBelief(20.0, 180.0)]
DATA = [
    (Counts(1000, 120), Counts(1000, 100)),
    (Counts(10, 0), Counts(10, 9)),
    (Counts(5, 5), Counts(5, 5)),
    (Counts(100_000, 3), Counts(100_000, 4)),
    (Counts(0, 0), Counts(0, 0)),
]


@pytest.mark.parametrize("prior", BELIEFS)
@pytest.mark.parametrize(("treatment", "control"), DATA)
@pytest.mark.parametrize("alpha", [0.05, 1e-4, 0.4])
def test_intervals_leave_half_of_alpha_on_each_side(
    prior: BetaBelief, treatment: Counts, control: Counts, alpha: float
) -> None:
    posterior = beta_binomial_posterior(treatment=treatment, control=control, prior=prior, alpha=alpha)
    t, c = prior.updated(treatment).parameters, prior.updated(control).parameters
    interval = interval_of(posterior.difference.interval)
    tail = pytest.approx(math.log(alpha / 2), rel=1e-6)
    # Proportions that are 0 or 1 almost surely have ends at 0 or 1 to within what a float can tell.
    if 1e-9 < abs(interval.upper) < 1 - 1e-9:
        assert log_probability_beyond(t, c, shift=interval.upper) == tail
    if 1e-9 < abs(interval.lower) < 1 - 1e-9:
        assert log_probability_beyond(c, t, shift=-interval.lower) == tail
    if posterior.lift.status == Status.OK:
        lift = interval_of(posterior.lift.interval)
        assert log_probability_beyond(t, c, ratio=1 + lift.upper) == tail
        if lift.lower > -1 + 1e-9:
            assert log_probability_beyond(c, t, ratio=1 / (1 + lift.lower)) == tail
        assert lift.excludes(0.0) is interval.excludes(0.0)
    else:
        assert c[0] <= 2
        assert posterior.lift.status == Status.UNBOUNDED
    assert posterior.probability_above is not None
    assert posterior.probability_below is not None
    smaller = min(posterior.probability_above, posterior.probability_below)
    assert interval.excludes(0.0) is (smaller < alpha / 2)


@given(st.integers(0, 50), st.integers(0, 50))
@settings(max_examples=25)
def test_swapping_the_arms_mirrors(x: int, y: int) -> None:
    one = beta_binomial_posterior(treatment=Counts(50, x), control=Counts(50, y), rope=0.02)
    other = beta_binomial_posterior(treatment=Counts(50, y), control=Counts(50, x), rope=0.02)
    assert one.log_probability_above == other.log_probability_below
    assert one.loss_of_treatment == other.loss_of_control
    assert one.probability_in_rope == pytest.approx(other.probability_in_rope, rel=1e-9)
    a, b = interval_of(one.difference.interval), interval_of(other.difference.interval)
    assert (a.lower, a.upper) == (-b.upper, -b.lower)


def test_moments_and_region_are_those_of_quadrature() -> None:
    posterior = beta_binomial_posterior(
        treatment=Counts(30, 12),
        control=Counts(40, 10),
        prior=BetaBelief(2.0, 3.0),
        rope=0.1,
        control_prior=BetaBelief(1.0, 4.0),
    )
    t, c = stats.beta(14, 21), stats.beta(11, 34)
    assert posterior.difference.estimate == pytest.approx(float(t.mean() - c.mean()), rel=1e-12)
    assert posterior.difference.standard_error == pytest.approx(math.sqrt(t.var() + c.var()), rel=1e-12)
    inverse = [integrate.quad(lambda x, k=k: c.pdf(x) / x**k, 0, 1)[0] for k in (1, 2)]
    assert posterior.lift.estimate == pytest.approx(float(t.mean()) * inverse[0] - 1, rel=1e-9)
    square = (t.var() + t.mean() ** 2) * inverse[1] - (t.mean() * inverse[0]) ** 2
    assert posterior.lift.standard_error == pytest.approx(math.sqrt(square), rel=1e-8)
    region = integrate.quad(lambda x: c.pdf(x) * (t.cdf(x + 0.1) - t.cdf(x - 0.1)), 0, 1, epsabs=1e-12)[0]
    assert posterior.probability_in_rope == pytest.approx(region, rel=1e-9)
    assert posterior.treatment.value == pytest.approx(14 / 35)
    assert posterior.control.n == 40
    assert posterior.control.standard_error == pytest.approx(float(c.std()), rel=1e-12)
    assert BetaBelief(14.0, 21.0).quantile(0.1) == pytest.approx(float(t.ppf(0.1)), rel=1e-9)


def test_the_normal_posterior_is_the_limit() -> None:
    posterior = beta_binomial_posterior(
        treatment=Counts(1_000_000, 101_000), control=Counts(1_000_000, 100_000)
    )
    z = 0.001 / math.sqrt((0.101 * 0.899 + 0.1 * 0.9) / 1e6)
    assert posterior.probability_above == pytest.approx(float(stats.norm.cdf(z)), abs=1e-4)


def test_results_are_json_and_inputs_are_checked() -> None:
    posterior = beta_binomial_posterior(treatment=Counts(3, 0), control=Counts(10**6, 10**6))
    data = json.loads(json.dumps(posterior.to_dict(), allow_nan=False))
    assert data["method"]["parameters"]["prior_successes"] == 1.0
    assert data["probability_in_rope"] is None
    assert 0 < data["probability_above"] < 1e-15
    for successes, failures in ((0.0, 1.0), (1.0, 0.001), (math.nan, 1.0), (1.0, 1e11)):
        with pytest.raises(ValueError, match="must lie between"):
            BetaBelief(successes, failures)
    for rope in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="rope is"):
            beta_binomial_posterior(treatment=Counts(3, 0), control=Counts(3, 1), rope=rope)
    with pytest.raises(ValueError, match="alpha is"):
        beta_binomial_posterior(treatment=Counts(3, 0), control=Counts(3, 1), alpha=0.5)


def test_posteriors_are_calibrated_when_the_prior_is_right() -> None:
    generator = np.random.default_rng(5)
    covered, beats, predicted = 0, 0, 0.0
    replications = 200
    for p_t, p_c in generator.beta(4, 36, (replications, 2)):
        posterior = beta_binomial_posterior(
            treatment=Counts(200, int(generator.binomial(200, p_t))),
            control=Counts(200, int(generator.binomial(200, p_c))),
            prior=BetaBelief(4.0, 36.0),
            alpha=0.2,
        )
        covered += not interval_of(posterior.difference.interval).excludes(p_t - p_c)
        beats += p_t > p_c
        predicted += float(posterior.probability_above or 0)
    assert abs(covered / replications - 0.8) < 3 * math.sqrt(0.8 * 0.2 / replications)
    assert abs(beats - predicted) < 3 * math.sqrt(replications / 4)
