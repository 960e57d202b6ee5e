"""Many arms against one control: tables, scipy, quadrature, the closure, error rates in simulation."""

import json
import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Estimate,
    Moments,
    Status,
    benjamini_hochberg,
    dunnett,
    dunnett_critical,
    dunnett_step_down,
    fixed_horizon,
    holm,
    mean_difference,
    pooled_differences,
)
from equipoise_stats.distributions import t_log_upper_tail
from equipoise_stats.multiplicity.many_to_one import log_tail_of_largest

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


# Dunnett 1964 (Biometrics 20, 482-491) and 1955, α = 0.05, equal arms: (arms, df, two-sided, one-sided).
TABLES = [
    (2, 5, 3.03, 2.44),
    (2, 10, 2.57, 2.15),
    (3, 10, 2.76, 2.34),
    (3, 20, 2.54, 2.19),
    (4, 20, 2.65, 2.30),
    (9, 60, 2.77, 2.48),
    (1, 10, 2.23, 1.81),
]


@pytest.mark.parametrize(("k", "df", "two_sided", "one_sided"), TABLES)
def test_dunnetts_tables(k: int, df: int, two_sided: float, one_sided: float) -> None:
    assert dunnett_critical([0.5] * k, df=df) == pytest.approx(two_sided, abs=0.0051)
    for side in ("greater", "less"):
        critical = dunnett_critical([0.5] * k, df=df, alternative=side)
        assert critical == pytest.approx(one_sided, abs=0.0051)


def test_dunnett_reference(reference: list[dict[str, Any]]) -> None:
    cases = [case for case in reference if case["method"] == "dunnett_critical_two_sided"]
    assert cases
    for case in cases:
        for k, critical in zip(case["inputs"]["k"], case["expected"]["critical"], strict=True):
            mine = dunnett_critical([0.5] * k, alpha=case["inputs"]["alpha"])
            assert mine == pytest.approx(critical, abs=case["abs_tol"])


@pytest.mark.parametrize("df", [1.0, 2.5, 30.0, 1e6, math.inf])
@pytest.mark.parametrize("critical", [-2.0, 0.0, 0.7, 2.0, 6.0, 40.0])
def test_one_comparison_is_a_t_test(df: float, critical: float) -> None:
    for share in (0.0, 0.5, 0.99):
        one = log_tail_of_largest(critical, [share], df=df, two_sided=False)
        assert one == pytest.approx(t_log_upper_tail(critical, df), rel=1e-10)
        if critical >= 0:
            two = log_tail_of_largest(critical, [share], df=df, two_sided=True)
            expected = min(0.0, math.log(2) + t_log_upper_tail(critical, df))
            assert two == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("df", [3.0, 25.0, math.inf])
@pytest.mark.parametrize("two_sided", [True, False])
def test_the_tail_of_the_largest_by_quadrature(df: float, two_sided: bool) -> None:
    """Against other quadratures of the textbook's double integral."""
    shares, critical = [0.5, 0.2, 0.8], 2.1

    x = np.linspace(-9, 9, 2001)

    def inside(scale: float) -> float:
        product = stats.norm.pdf(x)
        for share in shares:
            rest, shift = math.sqrt(1 - share), math.sqrt(share) * x
            product = product * (
                stats.norm.cdf((critical * scale - shift) / rest)
                - (stats.norm.cdf((-critical * scale - shift) / rest) if two_sided else 0.0)
            )
        return float(integrate.simpson(product, x=x))

    if math.isinf(df):
        expected = 1 - inside(1.0)
    else:
        scale = stats.chi(df, scale=1 / math.sqrt(df))
        nodes, weights = np.polynomial.legendre.leggauss(60)
        low, high = scale.ppf(1e-11), scale.isf(1e-11)
        points = (high + low) / 2 + (high - low) / 2 * nodes
        values = [scale.pdf(s) * inside(float(s)) for s in points]
        expected = 1 - float(np.dot(weights, values)) * (high - low) / 2
    mine = math.exp(log_tail_of_largest(critical, shares, df=df, two_sided=two_sided))
    assert mine == pytest.approx(expected, abs=1e-8)


