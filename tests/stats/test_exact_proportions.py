"""Exact tests of two proportions and their intervals: Boschloo and Fisher."""

import json
import math
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.stats.intervals import ends
from tests.stats.proportions import counts

from equipoise_stats import (
    Alternative,
    Counts,
    Scale,
    Status,
    boschloo,
    fisher_exact,
    score_test,
)
from equipoise_stats.proportions.score import lower_difference, lower_ratio
from equipoise_stats.proportions.tables import Region, by_difference, by_ratio

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


def tables_of(region: Region) -> set[tuple[int, int]]:
    return {(int(x), j) for x, most in zip(region.x, region.most, strict=True) for j in range(most + 1)}


# --- Boschloo ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "p_value"),
    [
        # Lydersen, Fagerland and Laake 2009 (Stat. Med. 28, 1159-1175): the lady tasting tea.
        ((4, 3, 4, 1), ("greater", 0.14453125)),
    ],
)
def test_published_p_values(table: tuple[int, int, int, int], p_value: tuple[Alternative, float]) -> None:
    n_t, x_t, n_c, x_c = table
    alternative, expected = p_value
    result = boschloo(treatment=Counts(n_t, x_t), control=Counts(n_c, x_c), alternative=alternative)
    assert result.test.p_value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_boschloo_is_that_of_scipy(alternative: Alternative) -> None:
    """In the observed direction, in the other one, and in both."""
    generator = np.random.default_rng(5)
    for _ in range(25):
        n_t, n_c = (int(n) for n in generator.integers(2, 30, 2))
        x_t, x_c = int(generator.integers(0, n_t + 1)), int(generator.integers(0, n_c + 1))
        mine = boschloo(treatment=Counts(n_t, x_t), control=Counts(n_c, x_c), alternative=alternative)
        table = [[x_t, x_c], [n_t - x_t, n_c - x_c]]
        theirs = float(stats.boschloo_exact(table, alternative=alternative, n=128).pvalue)
        assert mine.test.p_value == pytest.approx(theirs, rel=1e-5)
        assert mine.test.p_value is not None
        # The maximum that is found is never smaller than theirs, which carries their rounding where it is
        # close to 1.
        assert mine.test.p_value >= theirs * (1 - 1e-8)


def test_the_p_value_against_the_observed_direction() -> None:
    # scipy 1.17, boschloo_exact([[8, 5], [43, 23]], "greater"); "less" gives 0.4264.
    against: dict[str, Any] = {"treatment": Counts(51, 8), "control": Counts(28, 5)}
    for scale in get_args(Scale):
        result = boschloo(**against, alternative="greater", scale=scale)
        assert result.test.p_value == pytest.approx(0.6396211180, abs=1e-10)
        # Just below no effect it is no larger.
        below = boschloo(**against, alternative="greater", scale=scale, null=-1e-6)
        assert below.test.p_value == pytest.approx(0.6396211180, abs=1e-10)
        far_below = boschloo(**against, alternative="greater", scale=scale, null=-0.97)
        assert far_below.test.p_value is not None
        assert far_below.test.p_value < 0.02


@given(counts(12), counts(12))
@settings(max_examples=80)
def test_beyond_fishers_order_no_effect_is_as_likely_as_not(first: Counts, second: Counts) -> None:
    """So that no level, all of which are below 1/2, sees that the order depends on the null value."""
    for tables in (by_difference(first, second), by_ratio(first, second)):
        if tables.farther is not tables.fisher:
            p = tables.p_of_difference(0.0)
            assert p >= 0.5 - 1e-9
            assert tables.farther.p_of_difference(0.0) >= p - 1e-9
            assert tables.p_of_ratio(0.5) == pytest.approx(p, rel=1e-9)


