"""Group-sequential bounds and exits: published values, brute force, and what must always hold."""

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from equipoise_stats import (
    Look,
    LookHistory,
    Spending,
    SpendingFamily,
    drift_for_power,
    exit_probabilities,
    inflation_factor,
    obrien_fleming_constant,
    plan_looks,
    pocock_constant,
)

OBF = Spending("obrien_fleming")
POCOCK = Spending("pocock")
FIXED = 1.959963984540054

spendings = st.one_of(
    st.just(OBF),
    st.just(POCOCK),
    st.builds(lambda gamma: Spending("hwang_shih_decani", gamma), st.floats(-8, 4)),
    st.builds(lambda rho: Spending("power", rho), st.floats(0.5, 6)),
)
sides = st.sampled_from(["two-sided", "greater", "less"])
levels = st.sampled_from([0.001, 0.025, 0.05, 0.2, 0.45])


def schedules(most: int = 8) -> st.SearchStrategy[list[float]]:
    """Unplanned looks, some close together, that end at the planned information."""
    gaps = st.lists(st.floats(1e-3, 1), min_size=1, max_size=most)
    return gaps.map(lambda g: [*[float(t) for t in np.cumsum(g) / sum(g)][:-1], 1.0])


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


# Published and reference values


def test_reference_values(reference: list[dict[str, Any]]) -> None:
    families = {"ld_obf": OBF, "hsd_-4": Spending("hwang_shih_decani", -4.0)}
    seen = set()
    for case in reference:
        given, tolerance = case["inputs"], case["abs_tol"]
        if case["method"] == "pocock_constant":
            value: Any = pocock_constant(given["K"], alpha=given["alpha_two_sided"])
        elif case["method"] == "obrien_fleming_constant":
            value = obrien_fleming_constant(given["K"], alpha=given["alpha_two_sided"])
        elif case["method"] == "spending_bounds_two_sided_.05":
            plan = plan_looks(given["t"], spending=families[given["spending"]])
            value = list(plan.critical_values)
        elif case["method"] == "overall_alpha_naive":
            looks, z = given["K"], given["z"]
            exits = exit_probabilities([k / looks for k in range(1, looks + 1)], [z] * looks, [-z] * looks)
            value = float((exits.upper + exits.lower).sum())
        elif case["method"] == "hwang_shih_decani_bounds_two_sided":
            spending = Spending("hwang_shih_decani", given["gamma"])
            plan = plan_looks(given["information"], spending=spending, alpha=given["alpha"])
            case, value = case | {"expected": case["expected"]["z"]}, list(plan.critical_values)
        elif case["method"] == "obrien_fleming_type_spending_bounds_two_sided":
            plan = plan_looks(given["information"], alpha=given["alpha"])
            case, value = case | {"expected": case["expected"]["z"]}, list(plan.critical_values)
        else:
            continue
        seen.add(case["method"])
        assert value == pytest.approx(case["expected"], abs=tolerance), case["id"]
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    [(2, 2.178, 1.977), (3, 2.289, 2.004), (4, 2.361, 2.024), (5, 2.413, 2.040), (10, 2.555, 2.087)],
)
def test_jennison_and_turnbull_tables_of_constants(looks: int, pocock: float, obrien_fleming: float) -> None:
    # Jennison and Turnbull 2000, tables 2.1 and 2.3, α = 0.05.
    assert pocock_constant(looks) == pytest.approx(pocock, abs=6e-4)
    assert obrien_fleming_constant(looks) == pytest.approx(obrien_fleming, abs=6e-4)


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


def test_rpact_designs() -> None:
    # rpact, tests/testthat/test-f_design_group_sequential.R: printed to 8 digits.
    c = obrien_fleming_constant(3, alpha=0.025, alternative="greater")
    assert [c * math.sqrt(3 / k) for k in (1, 2, 3)] == pytest.approx(
        [3.4710914, 2.4544323, 2.0040356], abs=1e-6
    )
    even = plan_looks(
        [0.2, 0.4, 1.0], spending=Spending("hwang_shih_decani", 0.0), alpha=0.03, alternative="greater"
    )
    assert even.critical_values == pytest.approx([2.5121443, 2.4228747, 2.0280392], abs=2e-7)
    assert [look.spent for look in even.looks] == pytest.approx([0.006, 0.012, 0.03], abs=1e-12)
    steep = plan_looks(
        [0.2, 0.4, 1.0], spending=Spending("hwang_shih_decani", -1.0), alpha=0.07, alternative="less"
    )
    assert steep.critical_values == pytest.approx([2.364813, 2.1928805, 1.5660474], abs=2e-7)
    power = plan_looks([0.3, 0.7, 1.0], spending=Spending("power", 2.2), alpha=0.03, alternative="greater")
    assert power.critical_values == pytest.approx([2.8594012, 2.2435708, 1.9735737], abs=2e-7)
    # Its characteristics at power 0.86: shift = drift², inflation, expected information over the fixed one's.
    assert inflation_factor(even, power=0.86) == pytest.approx(1.0788327, abs=2e-7)
    drift = drift_for_power(even.fractions, even.critical_values, power=0.86)
    assert drift**2 == pytest.approx(9.4594101, abs=2e-6)
    exits = exit_probabilities(even.fractions, even.critical_values, drift=[drift, drift / 2, 0.0])
    assert exits.upper[0] == pytest.approx([0.12783451, 0.21271713, 0.51944835], abs=2e-7)
    expected = exits.expected_fraction * 1.0788327
    assert expected == pytest.approx([0.83081135, 1.0142116, 1.0697705], abs=5e-7)


