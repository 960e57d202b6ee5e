"""Score tests and Newcombe's: published tables, brute force, and what must always hold."""

import importlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from equipoise_stats import (
    Alternative,
    Comparison,
    Counts,
    Effect,
    Interval,
    Scale,
    Status,
    boschloo,
    fixed_horizon,
    miettinen_nurminen,
    newcombe,
    proportion_difference,
    score_test,
)
from equipoise_stats.proportions.constrained import (
    likeliest_control,
    variance_at_difference,
    variance_at_ratio,
)

Method = Callable[..., Comparison]
METHODS: tuple[Method, ...] = (score_test, miettinen_nurminen, newcombe)
ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


def ends(effect: Effect) -> tuple[float, float]:
    assert effect.interval is not None
    return effect.interval.lower, effect.interval.upper


# Newcombe 1998 (Stat. Med. 17, 873-890), table II: contrasts (a) to (h); methods 5, 6 and 10.
NEWCOMBE_1998 = [
    ((56, 70, 48, 80), (0.0533, 0.3377), (0.0528, 0.3382), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1821, 0.8370), (0.1700, 0.8406), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0544, 0.8478), (0.0342, 0.8534), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0313, 0.1926), (-0.0326, 0.1933), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775), (-0.1658, 0.2844), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775), (-0.2879, 0.2879), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.7225, 1.0), (0.7156, 1.0), (0.6791, 1.0)),
    ((10, 10, 0, 10), (0.6777, 1.0), (0.6636, 1.0), (0.6075, 1.0)),
]


@pytest.mark.parametrize(("table", "mee", "mn", "hybrid"), NEWCOMBE_1998)
def test_the_contrasts_of_newcombe_1998(
    table: tuple[int, int, int, int],
    mee: tuple[float, float],
    mn: tuple[float, float],
    hybrid: tuple[float, float],
) -> None:
    x_t, n_t, x_c, n_c = table
    for method, expected in zip(METHODS, (mee, mn, hybrid), strict=True):
        result = method(treatment=Counts(n_t, x_t), control=Counts(n_c, x_c))
        assert ends(result.difference) == pytest.approx(expected, abs=5.1e-5), method


def test_the_reference_values(reference: list[dict[str, Any]]) -> None:
    methods = {"newcombe_ci_diff": newcombe, "miettinen_nurminen_ci_diff": miettinen_nurminen}
    cases = [case for case in reference if case["method"] in methods]
    assert len(cases) >= 2
    for case in cases:
        (x_t, x_c), (n_t, n_c) = case["inputs"]["x"], case["inputs"]["n"]
        result = methods[case["method"]](treatment=Counts(n_t, x_t), control=Counts(n_c, x_c))
        assert ends(result.difference) == pytest.approx(case["expected"]["ci"], abs=case["abs_tol"])


def test_the_examples_of_fagerland_lydersen_and_laake() -> None:
    # Statistical Analysis of Contingency Tables (2017), chapter 4: epinephrine, CHRNA4.
    arms: dict[str, Any] = {"treatment": Counts(34, 7), "control": Counts(34, 1)}
    ratios = [(1.2209, 42.5757), (1.2086, 43.0330), (1.1537, 41.9763)]
    differences = [(0.0284, 0.3439), (0.0270, 0.3453), (0.0189, 0.3404)]
    for method, ratio, difference in zip(METHODS, ratios, differences, strict=True):
        result = method(**arms)
        lower, upper = ends(result.lift)
        assert (1 + lower, 1 + upper) == pytest.approx(ratio, abs=5.1e-5)
        assert ends(result.difference) == pytest.approx(difference, abs=5.1e-5)
    second = miettinen_nurminen(treatment=Counts(16, 0), control=Counts(72, 15))
    assert ends(second.difference) == pytest.approx((-0.3164, -0.0056), abs=5.1e-5)
    assert second.lift.estimate == -1.0
    assert ends(second.lift)[0] == -1.0
    tea = score_test(treatment=Counts(4, 3), control=Counts(4, 1))
    assert tea.test.p_value == pytest.approx(0.15730, abs=5e-6)


def test_r_propcis() -> None:
    # diffscoreci(7, 34, 1, 34, 0.95) to its 1e-7 steps; riskscoreci(7, 34, 1, 34, 0.95).
    arms: dict[str, Any] = {"treatment": Counts(34, 7), "control": Counts(34, 1)}
    assert ends(miettinen_nurminen(**arms).difference) == pytest.approx((0.0270416, 0.3452912), abs=2e-6)
    lower, upper = ends(score_test(**arms).lift)
    assert (1 + lower, 1 + upper) == pytest.approx((1.220853, 42.575718), abs=6e-7)