@example(Counts(2, 1), Counts(9, 5))  # speaks against, and yet has no larger p-value than some that do not
@given(counts(9), counts(9))
@settings(max_examples=60)
def test_the_extremes_are_what_they_say(first: Counts, second: Counts) -> None:
    """Every table of these arms, by brute force; and no region has holes (Barnard's convexity)."""

    def fisher(x: int, y: int) -> float:
        p = stats.hypergeom.sf(x - 1, first.n + second.n, x + y, first.n)
        return round(float(p), 11)

    def speaks(x: int, y: int) -> bool:
        less = round(float(stats.hypergeom.cdf(x, first.n + second.n, x + y, first.n)), 11)
        return fisher(x, y) < 1 and fisher(x, y) <= less

    observed = fisher(first.successes, second.successes)
    everywhere = list(product(range(first.n + 1), range(second.n + 1)))
    farthest = max(fisher(x, y) for x, y in everywhere if speaks(x, y))
    by_fisher = {(x, y) for x, y in everywhere if fisher(x, y) <= observed}
    for build, lower in {by_difference: lower_difference, by_ratio: lower_ratio}.items():
        limit = lower(first, second, stats.norm.isf(0.025))
        by_limit = {
            (x, y)
            for x, y in everywhere
            if fisher(x, y) <= farthest
            or lower(Counts(first.n, x), Counts(second.n, y), stats.norm.isf(0.025)) >= limit - 1e-11
        }
        tables = build(first, second)
        assert tables_of(tables.fisher) == by_fisher
        assert tables_of(tables.farther) == (by_fisher if observed <= farthest else by_limit)
        for region in (by_fisher, by_limit):
            for x, y in region:
                assert x == first.n or (x + 1, y) in region
                assert y == 0 or (x, y - 1) in region


@given(counts(8), counts(8), st.integers(-95, 95).map(lambda percent: percent / 100))
@settings(max_examples=40)
def test_the_greatest_probability_is_greatest(first: Counts, second: Counts, difference: float) -> None:
    """Against the sum of binomial probabilities on a fine grid."""
    region = by_difference(first, second).farther
    p = np.linspace(max(0.0, -difference), min(1.0, 1 - difference), 4001)
    total = np.zeros_like(p)
    for x, y in tables_of(region):
        total += stats.binom.pmf(x, first.n, np.clip(p + difference, 0, 1)) * stats.binom.pmf(y, second.n, p)
    assert region.p_of_difference(difference) >= total.max() - 1e-12
    assert region.p_of_difference(difference) == pytest.approx(total.max(), abs=2e-6)
    ratio = 1.7
    q = np.linspace(0, 1 / ratio, 4001)
    region, total = by_ratio(first, second).farther, np.zeros_like(q)
    for x, y in tables_of(region):
        total += stats.binom.pmf(x, first.n, np.minimum(1, ratio * q)) * stats.binom.pmf(y, second.n, q)
    assert region.p_of_ratio(ratio / (1 + ratio)) == pytest.approx(total.max(), abs=2e-6)


@given(counts(20), counts(20), st.floats(-0.99, 0.98), st.floats(0.001, 0.98))
@settings(max_examples=40)
def test_one_sided_p_values_never_fall_as_the_null_rises(
    first: Counts, second: Counts, difference: float, share: float
) -> None:
    by_d, by_r = by_difference(first, second), by_ratio(first, second)
    for step in (1e-6, 0.005):
        assert by_d.p_of_difference(difference) <= by_d.p_of_difference(difference + step) + 1e-12
        assert by_r.p_of_ratio(share) <= by_r.p_of_ratio(share + step) + 1e-12


@settings(max_examples=60)
@example(Counts(4, 0), Counts(4, 0), 0.05, "two-sided", ("difference", 0.0))
@given(
    counts(14),
    counts(14),
    st.sampled_from([0.001, 0.01, 0.05, 0.2, 0.49]),
    st.sampled_from(ALTERNATIVES),
    st.one_of(
        st.just(("difference", 0.0)),
        st.just(("lift", 0.0)),
        st.tuples(st.just("difference"), st.floats(-0.9, 0.9)),
        st.tuples(st.just("lift"), st.floats(-0.9, 3.0)),
    ),
)
def test_boschloos_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    treatment: Counts,
    control: Counts,
    alpha: float,
    alternative: Alternative,
    question: tuple[Scale, float],
) -> None:
    scale, null = question
    result = boschloo(
        treatment=treatment, control=control, alpha=alpha, alternative=alternative, null=null, scale=scale
    )
    json.dumps(result.to_dict(), allow_nan=False)
    if result.test.status != Status.OK:
        assert treatment.successes == control.successes == 0
        return
    assert result.test.p_value is not None
    assert result.test.log_p_value == pytest.approx(math.log(result.test.p_value))
    assume(not math.isclose(result.test.p_value, alpha, rel_tol=1e-7))
    significant = result.test.p_value <= alpha
    assert result.test.rejected is significant
    effect = result.difference if scale == "difference" else result.lift
    if effect.interval is not None:
        assert effect.interval.excludes(null) is significant
    if null == 0:
        for other in (result.difference, result.lift):
            assert other.interval is None or other.interval.excludes(0.0) is significant