def test_lan_demets_bounds_for_five_looks() -> None:
    # Pocock type: Jennison and Turnbull's and ldbounds' 2.438, 2.427, 2.410, 2.397, 2.386.
    bounds = plan_looks([0.2, 0.4, 0.6, 0.8, 1.0], spending=POCOCK).critical_values
    assert bounds == pytest.approx([2.438, 2.427, 2.410, 2.397, 2.386], abs=6e-4)


def test_over_run_and_under_run() -> None:
    # All of α at the planned end; the correlations are those of the information there is.
    over = plan_looks([0.25, 0.5, 0.75, 1.2])
    assert over.current.critical == pytest.approx(2.0439, abs=5e-5)
    assert (over.current.spending_time, over.current.spent) == (1.0, 0.05)
    under = plan_looks([0.25, 0.5, 0.75]).next_look(0.9, final=True)
    assert under.current.critical == pytest.approx(1.9930, abs=5e-5)
    assert (under.current.spending_time, under.current.spent) == (1.0, 0.05)
    assert plan_looks([0.25, 0.5, 0.75, 1.0]).current.critical == pytest.approx(2.0141, abs=5e-5)


# Independent computation


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
    assert exits.upper[2] == pytest.approx(expected, abs=1e-12)


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


# What must always hold


@settings(max_examples=60)
@given(schedules(), spendings, levels, sides)
def test_exit_probabilities_sum_to_alpha(
    fractions: list[float], spending: Spending, alpha: float, alternative: Any
) -> None:
    plan = plan_looks(fractions, spending=spending, alpha=alpha, alternative=alternative)
    critical = plan.critical_values
    lower = [-c for c in critical] if plan.two_sided else None
    exits = exit_probabilities(fractions, critical, lower)
    total = np.cumsum(exits.upper + exits.lower)
    assert total[-1] == pytest.approx(alpha, abs=1e-10)
    assert total == pytest.approx([look.spent for look in plan.looks], abs=1e-10)
    tail = alpha / 2 if plan.two_sided else alpha
    assert critical[-1] >= float(stats.norm.isf(tail)) - 1e-12
    for look in plan.looks:
        spent = spending.spent(look.fraction, alpha=tail) * (2 if plan.two_sided else 1)
        assert look.spent == pytest.approx(spent, rel=1e-12, abs=1e-20)


@settings(max_examples=30)
@given(schedules(), spendings, levels, sides)
def test_looks_one_by_one_are_the_plan(
    fractions: list[float], spending: Spending, alpha: float, alternative: Any
) -> None:
    history = LookHistory(spending, alpha, alternative)
    for fraction in fractions:
        before = history
        history = history.next_look(fraction)
        assert history.looks[:-1] == before.looks  # what was announced stays
        restored = LookHistory.from_dict(json.loads(json.dumps(history.to_dict(), allow_nan=False)))
        assert restored == history
        history = restored
    plan = plan_looks(fractions, spending=spending, alpha=alpha, alternative=alternative)
    assert history.critical_values == pytest.approx(plan.critical_values, abs=1e-10)
    assert history.fractions == plan.fractions == tuple(fractions)


def test_the_next_look_continues_from_the_record_not_from_a_formula() -> None:
    # Had the first look's bound been announced as 3, the second one answers for it.
    announced = LookHistory(looks=(Look(0.5, 0.5, 2 * float(stats.norm.sf(3.0)), 3.0),)).next_look(1.0)
    exits = exit_probabilities(
        [0.5, 1.0], [3.0, announced.current.critical], [-3.0, -announced.current.critical]
    )
    assert float((exits.upper + exits.lower).sum()) == pytest.approx(0.05, abs=1e-10)
    assert announced.looks[0].critical == 3.0


