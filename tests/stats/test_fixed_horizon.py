"""Fixed horizon: published values, other libraries, and what must always hold."""

import importlib
import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats
from tests.stats.intervals import interval_of

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Comparison,
    Counts,
    Estimate,
    Interval,
    Moments,
    Notice,
    Scale,
    Status,
    fixed_horizon,
    mean_difference,
    proportion_difference,
)

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")

# Student's sleep data (Biometrika 1908; R's datasets::sleep): extra hours of sleep under two drugs.
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def estimates(dependent: bool = True, positive: bool = False) -> st.SearchStrategy[Estimate]:
    """Any estimates: arms of any size, of any precision, independent or not, with t or normal references."""

    def build(
        m_t: float, m_c: float, se_t: float, se_c: float, rho: float, df: float, unit: float
    ) -> Estimate:
        return Estimate(
            "any",
            ArmEstimate(100, m_t * unit, (se_t * unit) ** 2),
            ArmEstimate(100, m_c * unit, (se_c * unit) ** 2),
            rho * se_t * se_c * unit**2,
            df,
        )

    return st.builds(
        build,
        st.floats(0.001 if positive else -50, 50),
        st.floats(0.001 if positive else -50, 50),
        st.floats(0.001, 20),
        st.floats(0.001, 20),
        st.floats(-0.95, 0.95) if dependent else st.just(0.0),
        st.one_of(st.floats(1, 1e6), st.just(math.inf)),
        st.sampled_from([1e-9, 1.0, 1e9]),
    )


levels = st.sampled_from([1e-6, 0.001, 0.01, 0.05, 0.2, 0.45])


def is_a_tie(result: Comparison) -> bool:
    """Whether p and α agree to rounding, where either verdict is right."""
    assert result.test.log_p_value is not None
    return math.isclose(result.test.log_p_value, math.log(result.test.alpha), rel_tol=1e-9, abs_tol=1e-9)


@given(estimates(), levels, st.sampled_from(ALTERNATIVES), st.sampled_from([0.0, 0.0, -3.0, 0.7]))
def test_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    estimate: Estimate, alpha: float, alternative: Alternative, null: float
) -> None:
    result = fixed_horizon(estimate, alpha=alpha, alternative=alternative, null=null)
    assume(not is_a_tie(result))
    assert result.test.p_value is not None
    significant = result.test.p_value <= alpha
    assert result.test.rejected is significant
    assert interval_of(result.difference.interval).excludes(null) is significant
    if null == 0 and result.lift.interval is not None:
        assert result.lift.interval.excludes(0.0) is significant


@given(estimates(positive=True), levels, st.sampled_from(ALTERNATIVES), st.floats(-0.9, 3))
def test_a_relative_null_is_excluded_exactly_when_its_linear_form_is_rejected(
    estimate: Estimate, alpha: float, alternative: Alternative, null: float
) -> None:
    result = fixed_horizon(estimate, alpha=alpha, alternative=alternative, null=null, scale="lift")
    assume(not is_a_tie(result))
    if result.lift.interval is not None:
        near = [end for end in (result.lift.interval.lower, result.lift.interval.upper) if math.isfinite(end)]
        assume(all(not math.isclose(end, null, rel_tol=1e-7, abs_tol=1e-9) for end in near))
        assert result.test.p_value is not None
        assert result.lift.interval.excludes(null) is (result.test.p_value <= alpha)
        assert result.test.rejected is (result.test.p_value <= alpha)


@given(estimates(), levels, st.sampled_from(ALTERNATIVES))
def test_swapping_the_arms_negates_the_difference(
    e: Estimate, alpha: float, alternative: Alternative
) -> None:
    other: Alternative = {"greater": "less", "less": "greater"}.get(alternative, "two-sided")  # type: ignore[assignment]
    swapped = Estimate(e.estimator, e.control, e.treatment, e.covariance, e.df)
    a = fixed_horizon(e, alpha=alpha, alternative=alternative)
    b = fixed_horizon(swapped, alpha=alpha, alternative=other)
    mine, theirs = interval_of(a.difference.interval), interval_of(b.difference.interval)
    assert (theirs.lower, theirs.upper) == pytest.approx((-mine.upper, -mine.lower), rel=1e-12)
    assert a.test.p_value == pytest.approx(b.test.p_value, rel=1e-12)
    assert (a.test.statistic, a.test.rejected) == (-(b.test.statistic or 0.0), b.test.rejected)


@given(estimates(), levels)
def test_a_two_sided_interval_is_two_one_sided_ones(estimate: Estimate, alpha: float) -> None:
    both = fixed_horizon(estimate, alpha=alpha)
    above = fixed_horizon(estimate, alpha=alpha / 2, alternative="greater")
    below = fixed_horizon(estimate, alpha=alpha / 2, alternative="less")
    for name in ("difference", "lift"):
        b, g, ls = (getattr(result, name) for result in (both, above, below))
        assert b.status == g.status == ls.status
        if b.interval is not None:
            assert g.interval == Interval(b.interval.lower, math.inf)
            assert ls.interval == Interval(-math.inf, b.interval.upper)