def test_boschloos_interval_is_near_chan_and_zhangs() -> None:
    # Fagerland, Lydersen and Laake 2015 give (0.019, 0.36) for Chan and Zhang's interval of 7/34 - 1/34.
    result = boschloo(treatment=Counts(34, 7), control=Counts(34, 1))
    assert ends(result.difference) == pytest.approx((0.019, 0.36), abs=0.007)


def test_exactness_by_enumeration() -> None:
    """The size never exceeds α, and the interval covers at least 1 − α, at any proportions."""
    n_t, n_c, alpha = 5, 7, 0.1
    found = {
        (x, y): boschloo(treatment=Counts(n_t, x), control=Counts(n_c, y), alpha=alpha)
        for x in range(n_t + 1)
        for y in range(n_c + 1)
    }
    for p_c in np.linspace(0.01, 0.99, 25):
        for difference in (0.0, -0.25, 0.4):
            p_t = p_c + difference
            if not 0 <= p_t <= 1:
                continue
            missed = missed_ratio = 0.0
            for (x, y), result in found.items():
                weight = stats.binom.pmf(x, n_t, p_t) * stats.binom.pmf(y, n_c, p_c)
                lower, upper = ends(result.difference)
                missed += weight * (not lower <= difference <= upper)
                if result.lift.interval is not None:
                    low, high = ends(result.lift)
                    missed_ratio += weight * (not low <= p_t / p_c - 1 <= high)
            assert missed <= alpha + 1e-9
            assert missed_ratio <= alpha + 1e-9


def test_boschloo_is_more_powerful_than_fisher() -> None:
    for x, y in product(range(7), range(9)):
        arms: dict[str, Any] = {"treatment": Counts(6, x), "control": Counts(8, y)}
        exact, conditional = (
            boschloo(**arms, alternative="greater").test,
            fisher_exact(**arms, alternative="greater"),
        )
        assert exact.p_value is not None
        if exact.p_value < 0.5:
            assert exact.p_value <= conditional.p_value + 1e-12


def test_arms_too_large_for_the_exact_test() -> None:
    with pytest.raises(ValueError, match=r"40200 tables.*miettinen_nurminen"):
        boschloo(treatment=Counts(199, 3), control=Counts(200, 4))
    largest = boschloo(treatment=Counts(199, 120), control=Counts(199, 100), alternative="greater")
    asymptotic = score_test(treatment=Counts(199, 120), control=Counts(199, 100), alternative="greater")
    assert largest.test.p_value == pytest.approx(asymptotic.test.p_value, rel=0.1)
    assert largest.test.statistic is largest.test.critical is None


# --- Fisher -----------------------------------------------------------------------------------------


def test_fisher_as_r_prints_it() -> None:
    # R's help of fisher.test: the lady tasting tea, and convictions of twins.
    tea = fisher_exact(treatment=Counts(4, 3), control=Counts(4, 1), alternative="greater")
    assert tea.p_value == pytest.approx(0.2428571, abs=5e-8)
    assert tea.odds_ratio.estimate == pytest.approx(6.408309, abs=2e-5)
    assert ends(tea.odds_ratio) == pytest.approx((0.3135693, math.inf), abs=5e-6)
    twins: dict[str, Any] = {"treatment": Counts(12, 2), "control": Counts(18, 15)}
    less = fisher_exact(**twins, alternative="less")
    assert less.p_value == pytest.approx(0.0004652, abs=5e-8)
    assert ends(less.odds_ratio) == pytest.approx((0.0, 0.2849601), abs=2e-6)
    both = fisher_exact(**twins)
    assert both.odds_ratio.estimate == pytest.approx(0.04693661, abs=1e-6)
    assert ends(both.odds_ratio) == pytest.approx((0.003325764, 0.363182271), abs=1e-5)
    assert both.p_value == pytest.approx(2 * less.p_value, rel=1e-12)


