"""The lift and its Fieller interval: against brute-force inversion, and where there is none."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize

from equipoise_stats import (
    ArmEstimate,
    Counts,
    Estimate,
    Interval,
    Status,
    fixed_horizon,
    proportion_difference,
)
from equipoise_stats.inference.comparison import Method
from equipoise_stats.inference.conclude import conclude
from equipoise_stats.inference.intervals import difference_effect, lift_effect, statistic


def estimate(
    m_t: float, m_c: float, v_t: float, v_c: float, covariance: float = 0.0, df: float = math.inf
) -> Estimate:
    return Estimate("any", ArmEstimate(100, m_t, v_t), ArmEstimate(100, m_c, v_c), covariance, df)


def interval(e: Estimate, critical: float) -> Interval:
    found = lift_effect(e, critical).interval
    assert found is not None
    return found


independent = st.builds(
    estimate, st.floats(-20, 20), st.floats(0.1, 20), st.floats(1e-4, 10), st.floats(1e-6, 10)
)
dependent = st.builds(
    lambda m_t, m_c, s_t, s_c, rho: estimate(m_t, m_c, s_t**2, s_c**2, rho * s_t * s_c),
    st.floats(-20, 20),
    st.floats(0.1, 20),
    st.floats(0.01, 3),
    st.floats(0.001, 3),
    st.floats(-0.99, 0.99),
)
criticals = st.floats(0.01, 8)


@given(st.one_of(independent, dependent), criticals)
def test_the_interval_is_the_inversion_of_the_linear_form(e: Estimate, critical: float) -> None:
    """Root finding on |m_t − R m_c| = critical · se(R), which knows nothing of Fieller's formula."""
    effect = lift_effect(e, critical)
    margin = e.control.value / (critical * math.sqrt(e.control.variance))
    assume(abs(margin - 1) > 1e-3)
    if margin < 1:
        assert effect.status == Status.UNBOUNDED
        assert effect.interval is None
        return

    def form(ratio: float) -> float:
        variance = e.treatment.variance - 2 * ratio * e.covariance + ratio**2 * e.control.variance
        return (e.treatment.value - ratio * e.control.value) / math.sqrt(variance)

    centre = e.treatment.value / e.control.value
    ends = []
    for sign in (1, -1):
        reach = 1.0
        while sign * form(centre - sign * reach) < critical:
            reach *= 2
        root = optimize.brentq(
            lambda ratio, s=sign: s * form(ratio) - critical,
            centre - sign * reach,
            centre,
            xtol=1e-14,
            rtol=1e-14,
        )
        ends.append(float(root) - 1)
    found = interval(e, critical)
    assert effect.estimate == pytest.approx(centre - 1, abs=1e-12)
    assert (found.lower, found.upper) == pytest.approx(tuple(ends), rel=1e-6, abs=1e-9)
    assert found.lower <= centre - 1 <= found.upper


@given(st.one_of(independent, dependent), criticals)
def test_it_excludes_zero_exactly_when_the_difference_does(e: Estimate, critical: float) -> None:
    lift, difference = lift_effect(e, critical), difference_effect(e, critical)
    assert difference.interval is not None
    if lift.interval is not None:
        assert lift.interval.excludes(0.0) is difference.interval.excludes(0.0)


@given(independent, criticals, st.sampled_from([1e-9, 0.01, 1e6, 1e12]))
def test_units_of_measurement_do_not_matter(e: Estimate, critical: float, unit: float) -> None:
    scaled = estimate(
        e.treatment.value * unit,
        e.control.value * unit,
        e.treatment.variance * unit**2,
        e.control.variance * unit**2,
    )
    assume(abs(e.control.value / (critical * math.sqrt(e.control.variance)) - 1) > 1e-6)
    a, b = lift_effect(e, critical), lift_effect(scaled, critical)
    assert a.status == b.status
    if a.estimate is not None and b.estimate is not None:
        assert a.estimate == pytest.approx(b.estimate, rel=1e-9, abs=1e-12)
    if a.interval is not None and b.interval is not None:
        assert (a.interval.lower, a.interval.upper) == pytest.approx(
            (b.interval.lower, b.interval.upper), rel=1e-6, abs=1e-9
        )