def test_far_tails_add_up() -> None:
    # Where no two exceed together, the probability is the sum.
    for df in (math.inf, 50.0):
        tail = log_tail_of_largest(40.0, [0.1, 0.1, 0.1], df=df, two_sided=False)
        assert tail <= math.log(3) + t_log_upper_tail(40.0, df) + 1e-9
        assert tail >= t_log_upper_tail(40.0, df)
    far = log_tail_of_largest(60.0, [0.0, 0.0], two_sided=True)
    assert far == pytest.approx(math.log(4) + t_log_upper_tail(60.0, math.inf), rel=1e-12)


def test_identical_comparisons_are_one() -> None:
    one = log_tail_of_largest(2.0, [1.0], two_sided=True)
    two = log_tail_of_largest(2.0, [1.0, 1.0], two_sided=True)
    assert one == pytest.approx(math.log(2 * stats.norm.sf(2.0)), rel=1e-9)
    assert 0 <= two - one < 0.03


def three_arms(seed: int) -> tuple[dict[str, Any], Any]:
    generator = np.random.default_rng(seed)
    data = {
        name: generator.normal(shift, 1.0, n)
        for name, shift, n in (("a", 0.6, 20), ("b", 0.2, 25), ("c", 1.0, 15))
    }
    return data, generator.normal(0.0, 1.0, 30)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_dunnett_is_that_of_scipy(alternative: Alternative) -> None:
    data, control = three_arms(4)
    effects = pooled_differences(
        {name: Moments.from_arrays({"y": values}) for name, values in data.items()},
        control=Moments.from_arrays({"y": control}),
    )
    mine = dunnett(effects, alternative=alternative)
    theirs = stats.dunnett(*data.values(), control=control, alternative=alternative, random_state=1)
    interval = theirs.confidence_interval(0.95)
    for i, result in enumerate(mine.values()):
        assert result.test.statistic == pytest.approx(float(theirs.statistic[i]), rel=1e-9)
        assert result.test.p_value == pytest.approx(float(theirs.pvalue[i]), abs=5e-4)
        assert result.difference.interval is not None
        ends = (result.difference.interval.lower, result.difference.interval.upper)
        assert ends == pytest.approx((interval.low[i], interval.high[i]), abs=5e-3)


def any_family() -> st.SearchStrategy[dict[str, Estimate]]:
    def build(values: list[tuple[float, float]], df: float, se: float) -> dict[str, Estimate]:
        control = ArmEstimate(100, 20.0, se**2)
        return {
            str(i): Estimate("any", ArmEstimate(100, 20 + d, spread**2), control, df=df)
            for i, (d, spread) in enumerate(values)
        }

    return st.builds(
        build,
        st.lists(st.tuples(st.floats(-4, 4), st.floats(0.2, 2)), min_size=1, max_size=4),
        st.sampled_from([4.0, 60.0, math.inf]),
        st.floats(0.2, 2),
    )


@settings(max_examples=60)
@given(
    any_family(),
    st.sampled_from([0.001, 0.05, 0.3]),
    st.sampled_from(ALTERNATIVES),
    st.sampled_from([0.0, 0.5]),
)
def test_dunnetts_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    family: dict[str, Estimate], alpha: float, alternative: Alternative, null: float
) -> None:
    results = dunnett(family, alpha=alpha, alternative=alternative, null=null)
    stepped = dunnett_step_down(family, alpha=alpha, alternative=alternative, null=null)
    for name, result in results.items():
        json.dumps(result.to_dict(), allow_nan=False)
        test, step = result.test, stepped[name]
        assert test.p_value is not None
        assert step.p_value is not None
        assume(not math.isclose(test.p_value, alpha, rel_tol=1e-8))
        assume(not math.isclose(step.p_value, alpha, rel_tol=1e-8))
        assert test.rejected is (test.p_value <= alpha)
        assert result.difference.interval is not None
        assert result.difference.interval.excludes(null) is test.rejected
        if null == 0 and result.lift.interval is not None:
            assert result.lift.interval.excludes(0.0) is test.rejected
        # Sharper than Bonferroni, never sharper than one test alone, and steps are sharper still.
        alone = fixed_horizon(family[name], alternative=alternative, null=null).test
        assert alone.p_value is not None
        assert alone.p_value * (1 - 1e-9) <= step.p_value <= test.p_value * (1 + 1e-9)
        assert test.p_value <= min(1.0, len(family) * alone.p_value) * (1 + 1e-9)
        assert step.rejected is (step.p_value <= alpha)