@given(estimates(), st.sampled_from(ALTERNATIVES))
def test_results_hold_no_nan_and_survive_json(estimate: Estimate, alternative: Alternative) -> None:
    result = fixed_horizon(estimate, alternative=alternative)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(text) == result.to_dict()
    for effect in (result.difference, result.lift, result.test):
        assert (effect.reason is None) is (effect.status == Status.OK)


@given(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=15),
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=15),
    st.sampled_from(ALTERNATIVES),
)
def test_welch_is_that_of_scipy(treatment: list[int], control: list[int], alternative: Alternative) -> None:
    assume(len(set(treatment)) > 1 and len(set(control)) > 1)  # scipy warns otherwise
    arms = Moments.from_arrays({"y": treatment}), Moments.from_arrays({"y": control})
    for pooled in (False, True):
        e = mean_difference(treatment=arms[0], control=arms[1], variance="pooled" if pooled else "welch")
        mine = fixed_horizon(e, alternative=alternative, alpha=0.04)
        theirs = stats.ttest_ind(treatment, control, equal_var=pooled, alternative=alternative)
        ends = theirs.confidence_interval(0.96)
        assert mine.test.statistic == pytest.approx(float(theirs.statistic), rel=1e-9, abs=1e-9)
        assert mine.test.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)
        assert mine.test.df == pytest.approx(float(theirs.df), rel=1e-9)
        interval = interval_of(mine.difference.interval)
        assert (interval.lower, interval.upper) == pytest.approx((ends.low, ends.high), rel=1e-9, abs=1e-9)


def test_the_sleep_data_as_r_prints_them() -> None:
    e = mean_difference(
        treatment=Moments.from_arrays({"extra": SLEEP_1}), control=Moments.from_arrays({"extra": SLEEP_2})
    )
    result = fixed_horizon(e)
    interval = interval_of(result.difference.interval)
    assert result.test.statistic == pytest.approx(-1.860813, abs=1e-6)
    assert result.test.df == pytest.approx(17.77647, abs=1e-5)
    assert result.test.p_value == pytest.approx(0.0793941, abs=1e-6)
    assert (interval.lower, interval.upper) == pytest.approx((-3.365483, 0.205483), abs=1e-6)


@pytest.mark.parametrize(
    ("treatment", "control", "p_value", "difference", "interval"),
    [
        # A landing-page test (user-level counts of the public data set ab_data).
        (Counts(144389, 17268), Counts(144300, 17468), 0.2280, -0.001460, (-0.00383, 0.00091)),
        # Seven-day retention in the mobile game Cookie Cats (public data set cookie_cats).
        (Counts(45489, 8279), Counts(44700, 8502), 0.001555, -0.008201, (-0.01328, -0.00312)),
    ],
)
def test_two_real_experiments(
    treatment: Counts,
    control: Counts,
    p_value: float,
    difference: float,
    interval: tuple[float, float],
) -> None:
    result = fixed_horizon(proportion_difference(treatment=treatment, control=control))
    assert result.test.p_value == pytest.approx(p_value, abs=5e-5 if p_value > 0.01 else 5e-6)
    assert result.difference.estimate == pytest.approx(difference, abs=5e-7)
    ends = interval_of(result.difference.interval)
    assert (ends.lower, ends.upper) == pytest.approx(interval, abs=5e-6)


def test_proportions_are_those_of_statsmodels() -> None:
    proportion = importlib.import_module("statsmodels.stats.proportion")
    theirs = proportion.test_proportions_2indep(8279, 45489, 8502, 44700, compare="diff", method="wald")
    ends = proportion.confint_proportions_2indep(8279, 45489, 8502, 44700, compare="diff", method="wald")
    mine = fixed_horizon(proportion_difference(treatment=Counts(45489, 8279), control=Counts(44700, 8502)))
    assert mine.test.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)
    interval = interval_of(mine.difference.interval)
    assert (interval.lower, interval.upper) == pytest.approx(tuple(map(float, ends)), rel=1e-9)


def test_the_level_holds_in_simulation() -> None:
    """Size on each side under unequal variances and sizes: within three standard errors."""
    generator = np.random.default_rng(20)
    replications, n_t, n_c = 20_000, 12, 30
    treatment = generator.normal(0, 1, (replications, n_t))
    control = generator.normal(0, 2, (replications, n_c))
    rejected = {"greater": 0, "less": 0}
    for row in range(replications):
        e = mean_difference(
            treatment=Moments.scalar(n_t, float(treatment[row].mean()), float(treatment[row].var(ddof=1))),
            control=Moments.scalar(n_c, float(control[row].mean()), float(control[row].var(ddof=1))),
        )
        for side in ("greater", "less"):
            rejected[side] += bool(fixed_horizon(e, alpha=0.05, alternative=side).test.rejected)
    for count in rejected.values():
        assert abs(count / replications - 0.05) < 3 * math.sqrt(0.05 * 0.95 / replications)


