"""Wald tests, independence of assignments, interactions of two experiments."""

import json
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from equipoise_stats import (
    ChiSquareTest,
    Estimate,
    Moments,
    NoEstimate,
    Status,
    fixed_horizon,
    interaction_difference,
    interaction_test,
)
from equipoise_stats.wald import crossed_cells, independence, wald, wald_test

CELL = st.builds(Moments.scalar, st.integers(2, 500), st.floats(-10, 10), st.floats(0.1, 9))


def estimated(result: Estimate | NoEstimate) -> Estimate:
    assert isinstance(result, Estimate)
    return result


def test_test(test: ChiSquareTest | None) -> ChiSquareTest:
    assert test is not None
    return test


test_test.__test__ = False  # type: ignore[attr-defined]


def test_the_difference_is_that_of_a_regression_with_an_interaction() -> None:
    """Least squares on 0/1 indicators with HC standard errors that use n − 1 in each cell."""
    generator = np.random.default_rng(1)
    a, b = generator.integers(0, 2, 400), generator.integers(0, 2, 400)
    y = 5 + a + 2 * b - 0.7 * a * b + generator.normal(0, 1 + a, 400)
    design = np.column_stack([np.ones(400), a, b, a * b])
    # HC2 divides each squared residual by 1 − leverage, which in a saturated model is (n − 1)/n of the cell.
    fit = sm.OLS(y, design).fit(cov_type="HC2")
    cell = {(i, j): Moments.from_arrays({"y": y[(a == i) & (b == j)]}) for i in (0, 1) for j in (0, 1)}
    e = estimated(
        interaction_difference(
            both=cell[1, 1], first_only=cell[1, 0], second_only=cell[0, 1], neither=cell[0, 0]
        )
    )
    assert e.difference == pytest.approx(float(fit.params[3]), rel=1e-9)
    assert e.standard_error == pytest.approx(float(fit.bse[3]), rel=1e-9)
    assert e.control.value == pytest.approx(float(fit.params[0]), rel=1e-9)
    assert e.n == 400
    test = interaction_test(
        {(str(i), str(j)): moments for (i, j), moments in cell.items()},
        first_control="0",
        second_control="0",
    )
    assert test_test(test.test).statistic == pytest.approx(float(fit.tvalues[3]) ** 2, rel=1e-9)
    assert test_test(test.test).p_value == pytest.approx(float(fit.pvalues[3]), rel=1e-9)


@given(CELL, CELL, CELL, CELL)
def test_the_estimate_is_the_sum_of_its_cells(a: Moments, b: Moments, c: Moments, d: Moments) -> None:
    e = estimated(interaction_difference(both=a, first_only=b, second_only=c, neither=d))
    parts = [cell.variance() / cell.n for cell in (a, b, c, d)]
    assert e.difference == pytest.approx(a.mean[0] - b.mean[0] - c.mean[0] + d.mean[0], abs=1e-9)
    assert e.variance == pytest.approx(sum(parts), rel=1e-9)
    df = sum(parts) ** 2 / sum(p * p / (cell.n - 1) for p, cell in zip(parts, (a, b, c, d), strict=True))
    assert e.df == pytest.approx(df, rel=1e-9)
    assert e.control.value == d.mean[0]
    # The lift divides by the baseline and knows how the two depend on each other.
    assert e.treatment.variance - e.covariance == pytest.approx(sum(parts) + parts[3], rel=1e-9)
    swapped = estimated(interaction_difference(both=b, first_only=a, second_only=d, neither=c))
    assert swapped.difference == pytest.approx(-e.difference, abs=1e-9)
    assert fixed_horizon(e).difference.status == Status.OK


def test_cells_without_an_answer() -> None:
    one, some, same = (
        Moments.scalar(1, 1.0, None),
        Moments.scalar(9, 1.0, 2.0),
        Moments.scalar(9, 1.0, 0.0),
    )
    few = interaction_difference(both=one, first_only=some, second_only=some, neither=some)
    assert isinstance(few, NoEstimate)
    assert few.status == Status.TOO_FEW_UNITS
    assert "1, 9, 9, 9" in few.reason
    assert (few.treatment.n, few.control.n) == (19, 9)
    constant = interaction_difference(both=same, first_only=same, second_only=same, neither=same)
    assert isinstance(constant, NoEstimate)
    assert constant.status == Status.NO_VARIANCE


def grid(n: list[list[int]], means: list[list[float]]) -> dict[tuple[str, str], Moments]:
    return {
        (f"a{i}", f"b{j}"): Moments.scalar(n[i][j], means[i][j], 4.0 if n[i][j] > 1 else None)
        for i in range(len(n))
        for j in range(len(n[0]))
    }


