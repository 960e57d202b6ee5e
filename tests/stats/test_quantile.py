"""Quantiles of clustered events: exact coverage of the ranks, simulation, and typed refusals."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from tests.stats.estimates import known

from equipoise_stats import (
    ArmQuantile,
    Estimate,
    Moments,
    NoEstimate,
    Status,
    arm_quantile,
    fixed_horizon,
    order_ranks,
    quantile_difference,
)

Z = 1.959963984540054
quantiles = st.sampled_from([0.05, 0.25, 0.5, 0.9])
clusters = st.lists(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=6), min_size=4, max_size=40)


def reduced(groups: list[list[int]], q: float, unit: float = 1.0, shift: float = 0.0) -> ArmQuantile:
    values = [unit * v + shift for group in groups for v in group]
    units = [f"u{i}" for i, group in enumerate(groups) for _ in group]
    return arm_quantile(values, q=q, units=units)


@given(clusters, quantiles)
def test_reduction_by_brute_force(groups: list[list[int]], q: float) -> None:
    arm = reduced(groups, q)
    everything = sorted(v for group in groups for v in group)
    total = len(everything)
    rank = next(r for r in range(1, total + 1) if r >= q * total - 1e-9)
    assert arm.value == everything[rank - 1]
    assert arm.value == np.quantile(everything, q, method="inverted_cdf")
    below = [sum(v <= arm.value for v in group) for group in groups]
    sizes = [len(group) for group in groups]
    # The share of events at or below, as a ratio of unit totals about q: the variance of its linear score.
    score = np.array([(s - q * m) / np.mean(sizes) for s, m in zip(below, sizes, strict=True)])
    reach = Z * math.sqrt(np.var(score, ddof=1) / len(groups))
    low, high = order_ranks(arm.counts, q)
    assert low == pytest.approx(total * (q - reach), abs=1 + 1e-6)
    assert low <= total * (q - reach) + 1e-6
    assert high == pytest.approx(total * (q + reach) + 1, abs=1 + 1e-6)
    assert high >= total * (q + reach) + 1 - 1e-6
    assert arm.lower == (float(everything[low - 1]) if low >= 1 else None)
    assert arm.upper == (float(everything[high - 1]) if high <= total else None)


@given(clusters, clusters, quantiles, st.sampled_from([1e-6, 1e6]), st.sampled_from([0.0, 1e9]))
def test_invariants(
    treatment: list[list[int]], control: list[list[int]], q: float, unit: float, shift: float
) -> None:
    def ask(t: list[list[int]], c: list[list[int]], u: float = 1.0, s: float = 0.0) -> Estimate | NoEstimate:
        return quantile_difference(treatment=reduced(t, q, u, s), control=reduced(c, q, u, s))

    plain = ask(treatment, control)
    if isinstance(plain, NoEstimate):
        assert plain.status in (Status.TOO_FEW_UNITS, Status.TIED)
        other = ask(treatment, control, unit)
        assert isinstance(other, NoEstimate)
        assert other.status == plain.status
        return
    swapped, scaled = known(ask(control, treatment)), known(ask(treatment, control, unit))
    assert (swapped.difference, swapped.variance) == (-plain.difference, plain.variance)
    assert scaled.difference == pytest.approx(unit * plain.difference, rel=1e-9)
    assert scaled.standard_error == pytest.approx(unit * plain.standard_error, rel=1e-9)
    shifted = known(ask(treatment, control, 1.0, shift))
    assert (shifted.difference, shifted.variance) == (plain.difference, plain.variance)


@given(st.lists(st.integers(-10_000, 10_000), min_size=10, max_size=60, unique=True), quantiles)
def test_turning_the_values_round_turns_the_quantile(values: list[int], q: float) -> None:
    assume(not math.isclose(q * len(values) % 1, 0, abs_tol=1e-6))
    a = arm_quantile(values, q=q)
    b = arm_quantile([-v for v in values], q=1 - q)
    assert b.value == -a.value


def test_the_estimate_is_the_width_of_the_ranks() -> None:
    generator = np.random.default_rng(1)
    arms = [arm_quantile(generator.lognormal(size=n), q=0.9) for n in (2000, 500)]
    e = known(quantile_difference(treatment=arms[0], control=arms[1]))
    assert e.estimator == "quantile"
    for found, arm in zip((e.treatment, e.control), arms, strict=True):
        assert arm.upper is not None
        assert arm.lower is not None
        assert math.sqrt(found.variance) == pytest.approx((arm.upper - arm.lower) / (2 * Z), rel=1e-12)
        assert (found.value, found.n) == (arm.value, arm.counts.n)
    v_t, v_c = e.treatment.variance, e.control.variance
    assert e.df == pytest.approx((v_t + v_c) ** 2 / (v_t**2 / 1999 + v_c**2 / 499))
    # Large samples: √(q(1 − q)/n) / f(x_q).
    big = arm_quantile(generator.normal(size=400_000), q=0.5)
    assert big.upper is not None
    assert big.lower is not None
    se = math.sqrt(0.25 / 400_000) / stats.norm.pdf(0)
    assert (big.upper - big.lower) / (2 * Z) == pytest.approx(se, rel=0.05)


def test_events_are_no_units() -> None:
    """A/A on 90th percentiles, seven events a user: users hold the level, events as units do not."""
    generator = np.random.default_rng(2)
    replications, users, per = 1500, 300, 7
    units = np.repeat(np.arange(users), per)
    by_unit = by_event = 0
    for _ in range(replications):
        data = np.exp(
            generator.normal(0, 0.8, (2, users))[:, :, None] + generator.normal(0, 0.6, (2, users, per))
        ).reshape(2, -1)
        for owner in (units, None):
            arms = [arm_quantile(values, q=0.9, units=owner) for values in data]
            rejected = fixed_horizon(quantile_difference(treatment=arms[0], control=arms[1])).test.rejected
            if owner is None:
                by_event += bool(rejected)
            else:
                by_unit += bool(rejected)
    assert by_unit / replications < 0.05 + 3 * math.sqrt(0.05 * 0.95 / replications)
    assert by_unit / replications > 0.02
    assert by_event / replications > 0.15


def test_a_quantile_too_far_out_is_refused() -> None:
    generator = np.random.default_rng(3)
    few, many = (arm_quantile(generator.normal(size=n), q=0.99) for n in (100, 5000))
    assert few.upper is None
    for arms, name in (((few, many), "treatment"), ((many, few), "control")):
        answer = quantile_difference(treatment=arms[0], control=arms[1])
        assert isinstance(answer, NoEstimate)
        assert answer.status == Status.TOO_FEW_UNITS
        assert f"The {name} arm has too few events for quantile 0.99" in answer.reason
        assert (answer.treatment.value, answer.control.value) == (arms[0].value, arms[1].value)
    low = arm_quantile(generator.normal(size=100), q=0.01)
    assert low.lower is None
    assert isinstance(quantile_difference(treatment=low, control=low), NoEstimate)


def test_ties_are_refused() -> None:
    generator = np.random.default_rng(4)
    fine = arm_quantile(generator.normal(3, 1, 2000), q=0.5)
    coarse = arm_quantile(generator.poisson(3, 2000), q=0.5)
    half = ArmQuantile(0.5, fine.counts, 3.0, 2.9, 3.0)
    for arm in (coarse, half):
        answer = quantile_difference(treatment=fine, control=arm)
        assert isinstance(answer, NoEstimate)
        assert answer.status == Status.TIED
        assert "control arm have exactly the value 3" in answer.reason
        assert fixed_horizon(answer).difference.status == Status.TIED


def test_one_unit_is_too_few() -> None:
    one = arm_quantile([1.0, 2.0, 3.0], q=0.5, units=["a", "a", "a"])
    assert (one.lower, one.upper) == (None, None)
    assert order_ranks(one.counts, 0.5) == (0, 4)
    many = arm_quantile(list(range(100)), q=0.5)
    for arms in ((one, many), (many, one)):
        answer = quantile_difference(treatment=arms[0], control=arms[1])
        assert isinstance(answer, NoEstimate)
        assert answer.status == Status.TOO_FEW_UNITS
        assert f"treatment has {arms[0].counts.n}, control has {arms[1].counts.n}" in answer.reason


def test_two_units_are_enough() -> None:
    generator = np.random.default_rng(5)
    two = arm_quantile(generator.normal(size=400), q=0.5, units=np.arange(400) // 200)
    many = arm_quantile(generator.normal(size=400), q=0.5)
    for arms in ((two, many), (many, two)):
        assert isinstance(quantile_difference(treatment=arms[0], control=arms[1]), Estimate)


def test_a_rank_is_what_was_meant() -> None:
    # 0.07 · 100 = 7.000000000000001 in floating point.
    assert arm_quantile(list(range(1, 101)), q=0.07).value == 7.0
    assert arm_quantile(list(range(1, 102)), q=0.07).value == 8.0


@pytest.mark.parametrize("q", [0.0, 1.0, -0.1, math.nan])
def test_impossible_quantiles_are_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        arm_quantile([1.0, 2.0], q=q)


def test_impossible_arms_are_refused() -> None:
    arm = arm_quantile(list(range(50)), q=0.5)
    with pytest.raises(ValueError, match="different quantiles"):
        quantile_difference(treatment=arm, control=arm_quantile(list(range(50)), q=0.4))
    with pytest.raises(ValueError, match="at least one event"):
        arm_quantile([], q=0.5)
    with pytest.raises(ValueError, match="at least one event"):
        arm_quantile([[1.0]], q=0.5)
    with pytest.raises(ValueError, match="not finite"):
        arm_quantile([1.0, math.nan], q=0.5)
    with pytest.raises(ValueError, match="one unit an event"):
        arm_quantile([1.0, 2.0], q=0.5, units=[1])
    for lower, value, upper in ((2.0, 1.0, 3.0), (0.0, 4.0, 3.0), (None, math.inf, None), (2.0, 1.0, None)):
        with pytest.raises(ValueError, match="ascend"):
            ArmQuantile(0.5, arm.counts, value, lower, upper)
    with pytest.raises(ValueError, match="'below' and 'events' are needed"):
        ArmQuantile(0.5, Moments.scalar(5, 1.0, 1.0), 1.0, None, None)
    with pytest.raises(ValueError, match="between 0 and 1"):
        ArmQuantile(1.5, arm.counts, 1.0, None, None)