@given(schedules(6), spendings, st.floats(0.1, 5))
def test_only_ratios_of_information_matter_to_exits(
    fractions: list[float], spending: Spending, unit: float
) -> None:
    critical = plan_looks(fractions, spending=spending, alternative="greater").critical_values
    one = exit_probabilities(fractions, critical, drift=1.0)
    other = exit_probabilities([unit * t for t in fractions], critical, drift=1 / math.sqrt(unit))
    assert other.upper == pytest.approx(one.upper, abs=1e-11)


def test_what_is_too_little_to_spend_is_carried_forward() -> None:
    early = plan_looks([0.01, 0.02, 0.5, 1.0])
    assert early.critical_values[:2] == (math.inf, math.inf)
    assert [look.spent for look in early.looks[:2]] == [0.0, 0.0]
    later = plan_looks([0.5, 1.0])
    assert early.critical_values[2:] == pytest.approx(later.critical_values, abs=1e-12)
    # At α = 0.05 the largest finite bound is just below 10.
    finite = [plan_looks([t]).current.critical for t in (0.049, 0.0505)]
    assert finite[0] == math.inf
    assert 9.9 < finite[1] < 10
    assert early.to_dict()["looks"][0]["critical"] is None


def test_nothing_is_left_after_alpha_is_spent() -> None:
    over = plan_looks([0.5, 1.0]).next_look(1.3)
    assert over.current == Look(1.3, 1.0, 0.05, math.inf)
    assert over.next_look(1.4, final=True).current.critical == math.inf


def test_many_looks() -> None:
    hourly = plan_looks([k / 600 for k in range(1, 601)], spending=POCOCK)
    critical = hourly.critical_values
    exits = exit_probabilities(hourly.fractions, critical, [-c for c in critical])
    assert float((exits.upper + exits.lower).sum()) == pytest.approx(0.05, abs=1e-8)
    # Two looks a hundred-thousandth apart: the second has almost nothing left to find.
    near = plan_looks([0.5, 0.500005, 1.0], spending=POCOCK)
    exits = exit_probabilities(near.fractions, near.critical_values, [-c for c in near.critical_values])
    assert float((exits.upper + exits.lower).sum()) == pytest.approx(0.05, abs=1e-8)


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


def test_size_with_estimated_variances_and_random_looks() -> None:
    """Skewed data, looks at random times, both sides: within three standard errors."""
    generator = np.random.default_rng(7)
    replications, size = 4000, 1500
    for spending in (OBF, POCOCK):
        rejected = 0
        for _ in range(40):
            sizes = np.unique([*generator.integers(100, size, 4).tolist(), size])
            plan = plan_looks([float(n / size) for n in sizes], spending=spending)
            runs = replications // 40
            arms = generator.exponential(1.0, (2, runs, size))
            crossed = np.zeros(runs, dtype=bool)
            for n, critical in zip(sizes, plan.critical_values, strict=True):
                seen = arms[:, :, :n]
                z = (seen[0].mean(1) - seen[1].mean(1)) / np.sqrt(seen.var(2, ddof=1).sum(0) / n)
                crossed |= np.abs(z) > critical
            rejected += int(crossed.sum())
        assert abs(rejected / replications - 0.05) < 3 * math.sqrt(0.05 * 0.95 / replications)


# Spending functions


@given(spendings, st.floats(0.001, 1.5), st.floats(0.001, 1.5), st.floats(1e-12, 0.9))
def test_spending_grows_from_nothing_to_alpha(spending: Spending, a: float, b: float, alpha: float) -> None:
    early, late = sorted((a, b))
    assert 0 <= spending.spent(early, alpha=alpha) <= spending.spent(late, alpha=alpha) * (1 + 1e-12)
    assert spending.spent(late, alpha=alpha) <= alpha * (1 + 1e-12)
    assert spending.spent(1.0, alpha=alpha) == spending.spent(7.0, alpha=alpha) == alpha
    assert spending.spent(0.999999, alpha=alpha) == pytest.approx(alpha, rel=1e-3)