@given(counts(40), counts(40), st.sampled_from(["greater", "less"]))
def test_fisher_is_that_of_scipy(treatment: Counts, control: Counts, alternative: Alternative) -> None:
    table: Any = [
        [treatment.successes, treatment.n - treatment.successes],
        [control.successes, control.n - control.successes],
    ]
    mine = fisher_exact(treatment=treatment, control=control, alternative=alternative)
    theirs = stats.fisher_exact(table, alternative=alternative)
    assert mine.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)
    total = treatment.successes + control.successes
    if 0 < total < treatment.n + control.n:
        odds = stats.contingency.odds_ratio(table)
        ends_ = odds.confidence_interval(0.95)
        both = fisher_exact(treatment=treatment, control=control)
        assert both.odds_ratio.estimate == pytest.approx(float(odds.statistic), rel=1e-5)
        assert ends(both.odds_ratio) == pytest.approx((ends_.low, ends_.high), rel=1e-6)
    else:
        assert mine.odds_ratio.status == Status.UNBOUNDED
        assert mine.odds_ratio.interval is None
        assert mine.p_value == 1.0


@given(
    counts(60),
    counts(60),
    st.sampled_from([0.001, 0.05, 0.3]),
    st.sampled_from(ALTERNATIVES),
    st.sampled_from([1.0, 0.2, 3.0]),
)
def test_fishers_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    treatment: Counts, control: Counts, alpha: float, alternative: Alternative, null: float
) -> None:
    result = fisher_exact(
        treatment=treatment, control=control, alpha=alpha, alternative=alternative, null=null
    )
    json.dumps(result.to_dict(), allow_nan=False)
    assume(not math.isclose(result.p_value, alpha, rel_tol=1e-9))
    assert result.rejected is (result.p_value <= alpha)
    if result.odds_ratio.interval is not None:
        assert result.odds_ratio.interval.excludes(null) is result.rejected
    else:
        assert result.rejected is False
    swapped: Alternative = {"greater": "less", "less": "greater"}.get(alternative, "two-sided")  # type: ignore[assignment]
    other = fisher_exact(
        treatment=control, control=treatment, alpha=alpha, alternative=swapped, null=1 / null
    )
    assert other.p_value == pytest.approx(result.p_value, rel=1e-9)


def test_rare_events_among_many_units() -> None:
    # As arms grow the totals become binomial: 3 and 14 events in arms of equal size.
    result = fisher_exact(treatment=Counts(10**9, 3), control=Counts(10**9, 14))
    assert result.p_value == pytest.approx(2 * float(stats.binom.cdf(3, 17, 0.5)), rel=1e-6)
    far = fisher_exact(treatment=Counts(10**6, 5000), control=Counts(10**6, 0))
    assert far.log_p_value == pytest.approx(math.log(2) + 5000 * math.log(0.5) - 6.26, abs=0.1)
    assert far.p_value > 0
    assert far.odds_ratio.estimate == math.inf
    none = fisher_exact(treatment=Counts(10**6, 0), control=Counts(10**6, 9))
    assert none.odds_ratio.estimate == ends(none.odds_ratio)[0] == 0.0


def test_fishers_limits() -> None:
    arms: dict[str, Any] = {"treatment": Counts(10, 3), "control": Counts(10, 4)}
    for null in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="odds ratio of"):
            fisher_exact(**arms, null=null)
    with pytest.raises(ValueError, match="alpha is"):
        fisher_exact(**arms, alpha=0.5)
    with pytest.raises(ValueError, match=r"at most 1000000.*miettinen_nurminen"):
        fisher_exact(treatment=Counts(10**7, 10**6), control=Counts(10**7, 10**6))
    assert fisher_exact(treatment=Counts(0, 0), control=Counts(9, 3)).odds_ratio.status == Status.UNBOUNDED
    assert fisher_exact(**arms, alpha=0.01, null=2.0).method.to_dict() == {
        "name": "fisher_exact",
        "version": 1,
        "parameters": {"alpha": 0.01, "alternative": "two-sided", "null": 2.0},
    }
