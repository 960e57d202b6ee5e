"""The sequential sample-ratio check: exact level, published behaviour, epochs, leaks."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln

from equipoise_stats import (
    AllocationEpoch,
    CheckStatus,
    SampleRatioFinding,
    dirichlet_multinomial_log_e,
    sample_ratio,
    sequential_sample_ratio,
)

EVEN = {"control": 1, "treatment": 1}


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 20)), min_size=2, max_size=5),
    st.sampled_from([1.0, 100.0, 1e4]),
)
def test_the_e_value_as_lindon_and_malek_write_it(arms: list[tuple[int, int]], k: float) -> None:
    units = {str(i): n for i, (n, _) in enumerate(arms)}
    shares = {str(i): float(share) for i, (_, share) in enumerate(arms)}
    theta = np.array(list(shares.values())) / sum(shares.values())
    n = np.array(list(units.values()))
    direct = (
        gammaln(k)
        - gammaln(k + n.sum())
        + float((gammaln(k * theta + n) - gammaln(k * theta)).sum())
        - float((n * np.log(theta)).sum())
    )
    check = sequential_sample_ratio([AllocationEpoch(units, shares)], concentration=k)
    assert check.log_e_value == pytest.approx(direct, rel=1e-8, abs=1e-7)
    if sum(n):
        assert check.log_p_value == min(0.0, -check.log_e_value)
        assert check.p_value == pytest.approx(math.exp(check.log_p_value or 0.0), rel=1e-12)


def test_the_price_of_peeking_is_a_larger_p_value() -> None:
    # Kohavi, Tang and Xu 2020: 821,588 against 815,482 units; fixed horizon p = 1.8e-6.
    units = {"control": 821_588, "treatment": 815_482}
    once = sample_ratio(units, EVEN)
    always = sequential_sample_ratio([AllocationEpoch(units, EVEN)])
    assert always.status == once.status == CheckStatus.FAILED
    assert always.finding == once.finding == SampleRatioFinding.MISMATCH
    # √(1 + N/k) exp(−χ²/2 · N/(k + N)), the normal form for large N and k.
    chi2, ratio = 22.77437, 1_637_070 / 1000
    assert always.p_value == pytest.approx(
        math.sqrt(1 + ratio) * math.exp(-chi2 / 2 * ratio / (1 + ratio)), rel=1e-3
    )


def test_the_level_holds_exactly_over_every_look() -> None:
    """The probability that a fair 30/70 split ever fails within 1500 units, by recursion over the count."""
    alpha, share, k = 0.05, 0.3, 100.0
    alive, failed = np.array([1.0]), 0.0
    for n in range(1, 1501):
        alive = np.append(alive * (1 - share), 0.0) + np.append(0.0, alive * share)
        x = np.arange(n + 1)
        log_e = dirichlet_multinomial_log_e(
            np.stack([x, n - x], axis=1), null=[share, 1 - share], prior=[k * share, k * (1 - share)]
        )
        stop = log_e >= -math.log(alpha)
        if n == 1500:
            for count in (430, 450, 520):
                status = sequential_sample_ratio(
                    [AllocationEpoch({"a": count, "b": n - count}, {"a": 3, "b": 7})],
                    alpha=alpha,
                    concentration=k,
                ).status
                assert (status == CheckStatus.FAILED) is bool(stop[count])
        failed += float(alive[stop].sum())
        alive[stop] = 0.0
    assert 0.01 < failed <= alpha


def test_a_shift_of_one_point_is_found_after_some_45_000_units() -> None:
    """The median over simulated streams at level 0.001 with the default weight."""
    generator = np.random.default_rng(9)
    n = np.arange(500, 150_001, 500)
    treated = generator.binomial(500, 0.51, (300, n.size)).cumsum(axis=1)
    log_e = dirichlet_multinomial_log_e(
        np.stack([treated, n - treated], axis=-1), null=[0.5, 0.5], prior=[500, 500]
    )
    found = log_e >= math.log(1000)
    assert found.any(axis=1).all()
    first = n[found.argmax(axis=1)]
    assert 0.85 * 45_000 < float(np.mean(first)) < 1.15 * 45_000


def test_epochs_multiply() -> None:
    first = AllocationEpoch({"a": 900, "b": 100}, {"a": 9, "b": 1})
    second = AllocationEpoch({"a": 560, "b": 440}, {"a": 1, "b": 1})
    one, two = (sequential_sample_ratio([epoch]) for epoch in (first, second))
    both = sequential_sample_ratio([first, second])
    assert both.log_e_value == pytest.approx(one.log_e_value + two.log_e_value, rel=1e-12)
    assert [[arm.expected_units for arm in arms] for arms in both.epochs] == [[900, 100], [500, 500]]
    # Pooled, the change of allocation would look like a mismatch, or hide one.
    fair = [first, AllocationEpoch({"a": 500, "b": 500}, {"a": 1, "b": 1})]
    assert sequential_sample_ratio(fair).status == CheckStatus.OK
    pooled = AllocationEpoch({"a": 1400, "b": 600}, {"a": 1, "b": 1})
    assert sequential_sample_ratio([pooled]).status == CheckStatus.FAILED


@pytest.mark.parametrize("shares", [{"a": 1.0, "b": 1.0, "off": 0.0}, {"a": 50.0, "b": 50.0}])
def test_a_leak_is_caught_at_once(shares: dict[str, float]) -> None:
    fine = AllocationEpoch({"a": 5000, "b": 5000}, {"a": 1, "b": 1})
    leak = AllocationEpoch({"a": 10, "b": 10, "off": 1}, shares)
    for epochs in ([leak], [fine, leak], [leak, fine]):
        check = sequential_sample_ratio(epochs)
        assert (check.status, check.finding) == (CheckStatus.FAILED, SampleRatioFinding.LEAK)
        assert "1 units in 'off'" in (check.reason or "")
        assert json.dumps(check.to_dict(), allow_nan=False)
    # Units that came while the arm had a share are no leak.
    before = AllocationEpoch({"off": 100, "a": 100}, {"off": 1, "a": 1})
    assert sequential_sample_ratio([before, AllocationEpoch({"a": 9}, {"a": 1, "off": 0})]).finding is None


def test_p_never_rises_when_the_look_before_is_handed_on() -> None:
    bad = sequential_sample_ratio([AllocationEpoch({"control": 700, "treatment": 500}, EVEN)])
    mended = [AllocationEpoch({"control": 7000, "treatment": 6990}, EVEN)]
    assert bad.status == CheckStatus.FAILED
    assert sequential_sample_ratio(mended).status == CheckStatus.OK
    after = sequential_sample_ratio(mended, earlier_log_p_value=bad.log_p_value)
    assert (after.log_p_value, after.status) == (bad.log_p_value, CheckStatus.FAILED)
    assert after.log_e_value < 0
    worse = [AllocationEpoch({"control": 9000, "treatment": 5000}, EVEN)]
    assert sequential_sample_ratio(worse, earlier_log_p_value=-1.0) == sequential_sample_ratio(worse)


def test_without_units_there_is_no_answer() -> None:
    check = sequential_sample_ratio([AllocationEpoch({}, EVEN)])
    assert (check.status, check.finding) == (CheckStatus.UNAVAILABLE, SampleRatioFinding.NO_UNITS)
    assert check.p_value is check.log_p_value is None
    assert check.reason
    later = sequential_sample_ratio([AllocationEpoch({}, EVEN)], earlier_log_p_value=-20.0)
    assert later.status == CheckStatus.FAILED


def test_the_level_is_reached_with_equality() -> None:
    p = sequential_sample_ratio([AllocationEpoch({"control": 1200, "treatment": 1000}, EVEN)]).p_value
    assert p is not None
    for alpha, status in ((p * (1 + 1e-9), CheckStatus.FAILED), (p * (1 - 1e-9), CheckStatus.OK)):
        check = sequential_sample_ratio(
            [AllocationEpoch({"control": 1200, "treatment": 1000}, EVEN)], alpha=alpha
        )
        assert check.status == status
        assert (check.reason is None) is (status == CheckStatus.OK)
        assert (check.alpha, check.concentration) == (alpha, 1000.0)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10_000))
def test_names_order_and_units_of_shares_do_not_matter(a: int, b: int, scale: int) -> None:
    one = sequential_sample_ratio([AllocationEpoch({"a": a, "b": b}, {"a": 0.25, "b": 0.75})])
    other = sequential_sample_ratio([AllocationEpoch({"x": b, "y": a}, {"x": 3 * scale, "y": scale})])
    assert one.log_e_value == pytest.approx(other.log_e_value, rel=1e-9, abs=1e-9)


def test_p_does_not_underflow() -> None:
    check = sequential_sample_ratio([AllocationEpoch({"control": 10**6, "treatment": 0}, EVEN)])
    assert check.log_p_value is not None
    assert check.log_p_value < -600_000
    assert check.p_value is not None
    assert check.p_value > 0


def test_impossible_questions_are_refused() -> None:
    fine = [AllocationEpoch({"control": 5}, EVEN)]
    with pytest.raises(ValueError, match="no epoch"):
        sequential_sample_ratio([])
    for k in (0.0, 0.5, 1e10, math.nan):
        with pytest.raises(ValueError, match="concentration is"):
            sequential_sample_ratio(fine, concentration=k)
    for earlier in (0.1, math.nan):
        with pytest.raises(ValueError, match="earlier_log_p_value is"):
            sequential_sample_ratio(fine, earlier_log_p_value=earlier)
    with pytest.raises(ValueError, match="alpha is"):
        sequential_sample_ratio(fine, alpha=0.5)
    with pytest.raises(ValueError, match="cannot be negative"):
        sequential_sample_ratio([AllocationEpoch({"control": -1}, EVEN)])
    with pytest.raises(ValueError, match="No arm has a positive share"):
        sequential_sample_ratio([AllocationEpoch({"control": 1}, {"control": 0})])
