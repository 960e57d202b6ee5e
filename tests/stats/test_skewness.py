"""The skewness guard and its fallback."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from equipoise_stats import (
    CheckStatus,
    Estimate,
    Moments,
    NoEstimate,
    adjusted_difference,
    confidence_sequence,
    fixed_horizon,
    guarded_mean_difference,
    mean_difference,
    ratio_difference,
    skewness_guard,
)
from equipoise_stats.estimates.skewness import difference_skewness


def revenue(generator: np.random.Generator, n: int) -> np.ndarray:
    """Five per cent buyers, lognormal baskets."""
    return (generator.random(n) < 0.05) * generator.lognormal(3.0, 1.5, n)


def estimated(result: Estimate | NoEstimate) -> Estimate:
    assert isinstance(result, Estimate)
    return result


def of_all_units(treatment: np.ndarray, control: np.ndarray) -> float:
    """κ₃/se³ of the difference, if all units' deviations from their arm's mean are of one distribution."""
    away = np.concatenate([values - values.mean() for values in (treatment, control)])
    n_t, n_c = len(treatment), len(control)
    third = np.mean(away**3) * (1 / n_t**2 - 1 / n_c**2)
    error = math.sqrt(np.sum(away**2) / (n_t + n_c - 2) * (1 / n_t + 1 / n_c))
    return float(third / error**3)


def test_skewness_is_the_third_cumulant_of_the_difference() -> None:
    generator = np.random.default_rng(1)
    t, c = revenue(generator, 300), revenue(generator, 2700)
    guard = skewness_guard(
        mean_difference(treatment=Moments.from_arrays({"y": t}), control=Moments.from_arrays({"y": c}))
    )
    assert guard.skewness == pytest.approx(of_all_units(t, c), rel=1e-9)
    assert guard.status == CheckStatus.WARNING
    assert "0.06" in str(guard.reason)
    # The notes' constant: 0.0845 for each unit of skewness at z = 1.96.
    assert guard.lower_error == pytest.approx(0.0845 * float(guard.skewness or 0), rel=1e-2)
    assert guard.upper_error == -float(guard.lower_error or 0)
    json.dumps(guard.to_dict(), allow_nan=False)


def test_the_threshold_is_the_border() -> None:
    def with_skewness(value: float) -> Estimate:
        per_unit = value * (4 / 100 + 4 / 300) ** 1.5 / (1 / 100**2 - 1 / 300**2)
        t, c = (Moments.scalar(n, 1.0, 4.0, third=per_unit * n) for n in (100, 300))
        return estimated(mean_difference(treatment=t, control=c))

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


def test_one_value_in_one_of_equal_arms_is_chance() -> None:
    # One unit decides the third moments. Were it in the other arm, its skewness would be of the other sign.
    few = [0.0] * 99
    lucky, other = (Moments.from_arrays({"y": [*few, value]}) for value in (1000.0, 1.0))
    estimate = estimated(guarded_mean_difference(treatment=lucky, control=other))
    assert (estimate.estimator, estimate.skewness, estimate.warnings) == ("mean_welch", 0.0, ())


@given(st.integers(0, 2**32 - 1), st.sampled_from([(20, 60), (60, 20), (40, 40)]))
def test_ratios_and_adjusted_values_are_as_skewed_as_their_residuals(
    seed: int, sizes: tuple[int, int]
) -> None:
    generator = np.random.default_rng(seed)
    arms = []
    for n in sizes:
        before = generator.lognormal(size=n)
        views = generator.poisson(4, n) + 1.0
        spent = before * generator.lognormal(size=n)
        arms.append({"y": spent, "d": views, "y_before": before, "d_before": generator.poisson(4, n) + 1.0})
    t, c = (Moments.from_arrays(arm) for arm in arms)

    ratio = estimated(ratio_difference(treatment=t, control=c, numerator="y", denominator="d"))
    scores = [(a["y"] - a["y"].mean() / a["d"].mean() * a["d"]) / a["d"].mean() for a in arms]
    assert ratio.skewness == pytest.approx(of_all_units(*scores), rel=1e-7, abs=1e-9)

    columns = ["y_before", "d_before"]
    for under, plain in ((None, [arm["y"] for arm in arms]), ("d", scores)):
        adjusted = estimated(
            adjusted_difference(treatment=t, control=c, covariates=columns, column="y", denominator=under)
        )
        theta = [each.value for each in adjusted.details if each.name.startswith("coefficient.")]
        assert len(theta) == 2
        left = [
            values - sum(each * arm[name] for each, name in zip(theta, columns, strict=True))
            for values, arm in zip(plain, arms, strict=True)
        ]
        assert adjusted.skewness == pytest.approx(of_all_units(*left), rel=1e-7, abs=1e-9)

    # The pre-period's own ratio as the covariate: linearised at the value of both arms.
    pair = ("y_before", "d_before")
    adjusted = estimated(
        adjusted_difference(treatment=t, control=c, covariates=[pair], column="y", denominator="d")
    )
    (theta_of_pair,) = [e.value for e in adjusted.details if e.name.startswith("coefficient.")]
    over, under_it = (np.concatenate([arm[name] for arm in arms]).mean() for name in pair)
    left = [
        values - theta_of_pair * (arm[pair[0]] - over / under_it * arm[pair[1]]) / under_it
        for values, arm in zip(scores, arms, strict=True)
    ]
    assert adjusted.skewness == pytest.approx(of_all_units(*left), rel=1e-7, abs=1e-9)


def test_what_is_not_adjusted_is_as_skewed_as_it_is() -> None:
    generator = np.random.default_rng(4)
    arms = [{"y": revenue(generator, n), "x": np.ones(n)} for n in (200, 900)]
    t, c = (Moments.from_arrays(arm) for arm in arms)
    found = estimated(adjusted_difference(treatment=t, control=c, covariates=["x"]))
    assert found.warnings[-1].code == "not_adjusted"
    assert found.skewness == pytest.approx(of_all_units(*(arm["y"] for arm in arms)), rel=1e-9)


def test_the_skewness_of_a_constant_ratio_is_no_rounding_error() -> None:
    views = np.random.default_rng(5).lognormal(size=50)
    noise = np.linspace(-1, 1, 50) * 1e-6
    t = Moments.from_arrays({"y": 0.1 * views + noise, "d": views})
    c = Moments.from_arrays({"y": 0.1 * views[:9] + noise[:9], "d": views[:9]})
    found = estimated(ratio_difference(treatment=t, control=c, numerator="y", denominator="d"))
    assert found.skewness == 0.0


def test_where_third_moments_are_missing_or_overflow_the_skewness_is_unknown() -> None:
    whole = Moments.from_arrays({"y": [1.0, 2.0, 9.0], "d": [1.0, 3.0, 4.0]})
    without = replace(whole, third=None)
    for t, c in ((whole, without), (without, whole)):
        e = ratio_difference(treatment=t, control=c, numerator="y", denominator="d")
        assert estimated(e).skewness is None
        assert estimated(mean_difference(treatment=t, control=c, column="y")).skewness is None
    tiny = Moments.from_arrays({"y": [1.0, 2e90, 9e90], "d": [1e-30, 3e-30, 4e-30]})
    e = ratio_difference(treatment=tiny, control=tiny, numerator="y", denominator="d")
    assert estimated(e).skewness is None
    assert difference_skewness(5, 9, squares=1e-300, third=1e300) is None
    assert difference_skewness(5, 9, squares=0.0, third=0.0) is None
    assert difference_skewness(1, 1, squares=1.0, third=0.0) is None


def test_a_sequence_does_not_repeat_the_guard() -> None:
    generator = np.random.default_rng(2)
    few, many = (Moments.from_arrays({"y": revenue(generator, n)}) for n in (300, 2700))
    found = confidence_sequence(guarded_mean_difference(treatment=few, control=many), tuning_units=1000)
    assert [notice.code for notice in found.warnings] == ["skewed_unequal_arms"]
    unguarded = confidence_sequence(mean_difference(treatment=few, control=many), tuning_units=1000)
    assert [notice.code for notice in unguarded.warnings] == ["skewness"]


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
