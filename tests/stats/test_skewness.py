"""The skewness guard and its fallback."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from equipoise_stats import (
    CheckStatus,
    Estimate,
    Moments,
    NoEstimate,
    fixed_horizon,
    guarded_mean_difference,
    mean_difference,
    skewness_guard,
)


def revenue(generator: np.random.Generator, n: int) -> np.ndarray:
    """Five per cent buyers, lognormal baskets."""
    return (generator.random(n) < 0.05) * generator.lognormal(3.0, 1.5, n)


def estimated(result: Estimate | NoEstimate) -> Estimate:
    assert isinstance(result, Estimate)
    return result


def test_skewness_is_the_third_cumulant_of_the_difference() -> None:
    generator = np.random.default_rng(1)
    t, c = revenue(generator, 300), revenue(generator, 2700)
    guard = skewness_guard(
        mean_difference(treatment=Moments.from_arrays({"y": t}), control=Moments.from_arrays({"y": c}))
    )
    third = stats.moment(t, 3) / 300**2 - stats.moment(c, 3) / 2700**2
    error = math.sqrt(t.var(ddof=1) / 300 + c.var(ddof=1) / 2700)
    assert guard.skewness == pytest.approx(third / error**3, rel=1e-9)
    assert guard.status == CheckStatus.WARNING
    assert "0.06" in str(guard.reason)
    # The notes' constant: 0.0845 for each unit of skewness at z = 1.96.
    assert guard.lower_error == pytest.approx(0.0845 * float(guard.skewness or 0), rel=1e-2)
    assert guard.upper_error == -float(guard.lower_error or 0)
    json.dumps(guard.to_dict(), allow_nan=False)


def test_the_threshold_is_the_border() -> None:
    def with_skewness(value: float) -> Estimate:
        t = Moments.scalar(100, 1.0, 4.0, third=value * 0.08**1.5 * 100**3)
        return estimated(mean_difference(treatment=t, control=Moments.scalar(100, 1.0, 4.0, third=0.0)))

    assert with_skewness(0.059).skewness == pytest.approx(0.059)
    assert skewness_guard(with_skewness(0.059)).status == CheckStatus.OK
    assert skewness_guard(with_skewness(0.061)).status == CheckStatus.WARNING
    assert skewness_guard(with_skewness(-0.061)).status == CheckStatus.WARNING
    assert skewness_guard(with_skewness(0.061), threshold=0.1).status == CheckStatus.OK
    assert skewness_guard(with_skewness(0.059)).reason is None
    for threshold in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="threshold is"):
            skewness_guard(with_skewness(0.1), threshold=threshold)
    with pytest.raises(ValueError, match="alpha is"):
        skewness_guard(with_skewness(0.1), alpha=1.0)


def test_equal_arms_of_one_distribution_cancel() -> None:
    y = {"y": np.array([0.0] * 95 + [40.0, 50.0, 60.0, 80.0, 200.0])}
    arm = Moments.from_arrays(y)
    estimate = guarded_mean_difference(treatment=arm, control=arm)
    assert estimated(estimate).estimator == "mean_welch"
    assert estimate.warnings == ()
    assert skewness_guard(estimate).skewness == 0.0


def test_the_fallback_is_students_and_says_so() -> None:
    generator = np.random.default_rng(2)
    t, c = revenue(generator, 300), revenue(generator, 2700)
    few, many = Moments.from_arrays({"y": t}), Moments.from_arrays({"y": c})
    result = fixed_horizon(guarded_mean_difference(treatment=few, control=many))
    theirs = stats.ttest_ind(t, c, equal_var=True)
    assert result.test.statistic == pytest.approx(float(theirs.statistic), rel=1e-9)
    assert result.test.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)
    assert [notice.code for notice in result.warnings] == ["skewed_unequal_arms"]
    welch = fixed_horizon(guarded_mean_difference(treatment=few, control=many, threshold=10.0))
    assert welch.test.statistic == pytest.approx(
        float(stats.ttest_ind(t, c, equal_var=False).statistic), rel=1e-9
    )
    swapped = fixed_horizon(guarded_mean_difference(treatment=many, control=few))
    assert swapped.test.statistic == -float(result.test.statistic or 0)


def test_what_the_guard_cannot_know() -> None:
    without = Moments.scalar(100, 1.0, 4.0)
    guard = skewness_guard(mean_difference(treatment=without, control=without))
    assert (guard.status, guard.skewness) == (CheckStatus.UNAVAILABLE, None)
    estimate = estimated(guarded_mean_difference(treatment=without, control=without))
    assert [notice.code for notice in estimate.warnings] == ["skewness_unknown"]
    assert estimate.estimator == "mean_welch"
    nobody = guarded_mean_difference(treatment=Moments.empty(("y",)), control=without)
    assert isinstance(nobody, NoEstimate)
    assert skewness_guard(nobody).reason == nobody.reason


def test_two_columns_need_a_name() -> None:
    arm = Moments.from_arrays({"y": [1.0, 2.0, 4.0], "x": [0.0, 0.0, 3.0]})
    assert estimated(guarded_mean_difference(treatment=arm, control=arm, column="x")).treatment.value == 1.0


def test_size_with_unequal_arms_of_revenue() -> None:
    """STATISTICS C3: Welch errs, the guard warns, the fallback holds its two-sided size."""
    generator = np.random.default_rng(3)
    replications = 3000
    welch = guarded = warned = lower = 0
    for _ in range(replications):
        t = Moments.from_arrays({"y": revenue(generator, 1000)})
        c = Moments.from_arrays({"y": revenue(generator, 9000)})
        plain = fixed_horizon(mean_difference(treatment=t, control=c))
        welch += bool(plain.test.rejected)
        lower += bool(plain.test.rejected) and float(plain.test.statistic or 0) < 0
        estimate = guarded_mean_difference(treatment=t, control=c)
        warned += bool(estimate.warnings)
        guarded += bool(fixed_horizon(estimate).test.rejected)
    assert welch / replications > 0.08
    # A small treatment arm skewed to the right errs downwards, as the guard's `lower_error` says.
    assert lower > 0.9 * welch
    assert warned / replications > 0.95
    assert 0.035 < guarded / replications < 0.0625