@given(independent, criticals)
def test_swapping_the_arms_inverts_the_ratio(e: Estimate, critical: float) -> None:
    assume(e.treatment.value > 0)
    swapped = estimate(e.control.value, e.treatment.value, e.control.variance, e.treatment.variance)
    a, b = lift_effect(e, critical).interval, lift_effect(swapped, critical).interval
    if a is not None and b is not None:
        assert 1 / (1 + a.upper) == pytest.approx(1 + b.lower, rel=1e-6)
        assert 1 / (1 + a.lower) == pytest.approx(1 + b.upper, rel=1e-6)


def test_means_far_from_zero_keep_their_digits() -> None:
    # Difference 1 at a level of a billion: the lift is 1e−9 and so is the width of its interval.
    found = interval(estimate(1e9 + 1, 1e9, 0.02, 0.02), 2.0)
    assert (found.lower, found.upper) == pytest.approx((0.6e-9, 1.4e-9), rel=1e-8)


def test_the_closed_form_of_equal_arms() -> None:
    """For equal, independent arms the ratio's bounds are (1 ± √(2g − g²)) / (1 − g) with g = z² v / m²."""
    z, v, m = 2.0, 0.04, 2.0
    g = z**2 * v / m**2
    found = interval(estimate(m, m, v, v), z)
    root = math.sqrt(2 * g - g**2)
    assert (found.lower, found.upper) == pytest.approx(
        ((1 - root) / (1 - g) - 1, (1 + root) / (1 - g) - 1), rel=1e-12
    )


def test_real_counts() -> None:
    result = fixed_horizon(
        proportion_difference(treatment=Counts(144389, 17268), control=Counts(144300, 17468))
    )
    found = result.lift.interval
    assert found is not None
    assert result.lift.estimate == pytest.approx(-0.01206, abs=5e-6)
    assert (found.lower, found.upper) == pytest.approx((-0.03136, 0.00762), abs=5e-6)


def test_the_standard_error_is_that_of_the_delta_method() -> None:
    m_t, m_c, v_t, v_c, c = 11.0, 10.0, 0.3, 0.2, 0.1
    expected = math.sqrt(v_t / m_c**2 - 2 * m_t * c / m_c**3 + m_t**2 * v_c / m_c**4)
    assert lift_effect(estimate(m_t, m_c, v_t, v_c, c), 1.96).standard_error == pytest.approx(expected)


def test_the_interval_covers_in_simulation() -> None:
    """Coverage of a noisy ratio, where the delta method is far off: within three standard errors."""
    generator = np.random.default_rng(7)
    replications, true_t, true_c, se = 40_000, 1.5, 1.0, 0.22
    covered = 0
    for m_t, m_c in generator.normal((true_t, true_c), se, (replications, 2)):
        # Where the interval is unbounded or refused, the test that it inverts still covers or not.
        value = (m_t - 1.5 * m_c) / (se * math.hypot(1, 1.5))
        effect = lift_effect(estimate(float(m_t), float(m_c), se**2, se**2), 1.959964)
        inside = abs(value) <= 1.959964 if effect.interval is None else not effect.interval.excludes(0.5)
        covered += inside
    assert abs(covered / replications - 0.95) < 3 * math.sqrt(0.95 * 0.05 / replications)


@pytest.mark.parametrize("control", [0.0, -1e-300, -5.0])
def test_a_control_that_is_not_positive_has_no_lift(control: float) -> None:
    e = estimate(1.0, control, 0.1, 0.1)
    result = fixed_horizon(e)
    assert result.lift.status == Status.CONTROL_NOT_POSITIVE
    assert f"{control:.6g}" in (result.lift.reason or "")
    assert (result.lift.estimate, result.lift.interval) == (None, None)
    assert result.difference.status == result.test.status == Status.OK
    relative = fixed_horizon(e, null=-0.1, scale="lift")
    assert relative.test.status == Status.CONTROL_NOT_POSITIVE
    assert relative.test.p_value is relative.test.rejected is None
    assert relative.difference.status == Status.OK


