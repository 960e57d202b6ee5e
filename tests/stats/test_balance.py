"""Pre-exposure balance."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from equipoise_stats import CheckStatus, Moments, pre_exposure_balance


def arms(seed: int, n: tuple[int, int] = (200, 100)) -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(seed)
    return [
        {
            "x": generator.normal(3, 1, size),
            "y": generator.exponential(2, size),
            "z": generator.integers(0, 5, size).astype(float),
        }
        for size in n
    ]


@given(st.integers(2, 100), st.integers(2, 100), st.integers(0, 10**6))
def test_one_covariate_is_welch(n_t: int, n_c: int, seed: int) -> None:
    t, c = arms(seed, (n_t, n_c))
    check = pre_exposure_balance(
        treatment=Moments.from_arrays({"x": t["x"]}), control=Moments.from_arrays({"x": c["x"]})
    )
    theirs = stats.ttest_ind(t["x"], c["x"], equal_var=False)
    assert check.p_value == pytest.approx(float(theirs.pvalue), rel=1e-8)
    assert check.statistic == pytest.approx(float(theirs.statistic) ** 2, rel=1e-9, abs=1e-12)
    assert check.df_error == pytest.approx(float(theirs.df), rel=1e-9)
    (row,) = check.covariates
    assert row.p_value == pytest.approx(float(theirs.pvalue), rel=1e-8)
    spread = math.sqrt((t["x"].var(ddof=1) + c["x"].var(ddof=1)) / 2)
    assert row.standardised == pytest.approx((t["x"].mean() - c["x"].mean()) / spread, rel=1e-9)


def test_with_equal_covariances_it_is_nearly_hotelling() -> None:
    t, c = arms(1, (400, 400))
    check = pre_exposure_balance(treatment=Moments.from_arrays(t), control=Moments.from_arrays(c))
    x_t, x_c = (np.column_stack(list(each.values())) for each in (t, c))
    difference = x_t.mean(axis=0) - x_c.mean(axis=0)
    # With equal arms, the pooled and the separate covariance of the difference are the same.
    pooled = (np.cov(x_t.T) + np.cov(x_c.T)) / 2 * (2 / 400)
    squared = float(difference @ np.linalg.solve(pooled, difference))
    hotelling = float(stats.f.sf(squared * (798 - 2) / (798 * 3), 3, 796))
    assert check.p_value == pytest.approx(hotelling, rel=1e-3)
    assert check.df == 3
    assert [row.covariate for row in check.covariates] == ["x", "y", "z"]


@given(st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3), st.booleans())
def test_units_and_arms_do_not_matter(units: list[float], twice: bool) -> None:
    t, c = arms(2)
    plain = pre_exposure_balance(treatment=Moments.from_arrays(t), control=Moments.from_arrays(c))
    scaled = [
        {name: values * unit for (name, values), unit in zip(arm.items(), units, strict=True)}
        for arm in (t, c)
    ]
    if twice:
        for arm in scaled:
            arm["again"] = arm["x"] + 0.0
    other = pre_exposure_balance(
        treatment=Moments.from_arrays(scaled[1]), control=Moments.from_arrays(scaled[0])
    )
    assert other.df == plain.df
    assert other.log_p_value == pytest.approx(plain.log_p_value, rel=1e-6)
    assert other.df_error == pytest.approx(plain.df_error, rel=1e-6)
    assert other.covariates[0].difference == pytest.approx(-plain.covariates[0].difference * units[0])


def test_shifted_data_lose_nothing() -> None:
    t, c = arms(3)
    for arm in (t, c):
        arm["x"] = np.round(arm["x"] * 1024) / 1024
    plain = pre_exposure_balance(treatment=Moments.from_arrays(t), control=Moments.from_arrays(c))
    for arm in (t, c):
        arm["x"] = arm["x"] + 2.0**30
    far = pre_exposure_balance(treatment=Moments.from_arrays(t), control=Moments.from_arrays(c))
    assert far.log_p_value == pytest.approx(plain.log_p_value, rel=1e-4)


def test_an_imbalance_fails() -> None:
    t, c = (Moments.scalar(10**6, mean, 1.0) for mean in (0.06, 0.0))
    check = pre_exposure_balance(treatment=t, control=c)
    assert check.status == CheckStatus.FAILED
    assert "before the experiment" in str(check.reason)
    assert check.log_p_value == pytest.approx(
        math.log(2) + float(stats.norm.logsf(0.06 / math.sqrt(2e-6))), rel=1e-3
    )
    assert check.p_value is not None
    assert check.p_value > 0
    json.dumps(check.to_dict(), allow_nan=False)


def test_columns_can_be_chosen() -> None:
    t, c = (Moments.from_arrays(arm) for arm in arms(4))
    some = pre_exposure_balance(treatment=t, control=c, columns=["z", "x"])
    assert some.df == 2
    assert [row.covariate for row in some.covariates] == ["z", "x"]
    with pytest.raises(KeyError, match="no column 'w'"):
        pre_exposure_balance(treatment=t, control=c, columns=["w"])
    with pytest.raises(ValueError, match="no covariates"):
        pre_exposure_balance(treatment=t, control=c, columns=[])
    with pytest.raises(ValueError, match="alpha is"):
        pre_exposure_balance(treatment=t, control=c, alpha=1.0)


def test_what_cannot_be_checked() -> None:
    few = pre_exposure_balance(treatment=Moments.scalar(1, 1.0, None), control=Moments.scalar(9, 1.0, 1.0))
    assert (few.status, few.p_value) == (CheckStatus.UNAVAILABLE, None)
    assert "treatment has 1, control has 9" in str(few.reason)
    constant = pre_exposure_balance(
        treatment=Moments.scalar(9, 1.0, 0.0), control=Moments.scalar(9, 1.0, 0.0)
    )
    assert constant.status == CheckStatus.UNAVAILABLE
    assert constant.covariates[0].p_value is constant.covariates[0].standardised is None
    # A constant beside a covariate that varies is left out of the test.
    rows = [{"x": np.arange(9.0), "one": np.ones(9)}, {"x": np.arange(9.0) + 1, "one": np.ones(9)}]
    both = pre_exposure_balance(treatment=Moments.from_arrays(rows[0]), control=Moments.from_arrays(rows[1]))
    alone = pre_exposure_balance(
        treatment=Moments.from_arrays(rows[0]), control=Moments.from_arrays(rows[1]), columns=["x"]
    )
    assert both.p_value == alone.p_value
    assert [row.p_value is None for row in both.covariates] == [False, True]


@pytest.mark.parametrize(("n_t", "n_c"), [(20, 60), (500, 500)])
def test_size_of_the_joint_test(n_t: int, n_c: int) -> None:
    generator = np.random.default_rng(7)
    failed = 0
    mix = np.array([[1.0, 0.6, 0.3], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    for _ in range(2000):
        t = generator.standard_normal((n_t, 3)) @ mix
        c = 2 * generator.standard_normal((n_c, 3)) @ mix.T
        check = pre_exposure_balance(
            treatment=Moments.from_arrays(dict(zip("xyz", t.T, strict=True))),
            control=Moments.from_arrays(dict(zip("xyz", c.T, strict=True))),
            alpha=0.05,
        )
        failed += check.status == CheckStatus.FAILED
    assert abs(failed / 2000 - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 2000)
