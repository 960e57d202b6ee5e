"""The normal mixture: published multipliers, quadrature of the mixture, its level on random walks."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from equipoise_stats import (
    Alternative,
    mixture_units,
    normal_mixture_critical,
    normal_mixture_log_p,
    optimal_mixture_ratio,
    sequence_critical,
)

ALTERNATIVES: tuple[Alternative, ...] = get_args(Alternative)
SIDES = ("greater", "less")
levels = st.sampled_from([1e-50, 1e-6, 0.001, 0.01, 0.05, 0.2, 0.45])


@pytest.mark.parametrize(("alpha", "kappa"), [(0.05, 8.211968), (0.01, 11.756371), (0.10, 6.638352)])
def test_the_optimal_ratio(alpha: float, kappa: float) -> None:
    assert optimal_mixture_ratio(alpha) == pytest.approx(kappa, abs=5e-7)
    assert mixture_units(5000, alpha) == pytest.approx(5000 / kappa, rel=1e-6)
    assert mixture_units(0.5, alpha) == pytest.approx(0.5 / kappa, rel=1e-6)
    for side in SIDES:
        assert mixture_units(5000, alpha / 2, side) == mixture_units(5000, alpha)  # type: ignore[arg-type]
        assert optimal_mixture_ratio(alpha / 2, side) == optimal_mixture_ratio(alpha)  # type: ignore[arg-type]


@given(st.floats(1e-50, 0.4999))
def test_the_optimal_ratio_is_lamberts(alpha: float) -> None:
    lambert = -special.lambertw(-(alpha**2) / math.e, -1).real - 1
    assert optimal_mixture_ratio(alpha) == pytest.approx(lambert, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.4, 0.49, 0.4999999, math.nextafter(0.5, 0)])
def test_the_optimal_ratio_close_to_its_branch_point(alpha: float) -> None:
    """Scipy's Lambert W has no digits left there; the equation κ − ln(1 + κ) = −2 ln 2α has, as a series."""
    kappa = optimal_mixture_ratio(alpha, "greater")
    target = -2 * math.log(2 * alpha)
    if kappa < 0.01:
        assert kappa**2 / 2 - kappa**3 / 3 + kappa**4 / 4 == pytest.approx(target, rel=1e-5)
    else:
        assert kappa - math.log1p(kappa) == pytest.approx(target, rel=1e-12)


@given(st.floats(1e-6, 0.4), st.floats(0.05, 20))
def test_the_boundary_is_tightest_at_the_optimal_ratio(alpha: float, factor: float) -> None:
    best = optimal_mixture_ratio(alpha)
    here, there = normal_mixture_critical([best, best * factor], alpha=alpha)
    assert there >= here * (1 - 1e-12)


@pytest.mark.parametrize(
    ("factor", "multiplier"),
    [(1, 3.0351), (0.01, 8.94), (0.1, 3.82), (0.25, 3.25), (0.5, 3.079), (2, 3.064), (4, 3.131), (10, 3.246)],
)
def test_multipliers_of_the_confidence_sequence(factor: float, multiplier: float) -> None:
    # Waudby-Smith et al. 2024 with the exact tuning, evaluated at multiples of the tuning size.
    value = float(sequence_critical(factor * 5000, tuning_units=5000))
    assert value == pytest.approx(multiplier, abs=5.1 * 10 ** -(len(str(multiplier).partition(".")[2]) + 1))


def test_the_boundary_in_the_words_of_waudby_smith() -> None:
    """Their equation with ρ² = 1/1217.735 and n units, in place of ours with r = nρ²."""
    rho_squared = 1 / mixture_units(10_000)
    for n in (10, 1_000, 10_000, 1_000_000):
        theirs = math.sqrt(
            2 * (n * rho_squared + 1) / (n * rho_squared) * math.log(math.sqrt(n * rho_squared + 1) / 0.05)
        )
        assert float(sequence_critical(n, tuning_units=10_000)) == pytest.approx(theirs, rel=1e-12)


def test_the_one_sided_boundary_is_close_to_its_published_bound() -> None:
    """The closed form of the literature lies above the exact root, and less than 2 % above it."""
    for alpha in (0.001, 0.01, 0.05):
        r = optimal_mixture_ratio(alpha, "greater")
        closed = math.sqrt(2 * (r + 1) / r * math.log(1 + math.sqrt(r + 1) / (2 * alpha)))
        exact = float(normal_mixture_critical(r, alpha=alpha, alternative="greater"))
        assert exact < closed < 1.02 * exact
    assert float(normal_mixture_critical(6.328859605, alternative="less")) == pytest.approx(2.7661, abs=5e-5)


@given(st.floats(0.01, 200), st.floats(-6, 6), st.sampled_from(ALTERNATIVES))
def test_the_e_value_is_the_mixture_of_likelihood_ratios(
    ratio: float, z: float, alternative: Alternative
) -> None:
    """By quadrature over the effect in standard errors, exp(zδ − δ²/2) against N(0, r) or its half."""
    low = 0.0 if alternative == "greater" else -np.inf
    high = 0.0 if alternative == "less" else np.inf
    weight = 1 if alternative == "two-sided" else 2
    spread = math.sqrt(ratio / (1 + ratio))
    centre = z * spread**2
    mixture = integrate.quad(
        lambda d: weight * math.exp(z * d - d * d / 2 - d * d / 2 / ratio) / math.sqrt(2 * math.pi * ratio),
        max(low, centre - 12 * spread),
        min(high, centre + 12 * spread),
        epsabs=0,
        epsrel=1e-11,
    )[0]
    log_p = float(normal_mixture_log_p(z, ratio, alternative=alternative))
    assert log_p == pytest.approx(min(0.0, -math.log(mixture)), rel=1e-8, abs=1e-8)