def test_koopmans_interval_of_nam_1995() -> None:
    lower, upper = ends(score_test(treatment=Counts(40, 36), control=Counts(80, 16)).lift)
    assert (1 + lower, 1 + upper) == pytest.approx((2.940, 7.152), abs=6e-4)


@given(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.one_of(st.integers(-999, 999).map(lambda d: d / 1000), st.sampled_from([1e-9, -1e-9])),
)
def test_the_constrained_likelihood_is_greatest(
    treatment: tuple[int, int], control: tuple[int, int], difference: float
) -> None:
    (x_t, n_t), (x_c, n_c) = treatment, control
    low, high = max(0.0, -difference), min(1.0, 1 - difference)

    def log_likelihood(p: float) -> float:
        q = min(1.0, max(0.0, p + difference))
        return float(stats.binom.logpmf(x_t, n_t, q) + stats.binom.logpmf(x_c, n_c, p))

    p = likeliest_control(x_t, n_t, x_c, n_c, difference)
    assert low <= p <= high
    best = optimize.minimize_scalar(
        lambda p: min(1e300, -log_likelihood(p)),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-12},
    )
    assert log_likelihood(p) >= -best.fun - 1e-9
    p_t = p + difference
    assert variance_at_difference(x_t, n_t, x_c, n_c, difference) == pytest.approx(
        p_t * (1 - p_t) / n_t + p * (1 - p) / n_c, rel=1e-9, abs=1e-15
    )


@given(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(0.01, 50),
)
def test_the_constrained_likelihood_of_a_ratio_is_greatest(
    treatment: tuple[int, int], control: tuple[int, int], ratio: float
) -> None:
    (x_t, n_t), (x_c, n_c) = treatment, control
    high = min(1.0, 1 / ratio)
    best = optimize.minimize_scalar(
        lambda p: min(
            1e300,
            -float(stats.binom.logpmf(x_t, n_t, min(1.0, ratio * p)) + stats.binom.logpmf(x_c, n_c, p)),
        ),
        bounds=(0.0, high),
        method="bounded",
        options={"xatol": 1e-13},
    )
    p = min(high, max(0.0, float(best.x)))
    expected = max(0.0, ratio * p * (1 - ratio * p)) / n_t + ratio**2 * p * (1 - p) / n_c
    assert variance_at_ratio(x_t, n_t, x_c, n_c, ratio) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_rare_events_lose_no_digits() -> None:
    # With a trigonometric solution of the cubic the proportion is off by 1e-8 here, which is all of it.
    p = likeliest_control(3, 10**9, 8, 10**9, 2e-9)
    q = p + 2e-9
    # The likelihood equation, in the limit of rare events: x_t / q + x_c / p = n_t + n_c.
    assert 3 / q + 8 / p == pytest.approx(2e9, rel=1e-7)
    result = score_test(treatment=Counts(10**9, 30), control=Counts(10**9, 8))
    lower, upper = ends(result.difference)
    scaled = score_test(treatment=Counts(10**7, 30), control=Counts(10**7, 8))
    assert (lower * 100, upper * 100) == pytest.approx(ends(scaled.difference), rel=1e-5)


def test_statsmodels_agrees_where_it_is_right() -> None:
    proportion = importlib.import_module("statsmodels.stats.proportion")
    for x_t, n_t, x_c, n_c in [(56, 70, 48, 80), (7, 34, 1, 34), (12, 400, 30, 350), (900, 1000, 870, 1000)]:
        for correction, method in ((False, score_test), (True, miettinen_nurminen)):
            result = method(treatment=Counts(n_t, x_t), control=Counts(n_c, x_c))
            # Its interval of the ratio is right; that of the difference is not (issue 10269).
            low, high = proportion.confint_proportions_2indep(
                x_t, n_t, x_c, n_c, compare="ratio", method="score", correction=correction
            )
            lower, upper = ends(result.lift)
            assert (1 + lower, 1 + upper) == pytest.approx((low, high), rel=1e-6)
        z, p = proportion.proportions_ztest([x_t, x_c], [n_t, n_c])
        test = score_test(treatment=Counts(n_t, x_t), control=Counts(n_c, x_c)).test
        assert (test.statistic, test.p_value) == pytest.approx((float(z), float(p)), rel=1e-9)
        low, high = proportion.confint_proportions_2indep(x_t, n_t, x_c, n_c, method="newcomb")
        result = newcombe(treatment=Counts(n_t, x_t), control=Counts(n_c, x_c))
        assert ends(result.difference) == pytest.approx((low, high), rel=1e-9)