def test_spending_formulas() -> None:
    a, t = 0.025, 0.37
    assert OBF.spent(t, alpha=a) == pytest.approx(
        2 - 2 * float(stats.norm.cdf(stats.norm.isf(a / 2) / math.sqrt(t))), rel=1e-9
    )
    assert POCOCK.spent(t, alpha=a) == pytest.approx(a * math.log(1 + (math.e - 1) * t), rel=1e-14)
    for gamma in (-4.0, 1.0, 7.5):
        expected = a * (1 - math.exp(-gamma * t)) / (1 - math.exp(-gamma))
        assert Spending("hwang_shih_decani", gamma).spent(t, alpha=a) == pytest.approx(expected, rel=1e-13)
    assert Spending("hwang_shih_decani", 0.0).spent(t, alpha=a) == pytest.approx(a * t, rel=1e-14)
    assert Spending("hwang_shih_decani", 1e-9).spent(t, alpha=a) == pytest.approx(a * t, rel=1e-8)
    for least in (5e-324, -5e-324, 1e-300):  # its product with t underflows
        assert Spending("hwang_shih_decani", least).spent(t, alpha=a) == pytest.approx(a * t, rel=1e-14)
    assert Spending("power", 2.0).spent(t, alpha=a) == pytest.approx(a * t * t, rel=1e-14)


def test_spending_below_the_range_of_doubles() -> None:
    # 2 Φ(−√2 q) for the q with log 2Φ(−q) = −2000.
    q = 63.09
    log_alpha = math.log(2) + float(stats.norm.logsf(q))
    expected = math.log(2) + float(stats.norm.logsf(q * math.sqrt(2)))
    assert OBF.log_spent(0.5, log_alpha) == pytest.approx(expected, rel=1e-12)


# What is refused


@pytest.mark.parametrize(
    ("family", "parameter", "message"),
    [
        (
            "haybittle",
            None,
            "^The spending family is 'haybittle'; "
            "it must be one of obrien_fleming, pocock, hwang_shih_decani, power.$",
        ),
        ("pocock", 2.0, "takes no parameter"),
        ("power", None, "needs the exponent between 0.01 and 50"),
        ("power", 0.0, "needs the exponent"),
        ("hwang_shih_decani", 41.0, "needs gamma between -40 and 40"),
        ("hwang_shih_decani", math.nan, "needs gamma"),
    ],
)
def test_impossible_spending_is_refused(
    family: SpendingFamily, parameter: float | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Spending(family, parameter)


def test_impossible_questions_to_spending_are_refused() -> None:
    for alpha in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="alpha is"):
            OBF.spent(0.5, alpha=alpha)
    for fraction in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="information fraction is"):
            OBF.spent(fraction, alpha=0.05)


def test_impossible_looks_are_refused() -> None:
    history = plan_looks([0.5])
    for fraction in (0.0, -0.5, math.nan, 101.0):
        with pytest.raises(ValueError, match="information fraction of look 2 is"):
            history.next_look(fraction)
    for fraction in (0.4, 0.5, 0.5000001):
        with pytest.raises(ValueError, match="brings no new information"):
            history.next_look(fraction)
    with pytest.raises(ValueError, match="1000 looks at most"):
        plan_looks([k / 1001 for k in range(1, 1002)])
    with pytest.raises(ValueError, match="no look yet"):
        _ = LookHistory().current
    with pytest.raises(ValueError, match="alpha is"):
        LookHistory(alpha=0.7)
    with pytest.raises(ValueError, match="alternative is"):
        plan_looks([1.0], alternative="both")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "look",
    [
        Look(0.7, 0.0, 0.01, 2.5),
        Look(0.7, 1.1, 0.01, 2.5),
        Look(0.7, 0.7, 0.06, 2.5),
        Look(0.7, 0.7, 0.001, 2.5),
        Look(0.7, 0.7, 0.01, 0.0),
        Look(0.7, 0.7, 0.01, math.nan),
        Look(0.7, 0.7, math.nan, 2.5),
    ],
)
def test_impossible_records_are_refused(look: Look) -> None:
    first = Look(0.5, 0.5, 0.003, 2.96)
    with pytest.raises(ValueError, match="Look 2 of the record is impossible"):
        LookHistory(looks=(first, look))
    assert LookHistory(looks=(first, Look(0.7, 0.7, 0.01, 2.5))).current.fraction == 0.7
    with pytest.raises(ValueError, match="brings no new information"):
        LookHistory(looks=(first, first))
    with pytest.raises(ValueError, match="There are 1001 looks"):
        LookHistory(looks=(first,) * 1001)


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


def test_impossible_constants_are_refused() -> None:
    for looks in (0, 1001):
        with pytest.raises(ValueError, match="their number must lie between 1 and 1000"):
            pocock_constant(looks)
    with pytest.raises(ValueError, match="alpha is"):
        obrien_fleming_constant(3, alpha=0.0)
    assert pocock_constant(1) == pytest.approx(FIXED, abs=1e-12)
    assert obrien_fleming_constant(1, alternative="less") == pytest.approx(1.6448536269514722, abs=1e-12)