def test_steps_are_the_closure_of_dunnett() -> None:
    """By brute force over all intersections."""
    data, control = three_arms(11)
    arms = {name: Moments.from_arrays({"y": values}) for name, values in data.items()}
    effects: Any = pooled_differences(arms, control=Moments.from_arrays({"y": control}))
    stepped = dunnett_step_down(effects)
    for name in effects:
        worst = 0.0
        for size in (1, 2, 3):
            for subset in combinations(effects, size):
                if name in subset:
                    chosen = dunnett({one: effects[one] for one in subset})
                    p_values = [one.test.p_value for one in chosen.values() if one.test.p_value is not None]
                    worst = max(worst, min(p_values))
        assert stepped[name].p_value == pytest.approx(worst, rel=1e-9)


def test_swapping_signs_negates() -> None:
    def family(sign: float) -> dict[str, Estimate]:
        control = ArmEstimate(50, 0.0, 0.02)
        return {
            k: Estimate("any", ArmEstimate(50, sign * d, 0.03), control, df=60)
            for k, d in (("a", 0.5), ("b", 0.1))
        }

    up, down = dunnett(family(1), alternative="greater"), dunnett(family(-1), alternative="less")
    for name in ("a", "b"):
        assert up[name].test.p_value == pytest.approx(down[name].test.p_value, rel=1e-12)
        above, below = up[name].difference.interval, down[name].difference.interval
        assert above is not None
        assert below is not None
        assert above.lower == pytest.approx(-below.upper)
    step_up, step_down = (
        dunnett_step_down(family(1), alternative="greater"),
        dunnett_step_down(family(-1), alternative="less"),
    )
    assert step_up["b"].p_value == pytest.approx(step_down["b"].p_value)


def test_dependent_arms_share_what_is_common() -> None:
    # Both arm estimates hold one common term of variance 0.3, which no difference contains.
    common = 0.3
    control = ArmEstimate(50, 10.0, 1.0 + common)
    family = {
        k: Estimate("any", ArmEstimate(50, 10.0 + d, 1.0 + common), control, common)
        for k, d in (("a", 3.0), ("b", 1.0))
    }
    plain = {
        k: Estimate("any", ArmEstimate(50, 10.0 + d, 1.0), ArmEstimate(50, 10.0, 1.0))
        for k, d in (("a", 3.0), ("b", 1.0))
    }
    for name in family:
        assert dunnett(family)[name].test.p_value == pytest.approx(
            dunnett(plain)[name].test.p_value, rel=1e-12
        )


def test_who_leaves_the_family() -> None:
    control = Moments.scalar(500, 10.0, 4.0)
    arms = {
        "a": Moments.scalar(500, 10.3, 4.0),
        "b": Moments.scalar(1, 10.2, 0.0),
        "c": Moments.scalar(400, 10.1, 5.0),
    }
    effects = {name: mean_difference(treatment=arm, control=control) for name, arm in arms.items()}
    results, steps = dunnett(effects, alpha=0.01), dunnett_step_down(effects, alpha=0.01)
    assert results["b"].test.status == steps["b"].status == Status.TOO_FEW_UNITS
    without = dunnett({name: effects[name] for name in ("a", "c")}, alpha=0.01)
    assert results["a"].test == without["a"].test
    # The smallest degrees of freedom serve all.
    assert results["a"].test.df == results["c"].test.df == min(effects[n].df for n in ("a", "c"))  # type: ignore[union-attr]
    assert results["a"].method.to_dict()["parameters"] == {
        "alpha": 0.01,
        "alternative": "two-sided",
        "null": 0.0,
        "scale": "difference",
    }
    only = dunnett({"b": effects["b"]})
    assert only["b"].test.p_value is None
    assert dunnett({}) == {}
    assert dunnett_step_down({}) == {}
    negative = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(9, -1.0, 0.5))
    by_lift = dunnett({"a": negative}, scale="lift", null=0.1)
    assert by_lift["a"].test.status == Status.CONTROL_NOT_POSITIVE
    assert (
        dunnett_step_down({"a": negative}, scale="lift", null=0.1)["a"].status == Status.CONTROL_NOT_POSITIVE
    )


