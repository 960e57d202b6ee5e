"""The likeliest proportions under a null value: no other pair of proportions is likelier."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from tests.stats.intervals import ends

from equipoise_stats import (
    Counts,
    score_test,
)
from equipoise_stats.proportions.constrained import (
    likeliest_control,
    variance_at_difference,
    variance_at_ratio,
)


@given(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.one_of(st.integers(-999, 999).map(lambda d: d / 1000), st.sampled_from([1e-9, -1e-9])),
)
def test_the_constrained_likelihood_is_greatest(
    treatment: tuple[int, int], control: tuple[int, int], difference: float
) -> None:
    (x_t, n_t), (x_c, n_c) = treatment, control
    low, high = max(0.0, -difference), min(1.0, 1 - difference)

    def log_likelihood(p: float) -> float:
        q = min(1.0, max(0.0, p + difference))
        return float(stats.binom.logpmf(x_t, n_t, q) + stats.binom.logpmf(x_c, n_c, p))

    p = likeliest_control(x_t, n_t, x_c, n_c, difference)
    assert low <= p <= high
    best = optimize.minimize_scalar(
        lambda p: min(1e300, -log_likelihood(p)),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-12},
    )
    assert log_likelihood(p) >= -best.fun - 1e-9
    p_t = p + difference
    assert variance_at_difference(x_t, n_t, x_c, n_c, difference) == pytest.approx(
        p_t * (1 - p_t) / n_t + p * (1 - p) / n_c, rel=1e-9, abs=1e-15
    )


@given(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(0.01, 50),
)
def test_the_constrained_likelihood_of_a_ratio_is_greatest(
    treatment: tuple[int, int], control: tuple[int, int], ratio: float
) -> None:
    (x_t, n_t), (x_c, n_c) = treatment, control
    high = min(1.0, 1 / ratio)
    best = optimize.minimize_scalar(
        lambda p: min(
            1e300,
            -float(stats.binom.logpmf(x_t, n_t, min(1.0, ratio * p)) + stats.binom.logpmf(x_c, n_c, p)),
        ),
        bounds=(0.0, high),
        method="bounded",
        options={"xatol": 1e-13},
    )
    p = min(high, max(0.0, float(best.x)))
    expected = max(0.0, ratio * p * (1 - ratio * p)) / n_t + ratio**2 * p * (1 - p) / n_c
    assert variance_at_ratio(x_t, n_t, x_c, n_c, ratio) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_rare_events_lose_no_digits() -> None:
    # With a trigonometric solution of the cubic the proportion is off by 1e-8 here, which is all of it.
    p = likeliest_control(3, 10**9, 8, 10**9, 2e-9)
    q = p + 2e-9
    # The likelihood equation, in the limit of rare events: x_t / q + x_c / p = n_t + n_c.
    assert 3 / q + 8 / p == pytest.approx(2e9, rel=1e-7)
    result = score_test(treatment=Counts(10**9, 30), control=Counts(10**9, 8))
    lower, upper = ends(result.difference)
    scaled = score_test(treatment=Counts(10**7, 30), control=Counts(10**7, 8))
    assert (lower * 100, upper * 100) == pytest.approx(ends(scaled.difference), rel=1e-5)