arms = st.one_of(
    st.integers(1, 12).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n))),
    st.integers(1, 5000).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n))),
    st.integers(10**5, 10**8).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, 50))),
)
levels = st.sampled_from([1e-6, 0.001, 0.01, 0.05, 0.2, 0.45])
nulls = st.one_of(
    st.just(("difference", 0.0)),
    st.just(("lift", 0.0)),
    st.tuples(st.just("difference"), st.floats(-0.9, 0.9)),
    st.tuples(st.just("lift"), st.floats(-0.9, 3.0)),
)


@settings(max_examples=300)
@example(score_test, Counts(10, 10), Counts(20, 0), 0.05, "two-sided", ("difference", 0.99))
@example(newcombe, Counts(10, 10), Counts(20, 0), 0.05, "two-sided", ("difference", -0.9))
@given(st.sampled_from(METHODS), arms, arms, levels, st.sampled_from(ALTERNATIVES), nulls)
def test_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    method: Method,
    treatment: Counts,
    control: Counts,
    alpha: float,
    alternative: Alternative,
    question: tuple[Scale, float],
) -> None:
    scale, null = question
    result = method(
        treatment=treatment, control=control, alpha=alpha, alternative=alternative, null=null, scale=scale
    )
    json.dumps(result.to_dict(), allow_nan=False)
    effect = result.difference if scale == "difference" else result.lift
    if result.test.status != Status.OK:
        assert scale == "lift"
        assert treatment.successes == control.successes == 0
        return
    assert result.test.p_value is not None
    assert result.test.log_p_value is not None
    assume(not math.isclose(result.test.log_p_value, math.log(alpha), rel_tol=1e-9, abs_tol=1e-9))
    significant = result.test.p_value <= alpha
    assert result.test.rejected is significant
    if effect.interval is not None:
        assume(all(not math.isclose(end, null, rel_tol=1e-11, abs_tol=1e-15) for end in ends(effect)))
        assert effect.interval.excludes(null) is significant
    else:
        assert significant is False or alternative == "less"
    if null == 0:
        both = [e.interval.excludes(0.0) for e in (result.difference, result.lift) if e.interval]
        assert set(both) == {significant}


@given(
    st.sampled_from([*METHODS, boschloo]),
    st.integers(1, 40).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n))),
    st.integers(1, 40).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n))),
    st.sampled_from(ALTERNATIVES),
    st.sampled_from([0.0, 0.1, -0.3]),
)
@settings(max_examples=60)
def test_swapping_the_arms_negates(
    method: Method, treatment: Counts, control: Counts, alternative: Alternative, null: float
) -> None:
    other: Alternative = {"greater": "less", "less": "greater"}.get(alternative, "two-sided")  # type: ignore[assignment]
    a = method(treatment=treatment, control=control, alternative=alternative, null=null)
    b = method(treatment=control, control=treatment, alternative=other, null=-null)
    lower, upper = ends(a.difference)
    assert ends(b.difference) == (-upper, -lower)
    assert a.test.p_value == pytest.approx(b.test.p_value, rel=1e-9)
    if a.test.statistic is not None and b.test.statistic is not None:
        assert a.test.statistic == pytest.approx(-b.test.statistic, rel=1e-9, abs=1e-12)
    if a.lift.status == b.lift.status == Status.OK and alternative == "two-sided":
        _low, high = ends(a.lift)
        assert ends(b.lift)[0] == pytest.approx(1 / (1 + high) - 1, rel=1e-9, abs=1e-12)


@given(st.sampled_from(METHODS), arms, arms)
def test_calling_failure_success_negates_the_difference(
    method: Method, treatment: Counts, control: Counts
) -> None:
    a = method(treatment=treatment, control=control)
    b = method(
        treatment=Counts(treatment.n, treatment.n - treatment.successes),
        control=Counts(control.n, control.n - control.successes),
    )
    lower, upper = ends(a.difference)
    assert ends(b.difference) == pytest.approx((-upper, -lower), rel=1e-6, abs=1e-12)


@given(st.sampled_from(METHODS), arms, arms, levels)
def test_a_two_sided_interval_is_two_one_sided_ones(
    method: Method, treatment: Counts, control: Counts, alpha: float
) -> None:
    both = method(treatment=treatment, control=control, alpha=alpha)
    above = method(treatment=treatment, control=control, alpha=alpha / 2, alternative="greater")
    below = method(treatment=treatment, control=control, alpha=alpha / 2, alternative="less")
    lower, upper = ends(both.difference)
    assert above.difference.interval == Interval(lower, math.inf)
    assert below.difference.interval == Interval(-math.inf, upper)
    if both.lift.interval is not None:
        low, high = ends(both.lift)
        assert above.lift.interval == Interval(low, math.inf)
        if below.lift.interval is not None:
            assert below.lift.interval == Interval(-math.inf, high)


