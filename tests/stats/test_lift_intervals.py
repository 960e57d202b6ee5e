"""Intervals of the lift on request: against closed forms and other libraries, and under the common rule."""

import importlib
import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Counts,
    Estimate,
    Moments,
    Status,
    fixed_horizon,
    fixed_horizon_lift,
    lift_effect_by,
    mean_difference,
    proportion_difference,
)
from equipoise_stats.inference.lift_intervals import LiftInterval

KINDS: tuple[LiftInterval, ...] = ("delta", "log")
kinds = st.sampled_from(KINDS)
alternatives: st.SearchStrategy[Alternative] = st.sampled_from(("two-sided", "greater", "less"))


def estimate(
    m_t: float, m_c: float, s_t: float, s_c: float, rho: float = 0.0, df: float = math.inf, unit: float = 1.0
) -> Estimate:
    return Estimate(
        "any",
        ArmEstimate(100, m_t * unit, (s_t * unit) ** 2),
        ArmEstimate(100, m_c * unit, (s_c * unit) ** 2),
        rho * s_t * s_c * unit**2,
        df,
    )


positive = st.builds(
    estimate,
    st.floats(0.1, 50),
    st.floats(0.1, 50),
    st.floats(0.01, 5),
    st.floats(0.01, 5),
    st.floats(-0.9, 0.9),
    st.one_of(st.floats(1, 1e6), st.just(math.inf)),
    st.sampled_from([1e-9, 1.0, 1e9]),
)


@given(positive, kinds, alternatives, st.sampled_from([1e-6, 0.01, 0.05, 0.4]), st.floats(-0.9, 3))
def test_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    e: Estimate, kind: LiftInterval, alternative: Alternative, alpha: float, null: float
) -> None:
    result = fixed_horizon_lift(e, interval=kind, alpha=alpha, alternative=alternative, null=null)
    assert result.test.log_p_value is not None
    assert result.test.p_value is not None
    assume(not math.isclose(result.test.log_p_value, math.log(alpha), rel_tol=1e-9, abs_tol=1e-9))
    assert result.test.rejected is (result.test.p_value <= alpha)
    if result.lift.interval is not None:
        ends = (result.lift.interval.lower, result.lift.interval.upper)
        assume(all(not math.isclose(end, null, rel_tol=1e-9, abs_tol=1e-9) for end in ends))
        assert result.lift.interval.excludes(null) is result.test.rejected
    else:
        assert result.lift.status == Status.UNBOUNDED
    assert result.difference == fixed_horizon(e, alpha=alpha, alternative=alternative).difference
    json.dumps(result.to_dict(), allow_nan=False)


@given(positive, st.floats(0.1, 6))
def test_the_closed_forms(e: Estimate, critical: float) -> None:
    m_t, m_c = e.treatment.value, e.control.value
    v_t, v_c, c = e.treatment.variance, e.control.variance, e.covariance
    delta = math.sqrt(v_t / m_c**2 - 2 * m_t * c / m_c**3 + m_t**2 * v_c / m_c**4)
    log = math.sqrt(v_t / m_t**2 - 2 * c / (m_t * m_c) + v_c / m_c**2)
    a, b = (lift_effect_by(kind, e, critical) for kind in KINDS)
    lift = m_t / m_c - 1
    assert a.estimate == pytest.approx(lift, rel=1e-9, abs=1e-12)
    assert a.standard_error == pytest.approx(delta, rel=1e-6)
    assert b.standard_error == pytest.approx(delta, rel=1e-6)
    assert a.interval is not None
    assert (a.interval.lower, a.interval.upper) == pytest.approx(
        (lift - critical * delta, lift + critical * delta), rel=1e-6, abs=1e-9
    )
    if b.interval is None:
        assert critical * log > 600
        return
    assert 1 + b.interval.lower == pytest.approx(m_t / m_c * math.exp(-critical * log), rel=1e-6, abs=1e-12)
    assert 1 + b.interval.upper == pytest.approx(m_t / m_c * math.exp(critical * log), rel=1e-6)


@given(positive, st.floats(0.1, 6))
def test_swapping_the_arms_inverts_the_ratio_on_the_logarithm(e: Estimate, critical: float) -> None:
    other = Estimate("any", e.control, e.treatment, e.covariance, e.df)
    a, b = lift_effect_by("log", e, critical), lift_effect_by("log", other, critical)
    assume(a.interval is not None and b.interval is not None)
    assert a.interval is not None
    assert b.interval is not None
    assume(b.interval.lower > -0.999)  # the rest of 1 is lost below
    assert (1 + a.interval.upper) * (1 + b.interval.lower) == pytest.approx(1, rel=1e-9)
    x, y = (fixed_horizon_lift(each, interval="log").test.p_value for each in (e, other))
    assert x == pytest.approx(y, rel=1e-7)


@given(positive, st.floats(0.1, 6), kinds)
def test_one_sided_bounds_are_ends_of_the_two_sided_interval(
    e: Estimate, critical: float, kind: LiftInterval
) -> None:
    both, above, below = (
        lift_effect_by(kind, e, critical, side).interval for side in ("two-sided", "greater", "less")
    )
    assume(both is not None)
    assert both is not None
    assert above is not None
    assert below is not None
    assert (above.lower, above.upper) == (both.lower, math.inf)
    assert (below.lower, below.upper) == (-math.inf, both.upper)


