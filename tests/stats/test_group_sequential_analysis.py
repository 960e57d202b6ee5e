"""A look, and the end, of a group-sequential analysis: p-values, intervals, estimates, futility."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Comparison,
    Counts,
    Estimate,
    Interval,
    Look,
    LookHistory,
    Moments,
    NoEstimate,
    Notice,
    Spending,
    Status,
    conditional_power,
    exit_probabilities,
    fixed_horizon,
    futility_bounds,
    futility_drift,
    group_sequential,
    mean_difference,
    plan_looks,
    predictive_power,
    proportion_difference,
    repeated_p_value,
    sequential_p_value,
    stage_wise,
)

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")
SPENDINGS = (
    Spending("obrien_fleming"),
    Spending("pocock"),
    Spending("hwang_shih_decani", -4.0),
    Spending("power", 2.0),
)
# A few schedules: what depends on them is cached, and the tests stay quick.
SCHEDULES = ((1.0,), (0.3,), (0.5, 1.0), (0.1, 0.31, 0.78), (0.25, 0.5, 0.75, 1.2), (0.02, 0.4, 0.41, 1.0))
histories = st.builds(
    lambda fractions, spending, alpha, side: plan_looks(
        fractions, spending=spending, alpha=alpha, alternative=side
    ),
    st.sampled_from(SCHEDULES),
    st.sampled_from(SPENDINGS),
    st.sampled_from([0.001, 0.05, 0.2]),
    st.sampled_from(ALTERNATIVES),
)
INFERENCES = (group_sequential, stage_wise)


def estimates(positive: bool = False) -> st.SearchStrategy[Estimate]:
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
        st.floats(0.05, 20),
        st.floats(0.05, 20),
        st.floats(-0.9, 0.9),
        st.one_of(st.floats(2, 1e6), st.just(math.inf)),
        st.sampled_from([1e-9, 1.0, 1e9]),
    )


def with_z(z: float, df: float = math.inf) -> Estimate:
    return Estimate("any", ArmEstimate(100, z, 0.5), ArmEstimate(100, 0.0, 0.5), df=df)


def is_a_tie(result: Comparison) -> bool:
    assert result.test.log_p_value is not None
    return math.isclose(result.test.log_p_value, math.log(result.test.alpha), rel_tol=1e-7, abs_tol=1e-7)


def interval_of(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


def ask(inference: Any, estimate: Any, history: LookHistory, **more: Any) -> Comparison:
    result: Comparison = inference(
        estimate, history=history, alpha=history.alpha, alternative=history.alternative, **more
    )
    return result


# What must always hold


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=150)
@given(estimate=estimates(), history=histories, null=st.sampled_from([0.0, 0.0, -3.0, 0.7]))
def test_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    inference: Any, estimate: Estimate, history: LookHistory, null: float
) -> None:
    result = ask(inference, estimate, history, null=null)
    assume(not is_a_tie(result) or math.isinf(history.current.critical))
    assert result.test.p_value is not None
    significant = result.test.p_value <= history.alpha
    assert result.test.rejected is significant
    if result.difference.interval is None:
        assert result.difference.status == Status.UNBOUNDED
        assert math.isinf(history.current.critical)
        assert not significant
    else:
        assert result.difference.interval.excludes(null) is significant
    if null == 0 and result.lift.interval is not None:
        assert result.lift.interval.excludes(0.0) is significant


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=100)
@given(estimate=estimates(positive=True), history=histories, null=st.floats(-0.9, 3))
def test_a_relative_null_is_excluded_exactly_when_its_linear_form_is_rejected(
    inference: Any, estimate: Estimate, history: LookHistory, null: float
) -> None:
    result = ask(inference, estimate, history, null=null, scale="lift")
    assume(not is_a_tie(result))
    if result.lift.interval is not None:
        ends = (result.lift.interval.lower, result.lift.interval.upper)
        assume(not any(math.isclose(end, null, rel_tol=1e-7, abs_tol=1e-9) for end in ends))
        assert result.test.p_value is not None
        assert result.lift.interval.excludes(null) is (result.test.p_value <= history.alpha)
        assert result.test.rejected is (result.test.p_value <= history.alpha)


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=100)
@given(e=estimates(), history=histories)
def test_swapping_the_arms_negates(inference: Any, e: Estimate, history: LookHistory) -> None:
    other: dict[str, Any] = {"greater": "less", "less": "greater", "two-sided": "two-sided"}
    swapped = Estimate(e.estimator, e.control, e.treatment, e.covariance, e.df)
    mirrored = LookHistory(history.spending, history.alpha, other[history.alternative], history.looks)
    a, b = ask(inference, e, history), ask(inference, swapped, mirrored)
    assert a.test.log_p_value == pytest.approx(b.test.log_p_value, rel=1e-9, abs=1e-9)
    assert a.test.rejected == b.test.rejected
    if a.difference.interval is None:
        assert b.difference.interval is None
    else:
        theirs = interval_of(b.difference.interval)
        scale = e.standard_error + abs(e.difference)
        assert (theirs.lower, theirs.upper) == pytest.approx(
            (-a.difference.interval.upper, -a.difference.interval.lower), rel=1e-9, abs=1e-9 * scale
        )
        assert b.difference.estimate == pytest.approx(
            -(a.difference.estimate or 0.0), rel=1e-9, abs=1e-9 * scale
        )


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=50)
@given(e=estimates(), history=histories, unit=st.sampled_from([1e-6, 100.0, 1e9]))
def test_units_of_measurement_do_not_matter(
    inference: Any, e: Estimate, history: LookHistory, unit: float
) -> None:
    scaled = Estimate(
        "any",
        ArmEstimate(100, e.treatment.value * unit, e.treatment.variance * unit**2),
        ArmEstimate(100, e.control.value * unit, e.control.variance * unit**2),
        e.covariance * unit**2,
        e.df,
    )
    a, b = ask(inference, e, history), ask(inference, scaled, history)
    assert a.test.log_p_value == pytest.approx(b.test.log_p_value, rel=1e-8, abs=1e-9)
    if a.difference.interval is not None:
        mine, theirs = a.difference.interval, interval_of(b.difference.interval)
        assert (theirs.lower / unit, theirs.upper / unit) == pytest.approx(
            (mine.lower, mine.upper), rel=1e-8, abs=1e-8 * e.standard_error
        )


@pytest.mark.parametrize("inference", INFERENCES)
@settings(max_examples=50)
@given(estimate=estimates(), history=histories)
def test_results_hold_no_nan_and_survive_json(
    inference: Any, estimate: Estimate, history: LookHistory
) -> None:
    result = ask(inference, estimate, history)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    for effect in (result.difference, result.lift, result.test):
        assert (effect.reason is None) is (effect.status == Status.OK)


@settings(max_examples=100)
@given(history=histories, a=st.floats(-6, 45), b=st.floats(-6, 45))
def test_repeated_p_falls_with_the_evidence(history: LookHistory, a: float, b: float) -> None:
    sign = -1 if history.alternative == "less" else 1
    low, high = sorted((abs(a), abs(b)) if history.two_sided else (a, b))
    weak, strong = (repeated_p_value(sign * z, history) for z in (low, high))
    assert strong.log_p_value <= weak.log_p_value + 1e-9
    assert 0 < strong.p_value <= weak.p_value * (1 + 1e-9) <= 1 + 1e-9
    # Looking more than once costs something, and never gains anything.
    fixed = stats.norm.logsf(high) + (math.log(2) if history.two_sided else 0)
    assert strong.log_p_value >= min(0.0, float(fixed)) - 1e-9


@settings(max_examples=60)
@given(history=histories, z=st.floats(-3, 12))
def test_repeated_p_is_the_level_at_which_the_look_would_just_reject(history: LookHistory, z: float) -> None:
    assume(math.isfinite(history.current.critical))
    p = repeated_p_value(-z if history.alternative == "less" else z, history).p_value
    assume(1e-15 < p < 0.45)
    other = LookHistory(history.spending, p, history.alternative)
    for look in history.looks:
        other = other.next_look(look.fraction)
    assume(math.isfinite(other.current.critical))
    assert other.current.critical == pytest.approx(abs(z) if history.two_sided else z, abs=1e-8)


@example(history=plan_looks([0.5, 1.0]), z=40.0)
@settings(max_examples=40)
@given(history=histories, z=st.floats(30, 1e6))
def test_p_never_underflows(history: LookHistory, z: float) -> None:
    assume(math.isfinite(history.current.critical))
    for inference in INFERENCES:
        sign = -1 if history.alternative == "less" else 1
        here, beyond = (ask(inference, with_z(sign * x), history).test for x in (z, 1.01 * z))
        assert here.p_value is not None
        assert here.log_p_value is not None
        assert beyond.log_p_value is not None
        assert here.p_value > 0
        if inference is group_sequential:
            assert beyond.log_p_value < here.log_p_value
        else:  # stopping earlier is more extreme than any statistic
            assert beyond.log_p_value <= here.log_p_value


def test_log_p_at_forty_standard_errors() -> None:
    # Two looks, O'Brien–Fleming type: out there p is that of the last look alone, 2 Φ(−40).
    exact = math.log(2) + math.log(3.655893540915029) - 350 * math.log(10)
    assert repeated_p_value(40.0, plan_looks([0.5, 1.0])).log_p_value == pytest.approx(exact, rel=1e-9)
    # At the first look, Pocock type, α/2 = Φ(−40) / ln(1 + (e − 1)/2).
    pocock = plan_looks([0.5], spending=Spending("pocock"))
    expected = exact - math.log(math.log1p((math.e - 1) / 2))
    assert repeated_p_value(40.0, pocock).log_p_value == pytest.approx(expected, rel=1e-12)
    # Beyond, critical values grow in proportion; a first look of O'Brien–Fleming type has a closed form.
    first = plan_looks([0.25])
    for z in (40.0, 79.9, 80.1, 200.0):
        q = optimize.brentq(
            lambda x, z=z: math.log(2) + stats.norm.logsf(x / 0.5) - stats.norm.logsf(z), 1, z
        )
        closed = 2 * math.log(2) + float(stats.norm.logsf(q))
        assert repeated_p_value(z, first).log_p_value == pytest.approx(closed, rel=1e-5)


def test_p_of_a_first_look_in_closed_form() -> None:
    power = plan_looks([0.5], spending=Spending("power", 2.0))
    assert repeated_p_value(3.0, power).p_value == pytest.approx(2 * float(stats.norm.sf(3.0)) * 4, rel=1e-10)
    assert repeated_p_value(1.0, power).p_value == 1.0
    above = plan_looks([0.5], spending=Spending("power", 2.0), alternative="greater")
    assert repeated_p_value(2.0, above).p_value == pytest.approx(float(stats.norm.sf(2.0)) * 4, rel=1e-10)
    assert repeated_p_value(-1.0, above).p_value == 1.0
    below = plan_looks([1.0], alternative="less")
    assert repeated_p_value(-2.0, below).p_value == pytest.approx(float(stats.norm.sf(2.0)), rel=1e-10)
    assert repeated_p_value(2.0, below).p_value == pytest.approx(float(stats.norm.cdf(2.0)), rel=1e-8)


def test_one_look_at_the_end_is_the_fixed_horizon() -> None:
    for df in (7.5, math.inf):
        for alternative in ALTERNATIVES:
            history = plan_looks([1.0], alternative=alternative)
            fixed = fixed_horizon(with_z(2.1, df), alternative=alternative)
            for inference in INFERENCES:
                result = ask(inference, with_z(2.1, df), history)
                assert result.test.p_value == pytest.approx(fixed.test.p_value, rel=1e-9)
                mine, theirs = interval_of(result.difference.interval), interval_of(fixed.difference.interval)
                assert (mine.lower, mine.upper) == pytest.approx((theirs.lower, theirs.upper), abs=1e-9)
                assert result.difference.estimate == pytest.approx(2.1, abs=1e-9)


def test_repeated_interval_and_what_is_recorded() -> None:
    e = Estimate("any", ArmEstimate(9, 2.0, 0.02), ArmEstimate(9, 1.0, 0.02), warnings=(Notice("a", "A."),))
    history = plan_looks([0.5, 0.8], spending=Spending("power", 3.0), alternative="greater", alpha=0.025)
    result = ask(group_sequential, e, history, null=0.1)
    critical = history.current.critical
    assert interval_of(result.difference.interval).lower == pytest.approx(1 - 0.2 * critical, rel=1e-12)
    assert interval_of(result.difference.interval).upper == math.inf
    assert result.test.critical == critical
    assert result.test.statistic == pytest.approx(4.5)
    assert result.to_dict()["method"] == {
        "name": "group_sequential",
        "version": 1,
        "parameters": {
            "alpha": 0.025,
            "alternative": "greater",
            "null": 0.1,
            "scale": "difference",
            "spending": "power",
            "spending_parameter": 3.0,
            "look": 2,
            "fraction": 0.8,
            "spent": history.current.spent,
        },
    }
    assert result.warnings == (Notice("a", "A."),)
    assert ask(stage_wise, e, history).method.name == "stage_wise"
    assert ask(stage_wise, e, history).warnings == (Notice("a", "A."),)


def test_small_samples_keep_the_tail_probability() -> None:
    history = plan_looks([0.5, 1.0])
    result = ask(group_sequential, with_z(3.0, 9.0), history)
    expected = float(stats.t.isf(stats.norm.sf(history.current.critical), 9))
    assert result.test.critical == pytest.approx(expected, rel=1e-10)
    z = float(stats.norm.isf(stats.t.sf(3.0, 9)))
    assert result.test.p_value == pytest.approx(repeated_p_value(z, history).p_value, rel=1e-10)


def test_a_t_statistic_beyond_every_tail() -> None:
    # With four degrees of freedom the far tail is 3 / t⁴.
    for z in (36.9, 37.1, 38.0, 45.0):
        history = LookHistory(looks=(Look(1.0, 1.0, 0.05, z),))
        t = math.exp((math.log(3) - float(stats.norm.logsf(z))) / 4)
        for sign in (1, -1):
            result = group_sequential(with_z(sign * 1.01 * t, 4.0), history=history)
            assert result.test.critical == pytest.approx(t, rel=1e-9)
            assert result.test.rejected is True


def test_a_t_statistic_that_no_double_holds() -> None:
    history = LookHistory(looks=(Look(1.0, 1.0, 0.05, 60.0),))
    assert group_sequential(with_z(1e150, 2.0), history=history).test.critical == math.inf


def test_a_look_that_cannot_reject_says_so() -> None:
    early = group_sequential(with_z(30.0), history=plan_looks([0.01]))
    assert early.test.rejected is False
    assert early.test.p_value is not None
    assert early.test.p_value > 0.05
    assert early.difference.status == Status.UNBOUNDED
    assert [notice.code for notice in early.warnings] == ["too_early_to_reject"]
    late = group_sequential(with_z(30.0), history=plan_looks([0.5, 1.0, 1.2]))
    assert (late.test.rejected, late.test.p_value) == (False, 1.0)
    assert [notice.code for notice in late.warnings] == ["alpha_spent"]


def test_no_estimate_no_number() -> None:
    nobody, constant = Moments.empty(("y",)), Moments.from_arrays({"y": [3.0, 3.0]})
    history = plan_looks([0.5])
    for inference in INFERENCES:
        for arms, status in (((nobody, constant), "too_few_units"), ((constant, constant), "no_variance")):
            missing = mean_difference(treatment=arms[0], control=arms[1])
            assert isinstance(missing, NoEstimate)
            result = ask(inference, missing, history)
            for answer in (result.difference, result.lift, result.test):
                assert answer.status.value == status
                assert answer.reason
            assert result.test.p_value is None
            assert result.difference.interval is None
        # A relative null value needs a positive control.
        negative = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(9, -1.0, 0.5))
        result = ask(inference, negative, history, null=0.1, scale="lift")
        assert result.test.status == result.lift.status == Status.CONTROL_NOT_POSITIVE
        assert result.test.p_value is None


def test_sequential_p_is_the_smallest_so_far() -> None:
    history = plan_looks([0.3, 0.6, 1.0])
    zs = [3.5, 2.0, 1.0]
    each = [repeated_p_value(z, plan_looks([0.3, 0.6, 1.0][: k + 1])).p_value for k, z in enumerate(zs)]
    assert sequential_p_value(zs, history).p_value == min(each)
    assert each[1] < each[2]
    assert sequential_p_value([0.0, 2.5, 2.1], history).p_value == pytest.approx(
        min(repeated_p_value(2.5, plan_looks([0.3, 0.6])).p_value, repeated_p_value(2.1, history).p_value)
    )


def test_the_p_value_at_the_bounds_is_alpha() -> None:
    # Where a bound is met exactly, the p-value is α (gsDesign's own check of its sequentialPValue).
    history = plan_looks(
        [0.4, 0.7, 0.85, 1.0],
        spending=Spending("hwang_shih_decani", -4.0),
        alpha=0.025,
        alternative="greater",
    )
    assert sequential_p_value(history.critical_values, history).p_value == pytest.approx(0.025, abs=1e-10)


# After stopping


def test_rpact_two_means_after_four_looks() -> None:
    # rpact, test-f_analysis_base_means.R: two groups, four stages, critical values C t^(−0.1), one-sided
    # 0.025; after the last stage 91 and 87 units, difference 77.467475, pooled deviation 180.80733.
    times = [0.25, 0.5, 0.75, 1.0]

    def excess(c: float) -> float:
        return float(exit_probabilities(times, [c * t**-0.1 for t in times]).power) - 0.025

    c = float(optimize.brentq(excess, 1.9, 3, xtol=1e-13))
    critical = [c * t**-0.1 for t in times]
    spent = np.minimum(np.cumsum(exit_probabilities(times, critical).upper), 0.025)
    looks = tuple(Look(t, t, float(s), k) for t, s, k in zip(times, spent, critical, strict=True))
    history = LookHistory(alpha=0.025, alternative="greater", looks=looks)
    se = 180.80733 * math.sqrt(1 / 91 + 1 / 87)

    def arms(difference: float, df: float) -> Estimate:
        half = se**2 / 2
        return Estimate("any", ArmEstimate(91, difference, half), ArmEstimate(87, 0.0, half), df=df)

    e = arms(77.467475, 176.0)
    assert interval_of(ask(group_sequential, e, history).difference.interval).lower == pytest.approx(
        16.408896, abs=1e-5
    )
    assert ask(stage_wise, e, history).test.p_value == pytest.approx(0.019111276, abs=1e-9)
    # Its interval after stopping treats the standard error as known once the statistic is a normal one.
    normal = arms(se * float(stats.norm.isf(stats.t.sf(77.467475 / se, 176))), math.inf)
    final = ask(stage_wise, normal, history).difference
    assert final.estimate == pytest.approx(65.8091, abs=1e-4)
    assert interval_of(final.interval).lower == pytest.approx(3.8518991, abs=1e-4)


@pytest.mark.parametrize("z", [2.9, 1.2, -2.6])
def test_stage_wise_p_of_two_looks_by_quadrature(z: float) -> None:
    history = plan_looks([0.4, 1.0], spending=Spending("pocock"))
    c, r = history.critical_values[0], math.sqrt(0.4)

    def above(theta: float) -> float:
        # Z₁ ~ N(θ√0.4, 1); Z₂ given Z₁ has correlation √0.4.
        inside = integrate.quad(
            lambda u: stats.norm.pdf(u - theta * r)
            * stats.norm.sf((z - theta - r * (u - theta * r)) / math.sqrt(0.6)),
            -c, c, epsabs=1e-13, epsrel=1e-12,
        )[0]  # fmt: skip
        return float(stats.norm.sf(c - theta * r) + inside)

    result = ask(stage_wise, with_z(z), history)
    p = above(0.0)
    assert result.test.p_value == pytest.approx(2 * min(p, 1 - p), rel=1e-9)
    ends = [
        optimize.brentq(lambda x, q=q: above(x) - q, z - 6, z + 6, xtol=1e-12) for q in (0.025, 0.5, 0.975)
    ]
    interval = interval_of(result.difference.interval)
    assert (interval.lower, result.difference.estimate, interval.upper) == pytest.approx(ends, abs=1e-8)
    assert result.difference.standard_error is None
    assert result.test.critical is None
    sides: tuple[tuple[Alternative, int], ...] = (("greater", 1), ("less", -1))
    for side, sign in sides:
        one = plan_looks([0.4, 1.0], spending=Spending("pocock"), alternative=side)
        c1 = one.critical_values[0]
        low = integrate.quad(
            lambda u, s=sign: stats.norm.pdf(u) * stats.norm.sf((s * z - r * u) / math.sqrt(0.6)),
            -12,
            c1,
            epsabs=1e-13,
            epsrel=1e-12,
        )[0]
        assert ask(stage_wise, with_z(z), one).test.p_value == pytest.approx(
            float(stats.norm.sf(c1)) + low, rel=1e-8
        )


def test_stopping_at_a_bound_spends_what_the_look_had() -> None:
    history = plan_looks([0.3, 0.6, 1.0], spending=Spending("pocock"))
    for k in (1, 2, 3):
        so_far = LookHistory(history.spending, 0.05, "two-sided", history.looks[:k])
        result = ask(stage_wise, with_z(so_far.current.critical), so_far)
        assert result.test.p_value == pytest.approx(so_far.current.spent, rel=1e-9)


def test_the_lift_of_the_stage_wise_ends() -> None:
    e = proportion_difference(treatment=Counts(7500, 690), control=Counts(7500, 600))
    assert isinstance(e, Estimate)
    result = stage_wise(e, history=plan_looks([0.25, 0.5, 0.75]))
    interval, lift = interval_of(result.difference.interval), interval_of(result.lift.interval)
    p_t, p_c = e.treatment, e.control
    for end, relative in ((interval.lower, lift.lower), (interval.upper, lift.upper)):
        m = (e.difference - end) / e.standard_error
        ratio = 1 + relative
        form = (p_t.value - ratio * p_c.value) / math.sqrt(p_t.variance + ratio**2 * p_c.variance)
        assert form == pytest.approx(m, abs=1e-9)
    noisy = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(9, 0.5, 0.5))
    assert stage_wise(noisy, history=plan_looks([1.0])).lift.status == Status.UNBOUNDED


def test_stage_wise_intervals_cover_and_the_estimate_is_median_unbiased() -> None:
    generator = np.random.default_rng(11)
    replications, theta = 2000, 2.0
    plan = plan_looks([0.4, 1.0], spending=Spending("pocock"))
    covered = above = naive_above = 0
    for _ in range(replications):
        b, t = 0.0, 0.0
        for k, look in enumerate(plan.looks, 1):
            b += generator.normal(theta * (look.fraction - t), math.sqrt(look.fraction - t))
            t = look.fraction
            if abs(b) / math.sqrt(t) > look.critical or k == 2:
                break
        e = Estimate("any", ArmEstimate(9, b / t, 0.5 / t), ArmEstimate(9, 0.0, 0.5 / t))
        result = stage_wise(e, history=LookHistory(plan.spending, 0.05, "two-sided", plan.looks[:k]))
        covered += not interval_of(result.difference.interval).excludes(theta)
        above += (result.difference.estimate or 0) > theta
        naive_above += e.difference > theta
    assert abs(covered / replications - 0.95) < 3 * math.sqrt(0.95 * 0.05 / replications)
    assert abs(above / replications - 0.5) < 3 * math.sqrt(0.25 / replications)
    assert naive_above / replications > 0.53


# Futility


def test_futility_bounds_of_gsdesign_and_rpact() -> None:
    # gsDesign's default design prints −0.24, 0.94, 2.00 and inflation 1.070.
    plan = plan_looks([1 / 3, 2 / 3, 1.0], spending=Spending("hwang_shih_decani", -4.0))
    spending = Spending("hwang_shih_decani", -2.0)
    drift = futility_drift(plan, beta=0.1, spending=spending)
    assert futility_bounds(plan, drift=drift, beta=0.1, spending=spending) == pytest.approx(
        [-0.2387, 0.9411, 1.9992], abs=1e-4
    )
    fixed = float(stats.norm.isf(0.025) + stats.norm.isf(0.1))
    assert drift**2 / fixed**2 == pytest.approx(1.0699, abs=1e-4)
    # rpact, test-f_design_group_sequential.R.
    for fractions, alpha, beta, alpha_spending, beta_spending, bounds, shift in (
        ([0.2, 0.4, 1.0], 0.07, 0.14, Spending("hwang_shih_decani", -1.0), spending,
         [-1.1063623, -0.35992439, 1.5660474], 7.1015942),
        ([0.3, 0.7, 1.0], 0.03, 0.34, Spending("power", 2.2), Spending("power", 3.2),
         [-1.1558435, 0.72836893, 1.9735737], 5.551371),
    ):  # fmt: skip
        plan = plan_looks(fractions, spending=alpha_spending, alpha=alpha, alternative="greater")
        drift = futility_drift(plan, beta=beta, spending=beta_spending)
        assert drift**2 == pytest.approx(shift, abs=2e-6)
        lower = futility_bounds(plan, drift=drift, beta=beta, spending=beta_spending)
        assert lower == pytest.approx(bounds, abs=1e-6)


@settings(max_examples=30)
@given(
    st.sampled_from([f for f in SCHEDULES if f[-1] >= 1]),
    st.sampled_from(SPENDINGS),
    st.sampled_from(SPENDINGS),
    st.floats(0.05, 0.4),
)
def test_futility_costs_the_beta_that_was_spent(
    fractions: tuple[float, ...], spending: Spending, beta_spending: Spending, beta: float
) -> None:
    plan = plan_looks(fractions, spending=spending, alternative="greater")
    drift = futility_drift(plan, beta=beta, spending=beta_spending)
    bounds = futility_bounds(plan, drift=drift, beta=beta, spending=beta_spending)
    upper = [*plan.critical_values]
    assert bounds[-1] == upper[-1]
    lower = [min(b, u - 1e-12) for b, u in zip(bounds, upper, strict=True)]
    exits = exit_probabilities(fractions, upper, lower, drift=drift)
    spent = [beta_spending.spent(min(t, 1.0), alpha=beta) for t in fractions]
    assert np.cumsum(exits.lower) == pytest.approx(spent, abs=1e-9)
    assert float(exits.power) == pytest.approx(1 - beta, abs=1e-9)


def test_futility_beside_bounds_that_are_absent_or_all_there_is() -> None:
    # The first look can spend β but not α; then a futility bound stands alone.
    early = plan_looks([0.02, 0.5, 1.0], alternative="greater", alpha=0.025)
    bounds = futility_bounds(early, drift=3.0, beta=0.2, spending=Spending("power", 1.0))
    exits = exit_probabilities(early.fractions, early.critical_values, [*bounds[:2], -math.inf], drift=3.0)
    assert exits.lower[:2] == pytest.approx([0.2 * 0.02, 0.2 * 0.48], abs=1e-10)
    # And the other way round.
    late = futility_bounds(early, drift=3.0, beta=0.2)
    assert late[0] == pytest.approx(
        float(stats.norm.ppf(Spending().spent(0.02, alpha=0.2))) + 3 * math.sqrt(0.02)
    )
    never = futility_bounds(plan_looks([0.001, 1.0]), drift=3.0, beta=0.2)
    assert never[0] < -30
    # Far more drift than needed: all that lies below the critical value may be spent.
    sure = plan_looks([0.5, 0.75, 1.0], alternative="greater")
    assert futility_bounds(sure, drift=12.0, beta=0.2) == sure.critical_values
    # Before the end there is a bound below the critical value only.
    open_end = plan_looks([0.5, 0.75], alternative="greater")
    assert futility_bounds(open_end, drift=2.0, beta=0.1)[-1] < open_end.current.critical
    # Where all has been spent before the end, a look has neither bound.
    steep = Spending("hwang_shih_decani", 40.0)
    spent_early = plan_looks([0.95, 0.98, 1.0], spending=steep)
    bounds = futility_bounds(spent_early, drift=2.0, beta=0.2, spending=steep)
    assert bounds[0] == pytest.approx(float(stats.norm.ppf(0.2)) + 2 * math.sqrt(0.95), abs=1e-9)
    assert bounds[1:] == (-math.inf, math.inf)
    # A look after the end has nothing to add.
    over = futility_bounds(plan_looks([0.5, 1.0, 1.2]), drift=3.0, beta=0.2)
    assert over[-1] == math.inf


@settings(max_examples=60)
@given(st.floats(-3, 4), st.floats(0.05, 0.95), st.floats(1.5, 3), st.floats(-4, 6))
def test_power_of_one_more_look_in_closed_form(z: float, t: float, c: float, drift: float) -> None:
    root, rest = math.sqrt(t), math.sqrt(1 - t)
    ahead: dict[str, Any] = {"future_fractions": [1.0], "future_critical": [c]}
    norm = stats.norm
    conditional = float(norm.cdf((z * root + drift * (1 - t) - c) / rest))
    assert conditional_power(z, t, **ahead, drift=drift) == pytest.approx(conditional, abs=1e-12)
    trend = float(norm.cdf((z / root - c) / rest))
    assert conditional_power(z, t, **ahead) == pytest.approx(trend, abs=1e-12)
    predictive = float(norm.cdf((z / root - c) / math.sqrt((1 - t) / t)))
    assert predictive_power(z, t, **ahead) == pytest.approx(predictive, abs=1e-12)
    below = float(norm.cdf((-z * root - drift * (1 - t) - c) / rest))
    both = conditional_power(z, t, **ahead, drift=drift, alternative="two-sided")
    assert both == pytest.approx(conditional + below, abs=1e-12)
    assert conditional_power(-z, t, **ahead, drift=-drift, alternative="less") == pytest.approx(
        conditional, abs=1e-12
    )
    assert predictive_power(-z, t, **ahead, alternative="less") == pytest.approx(predictive, abs=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_predictive_power_averages_conditional_power(alternative: Alternative) -> None:
    z, t = 1.1, 0.35
    ahead: dict[str, Any] = {
        "future_fractions": [0.5, 0.8, 1.0],
        "future_critical": [2.9, 2.4, 2.0],
        "alternative": alternative,
    }
    average = integrate.quad(
        lambda d: conditional_power(z, t, **ahead, drift=d)
        * stats.norm.pdf(d, z / math.sqrt(t), 1 / math.sqrt(t)),
        -12, 15, epsabs=1e-9, limit=200,
    )[0]  # fmt: skip
    assert predictive_power(z, t, **ahead) == pytest.approx(average, abs=1e-8)


# What is refused


def test_questions_that_do_not_fit_the_looks_are_refused() -> None:
    history = plan_looks([0.5])
    for inference in INFERENCES:
        with pytest.raises(ValueError, match="Bounds cannot be changed after looking"):
            inference(with_z(1.0), history=history, alpha=0.01)
        with pytest.raises(ValueError, match="Bounds cannot be changed after looking"):
            inference(with_z(1.0), history=history, alternative="greater")
        with pytest.raises(ValueError, match="no look yet"):
            inference(with_z(1.0), history=LookHistory())
        with pytest.raises(ValueError, match="finite number"):
            inference(with_z(1.0), history=history, null=math.nan)
        with pytest.raises(ValueError, match="alpha is"):
            inference(with_z(1.0), history=history, alpha=0.0)
    for z in (math.nan, math.inf):
        with pytest.raises(ValueError, match="z is"):
            repeated_p_value(z, history)
    with pytest.raises(ValueError, match="2 statistics for 1 looks"):
        sequential_p_value([1.0, 2.0], history)
    with pytest.raises(ValueError, match="0 statistics"):
        sequential_p_value([], LookHistory())


def test_questions_about_futility_that_have_no_answer_are_refused() -> None:
    plan = plan_looks([0.5, 1.0])
    for beta in (0.0, 0.6, math.nan):
        with pytest.raises(ValueError, match="beta is"):
            futility_bounds(plan, drift=3.0, beta=beta)
    for drift in (0.0, 51.0, math.nan):
        with pytest.raises(ValueError, match="drift is"):
            futility_bounds(plan, drift=drift)
    with pytest.raises(ValueError, match="has no look"):
        futility_drift(LookHistory())
    for unended in (plan_looks([0.5]), plan_looks([0.5, 1.0, 1.2])):
        with pytest.raises(ValueError, match="does not end the plan"):
            futility_drift(unended)
    ahead: dict[str, Any] = {"future_fractions": [1.0], "future_critical": [2.0]}
    for z, fraction in ((math.nan, 0.5), (1.0, 0.0), (1.0, math.nan)):
        with pytest.raises(ValueError, match="z must be finite"):
            conditional_power(z, fraction, **ahead)
    for fractions, critical in (([1.0], [2.0, 2.0]), ([], []), ([0.5], [2.0])):
        with pytest.raises(ValueError, match="looks after the fraction"):
            predictive_power(1.0, 0.5, future_fractions=fractions, future_critical=critical)
    with pytest.raises(ValueError, match="alternative is"):
        conditional_power(1.0, 0.5, **ahead, alternative="both")  # type: ignore[arg-type]
