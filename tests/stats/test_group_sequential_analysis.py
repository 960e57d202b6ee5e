"""One look of a group-sequential analysis: what always holds, what is recorded, what has no answer."""

import json
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.stats.intervals import interval_of
from tests.stats.looks import (
    ALTERNATIVES,
    INFERENCES,
    ask,
    estimates,
    histories,
    is_a_tie,
    with_z,
)

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Estimate,
    Look,
    LookHistory,
    Moments,
    NoEstimate,
    Notice,
    Spending,
    Status,
    fixed_horizon,
    group_sequential,
    mean_difference,
    plan_looks,
    repeated_p_value,
    sequential_p_value,
    stage_wise,
)

# What must always hold


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=150)
@given(estimate=estimates(), history=histories, null=st.sampled_from([0.0, 0.0, -3.0, 0.7]))
def test_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    inference: Any, estimate: Estimate, history: LookHistory, null: float
) -> None:
    result = ask(inference, estimate, history, null=null)
    assume(not is_a_tie(result) or math.isinf(history.current.critical))
    assert result.test.p_value is not None
    significant = result.test.p_value <= history.alpha
    assert result.test.rejected is significant
    if result.difference.interval is None:
        assert result.difference.status == Status.UNBOUNDED
        assert math.isinf(history.current.critical)
        assert not significant
    else:
        assert result.difference.interval.excludes(null) is significant
    if null == 0 and result.lift.interval is not None:
        assert result.lift.interval.excludes(0.0) is significant


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=100)
@given(estimate=estimates(positive=True), history=histories, null=st.floats(-0.9, 3))
def test_a_relative_null_is_excluded_exactly_when_its_linear_form_is_rejected(
    inference: Any, estimate: Estimate, history: LookHistory, null: float
) -> None:
    result = ask(inference, estimate, history, null=null, scale="lift")
    assume(not is_a_tie(result))
    if result.lift.interval is not None:
        ends = (result.lift.interval.lower, result.lift.interval.upper)
        assume(not any(math.isclose(end, null, rel_tol=1e-7, abs_tol=1e-9) for end in ends))
        assert result.test.p_value is not None
        assert result.lift.interval.excludes(null) is (result.test.p_value <= history.alpha)
        assert result.test.rejected is (result.test.p_value <= history.alpha)


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=100)
@given(e=estimates(), history=histories)
def test_swapping_the_arms_negates(inference: Any, e: Estimate, history: LookHistory) -> None:
    other: dict[str, Any] = {"greater": "less", "less": "greater", "two-sided": "two-sided"}
    swapped = Estimate(e.estimator, e.control, e.treatment, e.covariance, e.df)
    mirrored = LookHistory(history.spending, history.alpha, other[history.alternative], history.looks)
    a, b = ask(inference, e, history), ask(inference, swapped, mirrored)
    assert a.test.log_p_value == pytest.approx(b.test.log_p_value, rel=1e-9, abs=1e-9)
    assert a.test.rejected == b.test.rejected
    if a.difference.interval is None:
        assert b.difference.interval is None
    else:
        theirs = interval_of(b.difference.interval)
        scale = e.standard_error + abs(e.difference)
        assert (theirs.lower, theirs.upper) == pytest.approx(
            (-a.difference.interval.upper, -a.difference.interval.lower), rel=1e-9, abs=1e-9 * scale
        )
        assert b.difference.estimate == pytest.approx(
            -(a.difference.estimate or 0.0), rel=1e-9, abs=1e-9 * scale
        )


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=50)
@given(e=estimates(), history=histories, unit=st.sampled_from([1e-6, 100.0, 1e9]))
def test_units_of_measurement_do_not_matter(
    inference: Any, e: Estimate, history: LookHistory, unit: float
) -> None:
    scaled = Estimate(
        "any",
        ArmEstimate(100, e.treatment.value * unit, e.treatment.variance * unit**2),
        ArmEstimate(100, e.control.value * unit, e.control.variance * unit**2),
        e.covariance * unit**2,
        e.df,
    )
    a, b = ask(inference, e, history), ask(inference, scaled, history)
    assert a.test.log_p_value == pytest.approx(b.test.log_p_value, rel=1e-8, abs=1e-9)
    if a.difference.interval is not None:
        mine, theirs = a.difference.interval, interval_of(b.difference.interval)
        assert (theirs.lower / unit, theirs.upper / unit) == pytest.approx(
            (mine.lower, mine.upper), rel=1e-8, abs=1e-8 * e.standard_error
        )


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=50)
@given(estimate=estimates(), history=histories)
def test_results_hold_no_nan_and_survive_json(
    inference: Any, estimate: Estimate, history: LookHistory
) -> None:
    result = ask(inference, estimate, history)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    for effect in (result.difference, result.lift, result.test):
        assert (effect.reason is None) is (effect.status == Status.OK)


