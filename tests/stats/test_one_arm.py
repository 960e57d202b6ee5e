"""Intervals of one proportion: Wilson, and Clopper and Pearson."""

import importlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.stats.proportions import counts

from equipoise_stats import (
    Counts,
    Interval,
    clopper_pearson,
    wilson,
)

# Newcombe 1998 (Stat. Med. 17, 857-872), table I: methods 3 (Wilson) and 5 (Clopper and Pearson).
NEWCOMBE_ONE_ARM = [
    ((81, 263), (0.2553, 0.3662), (0.2527, 0.3676)),
    ((15, 148), (0.0624, 0.1605), (0.0578, 0.1617)),
    ((0, 20), (0.0, 0.1611), (0.0, 0.1684)),
    ((1, 29), (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("table", "score", "exact"), NEWCOMBE_ONE_ARM)
def test_the_examples_of_newcombe_1998(
    table: tuple[int, int], score: tuple[float, float], exact: tuple[float, float]
) -> None:
    x, n = table
    for interval, expected in ((wilson(Counts(n, x)), score), (clopper_pearson(Counts(n, x)), exact)):
        assert (interval.lower, interval.upper) == pytest.approx(expected, abs=5.1e-5)


def test_wilson_reference(reference: list[dict[str, Any]]) -> None:
    cases = [case for case in reference if case["method"] == "wilson_ci"]
    assert cases
    for case in cases:
        interval = wilson(Counts(case["inputs"]["n"], case["inputs"]["x"]))
        assert [interval.lower, interval.upper] == pytest.approx(case["expected"]["ci"], abs=case["abs_tol"])


@given(counts(500), st.sampled_from([0.001, 0.05, 0.3]))
def test_one_arm_is_that_of_statsmodels(arm: Counts, alpha: float) -> None:
    proportion_confint = importlib.import_module("statsmodels.stats.proportion").proportion_confint
    for mine, method in ((wilson, "wilson"), (clopper_pearson, "beta")):
        low, high = proportion_confint(arm.successes, arm.n, alpha, method)
        interval = mine(arm, alpha=alpha)
        assert (interval.lower, interval.upper) == pytest.approx((low, high), rel=1e-9, abs=1e-12)
        assert mine(arm, alpha=alpha / 2, alternative="greater") == Interval(interval.lower, 1.0)
        assert mine(arm, alpha=alpha / 2, alternative="less") == Interval(0.0, interval.upper)
        assert 0 <= interval.lower <= arm.successes / arm.n <= interval.upper <= 1


@given(counts(200))
def test_limits_are_where_their_tests_stop_rejecting(arm: Counts) -> None:
    p, z = arm.successes / arm.n, stats.norm.isf(0.025)
    score, exact = wilson(arm), clopper_pearson(arm)
    if arm.successes > 0:
        assert (p - score.lower) / math.sqrt(score.lower * (1 - score.lower) / arm.n) == pytest.approx(z)
        assert stats.binom.sf(arm.successes - 1, arm.n, exact.lower) == pytest.approx(0.025)
    if arm.successes < arm.n:
        assert (score.upper - p) / math.sqrt(score.upper * (1 - score.upper) / arm.n) == pytest.approx(z)
        assert stats.binom.cdf(arm.successes, arm.n, exact.upper) == pytest.approx(0.025)


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
def test_one_arms_limits(method: Any) -> None:
    with pytest.raises(ValueError, match="no units"):
        method(Counts(0, 0))
    with pytest.raises(ValueError, match="alpha is"):
        method(Counts(9, 3), alpha=0.0)
    with pytest.raises(ValueError, match="alternative is"):
        method(Counts(9, 3), alternative="both")
