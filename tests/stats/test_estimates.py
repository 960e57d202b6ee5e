"""Estimates of means and proportions: published values, invariants, and where there is no answer."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from tests.stats.estimates import known

from equipoise_stats import (
    ArmEstimate,
    Counts,
    Estimate,
    Moments,
    NoEstimate,
    Notice,
    Status,
    mean_difference,
    proportion_difference,
)
from equipoise_stats.estimates.estimate import contrast, welch_satterthwaite

numbers = st.lists(st.integers(-10_000, 10_000), min_size=2, max_size=20)
counts = st.integers(2, 10_000).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))


@given(numbers, numbers)
def test_welch_is_that_of_scipy(treatment: list[int], control: list[int]) -> None:
    assume(len(set(treatment)) > 1 or len(set(control)) > 1)
    e = known(
        mean_difference(
            treatment=Moments.from_arrays({"y": treatment}), control=Moments.from_arrays({"y": control})
        )
    )
    variances = [np.var(arm, ddof=1) / len(arm) for arm in (treatment, control)]
    assert e.difference == pytest.approx(np.mean(treatment) - np.mean(control), rel=1e-9, abs=1e-9)
    assert e.standard_error == pytest.approx(math.sqrt(sum(variances)), rel=1e-10)
    degrees = sum(variances) ** 2 / (
        variances[0] ** 2 / (len(treatment) - 1) + variances[1] ** 2 / (len(control) - 1)
    )
    assert e.df == pytest.approx(degrees, rel=1e-9)
    assert e.n == len(treatment) + len(control)
    assert e.information == pytest.approx(1 / sum(variances), rel=1e-9)


@given(numbers, numbers)
def test_pooled_is_that_of_scipy(treatment: list[int], control: list[int]) -> None:
    assume(len(set(treatment)) > 1 or len(set(control)) > 1)
    arms = Moments.from_arrays({"y": treatment}), Moments.from_arrays({"y": control})
    e = known(mean_difference(treatment=arms[0], control=arms[1], variance="pooled"))
    # scipy from summaries: from data it warns of nearly identical ones.
    summaries = [(np.mean(arm), np.std(arm, ddof=1), len(arm)) for arm in (treatment, control)]
    theirs = stats.ttest_ind_from_stats(*summaries[0], *summaries[1], equal_var=True)
    assert e.difference / e.standard_error == pytest.approx(float(theirs.statistic), rel=1e-9, abs=1e-9)
    assert e.df == len(treatment) + len(control) - 2


def test_a_column_is_chosen_by_name() -> None:
    arm = Moments.from_arrays({"x": [0.0, 1.0], "y": [5.0, 8.0]})
    base = Moments.from_arrays({"y": [1.0, 2.0], "x": [0.0, 3.0]})
    assert known(mean_difference(treatment=arm, control=base, column="y")).difference == 5.0
    with pytest.raises(ValueError, match="Name one"):
        mean_difference(treatment=arm, control=base)


@given(numbers, numbers, st.sampled_from([-3.0, 1e-9, 0.5, 1e9]))
def test_units_of_measurement_do_not_matter(treatment: list[int], control: list[int], unit: float) -> None:
    assume(len(set(treatment)) > 1)
    scaled = [Moments.from_arrays({"y": [unit * v for v in arm]}) for arm in (treatment, control)]
    plain = [Moments.from_arrays({"y": arm}) for arm in (treatment, control)]
    a = known(mean_difference(treatment=scaled[0], control=scaled[1]))
    b = known(mean_difference(treatment=plain[0], control=plain[1]))
    assert a.difference == pytest.approx(unit * b.difference, rel=1e-9, abs=abs(unit) * 1e-9)
    assert a.standard_error == pytest.approx(abs(unit) * b.standard_error, rel=1e-9)
    assert a.df == pytest.approx(b.df, rel=1e-9)
    assert a.skewness == pytest.approx(math.copysign(1, unit) * (b.skewness or 0.0), rel=1e-9, abs=1e-9)


@given(numbers, numbers)
def test_data_shifted_by_a_billion_change_nothing(treatment: list[int], control: list[int]) -> None:
    assume(len(set(treatment)) > 1)
    near = [Moments.from_arrays({"y": arm}) for arm in (treatment, control)]
    far = [Moments.from_arrays({"y": [v + 1e9 for v in arm]}) for arm in (treatment, control)]
    a = known(mean_difference(treatment=near[0], control=near[1]))
    b = known(mean_difference(treatment=far[0], control=far[1]))
    assert b.difference == pytest.approx(a.difference, abs=4 * math.ulp(1e9))
    assert b.standard_error == a.standard_error


@given(numbers, numbers)
def test_swapping_the_arms_negates(treatment: list[int], control: list[int]) -> None:
    assume(len(set(treatment)) > 1)
    arms = [Moments.from_arrays({"y": arm}) for arm in (treatment, control)]
    a = known(mean_difference(treatment=arms[0], control=arms[1]))
    b = known(mean_difference(treatment=arms[1], control=arms[0]))
    assert (b.difference, b.variance) == (-a.difference, a.variance)
    assert b.df == pytest.approx(a.df, rel=1e-12)
    assert b.skewness == pytest.approx(-(a.skewness or 0.0), abs=1e-12)


def test_skewness_is_the_third_cumulant_of_the_difference() -> None:
    # The exponential distribution itself, without noise: variance 1, third central moment 2.
    n_t, n_c = 100, 900
    arms = [
        Moments(n, ("y",), (1.0,), ((float(n - 1),),), (2.0 * n,))  # variance exactly 1
        for n in (n_t, n_c)
    ]
    e = known(mean_difference(treatment=arms[0], control=arms[1]))
    expected = (2 / n_t**2 - 2 / n_c**2) / (1 / n_t + 1 / n_c) ** 1.5
    assert e.skewness == pytest.approx(expected, rel=1e-12)
    third_unknown = Moments.scalar(100, 1.0, 1.0)
    assert known(mean_difference(treatment=arms[0], control=third_unknown)).skewness is None
    assert known(mean_difference(treatment=third_unknown, control=arms[0])).skewness is None


@given(counts, counts)
def test_a_proportion_is_a_mean_of_zeros_and_ones(treatment: Counts, control: Counts) -> None:
    e = proportion_difference(treatment=treatment, control=control)
    m = mean_difference(treatment=treatment.moments(), control=control.moments())
    if isinstance(e, NoEstimate):
        assert isinstance(m, NoEstimate)
        assert e.status == m.status == Status.NO_VARIANCE
        return
    m = known(m)
    assert e.difference == pytest.approx(m.difference, abs=1e-15)
    # Divisor n where the mean has n − 1.
    for mine, theirs in ((e.treatment, m.treatment), (e.control, m.control)):
        assert mine.variance == pytest.approx(theirs.variance * (mine.n - 1) / mine.n, rel=1e-9, abs=1e-18)
    assert e.df == math.inf
    # The arms' own third cumulants: of zeros and ones they are known well.
    cubes = [(arm.moments().third or (0.0,))[0] / arm.n**3 for arm in (treatment, control)]
    assert e.skewness == pytest.approx((cubes[0] - cubes[1]) / e.variance**1.5, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("treatment", "control", "fewest"),
    [
        (Counts(50, 4), Counts(50, 25), 4),
        (Counts(50, 25), Counts(50, 46), 4),
        (Counts(9, 0), Counts(50, 9), 0),
    ],
)
def test_few_events_are_said(treatment: Counts, control: Counts, fewest: int) -> None:
    (warning,) = known(proportion_difference(treatment=treatment, control=control)).warnings
    assert warning.code == "few_events"
    assert f"only {fewest} events" in warning.message


def test_five_events_are_enough() -> None:
    enough = known(proportion_difference(treatment=Counts(50, 5), control=Counts(50, 45)))
    assert (enough.warnings, enough.estimator) == ((), "proportion")


@pytest.mark.parametrize("sizes", [(0, 10), (10, 0), (1, 10), (10, 1), (1, 1)])
def test_too_few_units_are_a_status(sizes: tuple[int, int]) -> None:
    n_t, n_c = sizes
    moments = [Moments.from_arrays({"y": list(range(n))}) for n in sizes]
    mean = mean_difference(treatment=moments[0], control=moments[1])
    proportion = proportion_difference(treatment=Counts(n_t, 0), control=Counts(n_c, 0))
    assert (mean.estimator, proportion.estimator) == ("mean_welch", "proportion")
    for answer in (mean, proportion):
        assert isinstance(answer, NoEstimate)
        assert answer.status == Status.TOO_FEW_UNITS
        assert f"treatment has {n_t}, control has {n_c}" in answer.reason
        assert (answer.treatment.n, answer.control.n) == sizes


@pytest.mark.parametrize("variance", ["welch", "pooled"])
@pytest.mark.parametrize("level", [0.0, 0.1, -7.3e8])
def test_no_variance_is_a_status(level: float, variance: str) -> None:
    arm = Moments.from_arrays({"y": [level] * 5})
    answer = mean_difference(
        treatment=arm, control=arm, variance="pooled" if variance == "pooled" else "welch"
    )
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.NO_VARIANCE
    assert (answer.treatment.value, answer.treatment.standard_error) == (level, 0.0)


def test_a_spread_below_rounding_is_none() -> None:
    # What an engine's var_samp makes of a constant 0.1.
    arm = Moments.scalar(1000, 0.1, 1e-34)
    answer = mean_difference(treatment=arm, control=arm)
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.NO_VARIANCE
    small_but_real = Moments.scalar(1000, 0.1, 1e-28)
    assert known(mean_difference(treatment=small_but_real, control=arm)).standard_error > 0


def test_one_arm_may_be_constant() -> None:
    e = known(
        mean_difference(
            treatment=Moments.from_arrays({"y": [1.0, 3.0]}), control=Moments.from_arrays({"y": [2.0] * 9})
        )
    )
    assert (e.difference, e.standard_error, e.df) == (0.0, 1.0, 1.0)


def test_dependence_of_the_arms_counts() -> None:
    e = Estimate("x", ArmEstimate(5, 2.0, 4.0), ArmEstimate(5, 1.0, 1.0), covariance=1.5)
    assert e.variance == 2.0
    equal = ArmEstimate(5, 2.0, 4.0)
    answer = contrast("x", treatment=equal, control=equal, covariance=4.0)
    assert isinstance(answer, NoEstimate)
    close = contrast("x", treatment=equal, control=ArmEstimate(5, 1.0, 1.0), covariance=1.8)
    assert known(close).variance == pytest.approx(1.4)


def test_warnings_are_added_not_replaced() -> None:
    e = Estimate("x", ArmEstimate(5, 2.0, 4.0), ArmEstimate(5, 1.0, 1.0), warnings=(Notice("a", "A."),))
    assert e.with_warning(Notice("b", "B.")).warnings == (Notice("a", "A."), Notice("b", "B."))
    assert len(e.warnings) == 1


def test_estimates_are_frozen_and_serialisable() -> None:
    e = known(proportion_difference(treatment=Counts(10, 5), control=Counts(10, 4)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        e.covariance = 1.0  # type: ignore[misc]
    assert e.to_dict()["treatment"] == {"n": 10, "value": 0.5, "variance": 0.025}
    assert e.to_dict()["df"] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((math.nan, 1.0, 1.0, 1.0, 0.0, 1.0), "not finite"),
        ((1.0, math.inf, 1.0, 1.0, 0.0, 1.0), "not finite"),
        ((1.0, 1.0, math.inf, 1.0, 0.0, 1.0), "not finite"),
        ((1.0, 1.0, 1.0, 1.0, math.nan, 1.0), "not finite"),
        ((1.0, 1.0, -1.0, 4.0, 0.0, 1.0), "impossible"),
        ((1.0, 1.0, 4.0, -1.0, 0.0, 1.0), "impossible"),
        ((1.0, 1.0, 4.0, 1.0, 2.1, 1.0), "impossible"),
        ((1.0, 1.0, 4.0, 1.0, -2.1, 1.0), "impossible"),
        ((1.0, 1.0, 0.0, 0.0, 0.0, 1.0), "must be positive"),
        ((1.0, 1.0, 1.0, 1.0, 0.0, 0.0), "degrees of freedom"),
        ((1.0, 1.0, 1.0, 1.0, 0.0, math.nan), "degrees of freedom"),
    ],
)
def test_impossible_estimates_are_refused(values: tuple[float, ...], message: str) -> None:
    m_t, m_c, v_t, v_c, covariance, df = values
    with pytest.raises(ValueError, match=message):
        Estimate("x", ArmEstimate(5, m_t, v_t), ArmEstimate(5, m_c, v_c), covariance, df)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(1, 1000), st.integers(1, 1000))
def test_satterthwaite_lies_between_the_smaller_and_the_sum(a: float, b: float, n: int, m: int) -> None:
    df = welch_satterthwaite(a, n, b, m)
    assert min(n, m) * (1 - 1e-12) <= df <= (n + m) * (1 + 1e-12)