def test_a_control_that_may_be_zero_has_no_bounded_lift() -> None:
    e = estimate(5.0, 1.0, 0.1, 0.3)
    effect = lift_effect(e, 1.96)
    assert effect.status == Status.UNBOUNDED
    assert (effect.estimate, effect.interval) == (None, None)
    assert lift_effect(e, 1.8).status == Status.OK
    at_the_limit = estimate(5.0, 2.0, 0.1, 1.0)
    assert lift_effect(at_the_limit, 2.0).status == Status.UNBOUNDED
    # The exact linear form needs no bounded interval.
    assert fixed_horizon(e, null=0.1, scale="lift").test.status == Status.OK


def test_a_treatment_of_zeros_only_has_no_lift() -> None:
    result = fixed_horizon(proportion_difference(treatment=Counts(100, 0), control=Counts(100, 50)))
    assert result.lift.status == Status.NO_VARIANCE
    assert (result.lift.reason or "").startswith("Every unit of the treatment arm has the value 0")
    assert result.lift.interval is None
    assert result.difference.status == Status.OK
    assert [warning.code for warning in result.warnings] == ["few_events"]


def test_a_constant_arm_has_a_lift() -> None:
    found = interval(estimate(3.0, 2.0, 0.0, 0.01), 2.0)
    assert (found.lower, found.upper) == pytest.approx((3 / 2.2 - 1, 3 / 1.8 - 1))
    found = interval(estimate(3.0, 2.0, 0.01, 0.0), 2.0)
    assert (found.lower, found.upper) == pytest.approx((0.4, 0.6))


def test_a_control_that_underflows_is_refused() -> None:
    effect = lift_effect(estimate(1.0, 1e-310, 1.0, 0.0), 2.0)
    assert effect.status == Status.UNBOUNDED
    assert "too close to zero" in (effect.reason or "")


def test_a_linear_form_without_variance_has_no_test() -> None:
    # m_t − 2 m_c is exactly 0 with exactly no variance: full dependence of the arms.
    e = estimate(2.0, 1.0, 4.0, 1.0, 2.0)
    assert statistic(e, 1.0, "lift") is None


def test_an_infinite_critical_value_gives_no_interval() -> None:
    """The first looks of a group-sequential design, at which nothing can be rejected yet."""
    e = estimate(11.0, 10.0, 0.1, 0.1)
    result = conclude(
        e,
        method=Method("any", 1),
        alpha=0.05,
        alternative="two-sided",
        null=0.0,
        scale="difference",
        statistic=statistic(e, 0.0, "difference"),
        critical=math.inf,
        log_p=0.0,
        df=math.inf,
    )
    assert result.difference.status == result.lift.status == Status.UNBOUNDED
    assert result.difference.interval is result.lift.interval is None
    assert result.difference.estimate == 1.0
    assert result.difference.standard_error == pytest.approx(math.sqrt(0.2))
    assert result.test.rejected is False
    assert result.to_dict()["test"]["critical"] is None


def test_extreme_values_have_a_status_and_no_overflow() -> None:
    tiny = Estimate("mean", ArmEstimate(100, 1.0, 0.01), ArmEstimate(100, 6e-251, 1e-600))
    assert lift_effect(tiny, 1.96).status is Status.UNBOUNDED


def test_too_early_is_the_reason_where_the_critical_value_is_infinite() -> None:
    estimate = Estimate("mean", ArmEstimate(100, 11.0, 0.04), ArmEstimate(100, 10.0, 0.04))
    effect = lift_effect(estimate, math.inf)
    assert effect.status is Status.UNBOUNDED
    assert effect.reason is not None
    assert "At this look" in effect.reason
