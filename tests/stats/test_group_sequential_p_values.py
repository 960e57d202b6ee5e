"""Repeated and sequential p-values: closed forms, far tails, what always holds."""

import math

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from tests.stats.looks import INFERENCES, ask, histories, with_z

from equipoise_stats import (
    LookHistory,
    Spending,
    group_sequential,
    plan_looks,
    repeated_p_value,
    sequential_p_value,
)


@settings(max_examples=100)
@given(history=histories, a=st.floats(-6, 45), b=st.floats(-6, 45))
def test_repeated_p_falls_with_the_evidence(history: LookHistory, a: float, b: float) -> None:
    sign = -1 if history.alternative == "less" else 1
    low, high = sorted((abs(a), abs(b)) if history.two_sided else (a, b))
    weak, strong = (repeated_p_value(sign * z, history) for z in (low, high))
    assert strong.log_p_value <= weak.log_p_value + 1e-9
    assert 0 < strong.p_value <= weak.p_value * (1 + 1e-9) <= 1 + 1e-9
    # Looking more than once costs something, and never gains anything.
    fixed = stats.norm.logsf(high) + (math.log(2) if history.two_sided else 0)
    assert strong.log_p_value >= min(0.0, float(fixed)) - 1e-9


@settings(max_examples=60)
@given(history=histories, z=st.floats(-3, 12))
def test_repeated_p_is_the_level_at_which_the_look_would_just_reject(history: LookHistory, z: float) -> None:
    assume(math.isfinite(history.current.critical))
    p = repeated_p_value(-z if history.alternative == "less" else z, history).p_value
    assume(1e-15 < p < 0.45)
    other = LookHistory(history.spending, p, history.alternative)
    for look in history.looks:
        other = other.next_look(look.fraction)
    assume(math.isfinite(other.current.critical))
    assert other.current.critical == pytest.approx(abs(z) if history.two_sided else z, abs=1e-8)


@example(history=plan_looks([0.5, 1.0]), z=40.0)
@settings(max_examples=40)
@given(history=histories, z=st.floats(30, 1e6))
def test_p_never_underflows(history: LookHistory, z: float) -> None:
    assume(math.isfinite(history.current.critical))
    for inference in INFERENCES:
        sign = -1 if history.alternative == "less" else 1
        here, beyond = (ask(inference, with_z(sign * x), history).test for x in (z, 1.01 * z))
        assert here.p_value is not None
        assert here.log_p_value is not None
        assert beyond.log_p_value is not None
        assert here.p_value > 0
        if inference is group_sequential:
            assert beyond.log_p_value < here.log_p_value
        else:  # stopping earlier is more extreme than any statistic
            assert beyond.log_p_value <= here.log_p_value


def test_log_p_at_forty_standard_errors() -> None:
    # Two looks, O'Brien–Fleming type: out there p is that of the last look alone, 2 Φ(−40).
    exact = math.log(2) + math.log(3.655893540915029) - 350 * math.log(10)
    assert repeated_p_value(40.0, plan_looks([0.5, 1.0])).log_p_value == pytest.approx(exact, rel=1e-9)
    # At the first look, Pocock type, α/2 = Φ(−40) / ln(1 + (e − 1)/2).
    pocock = plan_looks([0.5], spending=Spending("pocock"))
    expected = exact - math.log(math.log1p((math.e - 1) / 2))
    assert repeated_p_value(40.0, pocock).log_p_value == pytest.approx(expected, rel=1e-12)
    # Beyond, critical values grow in proportion; a first look of O'Brien–Fleming type has a closed form.
    first = plan_looks([0.25])
    for z in (40.0, 79.9, 80.1, 200.0):
        q = optimize.brentq(
            lambda x, z=z: math.log(2) + stats.norm.logsf(x / 0.5) - stats.norm.logsf(z), 1, z
        )
        closed = 2 * math.log(2) + float(stats.norm.logsf(q))
        assert repeated_p_value(z, first).log_p_value == pytest.approx(closed, rel=1e-5)


def test_p_of_a_first_look_in_closed_form() -> None:
    power = plan_looks([0.5], spending=Spending("power", 2.0))
    assert repeated_p_value(3.0, power).p_value == pytest.approx(2 * float(stats.norm.sf(3.0)) * 4, rel=1e-10)
    assert repeated_p_value(1.0, power).p_value == 1.0
    above = plan_looks([0.5], spending=Spending("power", 2.0), alternative="greater")
    assert repeated_p_value(2.0, above).p_value == pytest.approx(float(stats.norm.sf(2.0)) * 4, rel=1e-10)
    assert repeated_p_value(-1.0, above).p_value == 1.0
    below = plan_looks([1.0], alternative="less")
    assert repeated_p_value(-2.0, below).p_value == pytest.approx(float(stats.norm.sf(2.0)), rel=1e-10)
    assert repeated_p_value(2.0, below).p_value == pytest.approx(float(stats.norm.cdf(2.0)), rel=1e-8)


def test_sequential_p_is_the_smallest_so_far() -> None:
    history = plan_looks([0.3, 0.6, 1.0])
    zs = [3.5, 2.0, 1.0]
    each = [repeated_p_value(z, plan_looks([0.3, 0.6, 1.0][: k + 1])).p_value for k, z in enumerate(zs)]
    assert sequential_p_value(zs, history).p_value == min(each)
    assert each[1] < each[2]
    assert sequential_p_value([0.0, 2.5, 2.1], history).p_value == pytest.approx(
        min(repeated_p_value(2.5, plan_looks([0.3, 0.6])).p_value, repeated_p_value(2.1, history).p_value)
    )


def test_the_p_value_at_the_bounds_is_alpha() -> None:
    # Where a bound is met exactly, the p-value is α (gsDesign's own check of its sequentialPValue).
    history = plan_looks(
        [0.4, 0.7, 0.85, 1.0],
        spending=Spending("hwang_shih_decani", -4.0),
        alpha=0.025,
        alternative="greater",
    )
    assert sequential_p_value(history.critical_values, history).p_value == pytest.approx(0.025, abs=1e-10)
