"""Where a statistic leaves its bounds, and power from it: tables, brute force, quadrature."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from tests.stats.looks import FIXED, POCOCK, schedules, spendings

from equipoise_stats import (
    Spending,
    drift_for_power,
    exit_probabilities,
    inflation_factor,
    obrien_fleming_constant,
    plan_looks,
    pocock_constant,
)


def brute_force(times: list[float], upper: list[float], lower: list[float], drift: float) -> Any:
    """Exits by Simpson's rule on the density of what has not stopped, carried forward on fine grids."""
    nodes, up, down = 1601, [], []
    grid, mass = np.zeros(1), np.ones(1)  # all of it at 0
    previous = 0.0
    for t, high, low in zip(times, upper, lower, strict=True):
        spread, shift = math.sqrt(t - previous), drift * (t - previous)
        b, a = high * math.sqrt(t), max(low, -9 + min(drift, 0)) * math.sqrt(t)
        new = np.linspace(a, b, nodes)
        up.append(mass @ stats.norm.sf((b - shift - grid) / spread))
        down.append(mass @ stats.norm.cdf((low * math.sqrt(t) - shift - grid) / spread))
        density = np.exp(-0.5 * ((new[:, None] - grid - shift) / spread) ** 2) @ mass
        density /= spread * math.sqrt(2 * math.pi)
        simpson = np.ones(nodes)
        simpson[1:-1:2], simpson[2:-1:2] = 4, 2
        mass, grid, previous = density * simpson * (new[1] - new[0]) / 3, new, t
    return np.array(up), np.array(down)


@pytest.mark.parametrize(
    ("looks", "shape", "at_80", "at_90"),
    [
        (2, "pocock", 1.110, 1.100),
        (3, "pocock", 1.166, 1.151),
        (4, "pocock", 1.202, 1.183),
        (5, "pocock", 1.229, 1.207),
        (2, "obrien_fleming", 1.008, 1.007),
        (3, "obrien_fleming", 1.017, 1.016),
        (4, "obrien_fleming", 1.024, 1.022),
        (5, "obrien_fleming", 1.028, 1.026),
    ],
)
def test_jennison_and_turnbull_tables_of_inflation(
    looks: int, shape: str, at_80: float, at_90: float
) -> None:
    # Jennison and Turnbull 2000, tables 2.2 and 2.4, α = 0.05.
    times = [k / looks for k in range(1, looks + 1)]
    if shape == "pocock":
        upper = [pocock_constant(looks)] * looks
    else:
        upper = [obrien_fleming_constant(looks) / math.sqrt(t) for t in times]
    for power, published in ((0.8, at_80), (0.9, at_90)):
        drift = drift_for_power(times, upper, [-c for c in upper], power=power)
        fixed = FIXED + float(stats.norm.ppf(power))
        assert drift**2 / fixed**2 == pytest.approx(published, abs=6e-4)


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.1, 1), min_size=1, max_size=4),
    st.lists(st.floats(0.5, 4), min_size=4, max_size=4),
    st.lists(st.floats(-3, 0.2), min_size=4, max_size=4),
    st.floats(-3, 5),
)
def test_exits_are_those_of_brute_force(
    gaps: list[float], highs: list[float], lows: list[float], drift: float
) -> None:
    times = [float(t) for t in np.cumsum(gaps)]
    upper, lower = highs[: len(times)], lows[: len(times)]
    exits = exit_probabilities(times, upper, lower, drift=drift)
    up, down = brute_force(times, upper, lower, drift)
    assert exits.upper == pytest.approx(up, abs=1e-9)
    assert exits.lower == pytest.approx(down, abs=1e-9)
    one_sided = exit_probabilities(times, upper, drift=drift)
    alone, _ = brute_force(times, upper, [-math.inf] * len(times), drift)
    assert one_sided.upper == pytest.approx(alone, abs=1e-9)
    assert (one_sided.lower == 0).all()