@pytest.mark.parametrize("method", METHODS)
def test_every_small_table_is_coherent(method: Method) -> None:
    """All tables of 5 and 7 units: limits in order, inside the range, the estimate between them."""
    for x_t in range(6):
        for x_c in range(8):
            result = method(treatment=Counts(5, x_t), control=Counts(7, x_c), alpha=0.1)
            lower, upper = ends(result.difference)
            assert result.difference.estimate is not None
            assert -1 <= lower <= result.difference.estimate <= upper <= 1
            assert lower < upper
            if x_c > 0:
                low, high = ends(result.lift)
                assert result.lift.estimate == pytest.approx((x_t / 5) / (x_c / 7) - 1)
                assert -1 <= low <= result.lift.estimate <= high  # type: ignore[operator]


@pytest.mark.parametrize("method", METHODS[:2])
def test_the_limits_are_the_first_values_not_rejected(method: Method) -> None:
    """Brute force: the statistic crosses the critical value once, at the limit."""
    for x_t, x_c in [(0, 0), (5, 0), (0, 7), (5, 7), (3, 2), (1, 6)]:
        arms: dict[str, Any] = {"treatment": Counts(5, x_t), "control": Counts(7, x_c)}
        lower, upper = ends(method(**arms).difference)
        for step in range(-99, 100):
            null = step / 100
            assert method(**arms, null=null).test.rejected is not (lower <= null <= upper), (x_t, x_c, null)


def test_where_the_control_has_no_success() -> None:
    for method in METHODS:
        some = method(treatment=Counts(100, 9), control=Counts(100, 0))
        assert some.lift.status == Status.UNBOUNDED
        assert some.lift.estimate is None
        lower, upper = ends(some.lift)
        assert lower > 0
        assert upper == math.inf
        assert some.test.rejected is True
        below = method(treatment=Counts(100, 9), control=Counts(100, 0), alternative="less")
        assert below.lift.status == Status.CONTROL_NOT_POSITIVE
        assert below.lift.interval is None
        assert some.control.standard_error is None
        none = method(treatment=Counts(100, 0), control=Counts(100, 0))
        assert none.lift.status == Status.CONTROL_NOT_POSITIVE
        assert none.difference.standard_error is None
        assert (none.test.statistic, none.test.p_value) == (0.0, 1.0)
        by_lift = method(treatment=Counts(100, 0), control=Counts(100, 0), null=-0.1, scale="lift")
        assert by_lift.test.status == Status.CONTROL_NOT_POSITIVE
        assert by_lift.test.reason
        assert by_lift.test.p_value is by_lift.test.rejected is None


def test_where_all_succeed() -> None:
    for method in METHODS:
        result = method(treatment=Counts(50, 50), control=Counts(40, 40))
        assert (result.test.statistic, result.test.p_value) == (0.0, 1.0)
        assert result.lift.standard_error is None
        assert result.lift.estimate == 0.0
        assert ends(result.lift)[0] < 0 < ends(result.lift)[1]


@pytest.mark.parametrize("method", [*METHODS, boschloo])
def test_an_empty_arm_has_no_answer(method: Method) -> None:
    result = method(treatment=Counts(0, 0), control=Counts(9, 3), alpha=0.01, null=0.1, alternative="less")
    for answer in (result.difference, result.lift, result.test):
        assert answer.status == Status.TOO_FEW_UNITS
        assert "at least 1 units" in str(answer.reason)
    assert (result.test.alpha, result.test.null, result.test.alternative) == (0.01, 0.1, "less")
    one = method(treatment=Counts(1, 1), control=Counts(1, 0))
    assert one.difference.estimate == 1.0


@pytest.mark.parametrize("method", [*METHODS, boschloo])
def test_impossible_questions_are_refused(method: Method) -> None:
    arms: dict[str, Any] = {"treatment": Counts(10, 3), "control": Counts(10, 4)}
    with pytest.raises(ValueError, match="above -1 and below 1"):
        method(**arms, null=1.0)
    with pytest.raises(ValueError, match="above -1 and below 1"):
        method(**arms, null=-1.0)
    with pytest.raises(ValueError, match="must lie above -1"):
        method(**arms, null=-1.0, scale="lift")
    with pytest.raises(ValueError, match="alpha is"):
        method(**arms, alpha=0.7)
    with pytest.raises(ValueError, match="alternative is"):
        method(**arms, alternative="both")