def test_several_arms_are_tested_together() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.integers(0, 3, 900), generator.integers(0, 2, 900)
    y = a * 0.4 - b + np.where((a == 2) & (b == 1), 0.8, 0.0) + generator.normal(0, 1 + b, 900)
    cells = {
        (f"a{i}", f"b{j}"): Moments.from_arrays({"y": y[(a == i) & (b == j)]})
        for i in range(3)
        for j in range(2)
    }
    outcome = interaction_test(cells, first_control="a1", second_control="b0", alpha=0.05)
    one, two, b1 = (a == 0) * 1.0, (a == 2) * 1.0, (b == 1) * 1.0
    design = np.column_stack([np.ones(900), one, two, b1, one * b1, two * b1])
    fit = sm.OLS(y, design).fit(cov_type="HC2")
    theirs = fit.wald_test(np.eye(6)[4:], use_f=False, scalar=True)
    test = test_test(outcome.test)
    assert test.df == 2
    assert test.statistic == pytest.approx(float(theirs.statistic), rel=1e-9)
    assert outcome.detected is bool(theirs.pvalue <= 0.05)
    assert [(each.first, each.second) for each in outcome.effects] == [("a0", "b1"), ("a2", "b1")]
    for each, k in zip(outcome.effects, (4, 5), strict=True):
        assert each.effect == pytest.approx(float(fit.params[k]), rel=1e-9)
        assert each.standard_error == pytest.approx(float(fit.bse[k]), rel=1e-9)
    assert outcome.assignment is not None
    chi = stats.chi2_contingency([[cells[f"a{i}", f"b{j}"].n for j in range(2)] for i in range(3)], False)
    assert outcome.assignment.statistic == pytest.approx(float(chi.statistic), rel=1e-9)
    assert outcome.assignment.p_value == pytest.approx(float(chi.pvalue), rel=1e-9)
    assert outcome.assignment_dependent is False
    json.dumps(outcome.to_dict(), allow_nan=False)


def test_dependent_assignments_are_told() -> None:
    outcome = interaction_test(
        grid([[700, 300], [300, 700]], [[1.0, 1.0], [1.0, 1.0]]), first_control="a0", second_control="b0"
    )
    assert outcome.assignment_dependent is True
    assert outcome.detected is False
    assert test_test(outcome.test).statistic == 0.0


def test_interactions_without_an_answer() -> None:
    few = interaction_test(
        grid([[1, 9], [9, 9]], [[1.0, 1.0], [1.0, 1.0]]), first_control="a0", second_control="b0"
    )
    assert (few.status, few.test, few.detected) == (Status.TOO_FEW_UNITS, None, None)
    assert few.assignment is not None
    constant = {key: Moments.scalar(9, 1.0, 0.0) for key in grid([[9, 9], [9, 9]], [[0.0] * 2] * 2)}
    none = interaction_test(constant, first_control="a0", second_control="b0")
    assert (none.status, none.detected) == (Status.NO_VARIANCE, None)
    empty = {key: Moments.empty(("y",)) for key in constant}
    nobody = interaction_test(empty, first_control="a0", second_control="b0")
    assert (nobody.assignment, nobody.assignment_dependent) == (None, None)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({("a0", "b0"): Moments.scalar(9, 1.0, 1.0)}, "Two factors"),
        (
            {(a, b): Moments.scalar(9, 1.0, 1.0) for a, b in (("a0", "b0"), ("a1", "b0"), ("a0", "b1"))},
            r"\('a1', 'b1'\)",
        ),
    ],
)
def test_incomplete_cells_are_refused(cells: dict[tuple[str, str], Moments], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        crossed_cells(cells, None)


def test_unknown_controls_are_refused() -> None:
    cells = grid([[9, 9], [9, 9]], [[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match="'x' is not among"):
        interaction_test(cells, first_control="x", second_control="b0")
    with pytest.raises(ValueError, match="'a0' is not among"):
        interaction_test(cells, first_control="a0", second_control="a0")


def test_independence_leaves_out_empty_levels() -> None:
    test = independence(np.array([[60, 40, 0], [0, 0, 0], [40, 60, 0]]))
    assert test is not None
    assert test.statistic == pytest.approx(8.0)
    assert test.df == 1
    assert independence(np.array([[60, 40], [0, 0]])) is None
    assert independence(np.array([[0, 0], [0, 0]])) is None


@given(
    st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3)
)
def test_wald_does_not_depend_on_units(values: list[float], units: list[float]) -> None:
    root = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.2, -0.3, 0.8]])
    covariance, scale = root @ root.T, np.array(units)
    plain, rank = wald(np.array(values), covariance)
    expected = float(np.array(values) @ np.linalg.inv(covariance) @ np.array(values))
    assert plain == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert rank == 3
    scaled, _ = wald(np.array(values) * scale, covariance * np.outer(scale, scale))
    assert scaled == pytest.approx(plain, rel=1e-9, abs=1e-12)
    # A constant, and a sum of the others, add nothing.
    sums = np.vstack([np.eye(3), np.zeros(3), [1.0, 1.0, 1.0]])
    more, still = wald(sums @ np.array(values), sums @ covariance @ sums.T)
    assert more == pytest.approx(plain, rel=1e-7, abs=1e-9)
    assert still == 3


def test_wald_without_variance() -> None:
    assert wald_test(np.array([[1.0, -1.0]]), np.array([1.0, 2.0]), np.zeros(2)) is None


def test_size_of_the_interaction_test() -> None:
    generator = np.random.default_rng(3)
    detected = 0
    for _ in range(2000):
        y = generator.exponential(1, (3, 2, 150)) + np.array([0.0, 1.0])[:, np.newaxis]
        cells = {(str(i), str(j)): Moments.from_arrays({"y": y[i, j]}) for i in range(3) for j in range(2)}
        outcome = interaction_test(cells, first_control="0", second_control="0", alpha=0.05)
        detected += bool(outcome.detected)
    assert abs(detected / 2000 - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 2000)
