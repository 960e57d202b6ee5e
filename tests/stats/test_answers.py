"""What an answer repeats of its question and its estimate, above all where there is no number to give."""

import math

import pytest

from equipoise_stats import (
    ArmEstimate,
    ArmSummary,
    Counts,
    Detail,
    Estimate,
    Interval,
    Moments,
    NoEstimate,
    Notice,
    Status,
    adjusted_difference,
    confidence_sequence,
    fixed_horizon,
)
from equipoise_stats.inference.group_sequential.bounds import (
    Walk,
    last_critical,
    least_increment,
    spending_critical,
)
from equipoise_stats.inference.group_sequential.spending import Spending
from equipoise_stats.inference.intervals import difference_effect

DOUBT, FIGURE = Notice("doubtful", "A doubt."), Detail("figure", 7.0)


def _arm(n: int, y: float, x: float, covariance: float = 1.0, *, d: float = 1.0) -> Moments:
    return Moments.from_aggregates(
        n,
        {"y": y, "x": x, "d": d},
        {"y": 4.0, "x": 1.0, "d": 1.0},
        {("y", "x"): covariance, ("y", "d"): 0.5, ("x", "d"): 0.0},
    )


def test_a_comparison_repeats_what_the_estimate_says() -> None:
    arms = ArmEstimate(100, 11.0, 0.04), ArmEstimate(100, 10.0, 0.04)
    result = fixed_horizon(Estimate("mean", *arms, warnings=(DOUBT,), details=(FIGURE,)))
    assert result.warnings == (DOUBT,)
    assert result.details == (FIGURE,)


def test_no_estimate_is_passed_on_with_all_that_is_known() -> None:
    known = ArmSummary(5, 2.0), ArmSummary(6, 1.0)
    answer = NoEstimate("mean", Status.NO_VARIANCE, "Why.", *known, warnings=(DOUBT,), details=(FIGURE,))
    result = fixed_horizon(answer, alpha=0.1, alternative="greater", null=-0.05, scale="lift")
    assert (result.estimator, result.treatment, result.control) == ("mean", *known)
    assert (result.warnings, result.details) == ((DOUBT,), (FIGURE,))
    assert (result.test.status, result.test.reason) == (Status.NO_VARIANCE, "Why.")
    asked = (result.test.scale, result.test.null, result.test.alternative, result.test.alpha)
    assert asked == ("lift", -0.05, "greater", 0.1)
    assert result.difference == result.lift
    assert (result.lift.status, result.lift.reason, result.lift.estimate) == (
        Status.NO_VARIANCE,
        "Why.",
        None,
    )


@pytest.mark.parametrize("n", [100, 5])  # after and before the sequence's burn-in
def test_a_lift_that_cannot_be_tested_still_says_what_was_asked(n: int) -> None:
    estimate = Estimate("mean", ArmEstimate(n, 1.0, 0.04), ArmEstimate(n, -1.0, 0.04))
    for result in (
        fixed_horizon(estimate, alpha=0.1, alternative="less", null=0.2, scale="lift"),
        confidence_sequence(
            estimate, tuning_units=100, burn_in=50, alpha=0.1, alternative="less", null=0.2, scale="lift"
        ),
    ):
        test = result.test
        assert (test.scale, test.null, test.alternative, test.alpha) == ("lift", 0.2, "less", 0.1)
        assert test.status == Status.CONTROL_NOT_POSITIVE
        assert test.reason == "A lift needs a positive control value; the control's estimate is -1."
        assert (test.p_value, test.log_p_value, test.rejected) == (None, None, None)


def test_a_treatment_of_zeros_has_a_lift_without_uncertainty_and_a_reason() -> None:
    result = fixed_horizon(Estimate("mean", ArmEstimate(100, 0.0, 0.0), ArmEstimate(100, 10.0, 0.04)))
    assert result.lift.status == Status.NO_VARIANCE
    assert "every unit of the treatment arm has the value 0" in str(result.lift.reason).lower()


