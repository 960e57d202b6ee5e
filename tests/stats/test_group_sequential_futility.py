"""Futility bounds, conditional and predictive power: published designs, closed forms, quadrature."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from tests.stats.looks import ALTERNATIVES, SCHEDULES, SPENDINGS

from equipoise_stats import (
    Alternative,
    LookHistory,
    Spending,
    conditional_power,
    exit_probabilities,
    futility_bounds,
    futility_drift,
    plan_looks,
    predictive_power,
)


def test_futility_bounds_of_gsdesign_and_rpact() -> None:
    # gsDesign's default design prints −0.24, 0.94, 2.00 and inflation 1.070.
    plan = plan_looks([1 / 3, 2 / 3, 1.0], spending=Spending("hwang_shih_decani", -4.0))
    spending = Spending("hwang_shih_decani", -2.0)
    drift = futility_drift(plan, beta=0.1, spending=spending)
    assert futility_bounds(plan, drift=drift, beta=0.1, spending=spending) == pytest.approx(
        [-0.2387, 0.9411, 1.9992], abs=1e-4
    )
    fixed = float(stats.norm.isf(0.025) + stats.norm.isf(0.1))
    assert drift**2 / fixed**2 == pytest.approx(1.0699, abs=1e-4)
    # rpact, test-f_design_group_sequential.R.
    for fractions, alpha, beta, alpha_spending, beta_spending, bounds, shift in (
        ([0.2, 0.4, 1.0], 0.07, 0.14, Spending("hwang_shih_decani", -1.0), spending,
         [-1.1063623, -0.35992439, 1.5660474], 7.1015942),
        ([0.3, 0.7, 1.0], 0.03, 0.34, Spending("power", 2.2), Spending("power", 3.2),
         [-1.1558435, 0.72836893, 1.9735737], 5.551371),
    ):  # fmt: skip
        plan = plan_looks(fractions, spending=alpha_spending, alpha=alpha, alternative="greater")
        drift = futility_drift(plan, beta=beta, spending=beta_spending)
        assert drift**2 == pytest.approx(shift, abs=2e-6)
        lower = futility_bounds(plan, drift=drift, beta=beta, spending=beta_spending)
        assert lower == pytest.approx(bounds, abs=1e-6)


@settings(max_examples=30)
@given(
    st.sampled_from([f for f in SCHEDULES if f[-1] >= 1]),
    st.sampled_from(SPENDINGS),
    st.sampled_from(SPENDINGS),
    st.floats(0.05, 0.4),
)
def test_futility_costs_the_beta_that_was_spent(
    fractions: tuple[float, ...], spending: Spending, beta_spending: Spending, beta: float
) -> None:
    plan = plan_looks(fractions, spending=spending, alternative="greater")
    drift = futility_drift(plan, beta=beta, spending=beta_spending)
    bounds = futility_bounds(plan, drift=drift, beta=beta, spending=beta_spending)
    upper = [*plan.critical_values]
    assert bounds[-1] == upper[-1]
    lower = [min(b, u - 1e-12) for b, u in zip(bounds, upper, strict=True)]
    exits = exit_probabilities(fractions, upper, lower, drift=drift)
    spent = [beta_spending.spent(min(t, 1.0), alpha=beta) for t in fractions]
    assert np.cumsum(exits.lower) == pytest.approx(spent, abs=1e-9)
    assert float(exits.power) == pytest.approx(1 - beta, abs=1e-9)


def test_futility_beside_bounds_that_are_absent_or_all_there_is() -> None:
    # The first look can spend β but not α; then a futility bound stands alone.
    early = plan_looks([0.02, 0.5, 1.0], alternative="greater", alpha=0.025)
    bounds = futility_bounds(early, drift=3.0, beta=0.2, spending=Spending("power", 1.0))
    exits = exit_probabilities(early.fractions, early.critical_values, [*bounds[:2], -math.inf], drift=3.0)
    assert exits.lower[:2] == pytest.approx([0.2 * 0.02, 0.2 * 0.48], abs=1e-10)
    # And the other way round.
    late = futility_bounds(early, drift=3.0, beta=0.2)
    assert late[0] == pytest.approx(
        float(stats.norm.ppf(Spending().spent(0.02, alpha=0.2))) + 3 * math.sqrt(0.02)
    )
    never = futility_bounds(plan_looks([0.001, 1.0]), drift=3.0, beta=0.2)
    assert never[0] < -30
    # Far more drift than needed: all that lies below the critical value may be spent.
    sure = plan_looks([0.5, 0.75, 1.0], alternative="greater")
    assert futility_bounds(sure, drift=12.0, beta=0.2) == sure.critical_values
    # Before the end there is a bound below the critical value only.
    open_end = plan_looks([0.5, 0.75], alternative="greater")
    assert futility_bounds(open_end, drift=2.0, beta=0.1)[-1] < open_end.current.critical
    # Where all has been spent before the end, a look has neither bound.
    steep = Spending("hwang_shih_decani", 40.0)
    spent_early = plan_looks([0.95, 0.98, 1.0], spending=steep)
    bounds = futility_bounds(spent_early, drift=2.0, beta=0.2, spending=steep)
    assert bounds[0] == pytest.approx(float(stats.norm.ppf(0.2)) + 2 * math.sqrt(0.95), abs=1e-9)
    assert bounds[1:] == (-math.inf, math.inf)
    # A look after the end has nothing to add.
    over = futility_bounds(plan_looks([0.5, 1.0, 1.2]), drift=3.0, beta=0.2)
    assert over[-1] == math.inf


@settings(max_examples=60)
@given(st.floats(-3, 4), st.floats(0.05, 0.95), st.floats(1.5, 3), st.floats(-4, 6))
def test_power_of_one_more_look_in_closed_form(z: float, t: float, c: float, drift: float) -> None:
    root, rest = math.sqrt(t), math.sqrt(1 - t)
    ahead: dict[str, Any] = {"future_fractions": [1.0], "future_critical": [c]}
    norm = stats.norm
    conditional = float(norm.cdf((z * root + drift * (1 - t) - c) / rest))
    assert conditional_power(z, t, **ahead, drift=drift) == pytest.approx(conditional, abs=1e-12)
    trend = float(norm.cdf((z / root - c) / rest))
    assert conditional_power(z, t, **ahead) == pytest.approx(trend, abs=1e-12)
    predictive = float(norm.cdf((z / root - c) / math.sqrt((1 - t) / t)))
    assert predictive_power(z, t, **ahead) == pytest.approx(predictive, abs=1e-12)
    below = float(norm.cdf((-z * root - drift * (1 - t) - c) / rest))
    both = conditional_power(z, t, **ahead, drift=drift, alternative="two-sided")
    assert both == pytest.approx(conditional + below, abs=1e-12)
    assert conditional_power(-z, t, **ahead, drift=-drift, alternative="less") == pytest.approx(
        conditional, abs=1e-12
    )
    assert predictive_power(-z, t, **ahead, alternative="less") == pytest.approx(predictive, abs=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_predictive_power_averages_conditional_power(alternative: Alternative) -> None:
    z, t = 1.1, 0.35
    ahead: dict[str, Any] = {
        "future_fractions": [0.5, 0.8, 1.0],
        "future_critical": [2.9, 2.4, 2.0],
        "alternative": alternative,
    }
    average = integrate.quad(
        lambda d: conditional_power(z, t, **ahead, drift=d)
        * stats.norm.pdf(d, z / math.sqrt(t), 1 / math.sqrt(t)),
        -12, 15, epsabs=1e-9, limit=200,
    )[0]  # fmt: skip
    assert predictive_power(z, t, **ahead) == pytest.approx(average, abs=1e-8)


def test_questions_about_futility_that_have_no_answer_are_refused() -> None:
    plan = plan_looks([0.5, 1.0])
    for beta in (0.0, 0.6, math.nan):
        with pytest.raises(ValueError, match="beta is"):
            futility_bounds(plan, drift=3.0, beta=beta)
    for drift in (0.0, 51.0, math.nan):
        with pytest.raises(ValueError, match="drift is"):
            futility_bounds(plan, drift=drift)
    with pytest.raises(ValueError, match="has no look"):
        futility_drift(LookHistory())
    for unended in (plan_looks([0.5]), plan_looks([0.5, 1.0, 1.2])):
        with pytest.raises(ValueError, match="does not end the plan"):
            futility_drift(unended)
    ahead: dict[str, Any] = {"future_fractions": [1.0], "future_critical": [2.0]}
    for z, fraction in ((math.nan, 0.5), (1.0, 0.0), (1.0, math.nan)):
        with pytest.raises(ValueError, match="z must be finite"):
            conditional_power(z, fraction, **ahead)
    for fractions, critical in (([1.0], [2.0, 2.0]), ([], []), ([0.5], [2.0])):
        with pytest.raises(ValueError, match="looks after the fraction"):
            predictive_power(1.0, 0.5, future_fractions=fractions, future_critical=critical)
    with pytest.raises(ValueError, match="alternative is"):
        conditional_power(1.0, 0.5, **ahead, alternative="both")  # type: ignore[arg-type]