def test_impossible_dunnetts_are_refused() -> None:
    one = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(9, 1.0, 0.5))
    other = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(10, 1.0, 0.5))
    with pytest.raises(ValueError, match=r"\[9, 10\] units"):
        dunnett({"a": one, "b": other})
    with pytest.raises(ValueError, match="alpha is"):
        dunnett({"a": one}, alpha=0.7)
    with pytest.raises(ValueError, match="scale is"):
        dunnett({"a": one}, scale="ratio")  # type: ignore[arg-type]
    for shares in ([], [1.1], [-0.1], [math.nan]):
        with pytest.raises(ValueError, match="shares of the variances"):
            dunnett_critical(shares)
    with pytest.raises(ValueError, match="degrees of freedom"):
        dunnett_critical([0.5], df=0.0)


def test_pooled_differences() -> None:
    data, control = three_arms(7)
    arms = {name: Moments.from_arrays({"y": values}) for name, values in data.items()}
    base = Moments.from_arrays({"y": control})
    effects = pooled_differences(arms, control=base)
    everything = [*data.values(), control]
    df = sum(len(values) - 1 for values in everything)
    pooled = sum(float(((values - values.mean()) ** 2).sum()) for values in everything) / df
    for name, values in data.items():
        one = effects[name]
        assert isinstance(one, Estimate)
        assert one.df == df == 86
        assert one.difference == pytest.approx(float(values.mean() - control.mean()))
        assert one.treatment.variance == pytest.approx(pooled / len(values))
        assert one.control.variance == pytest.approx(pooled / len(control))
    lonely = pooled_differences({**arms, "d": Moments.scalar(1, 5.0, 0.0)}, control=base)
    assert not isinstance(lonely["d"], Estimate)
    assert lonely["d"].status == Status.TOO_FEW_UNITS
    assert lonely["a"] == effects["a"]
    small = pooled_differences(arms, control=Moments.scalar(1, 5.0, 0.0))
    assert all(one.status == Status.TOO_FEW_UNITS for one in small.values() if not isinstance(one, Estimate))
    assert not any(isinstance(one, Estimate) for one in small.values())
    smallest = pooled_differences({"a": Moments.scalar(2, 1.0, 0.5)}, control=Moments.scalar(2, 2.0, 1.5))[
        "a"
    ]
    assert isinstance(smallest, Estimate)
    assert (smallest.df, smallest.variance) == (2, 1.0)
    flat = pooled_differences({"a": Moments.scalar(5, 1.0, 0.0)}, control=Moments.scalar(5, 2.0, 0.0))
    assert not isinstance(flat["a"], Estimate)
    assert flat["a"].status == Status.NO_VARIANCE


def test_family_wise_error_in_simulation() -> None:
    """With no effect anywhere: Dunnett exact, Holm at most α, BH's false discovery rate at most α."""
    generator = np.random.default_rng(12)
    replications, k, df = 40_000, 4, 20
    control = generator.normal(size=(replications, 1))
    scale = np.sqrt(generator.chisquare(df, size=(replications, 1)) / df)
    t = (generator.normal(size=(replications, k)) - control) / math.sqrt(2) / scale
    error = 3 * math.sqrt(0.05 * 0.95 / replications)
    critical = dunnett_critical([0.5] * k, df=df)
    assert abs((np.abs(t).max(axis=1) > critical).mean() - 0.05) < error
    p = 2 * stats.t.sf(np.abs(t), df)
    assert (holm(p) <= 0.05).any(axis=1).mean() < 0.05 + error
    assert 0.03 < (benjamini_hochberg(p) <= 0.05).any(axis=1).mean() < 0.05 + error