def test_exits_of_three_looks_are_multinormal_probabilities() -> None:
    times, upper = [0.3, 0.45, 1.0], [2.2, 2.0, 1.9]
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    tight: dict[str, Any] = {"maxpts": 2_000_000, "abseps": 1e-9, "releps": 1e-9}
    stay = [
        stats.multivariate_normal.cdf(upper[:k], 1.5 * np.sqrt(times[:k]), covariance[:k, :k], **tight)
        for k in (1, 2, 3)
    ]
    expected = -np.diff([1.0, *map(float, stay)])
    assert exit_probabilities(times, upper, drift=1.5).upper == pytest.approx(expected, abs=1e-6)


def test_exits_above_bounds_that_hardly_anything_stays_below() -> None:
    exits = exit_probabilities([0.5, 1.0], [-10.0, -9.0]).upper
    r = math.sqrt(0.5)
    stay_then_cross = integrate.quad(
        lambda u: stats.norm.pdf(u) * stats.norm.sf((-9.0 - r * u) / r), -25, -10, epsabs=0, epsrel=1e-12
    )[0]
    assert exits[1] == pytest.approx(stay_then_cross, rel=1e-9)
    assert exits[0] == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("gap", [1e-5, 1e-4, 1e-2, 0.2])
def test_the_exit_after_two_looks_close_together(gap: float) -> None:
    """The first and the third look are independent given the second, so one integral gives P(Z₃ > b first).

    The closer the first two looks, the sharper the edge at the second one's bound.
    """
    first, second, third, bound = 0.5, 0.5 + gap, 1.0, 2.2
    bridge = math.sqrt(first * gap / second)

    def stay_then_cross(motion: float) -> float:
        stay = stats.norm.cdf((bound * math.sqrt(first) - motion * first / second) / bridge)
        cross = stats.norm.sf((bound - motion) / math.sqrt(third - second))
        return float(stats.norm.pdf(motion / math.sqrt(second)) / math.sqrt(second) * stay * cross)

    edge = bound * math.sqrt(second)
    ends = [edge, *(edge - bridge * 2.0**k for k in range(30) if bridge * 2.0**k < 6), edge - 8]
    expected = math.fsum(
        integrate.quad(stay_then_cross, low, high, epsabs=0, epsrel=1e-13)[0] for high, low in pairwise(ends)
    )
    exits = exit_probabilities([first, second, third], [bound] * 3)
    assert exits.upper[2] == pytest.approx(expected, abs=1e-13)


def test_absent_bounds_do_not_stop() -> None:
    inf = math.inf
    without = exit_probabilities([0.5, 1.0], [2.5, 2.0], [-2.5, -2.0], drift=[0.0, 2.0])
    padded = exit_probabilities(
        [0.2, 0.5, 0.7, 1.0], [inf, 2.5, inf, 2.0], [-inf, -2.5, -inf, -2.0], drift=[0.0, 2.0]
    )
    assert padded.upper[:, [1, 3]] == pytest.approx(without.upper, abs=1e-13)
    assert padded.lower[:, [1, 3]] == pytest.approx(without.lower, abs=1e-13)
    assert (padded.upper[:, [0, 2]] == 0).all()
    assert (padded.lower[:, [0, 2]] == 0).all()
    # A lower bound alone, then an upper one alone: P(B(½) > −0.3, B(1) > 2).
    mixed = exit_probabilities([0.5, 1.0], [inf, 2.0], [-0.3 / math.sqrt(0.5), -inf], drift=1.0)
    joint = stats.multivariate_normal(mean=[-0.5, -1.0], cov=[[0.5, 0.5], [0.5, 1.0]]).cdf([0.3, -2.0])
    assert mixed.lower == pytest.approx([stats.norm.cdf((-0.3 - 0.5) / math.sqrt(0.5)), 0.0], abs=1e-12)
    assert mixed.upper == pytest.approx([0.0, float(joint)], abs=1e-7)
    never = exit_probabilities([0.5, 1.0], [inf, inf], drift=1.0)
    assert (never.upper == 0).all()
    assert float(never.expected_fraction) == 1.0


