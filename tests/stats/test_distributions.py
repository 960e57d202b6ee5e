"""Tails and quantiles against closed forms, numerical integration, exact sums and scipy.stats."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from equipoise_stats import distributions
from equipoise_stats.distributions import (
    SMALLEST_P,
    binomial_log_upper_tail,
    chi_square_log_upper_tail,
    log_p_value,
    normal_upper_quantile,
    p_value_from_log,
    t_log_upper_tail,
    t_upper_quantile,
)


@given(st.floats(-300, 300))
def test_t_with_two_degrees_has_a_closed_form(log10_t: float) -> None:
    # P(T > t) = 1 / (√(t² + 2) (√(t² + 2) + t)); beyond t = 1e146 it leaves the range of a double.
    t = 10.0 ** min(log10_t, 150)
    root = math.hypot(t, math.sqrt(2))
    expected = -math.log(root) - math.log(root + t)
    assert t_log_upper_tail(t, 2) == pytest.approx(expected, rel=1e-12)
    assert t_log_upper_tail(-t, 2) == pytest.approx(math.log1p(-math.exp(expected)), rel=1e-9)


@pytest.mark.parametrize("df", [3.5, 30.0, 1e3, 1e5, 1e7])
@pytest.mark.parametrize("t", [0.5, 3.0, 36.0, 45.0, 300.0, 1e5])
def test_the_tail_of_t_is_the_integral_of_its_density(t: float, df: float) -> None:
    # Integrated in units of the decay length at t, relative to the density there.
    decay = (df + t * t) / ((df + 1) * t)

    def relative_density(u: float) -> float:
        x = t + u * decay
        return math.exp(-(df + 1) / 2 * math.log1p((x - t) * (x + t) / (df + t * t)))

    area = integrate.quad(relative_density, 0, 1, epsabs=0, epsrel=1e-12)[0]
    area += integrate.quad(lambda v: relative_density(1 / v) / v**2, 0, 1, epsabs=0, epsrel=1e-11)[0]
    expected = float(stats.t.logpdf(t, df)) + math.log(area * decay)
    assert t_log_upper_tail(t, df) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("z", [0.0, 1.0, 5.0, 37.0, 40.0, 1e4])
def test_the_normal_tail_goes_on(z: float) -> None:
    assert t_log_upper_tail(z, math.inf) == pytest.approx(float(stats.norm.logsf(z)), rel=1e-13)


def test_the_normal_tail_is_continuous_in_the_degrees_of_freedom() -> None:
    assert t_log_upper_tail(40.0, 1e13) == pytest.approx(t_log_upper_tail(40.0, math.inf), rel=1e-9)


@pytest.mark.parametrize("df", [1, 2.5, 17.77647, 400, 1e6, math.inf])
@pytest.mark.parametrize("tail", [0.4, 0.025, 1e-6, 1e-40])
def test_quantiles_undo_tails(tail: float, df: float) -> None:
    assert t_log_upper_tail(t_upper_quantile(tail, df), df) == pytest.approx(math.log(tail), rel=1e-13)


@pytest.mark.parametrize("df", [1, 2.5, 17.77647, 400, 1e6])
@pytest.mark.parametrize("tail", [0.975, 0.4, 0.025, 1e-6, 1e-40])
@pytest.mark.parametrize("off", [-4e-10, 4e-10])
def test_quantiles_are_those_of_every_release_of_scipy(
    tail: float, df: float, off: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before 1.17 its own was off by as much.
    expected = t_upper_quantile(tail, df)
    exact = special.stdtrit
    monkeypatch.setattr(distributions, "stdtrit", lambda df, tail: float(exact(df, tail)) * (1 + off))
    assert t_upper_quantile(tail, df) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("tail", "df"), [(0.0, 5.0), (1e-300, 3.0), (0.5, 5.0), (0.1, 0.0), (0.1, math.nan)])
def test_where_a_tail_has_no_slope_the_quantile_is_scipy_s(tail: float, df: float) -> None:
    assert t_upper_quantile(tail, df) == pytest.approx(-float(special.stdtrit(df, tail)), nan_ok=True)


def test_normal_quantiles_are_the_published_ones() -> None:
    assert normal_upper_quantile(0.025) == pytest.approx(1.959963984540054, abs=1e-14)
    assert normal_upper_quantile(0.005) == pytest.approx(2.5758293035489004, abs=1e-14)


@pytest.mark.parametrize("df", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("statistic", [0.0, 0.5, 12.0, 300.0])
def test_the_chi_square_tail_is_that_of_scipy(statistic: float, df: int) -> None:
    expected = float(stats.chi2.logsf(statistic, df))
    assert chi_square_log_upper_tail(statistic, df) == pytest.approx(expected, rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("statistic", [1400.0, 3000.0, 1e6])
def test_the_chi_square_tail_beyond_the_range_of_a_double(statistic: float) -> None:
    # One degree: twice a normal tail. Two: e^(−x/2). Four: e^(−x/2) (1 + x/2).
    one = math.log(2) + float(stats.norm.logsf(math.sqrt(statistic)))
    assert chi_square_log_upper_tail(statistic, 1) == pytest.approx(one, rel=1e-13)
    assert chi_square_log_upper_tail(statistic, 2) == pytest.approx(-statistic / 2, rel=1e-14)
    four = -statistic / 2 + math.log1p(statistic / 2)
    assert chi_square_log_upper_tail(statistic, 4) == pytest.approx(four, rel=1e-13)


@pytest.mark.parametrize(
    ("k", "n", "numerator", "denominator"),
    [(0, 5, 1, 2), (5, 5, 1, 3), (9, 10, 1, 2), (3, 400, 1, 1000), (200, 400, 1, 1000), (399, 400, 1, 10**6)],
)
def test_the_binomial_tail_is_the_exact_sum(k: int, n: int, numerator: int, denominator: int) -> None:
    p = Fraction(numerator, denominator)
    tail = sum((math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1)), Fraction(0))
    expected = math.log(tail.numerator) - math.log(tail.denominator)
    assert binomial_log_upper_tail(k, n, numerator / denominator) == pytest.approx(expected, rel=1e-11)


def test_sides_of_a_p_value() -> None:
    above, below, both = (log_p_value(2.0, 9.0, side) for side in ("greater", "less", "two-sided"))
    assert math.exp(above) == pytest.approx(float(stats.t.sf(2.0, 9)), rel=1e-13)
    assert math.exp(below) == pytest.approx(float(stats.t.cdf(2.0, 9)), rel=1e-13)
    assert math.exp(both) == pytest.approx(2 * float(stats.t.sf(2.0, 9)), rel=1e-13)
    assert log_p_value(0.0, math.inf, "two-sided") == 0.0


def test_a_p_value_is_never_zero() -> None:
    assert p_value_from_log(log_p_value(40.0, math.inf, "two-sided")) == SMALLEST_P > 0
    assert p_value_from_log(math.log(0.25)) == pytest.approx(0.25)


@pytest.mark.parametrize("df", [1.0, 3.5, 40.0])
def test_the_t_tail_goes_on_where_the_square_of_t_overflows(df: float) -> None:
    """Far out the tail is a power of t: log P falls by df · log 10 with each decade."""
    decades = [t_log_upper_tail(10.0**exponent, df) for exponent in (152, 153, 156, 157)]
    assert decades[1] - decades[0] == pytest.approx(-df * math.log(10), rel=1e-9)
    assert decades[2] - decades[1] == pytest.approx(-3 * df * math.log(10), rel=1e-9)
    assert decades[3] - decades[2] == pytest.approx(-df * math.log(10), rel=1e-9)