@given(st.floats(1e-6, 1e9), st.floats(-60, 60), levels, st.sampled_from(ALTERNATIVES), st.floats(1e-9, 1.0))
def test_p_is_at_most_alpha_exactly_beyond_the_critical_value(
    ratio: float, z: float, alpha: float, alternative: Alternative, near: float
) -> None:
    critical = float(normal_mixture_critical(ratio, alpha=alpha, alternative=alternative))
    assert critical > 0
    assert critical >= stats.norm.isf(alpha / (2 if alternative == "two-sided" else 1)) * (1 - 1e-12)
    towards = -1.0 if alternative == "less" else 1.0
    for value in (z, critical * (1 + near), critical * (1 - near)):
        log_p = float(normal_mixture_log_p(towards * value, ratio, alternative=alternative))
        assume(abs(log_p - math.log(alpha)) > 1e-9 * abs(math.log(alpha)))
        beyond = abs(value) > critical if alternative == "two-sided" else value > critical
        assert (log_p <= math.log(alpha)) is beyond
        assert log_p <= 0


def test_p_at_forty_standard_errors() -> None:
    # ½ ln(1 + r) − z² r / (2 (1 + r)), less ln 2 on one side, where Φ(z √w) is 1.
    expected = 0.5 * math.log(10) - 0.45 * 40**2
    assert float(normal_mixture_log_p(40, 9.0)) == pytest.approx(expected, rel=1e-14)
    assert float(normal_mixture_log_p(-40, 9.0)) == pytest.approx(expected, rel=1e-14)
    for z, side in ((40, "greater"), (-40, "less")):
        one_sided = float(normal_mixture_log_p(z, 9.0, alternative=side))  # type: ignore[arg-type]
        assert one_sided == pytest.approx(expected - math.log(2), rel=1e-14)
        assert float(normal_mixture_log_p(-z, 9.0, alternative=side)) == 0.0  # type: ignore[arg-type]


def test_arrays_are_taken_elementwise() -> None:
    ratios = np.array([[0.5, 3.0], [8.0, 1e4]])
    for alternative in ALTERNATIVES:
        criticals = normal_mixture_critical(ratios, alpha=0.01, alternative=alternative)
        log_ps = normal_mixture_log_p(2.5, ratios, alternative=alternative)
        for index in np.ndindex(2, 2):
            assert criticals[index] == pytest.approx(
                float(normal_mixture_critical(ratios[index], alpha=0.01, alternative=alternative)), rel=1e-14
            )
            assert log_ps[index] == float(normal_mixture_log_p(2.5, ratios[index], alternative=alternative))


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_the_level_holds_over_a_long_random_walk(alternative: Alternative) -> None:
    """Under the null value E reaches 1/α with probability α or less: nearly α over five decades of time."""
    generator = np.random.default_rng(8)
    times = np.geomspace(0.02, 2000, 1500)
    steps = np.sqrt(np.diff(times, prepend=0.0))
    crossed, replications = 0, 4000
    critical = normal_mixture_critical(times, alpha=0.1, alternative=alternative) * np.sqrt(times)
    for _ in range(4):
        walks = np.cumsum(generator.normal(size=(replications // 4, times.size)) * steps, axis=1)
        reached = np.abs(walks) if alternative == "two-sided" else walks
        crossed += int((reached > critical).any(axis=1).sum())
    assert 0.05 < crossed / replications < 0.1 + 3 * math.sqrt(0.1 * 0.9 / replications)


def test_impossible_ratios_and_tunings_are_refused() -> None:
    for ratio in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="must be positive and finite"):
            normal_mixture_critical([1.0, ratio])
        with pytest.raises(ValueError, match="must be positive and finite"):
            normal_mixture_log_p(1.0, ratio)
    with pytest.raises(ValueError, match="alternative is 'both'"):
        normal_mixture_log_p(1.0, 1.0, alternative="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alternative is 'both'"):
        normal_mixture_critical(1.0, alternative="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alpha is"):
        normal_mixture_critical(1.0, alpha=0.5)
    with pytest.raises(ValueError, match="alpha is"):
        optimal_mixture_ratio(0.0)
    for units in (0.0, -5.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="tuning_units is"):
            mixture_units(units)


def test_the_tuning_level_moves_the_boundary_and_nothing_else_does() -> None:
    pinned = sequence_critical([100, 1000], tuning_units=1000, tuning_alpha=0.05, alpha=0.01)
    by_hand = normal_mixture_critical(np.array([100, 1000]) / mixture_units(1000, 0.05), alpha=0.01)
    assert pinned.tolist() == by_hand.tolist()
    assert float(sequence_critical(1000, tuning_units=1000, alpha=0.01)) < pinned[1]