@given(schedules(6), spendings, st.floats(0.1, 5))
def test_only_ratios_of_information_matter_to_exits(
    fractions: list[float], spending: Spending, unit: float
) -> None:
    critical = plan_looks(fractions, spending=spending, alternative="greater").critical_values
    one = exit_probabilities(fractions, critical, drift=1.0)
    other = exit_probabilities([unit * t for t in fractions], critical, drift=1 / math.sqrt(unit))
    assert other.upper == pytest.approx(one.upper, abs=1e-11)


@given(schedules(6), st.floats(-4, 4))
def test_drift_mirrors_the_sides(fractions: list[float], drift: float) -> None:
    critical = plan_looks(fractions, spending=POCOCK).critical_values
    lower = [-c for c in critical]
    there, back = (exit_probabilities(fractions, critical, lower, drift=d) for d in (drift, -drift))
    assert there.upper == pytest.approx(back.lower, abs=1e-14)
    assert 0 <= float(there.upper.sum() + there.lower.sum()) <= 1 + 1e-12


@settings(max_examples=20)
@given(schedules(5), spendings, st.floats(0.5, 0.95))
def test_inflation_is_what_the_drift_says(fractions: list[float], spending: Spending, power: float) -> None:
    plan = plan_looks(fractions, spending=spending, alternative="greater", alpha=0.025)
    factor = inflation_factor(plan, power=power)
    drift = math.sqrt(factor) * (FIXED + float(stats.norm.ppf(power)))
    exits = exit_probabilities(plan.fractions, plan.critical_values, drift=drift)
    assert float(exits.power) == pytest.approx(power, abs=1e-9)
    assert factor >= 1 - 1e-9
    assert float(exits.expected_fraction) == pytest.approx(
        sum(t * p for t, p in zip(fractions, exits.upper, strict=True)) + 1.0 - float(exits.power), abs=1e-12
    )


def test_inflation_after_an_over_run_counts_all_information() -> None:
    assert inflation_factor(plan_looks([2.0]), power=0.8) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("drift", [0.0, 3.0, 50.0])
def test_a_bound_that_is_never_met_is_none(drift: float) -> None:
    """However far it is: a grid up to it would not fit into memory."""
    unmet = exit_probabilities(
        [0.3, 0.6, 1.0], [math.inf, 2.0, math.inf], [-1.0, -math.inf, 0.5], drift=drift
    )
    for far in (1e3, 1e9, 1e300):
        found = exit_probabilities([0.3, 0.6, 1.0], [far, 2.0, far], [-1.0, -far, 0.5], drift=drift)
        assert found.upper == pytest.approx(unmet.upper, rel=1e-12, abs=1e-15)
        assert found.lower == pytest.approx(unmet.lower, rel=1e-12, abs=1e-15)


def test_impossible_exits_are_refused() -> None:
    with pytest.raises(ValueError, match="2 fractions, 1 upper"):
        exit_probabilities([0.5, 1.0], [2.0])
    with pytest.raises(ValueError, match="0 fractions"):
        exit_probabilities([], [])
    with pytest.raises(ValueError, match="1 lower"):
        exit_probabilities([0.5, 1.0], [2.0, 2.0], [-2.0])
    for times in ([0.5, 0.5], [0.0, 1.0], [0.5, math.inf], [math.nan, 1.0]):
        with pytest.raises(ValueError, match="must be positive and ascend"):
            exit_probabilities(times, [2.0, 2.0])
    with pytest.raises(ValueError, match="must lie below the upper ones"):
        exit_probabilities([0.5], [2.0], [2.0])
    with pytest.raises(ValueError, match="must lie below the upper ones"):
        exit_probabilities([0.5], [math.nan])
    for drift in (51.0, math.nan):
        with pytest.raises(ValueError, match="within ±50"):
            exit_probabilities([0.5], [2.0], drift=drift)
    for power in (0.01, 1.0):
        with pytest.raises(ValueError, match="out of reach"):
            drift_for_power([1.0], [FIXED], power=power)