def test_an_interval_has_two_ends_unless_one_is_asked_for() -> None:
    estimate = Estimate("mean", ArmEstimate(100, 11.0, 0.5), ArmEstimate(100, 10.0, 0.5))
    assert difference_effect(estimate, 2.0).interval == Interval(-1.0, 3.0)


def test_counts_are_the_moments_of_y() -> None:
    assert Counts(10, 4).moments().columns == ("y",)


def test_adjustment_refuses_with_the_sizes_of_both_arms() -> None:
    answer = adjusted_difference(
        treatment=Moments.empty(("y", "x")), control=_arm(9, 1.0, 1.0).select(["y", "x"]), covariates=["x"]
    )
    assert isinstance(answer, NoEstimate)
    assert (answer.estimator, answer.treatment.n, answer.control.n) == ("adjusted_mean", 0, 9)


def test_adjustment_without_a_denominator_keeps_its_name() -> None:
    answer = adjusted_difference(
        treatment=_arm(90, 1.0, 1.0),
        control=_arm(90, 1.0, 1.0, d=0.0),
        covariates=["x"],
        column="y",
        denominator="d",
    )
    assert isinstance(answer, NoEstimate)
    assert (answer.estimator, answer.status) == ("adjusted_ratio", Status.DENOMINATOR_NOT_POSITIVE)


def test_a_covariate_that_is_the_outcome_says_what_is_known() -> None:
    def arm(y: float) -> Moments:
        return Moments.from_aggregates(100, {"y": y, "x": y}, {"y": 4.0, "x": 4.0}, {("y", "x"): 4.0})

    answer = adjusted_difference(treatment=arm(15.0), control=arm(10.0), covariates=["x"], column="y")
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.NO_VARIANCE
    assert answer.treatment == ArmSummary(100, 15.0, 0.2)
    assert answer.control == ArmSummary(100, 10.0, 0.2)
    (warning,) = answer.warnings
    assert warning.code == "unbalanced_covariates"
    assert "measured before each unit's first exposure" in warning.message


@pytest.mark.parametrize(("n", "warned"), [(15, True), (25, False)])
def test_two_covariates_need_twice_the_units(n: int, warned: bool) -> None:
    answer = adjusted_difference(
        treatment=_arm(n, 1.0, 1.0), control=_arm(n, 1.0, 1.0), covariates=["x", "d"], column="y"
    )
    assert isinstance(answer, Estimate)
    assert [one.code for one in answer.warnings] == ["few_units_for_adjustment"] * warned


@pytest.mark.parametrize("log_tail", [-3.7, -20.0, -1000.0, -5000.0])
def test_what_is_too_little_to_spend_is_carried_forward_at_any_level(log_tail: float) -> None:
    # A share of 3e-22 of the error rate, whatever the error rate.
    def critical(share: float) -> float:
        target = log_tail + math.log(share)
        return spending_critical(Walk(), None, 0.5, target, least=least_increment(log_tail))

    assert math.isinf(critical(2.9e-22))
    assert math.isfinite(critical(3.1e-22))


@pytest.mark.parametrize(
    ("log_tail", "spending", "first"),
    [
        (-3.7, Spending(), 0.001),
        (-3.7, Spending("power", 20.0), 0.05),
        (-20.0, Spending(), 0.02),
        (-20.0, Spending("pocock"), 1e-25),
        (-1000.0, Spending("power", 20.0), 0.05),
        (-5000.0, Spending(), 0.05),
    ],
)
def test_a_look_that_spends_nothing_leaves_the_last_as_it_was(
    log_tail: float, spending: Spending, first: float
) -> None:
    # To the last digit: a look that spent next to nothing would leave the rounding of its quadrature behind.
    with_it = last_critical(spending, log_tail, [first, 1.0], [first, 1.0], True)
    assert with_it == last_critical(spending, log_tail, [1.0], [1.0], True)


def test_a_look_that_spends_raises_the_last() -> None:
    # O'Brien-Fleming type spending, two looks, one-sided 0.025: 2.9626 and 1.9686, as gsDesign gives them.
    last = last_critical(Spending(), math.log(0.025), [0.5, 1.0], [0.5, 1.0], True)
    assert last == pytest.approx(1.9686, abs=5e-5)
