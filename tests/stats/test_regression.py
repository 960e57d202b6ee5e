"""Least squares from co-moments: one covariate in closed form, several by sweeping."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise_stats import Moments, adjusted_difference
from equipoise_stats.estimates.regression import Regression, regress, regress_on_one

numbers = st.floats(-1e6, 1e6)


@given(st.floats(1e-6, 1e6), numbers, st.floats(1e-6, 1e6), numbers)
def test_one_covariate_is_the_sweep_of_one(
    variance: float, cross: float, total: float, offset: float
) -> None:
    assert regress_on_one(variance, cross, total, offset) == regress([[variance]], [cross], total, [offset])


@given(st.integers(1, 5), st.integers(0, 2**31))
def test_sweeping_solves_the_normal_equations(k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    data = generator.normal(size=(30, k + 1)) * generator.lognormal(0, 3, k + 1)
    v = np.cov(data.T)
    offset = generator.normal(size=k)
    fit = regress(v[:k, :k].tolist(), v[:k, k].tolist(), float(v[k, k]), offset.tolist())
    theta = np.linalg.solve(v[:k, :k], v[:k, k])
    assert fit.rank == k
    assert fit.coefficients == pytest.approx(theta.tolist(), rel=1e-7)
    assert fit.residual == pytest.approx(float(v[k, k] - theta @ v[:k, k]), rel=1e-7)
    assert fit.distance == pytest.approx(float(offset @ np.linalg.solve(v[:k, :k], offset)), rel=1e-7)


def test_a_constant_covariate_is_left_out() -> None:
    left_out = Regression(coefficients=(0.0,), rank=0, residual=10.0, distance=0.0, shift=0.0)
    assert regress_on_one(0.0, 3.0, 10.0, 1.0) == left_out
    assert regress([[0.0]], [3.0], 10.0, [1.0]) == left_out


@given(st.integers(1, 4), st.integers(0, 2**31))
def test_the_shift_is_the_coefficients_times_the_offset(k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    v = np.cov(generator.normal(size=(30, k + 1)).T)
    offset = generator.normal(size=k)
    fit = regress(v[:k, :k].tolist(), v[:k, k].tolist(), float(v[k, k]), offset.tolist())
    assert fit.shift == pytest.approx(float(np.linalg.solve(v[:k, :k], v[:k, k]) @ offset), abs=1e-9)


@pytest.mark.parametrize(
    ("covariates", "distance", "warned"),
    # Tables of the chi-square distribution: its 0.999 quantiles are 10.828 and 13.816 for 1 and 2 degrees.
    [(1, 9.9, False), (1, 10.7, False), (1, 10.9, True), (2, 10.9, False), (2, 13.7, False), (2, 13.9, True)],
)
def test_arms_are_unbalanced_beyond_the_chi_square_quantile(
    covariates: int, distance: float, warned: bool
) -> None:
    def arm(first: float) -> Moments:
        variances = {"y": 4.0, "x0": 1.0, "x1": 1.0}
        covariances = {("y", "x0"): 1.0, ("y", "x1"): 1.0, ("x0", "x1"): 0.0}
        return Moments.from_aggregates(1000, {"y": 10.0, "x0": first, "x1": 5.0}, variances, covariances)

    apart = math.sqrt(distance * 2 / 1000)
    names = ["x0", "x1"][:covariates]
    estimate = adjusted_difference(treatment=arm(apart), control=arm(0.0), covariates=names, column="y")
    assert [one.code for one in estimate.warnings] == ["unbalanced_covariates"] * warned
