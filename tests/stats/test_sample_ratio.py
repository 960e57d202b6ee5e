"""The sample-ratio check: published values, exact small samples, leaks."""

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from equipoise_stats import CheckStatus, SampleRatioFinding, sample_ratio

EVEN = {"control": 1, "treatment": 1}


@pytest.mark.parametrize(
    ("control", "treatment", "p_value", "status"),
    [
        # Kohavi, Tang and Xu 2020, Trustworthy Online Controlled Experiments, chapter 21.
        (821_588, 815_482, 1.8218e-6, "failed"),
        # Public data sets cookie_cats and ab_data.
        (44_700, 45_489, 0.00860799, "ok"),
        (144_300, 144_389, 0.868437, "ok"),
    ],
)
def test_published_values(control: int, treatment: int, p_value: float, status: str) -> None:
    check = sample_ratio({"control": control, "treatment": treatment}, EVEN)
    assert check.p_value == pytest.approx(p_value, rel=1e-4)
    assert check.status.value == status
    assert (check.method, check.df) == ("chi_square", 1)


@given(
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 10_000)), min_size=2, max_size=6).filter(
        lambda arms: (
            min(share for _, share in arms) * sum(n for n, _ in arms) >= 5 * sum(share for _, share in arms)
        )
    )
)
def test_chi_square_is_that_of_scipy(arms: list[tuple[int, int]]) -> None:
    units = {f"arm{i}": n for i, (n, _) in enumerate(arms)}
    shares = {f"arm{i}": share for i, (_, share) in enumerate(arms)}
    check = sample_ratio(units, shares, alpha=0.01)
    total, whole = sum(units.values()), sum(shares.values())
    theirs = stats.chisquare(list(units.values()), [total * share / whole for share in shares.values()])
    assert check.method == "chi_square"
    assert check.statistic == pytest.approx(float(theirs.statistic), rel=1e-9)
    assert check.log_p_value is not None
    assert math.exp(check.log_p_value) == pytest.approx(float(theirs.pvalue), rel=1e-9, abs=1e-300)
    assert (check.status == CheckStatus.FAILED) is bool(theirs.pvalue < 0.01)
    assert (check.finding is None) is (check.reason is None) is (check.status == CheckStatus.OK)


@pytest.mark.parametrize("units", [(400, 4), (200, 204), (0, 12), (9, 0), (90, 0)])
def test_few_expected_units_are_tested_exactly(units: tuple[int, int]) -> None:
    shares = (0.99, 0.01)
    check = sample_ratio(dict(zip("ab", units, strict=True)), dict(zip("ab", shares, strict=True)))
    n = sum(units)
    tails = [
        (stats.binom.cdf(k, n, p), stats.binom.sf(k - 1, n, p)) for k, p in zip(units, shares, strict=True)
    ]
    expected = min(1.0, 4 * float(min(map(min, tails))))
    assert (check.method, check.statistic, check.df) == ("exact_binomial", None, None)
    assert check.log_p_value == pytest.approx(math.log(expected), rel=1e-9, abs=1e-12)
    assert (check.finding == SampleRatioFinding.MISMATCH) is (expected < 0.001)


def test_the_exact_check_holds_its_level() -> None:
    """Summed over every outcome of ten units in three arms, not simulated."""
    shares = {"a": 0.7, "b": 0.2, "c": 0.1}
    failing = 0.0
    for a, b in product(range(11), range(11)):
        if a + b <= 10:
            outcome = {"a": a, "b": b, "c": 10 - a - b}
            if sample_ratio(outcome, shares, alpha=0.05).status == CheckStatus.FAILED:
                failing += float(stats.multinomial.pmf(list(outcome.values()), 10, list(shares.values())))
    assert 0 < failing <= 0.05


def test_the_chi_square_check_holds_its_level_in_simulation() -> None:
    generator = np.random.default_rng(3)
    shares = {"a": 5000, "b": 3000, "c": 2000}
    replications = 20_000
    failed = 0
    for outcome in generator.multinomial(2_000, [0.5, 0.3, 0.2], size=replications):
        units = dict(zip("abc", map(int, outcome), strict=True))
        failed += sample_ratio(units, shares, alpha=0.05).status == CheckStatus.FAILED
    assert abs(failed / replications - 0.05) < 3 * math.sqrt(0.05 * 0.95 / replications)


