"""The beta distribution in its tails: exact fractions, scipy where it holds, and what must always hold."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from equipoise_stats.incomplete_beta import beta_log_kernel, beta_log_lower, f_log_upper_tail

PARAMETERS = st.one_of(st.floats(0.01, 5), st.floats(5, 1e4))


def log_of(fraction: Fraction) -> float:
    """Exact to a double, far below what a double can hold."""
    shift = fraction.denominator.bit_length() - fraction.numerator.bit_length()
    return math.log(fraction * 2**shift) - shift * math.log(2)


@pytest.mark.parametrize(
    ("a", "b", "x"),
    [
        *((a, b, x) for a, b in ((3, 5), (40, 400), (1, 900)) for x in (Fraction(1, 2), Fraction(1, 99))),
        (400, 30, Fraction(1, 4)),
        (40, 400, Fraction(1, 10**9)),
        (3, 5, Fraction(1, 2**600)),
    ],
)
def test_lower_tails_are_exact_binomial_sums(a: int, b: int, x: Fraction) -> None:
    n = a + b - 1
    exact = sum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))
    u = log_of(x) - math.log1p(-float(x))
    assert float(beta_log_lower(u, a, b)) == pytest.approx(log_of(Fraction(exact)), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(2.0, 3.0), (0.5, 1000.0), (300.0, 0.01), (1234.5, 99.25)])
def test_kernel_is_the_density_of_the_log_odds(a: float, b: float) -> None:
    u = math.log(a / b) + np.linspace(-5, 5, 41)
    expected = a * special.log_expit(u) + b * special.log_expit(-u) - special.betaln(a, b)
    np.testing.assert_allclose(beta_log_kernel(u, a, b), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("a", "b"), [(1e9, 2e9), (1e6, 3e6), (0.01, 7.0), (1e4, 0.5)])
def test_kernel_has_integral_one(a: float, b: float) -> None:
    width = math.sqrt(1 / a + 1 / b)
    near = math.log(a / b) + width * np.linspace(-12, 12, 20_001)
    if width < 0.1:
        total = float(np.trapezoid(np.exp(beta_log_kernel(near, a, b)), near))
        assert total == pytest.approx(1, rel=1e-9)
    else:
        # Exponential tails: x^a and (1 − x)^b.
        far = np.array([-800.0, -900.0])
        slope = np.diff(beta_log_kernel(far, a, b)) / np.diff(far)
        assert float(slope[0]) == pytest.approx(a, rel=1e-9)


@given(PARAMETERS, PARAMETERS, st.floats(-30, 5))
def test_tails_are_those_of_scipy_where_it_has_them(a: float, b: float, u: float) -> None:
    lower = float(beta_log_lower(u, a, b))
    tail = float(special.betainc(a, b, special.expit(u)))
    if tail > 1e-240:
        assert lower == pytest.approx(math.log(tail), rel=1e-12, abs=1e-13)
    else:
        assert lower < math.log(1e-240) + 1e-6


@pytest.mark.parametrize(("a", "b"), [(200.0, 300.0), (1e6, 3e6), (1e9, 2e9), (3.5, 2000.0), (30.0, 1e7)])
def test_the_deep_tail_continues_the_other(a: float, b: float) -> None:
    """On both sides of the place where one method takes over from the other, slopes are the same."""
    width = math.sqrt(1 / a + 1 / b)
    u = math.log(a / b) - np.linspace(5, 900, 300_000) * min(width, 1)
    tails = special.betainc(a, b, special.expit(u))
    inside = u[(tails < 1e-249) & (tails > 1e-251)]
    logs = beta_log_lower(inside, a, b)
    expected = np.log(special.betainc(a, b, special.expit(inside)))
    assert inside.size > 10
    np.testing.assert_allclose(logs, expected, rtol=2e-12)


@given(st.floats(0.01, 3), st.floats(0.01, 1e5), st.floats(-300, 300))
def test_both_tails_sum_to_one(a: float, b: float, u: float) -> None:
    both = np.exp(beta_log_lower(u, a, b)) + np.exp(beta_log_lower(-u, b, a))
    assert float(both) == pytest.approx(1, abs=1e-12)


def test_shapes_are_kept() -> None:
    assert beta_log_lower(np.zeros((2, 3)), 1.0, 1.0).shape == (2, 3)
    assert beta_log_kernel(0.0, 1.0, 1.0).shape == ()
    # Beta(3, 5) at e^−3000: ln C(7, 3) − 3 · 3000 + ln(1), plus nothing.
    assert float(beta_log_lower(-3000.0, 3.0, 5.0)) == pytest.approx(math.log(35) - 9000, rel=1e-14)


@given(st.floats(0.01, 100), st.integers(1, 30), st.floats(1, 1e4))
def test_f_tail_is_that_of_scipy(f: float, df1: int, df2: float) -> None:
    expected = float(stats.f.logsf(f, df1, df2))
    if expected > -200:
        assert f_log_upper_tail(f, df1, df2) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_f_tail_without_underflow() -> None:
    assert f_log_upper_tail(0.0, 3, 10) == 0.0
    # P(F > f) for one and two degrees of freedom is 1 − √(f/(f + 2)), nearly 1/f.
    assert f_log_upper_tail(1e300, 1, 2) == pytest.approx(-math.log(1e300), rel=1e-12)
    assert f_log_upper_tail(1600.0, 1, 1e12) == pytest.approx(
        math.log(2) + float(special.log_ndtr(-40.0)), rel=1e-8
    )
