"""The anytime-valid t-test: other derivations, its limits, its level from the first units on."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from tests.stats.anytime import ALTERNATIVES

from equipoise_stats import (
    Alternative,
    Moments,
    Status,
    anytime_t,
    mean_difference,
    mixture_units,
    normal_mixture_log_p,
    sequence_critical,
)
from equipoise_stats.inference.anytime.anytime_t import t_mixture_critical, t_mixture_log_p


@settings(max_examples=30)
@given(st.floats(1, 200), st.floats(-6, 6), st.floats(0.1, 50), st.sampled_from(ALTERNATIVES))
def test_the_t_mixture_averages_noncentral_t_densities(
    df: float, t: float, ratio: float, alternative: Alternative
) -> None:
    """The density of t under a random noncentrality, N(0, R) or its half, over that under none."""
    low = 0.0 if alternative == "greater" else -8 * math.sqrt(ratio)
    high = 0.0 if alternative == "less" else 8 * math.sqrt(ratio)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    half = (high - low) / 2
    delta = low + half * (1 + nodes)
    prior = stats.norm.pdf(delta, 0, math.sqrt(ratio)) * (1 if alternative == "two-sided" else 2)
    density = stats.nct.pdf(t, df, delta)
    assume(np.isfinite(density).all())
    mixture = float((half * weights * prior * density).sum()) / float(stats.t.pdf(t, df))
    expected = min(0.0, -math.log(mixture))
    assert t_mixture_log_p(t, ratio, df, alternative=alternative) == pytest.approx(
        expected, rel=2e-5, abs=2e-5
    )


@given(st.floats(1, 1e5), st.floats(-40, 40), st.floats(0.01, 1e4))
def test_the_t_mixture_as_lindon_and_others_write_it(df: float, t: float, ratio: float) -> None:
    r = 1 / (1 + ratio)
    log_g = 0.5 * math.log(r) + 0.5 * (df + 1) * (math.log(1 + t * t / df) - math.log(1 + r * t * t / df))
    assert t_mixture_log_p(t, ratio, df) == pytest.approx(min(0.0, -log_g), rel=1e-8, abs=1e-8)
    q = (r * 0.05**2) ** (1 / (df + 1))
    critical = t_mixture_critical(ratio, df)
    if q > r * (1 + 1e-6):
        assert critical == pytest.approx(math.sqrt(df * (1 - q) / (q - r)), rel=1e-6)
    elif q < r:
        assert critical == math.inf


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_the_t_mixture_tends_to_the_normal_one(alternative: Alternative) -> None:
    for t in (-3.0, 0.5, 4.0, 40.0):
        normal = float(normal_mixture_log_p(t, 7.0, alternative=alternative))
        assert t_mixture_log_p(t, 7.0, math.inf, alternative=alternative) == normal
        assert t_mixture_log_p(t, 7.0, 1e12, alternative=alternative) == pytest.approx(normal, rel=1e-8)
    assert t_mixture_critical(7.0, 1e12, alternative=alternative) == pytest.approx(
        t_mixture_critical(7.0, math.inf, alternative=alternative), rel=1e-8
    )


def test_with_few_degrees_of_freedom_nothing_can_be_rejected_yet() -> None:
    # The largest two-sided e-value is (1 + R)^(ν/2) at an infinite t: 9^1.36 < 20 < 9^1.37. One-sided, twice
    # the probability that a t variable with ν + 1 degrees of freedom lies below √(R (ν + 1)).
    assert math.log(20) / math.log(9) * 2 == pytest.approx(2.7268, abs=1e-4)
    assert t_mixture_critical(8.0, 2.72) == math.inf
    assert 100 < t_mixture_critical(8.0, 2.73) < math.inf

    def largest(df: float) -> float:
        return 2 * 9 ** (df / 2) * float(stats.t.cdf(math.sqrt(8 * (df + 1)), df + 1))

    edge = float(optimize.brentq(lambda df: largest(df) - 20, 1, 3, xtol=1e-12))
    assert t_mixture_critical(8.0, edge - 1e-6, alternative="greater") == math.inf
    bound = t_mixture_critical(8.0, edge + 1e-6, alternative="greater")
    assert 100 < bound < math.inf
    assert t_mixture_log_p(bound, 8.0, edge + 1e-6, alternative="greater") == pytest.approx(
        math.log(0.05), rel=1e-9
    )
    tiny = Moments.from_arrays({"y": [1.0, 2.0]}), Moments.from_arrays({"y": [7.0, 9.0]})
    result = anytime_t(
        mean_difference(treatment=tiny[0], control=tiny[1], variance="pooled"), tuning_units=40
    )
    assert (result.difference.status, result.test.critical) == (Status.UNBOUNDED, math.inf)
    assert result.test.rejected is False
    assert result.test.df == 2


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_the_t_test_holds_its_level_from_the_first_units_on(alternative: Alternative) -> None:
    """Normal data of unknown variance, a look after every unit an arm from 2 to 150."""
    generator = np.random.default_rng(5)
    paths, largest = 4000, 150
    x, y = generator.normal(3, 7, (2, paths, largest))
    n = np.arange(1, largest + 1)
    means = [a.cumsum(axis=1) / n for a in (x, y)]
    squares = [(a * a).cumsum(axis=1) - n * m * m for a, m in zip((x, y), means, strict=True)]
    df = np.maximum(2 * n - 2, 1)
    t = ((means[0] - means[1]) / np.sqrt(np.maximum(squares[0] + squares[1], 1e-9) / df * 2 / n))[:, 1:]
    precision = mixture_units(40, 0.1, alternative)
    critical = np.array(
        [
            t_mixture_critical(2 * k / precision, 2.0 * k - 2, alpha=0.1, alternative=alternative)
            for k in n[1:]
        ]
    )
    crossed = ((np.abs(t) if alternative == "two-sided" else t) > critical).any(axis=1).mean()
    assert 0.03 < crossed < 0.1 + 3 * math.sqrt(0.09 / paths)
    normal = sequence_critical(2 * n[1:], tuning_units=40, alpha=0.1, alternative=alternative)
    assert ((np.abs(t) if alternative == "two-sided" else t) > normal).any(axis=1).mean() > 0.1
