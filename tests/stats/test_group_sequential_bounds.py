"""Group-sequential bounds: published values, what must always hold, and what is refused."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats
from tests.stats.looks import FIXED, OBF, POCOCK, levels, schedules, sides, spendings

from equipoise_stats import (
    Look,
    LookHistory,
    Spending,
    drift_for_power,
    exit_probabilities,
    inflation_factor,
    obrien_fleming_constant,
    plan_looks,
    pocock_constant,
)

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


def test_impossible_constants_are_refused() -> None:
    for looks in (0, 1001):
        with pytest.raises(ValueError, match="their number must lie between 1 and 1000"):
            pocock_constant(looks)
    with pytest.raises(ValueError, match="alpha is"):
        obrien_fleming_constant(3, alpha=0.0)
    assert pocock_constant(1) == pytest.approx(FIXED, abs=1e-12)
    assert obrien_fleming_constant(1, alternative="less") == pytest.approx(1.6448536269514722, abs=1e-12)