@pytest.mark.parametrize("shares", [{"a": 1.0, "b": 1.0, "c": 0.0}, {"a": 1.0, "b": 1.0}])
def test_a_unit_in_an_arm_without_a_share_fails(shares: dict[str, float]) -> None:
    check = sample_ratio({"a": 5000, "b": 5000, "c": 1}, shares)
    assert (check.status, check.finding) == (CheckStatus.FAILED, SampleRatioFinding.LEAK)
    assert "1 units in 'c'" in (check.reason or "")
    # The planned arms are compared among themselves; the leak is no part of that.
    assert check.p_value == 1.0
    assert [arm.expected_units for arm in check.arms] == [5000.0, 5000.0, 0.0]
    assert check.arms[2].share == pytest.approx(1 / 10_001)


def test_an_empty_arm_without_a_share_is_no_leak() -> None:
    check = sample_ratio({"a": 50, "b": 50}, {"a": 1, "b": 1, "c": 0})
    assert (check.status, check.finding, check.reason) == (CheckStatus.OK, None, None)
    assert [arm.arm for arm in check.arms] == ["a", "b", "c"]


def test_a_planned_arm_that_got_nobody_fails() -> None:
    check = sample_ratio({"a": 1000}, {"a": 1, "b": 1})
    assert check.finding == SampleRatioFinding.MISMATCH
    assert check.arms[1].units == 0


def test_without_units_there_is_no_answer() -> None:
    check = sample_ratio({"a": 0}, {"a": 1, "b": 1})
    assert (check.status, check.finding) == (CheckStatus.UNAVAILABLE, SampleRatioFinding.NO_UNITS)
    assert check.p_value is check.log_p_value is check.statistic is None
    assert check.arms[0].share is None
    leak = sample_ratio({"c": 3}, {"a": 1, "b": 1})
    assert (leak.finding, leak.p_value) == (SampleRatioFinding.LEAK, None)


def test_one_arm_alone_has_its_share() -> None:
    check = sample_ratio({"a": 100}, {"a": 1})
    assert (check.status, check.p_value, check.statistic) == (CheckStatus.OK, None, None)


@given(st.integers(10**4, 10**9))
def test_p_never_underflows(units: int) -> None:
    check = sample_ratio({"a": units, "b": 0}, EVEN | {"a": 1, "b": 1, "control": 0, "treatment": 0})
    more = sample_ratio({"a": 2 * units, "b": 0}, {"a": 1, "b": 1})
    rare = sample_ratio({"a": 0, "b": units}, {"a": 10**10, "b": 1})
    assert check.p_value is not None
    assert check.log_p_value is not None
    assert more.log_p_value is not None
    assert rare.log_p_value is not None
    assert check.p_value > 0
    assert more.log_p_value < check.log_p_value
    assert rare.method == "exact_binomial"
    # All units in the rare arm: p = 4 · 1e−10 ^ units.
    assert rare.log_p_value == pytest.approx(math.log(4) - units * math.log(10**10 + 1), rel=1e-9)


def test_outcomes_are_json() -> None:
    check = sample_ratio({"a": 60, "b": 40, "x": 2}, {"a": 1, "b": 1})
    data = json.loads(json.dumps(check.to_dict(), allow_nan=False))
    assert data["status"] == "failed"
    assert data["finding"] == "leak"
    assert data["arms"][2] == {
        "arm": "x",
        "units": 2,
        "expected_units": 0.0,
        "expected_share": 0.0,
        "share": pytest.approx(2 / 102),
    }


@pytest.mark.parametrize(
    ("units", "shares", "message"),
    [
        ({"a": -1}, {"a": 1}, "'a' has -1 units"),
        ({"a": 1}, {"a": -1.0}, "share of arm 'a' is -1.0"),
        ({"a": 1}, {"a": math.nan}, "share of arm 'a' is nan"),
        ({"a": 1}, {"a": 0}, "No arm has a positive share"),
        ({"a": 1}, {}, "No arm has a positive share"),
    ],
)
def test_impossible_counts_and_shares_are_refused(
    units: dict[str, int], shares: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sample_ratio(units, shares)
    with pytest.raises(ValueError, match="alpha is 0"):
        sample_ratio({"a": 1}, {"a": 1}, alpha=0)