def test_one_look_at_the_end_is_the_fixed_horizon() -> None:
    for df in (7.5, math.inf):
        for alternative in ALTERNATIVES:
            history = plan_looks([1.0], alternative=alternative)
            fixed = fixed_horizon(with_z(2.1, df), alternative=alternative)
            for inference in INFERENCES:
                result = ask(inference, with_z(2.1, df), history)
                assert result.test.p_value == pytest.approx(fixed.test.p_value, rel=1e-9)
                mine, theirs = interval_of(result.difference.interval), interval_of(fixed.difference.interval)
                assert (mine.lower, mine.upper) == pytest.approx((theirs.lower, theirs.upper), abs=1e-9)
                assert result.difference.estimate == pytest.approx(2.1, abs=1e-9)


def test_repeated_interval_and_what_is_recorded() -> None:
    e = Estimate("any", ArmEstimate(9, 2.0, 0.02), ArmEstimate(9, 1.0, 0.02), warnings=(Notice("a", "A."),))
    history = plan_looks([0.5, 0.8], spending=Spending("power", 3.0), alternative="greater", alpha=0.025)
    result = ask(group_sequential, e, history, null=0.1)
    critical = history.current.critical
    assert interval_of(result.difference.interval).lower == pytest.approx(1 - 0.2 * critical, rel=1e-12)
    assert interval_of(result.difference.interval).upper == math.inf
    assert result.test.critical == critical
    assert result.test.statistic == pytest.approx(4.5)
    assert result.to_dict()["method"] == {
        "name": "group_sequential",
        "version": 1,
        "parameters": {
            "alpha": 0.025,
            "alternative": "greater",
            "null": 0.1,
            "scale": "difference",
            "spending": "power",
            "spending_parameter": 3.0,
            "look": 2,
            "fraction": 0.8,
            "spent": history.current.spent,
        },
    }
    assert result.warnings == (Notice("a", "A."),)
    assert ask(stage_wise, e, history).method.name == "stage_wise"
    assert ask(stage_wise, e, history).warnings == (Notice("a", "A."),)


def test_small_samples_keep_the_tail_probability() -> None:
    history = plan_looks([0.5, 1.0])
    result = ask(group_sequential, with_z(3.0, 9.0), history)
    expected = float(stats.t.isf(stats.norm.sf(history.current.critical), 9))
    assert result.test.critical == pytest.approx(expected, rel=1e-10)
    z = float(stats.norm.isf(stats.t.sf(3.0, 9)))
    assert result.test.p_value == pytest.approx(repeated_p_value(z, history).p_value, rel=1e-10)


def test_a_t_statistic_beyond_every_tail() -> None:
    # With four degrees of freedom the far tail is 3 / t⁴.
    for z in (36.9, 37.1, 38.0, 45.0):
        history = LookHistory(looks=(Look(1.0, 1.0, 0.05, z),))
        t = math.exp((math.log(3) - float(stats.norm.logsf(z))) / 4)
        for sign in (1, -1):
            result = group_sequential(with_z(sign * 1.01 * t, 4.0), history=history)
            assert result.test.critical == pytest.approx(t, rel=1e-9)
            assert result.test.rejected is True