def test_what_was_chosen_is_recorded() -> None:
    arms: dict[str, Any] = {"treatment": Counts(10, 3), "control": Counts(10, 4)}
    names = {
        method(**arms, alpha=0.01, null=0.2, scale="lift").method.name: method
        for method in (*METHODS, boschloo)
    }
    assert list(names) == ["score", "miettinen_nurminen", "newcombe", "boschloo"]
    result = score_test(**arms, alpha=0.01, null=0.2, scale="lift", alternative="greater")
    assert result.method.to_dict() == {
        "name": "score",
        "version": 1,
        "parameters": {"alpha": 0.01, "alternative": "greater", "null": 0.2, "scale": "lift"},
    }
    assert result.estimator == "proportion"
    assert (result.treatment.n, result.treatment.value) == (10, 0.3)
    assert result.treatment.standard_error == pytest.approx(math.sqrt(0.021))
    assert result.difference.standard_error == pytest.approx(math.sqrt(0.021 + 0.024))
    # delta method: √(v_t + R² v_c) / p_c
    assert result.lift.standard_error == pytest.approx(math.sqrt(0.021 + 0.75**2 * 0.024) / 0.4)


def test_many_units_agree_with_the_unpooled_test() -> None:
    arms: dict[str, Any] = {"treatment": Counts(10**6, 100_500), "control": Counts(10**6, 100_000)}
    wald = fixed_horizon(proportion_difference(**arms))
    for method in METHODS:
        result = method(**arms)
        assert ends(result.difference) == pytest.approx(ends(wald.difference), rel=1e-3)
        assert ends(result.lift) == pytest.approx(ends(wald.lift), rel=1e-3)
        assert result.test.p_value == pytest.approx(wald.test.p_value, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_p_does_not_underflow(method: Method) -> None:
    near = method(treatment=Counts(10**6, 550_000), control=Counts(10**6, 500_000)).test
    far = method(treatment=Counts(10**6, 900_000), control=Counts(10**6, 100_000)).test
    assert near.log_p_value is not None
    assert far.log_p_value is not None
    assert far.p_value is not None
    assert near.log_p_value < -2000
    assert far.log_p_value < near.log_p_value
    assert far.p_value > 0


def test_newcombes_p_value_is_the_level_at_which_its_interval_ends_at_the_null() -> None:
    arms: dict[str, Any] = {"treatment": Counts(70, 56), "control": Counts(80, 48)}
    for null, scale in ((0.0, "difference"), (0.31, "difference"), (-0.05, "difference"), (0.5, "lift")):
        p = newcombe(**arms, null=null, scale=scale).test.p_value  # type: ignore[arg-type]
        assert p is not None
        at_p = newcombe(**arms, alpha=p)
        effect = at_p.difference if scale == "difference" else at_p.lift
        assert min(abs(end - null) for end in ends(effect)) < 1e-12


def test_a_null_beyond_every_newcombe_interval() -> None:
    test = newcombe(treatment=Counts(10, 10), control=Counts(20, 0), null=-0.9).test
    assert test.statistic == math.inf
    assert test.rejected is True
    assert test.to_dict()["log_p_value"] is None
    down = newcombe(treatment=Counts(20, 0), control=Counts(10, 10), null=0.9).test
    assert down.statistic == -math.inf
    assert newcombe(treatment=Counts(20, 10), control=Counts(20, 0), null=0.5).test.statistic == 0.0


def test_size_and_coverage_by_enumeration() -> None:
    """No simulation: every table of 40 and 60 units, weighted by its probability."""
    n_t, n_c, p_c = 40, 60, 0.3
    for difference in (0.0, 0.2):
        w_t = [float(stats.binom.pmf(x, n_t, p_c + difference)) for x in range(n_t + 1)]
        w_c = [float(stats.binom.pmf(x, n_c, p_c)) for x in range(n_c + 1)]
        for method, band in (
            (score_test, (0.045, 0.056)),
            (miettinen_nurminen, (0.044, 0.056)),
            (newcombe, (0.035, 0.056)),
        ):
            rejected = sum(
                w_t[x_t] * w_c[x_c]
                for x_t in range(n_t + 1)
                for x_c in range(n_c + 1)
                if w_t[x_t] * w_c[x_c] > 1e-7
                and method(
                    treatment=Counts(n_t, x_t), control=Counts(n_c, x_c), null=difference
                ).test.rejected
            )
            assert band[0] < rejected < band[1], (method, difference)