def test_the_logarithm_is_that_of_statsmodels() -> None:
    proportion = importlib.import_module("statsmodels.stats.proportion")
    e = proportion_difference(treatment=Counts(45489, 8279), control=Counts(44700, 8502))
    ends = proportion.confint_proportions_2indep(8279, 45489, 8502, 44700, compare="ratio", method="log")
    theirs = proportion.test_proportions_2indep(8279, 45489, 8502, 44700, compare="ratio", method="log")
    mine = fixed_horizon_lift(e, interval="log")
    assert mine.lift.interval is not None
    found = mine.lift.interval
    assert (1 + found.lower, 1 + found.upper) == pytest.approx(ends, rel=1e-9)
    assert mine.test.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)
    assert mine.method.name == "fixed_horizon_lift_log"


def test_the_two_disagree_with_the_test_of_the_difference() -> None:
    """Why they are no default: the difference is significant, the delta interval of the lift covers zero."""
    e = Estimate("mean", ArmEstimate(100, 1.7, 0.05), ArmEstimate(100, 1.0, 0.06), df=200.0)
    by_fieller, by_delta = fixed_horizon(e), fixed_horizon_lift(e, interval="delta")
    assert by_fieller.test.rejected is True
    assert by_fieller.lift.interval is not None
    assert by_fieller.lift.interval.excludes(0.0)
    assert by_delta.lift.interval is not None
    assert not by_delta.lift.interval.excludes(0.0)
    assert by_delta.test.rejected is False


def test_lifts_keep_their_digits() -> None:
    e = estimate(1e9 + 1, 1e9, 0.1, 0.1)
    for kind in KINDS:
        found = lift_effect_by(kind, e, 2.0).interval
        assert found is not None
        radius = 2 * 0.1 * math.sqrt(2) * 1e-9
        assert (found.lower, found.upper) == pytest.approx((1e-9 - radius, 1e-9 + radius), rel=1e-7)
    far = fixed_horizon_lift(estimate(40.0, 1.0, 0.1, 0.01), interval="log")
    assert far.test.log_p_value is not None
    assert far.test.log_p_value < -1000
    assert far.test.p_value is not None
    assert far.test.p_value > 0


@pytest.mark.parametrize("kind", KINDS)
def test_where_there_is_no_lift(kind: LiftInterval) -> None:
    no_control = fixed_horizon_lift(estimate(1.0, -2.0, 0.1, 0.1), interval=kind)
    assert no_control.lift.status == no_control.test.status == Status.CONTROL_NOT_POSITIVE
    assert "-2" in (no_control.test.reason or "")
    assert no_control.test.p_value is None
    assert no_control.lift.interval is None
    assert no_control.difference.status == Status.OK
    # 2 ± 2 fully dependent on 1 ± 1: the ratio has no variance though the difference has.
    exact = fixed_horizon_lift(estimate(2.0, 1.0, 2.0, 1.0, 1.0), interval=kind)
    assert exact.lift.status == exact.test.status == Status.NO_VARIANCE
    tiny = fixed_horizon_lift(estimate(1.0, 1e-310, 1.0, 0.0), interval=kind)
    assert tiny.lift.status == tiny.test.status == Status.UNBOUNDED
    assert "too close to zero" in (tiny.lift.reason or "")
    later = lift_effect_by(kind, estimate(1.0, 1.0, 0.1, 0.1), math.inf)
    assert (later.status, later.estimate, later.interval) == (Status.UNBOUNDED, 0.0, None)
    one = Moments.scalar(1, 1.0, None)
    nobody = fixed_horizon_lift(mean_difference(treatment=one, control=one), interval=kind, null=0.1)
    assert nobody.lift.status == nobody.test.status == Status.TOO_FEW_UNITS
    assert (nobody.test.scale, nobody.test.null) == ("lift", 0.1)


def test_the_logarithm_needs_a_positive_treatment() -> None:
    for value in (0.0, -3.0):
        e = estimate(value, 2.0, 0.5, 0.1)
        refused = fixed_horizon_lift(e, interval="log")
        assert refused.lift.status == refused.test.status == Status.TREATMENT_NOT_POSITIVE
        assert f"it is {value:.6g}" in (refused.lift.reason or "")
        assert fixed_horizon_lift(e, interval="delta").lift.status == Status.OK
    wide = lift_effect_by("log", estimate(1e-3, 2.0, 5.0, 0.1), 2.0)
    assert wide.status == Status.UNBOUNDED
    assert "upper bound" in (wide.reason or "")


def test_impossible_questions_are_refused() -> None:
    e = estimate(1.0, 1.0, 0.1, 0.1)
    with pytest.raises(ValueError, match="delta, log"):
        fixed_horizon_lift(e, interval="fieller")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alpha"):
        fixed_horizon_lift(e, interval="log", alpha=0.7)
    with pytest.raises(ValueError, match="above -1"):
        fixed_horizon_lift(e, interval="log", null=-1.0)