def test_a_t_statistic_that_no_double_holds() -> None:
    history = LookHistory(looks=(Look(1.0, 1.0, 0.05, 60.0),))
    assert group_sequential(with_z(1e150, 2.0), history=history).test.critical == math.inf


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_a_statistic_at_the_bound_does_not_reject_and_the_interval_holds_the_null(
    alternative: Alternative,
) -> None:
    look = LookHistory(alternative=alternative, looks=(Look(1.0, 1.0, 0.05, 2.0),))
    for sign in (1, -1):
        at = ask(group_sequential, with_z(2.0 * sign), look)
        assert at.test.statistic == 2.0 * sign
        assert at.test.rejected is interval_of(at.difference.interval).excludes(0.0) is False
        beyond = ask(group_sequential, with_z(sign * math.nextafter(2.0, 3.0)), look)
        against = {"greater": -1, "less": 1}.get(alternative)
        assert beyond.test.rejected is (sign != against)


def test_a_look_that_cannot_reject_says_so() -> None:
    early = group_sequential(with_z(30.0), history=plan_looks([0.01]))
    assert early.test.rejected is False
    assert early.test.p_value is not None
    assert early.test.p_value > 0.05
    assert early.difference.status == Status.UNBOUNDED
    assert [notice.code for notice in early.warnings] == ["too_early_to_reject"]
    late = group_sequential(with_z(30.0), history=plan_looks([0.5, 1.0, 1.2]))
    assert (late.test.rejected, late.test.p_value) == (False, 1.0)
    assert [notice.code for notice in late.warnings] == ["alpha_spent"]


def test_no_estimate_no_number() -> None:
    nobody, constant = Moments.empty(("y",)), Moments.from_arrays({"y": [3.0, 3.0]})
    history = plan_looks([0.5])
    for inference in INFERENCES:
        for arms, status in (((nobody, constant), "too_few_units"), ((constant, constant), "no_variance")):
            missing = mean_difference(treatment=arms[0], control=arms[1])
            assert isinstance(missing, NoEstimate)
            result = ask(inference, missing, history)
            for answer in (result.difference, result.lift, result.test):
                assert answer.status.value == status
                assert answer.reason
            assert result.test.p_value is None
            assert result.difference.interval is None
        # A relative null value needs a positive control.
        negative = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(9, -1.0, 0.5))
        result = ask(inference, negative, history, null=0.1, scale="lift")
        assert result.test.status == result.lift.status == Status.CONTROL_NOT_POSITIVE
        assert result.test.p_value is None


# What is refused


def test_questions_that_do_not_fit_the_looks_are_refused() -> None:
    history = plan_looks([0.5])
    for inference in INFERENCES:
        with pytest.raises(ValueError, match="Bounds cannot be changed after looking"):
            inference(with_z(1.0), history=history, alpha=0.01)
        with pytest.raises(ValueError, match="Bounds cannot be changed after looking"):
            inference(with_z(1.0), history=history, alternative="greater")
        with pytest.raises(ValueError, match="no look yet"):
            inference(with_z(1.0), history=LookHistory())
        with pytest.raises(ValueError, match="finite number"):
            inference(with_z(1.0), history=history, null=math.nan)
        with pytest.raises(ValueError, match="alpha is"):
            inference(with_z(1.0), history=history, alpha=0.0)
    for z in (math.nan, math.inf):
        with pytest.raises(ValueError, match="z is"):
            repeated_p_value(z, history)
    with pytest.raises(ValueError, match="2 statistics for 1 looks"):
        sequential_p_value([1.0, 2.0], history)
    with pytest.raises(ValueError, match="0 statistics"):
        sequential_p_value([], LookHistory())
