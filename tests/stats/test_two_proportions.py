"""Score tests and Newcombe's: what must always hold, the edges, size and coverage by enumeration."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.stats.intervals import ends
from tests.stats.proportions import counts

from equipoise_stats import (
    Alternative,
    Comparison,
    Counts,
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

Method = Callable[..., Comparison]
METHODS: tuple[Method, ...] = (score_test, miettinen_nurminen, newcombe)
ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


arms = st.one_of(
    counts(12),
    counts(5000),
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
    counts(40),
    counts(40),
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