@example(z=40.0, df=math.inf, alternative="two-sided")
@example(z=40.0, df=1e6, alternative="greater")
@given(st.floats(35, 1e6), st.sampled_from([30.0, 1e4, math.inf]), st.sampled_from(["two-sided", "greater"]))
def test_p_never_underflows(z: float, df: float, alternative: Alternative) -> None:
    e = Estimate("any", ArmEstimate(100, z, 0.5), ArmEstimate(100, 0.0, 0.5), df=df)
    test = fixed_horizon(e, alternative=alternative).test
    further = fixed_horizon(
        Estimate("any", ArmEstimate(100, z * 1.01, 0.5), ArmEstimate(100, 0.0, 0.5), df=df),
        alternative=alternative,
    ).test
    assert test.p_value is not None
    assert test.log_p_value is not None
    assert further.log_p_value is not None
    assert test.p_value > 0
    assert further.log_p_value < test.log_p_value


def test_log_p_at_forty_standard_errors() -> None:
    e = Estimate("any", ArmEstimate(9, 40.0, 0.5), ArmEstimate(9, 0.0, 0.5))
    # log(2) + log Φ(−40); Φ(−40) = 3.655893540915029e−350 (Mills' ratio by continued fraction).
    expected = math.log(2) + math.log(3.655893540915029) - 350 * math.log(10)
    assert fixed_horizon(e).test.log_p_value == pytest.approx(expected, rel=1e-12)


def test_non_inferiority_by_a_margin() -> None:
    e = Estimate("any", ArmEstimate(9, 9.9, 0.005), ArmEstimate(9, 10.0, 0.005))
    within = fixed_horizon(e, alternative="greater", null=-0.3, alpha=0.025)
    assert within.test.statistic == pytest.approx(2.0)
    assert within.test.p_value == pytest.approx(float(stats.norm.sf(2)), rel=1e-12)
    assert within.test.rejected is True
    assert fixed_horizon(e, alternative="greater", null=-0.2, alpha=0.025).test.rejected is False
    relative = fixed_horizon(e, alternative="greater", null=-0.03, scale="lift", alpha=0.025)
    # (9.9 − 0.97 · 10) / √(0.005 + 0.97² · 0.005)
    assert relative.test.statistic == pytest.approx(0.2 / math.sqrt(0.005 * (1 + 0.97**2)), rel=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_where_there_is_no_estimate_there_is_no_number(alternative: Alternative) -> None:
    nobody = Moments.empty(("y",))
    constant = Moments.from_arrays({"y": [3.0, 3.0]})
    for arms, status in (((nobody, constant), "too_few_units"), ((constant, constant), "no_variance")):
        result = fixed_horizon(mean_difference(treatment=arms[0], control=arms[1]), alternative=alternative)
        for answer in (result.difference, result.lift, result.test):
            assert answer.status.value == status
            assert answer.reason
        assert result.difference.interval is result.lift.interval is None
        assert result.difference.estimate is result.lift.estimate is None
        test = result.test
        assert test.p_value is test.log_p_value is test.rejected is test.statistic is test.critical is None
        assert result.control.n == 2
        assert json.dumps(result.to_dict(), allow_nan=False)


def test_what_was_chosen_is_recorded() -> None:
    e = Estimate("any", ArmEstimate(9, 2.0, 0.5), ArmEstimate(9, 1.0, 0.5), warnings=(Notice("a", "A."),))
    result = fixed_horizon(e, alpha=0.01, alternative="less", null=0.25, scale="lift")
    assert result.to_dict()["method"] == {
        "name": "fixed_horizon",
        "version": 1,
        "parameters": {"alpha": 0.01, "alternative": "less", "null": 0.25, "scale": "lift"},
    }
    assert (result.estimator, result.treatment.value, result.control.value) == ("any", 2.0, 1.0)
    assert result.treatment.standard_error == pytest.approx(math.sqrt(0.5))
    assert (result.difference.estimate, result.difference.standard_error) == (1.0, 1.0)
    assert result.warnings == (Notice("a", "A."),)
    test = result.test
    assert (test.scale, test.null, test.alternative, test.alpha) == ("lift", 0.25, "less", 0.01)


BAD_LEVELS = [0.0, -0.1, 0.5, 1.0, math.nan, 1e-51]


@pytest.mark.parametrize("alpha", BAD_LEVELS)
def test_impossible_levels_are_refused(alpha: float) -> None:
    e = Estimate("any", ArmEstimate(9, 2.0, 0.5), ArmEstimate(9, 1.0, 0.5))
    with pytest.raises(ValueError, match="alpha is"):
        fixed_horizon(e, alpha=alpha)


def test_impossible_questions_are_refused() -> None:
    e = Estimate("any", ArmEstimate(9, 2.0, 0.5), ArmEstimate(9, 1.0, 0.5))
    with pytest.raises(ValueError, match="alternative is 'both'"):
        fixed_horizon(e, alternative="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scale is 'ratio'"):
        fixed_horizon(e, scale="ratio")  # type: ignore[arg-type]
    scales: tuple[Scale, ...] = ("difference", "lift")
    for null, scale in product((math.nan, math.inf), scales):
        with pytest.raises(ValueError, match="finite number"):
            fixed_horizon(e, null=null, scale=scale)
    with pytest.raises(ValueError, match="must lie above -1"):
        fixed_horizon(e, null=-1.0, scale="lift")
