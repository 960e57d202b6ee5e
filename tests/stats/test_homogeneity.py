"""Several proportions at once: published values, scipy, what has no answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.stats.proportions import counts

from equipoise_stats import (
    Counts,
    Status,
    proportion_homogeneity,
    score_test,
)


def test_homogeneity_reference(reference: list[dict[str, Any]]) -> None:
    cases = [case for case in reference if case["method"] == "pearson_chi2"]
    assert cases
    for case in cases:
        pairs = zip(case["inputs"]["n"], case["inputs"]["x"], strict=True)
        test = proportion_homogeneity({str(i): Counts(n, x) for i, (n, x) in enumerate(pairs)})
        assert test.statistic == pytest.approx(case["expected"]["chi2"], abs=case["abs_tol"])
        assert test.p_value == pytest.approx(case["expected"]["p"], abs=case["abs_tol"])
        assert test.df == len(case["inputs"]["n"]) - 1


@given(st.lists(counts(300), min_size=2, max_size=5))
def test_homogeneity_is_that_of_scipy(arms: list[Counts]) -> None:
    successes, units = sum(arm.successes for arm in arms), sum(arm.n for arm in arms)
    test = proportion_homogeneity({str(i): arm for i, arm in enumerate(arms)})
    if successes in (0, units):
        assert (test.status, test.p_value) == (Status.NO_VARIANCE, None)
        assert test.reason == f"{successes} of {units} units succeeded: no arm differs from another."
        return
    table = [[arm.successes for arm in arms], [arm.n - arm.successes for arm in arms]]
    theirs = stats.chi2_contingency(table, correction=False)
    assert (test.status, test.reason, test.df) == (Status.OK, None, len(arms) - 1)
    assert test.statistic == pytest.approx(float(theirs.statistic), rel=1e-9, abs=1e-12)
    assert test.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)
    if len(arms) == 2:
        two = score_test(treatment=arms[0], control=arms[1]).test
        assert two.statistic**2 == pytest.approx(test.statistic, rel=1e-9, abs=1e-12)  # type: ignore[operator]
        assert two.p_value == pytest.approx(test.p_value, rel=1e-8)


def test_homogeneity_without_an_answer() -> None:
    with pytest.raises(ValueError, match="1 arms"):
        proportion_homogeneity({"a": Counts(9, 3)})
    empty = proportion_homogeneity({"a": Counts(9, 3), "b": Counts(0, 0), "c": Counts(0, 0)})
    assert (empty.status, empty.reason) == (Status.TOO_FEW_UNITS, "There are no units in b, c.")
    far = proportion_homogeneity({"a": Counts(10**6, 9 * 10**5), "b": Counts(10**6, 10**5)})
    assert far.p_value is not None
    assert far.log_p_value is not None
    assert far.p_value > 0
    assert far.log_p_value < -(10**5)
