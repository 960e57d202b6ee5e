"""Adjusted p-values, simultaneous intervals and Dunnett: published values, other libraries, invariants."""

import importlib
import json
import math
from functools import partial
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
    Compare,
    Counts,
    Estimate,
    Moments,
    Scale,
    Status,
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    dunnett,
    dunnett_critical,
    dunnett_step_down,
    fixed_horizon,
    hochberg,
    holm,
    mean_difference,
    miettinen_nurminen,
    pooled_differences,
    preferential_weights,
    simultaneous,
)
from equipoise_stats.distributions import t_log_upper_tail
from equipoise_stats.multiplicity.many_to_one import log_tail_of_largest

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")
METHODS: dict[str, Any] = {
    "bonferroni": bonferroni,
    "holm": holm,
    "simes-hochberg": hochberg,
    "fdr_bh": benjamini_hochberg,
    "fdr_by": benjamini_yekutieli,
}


# --- adjusted p-values ------------------------------------------------------------------------------


def test_the_reference_values(reference: list[dict[str, Any]]) -> None:
    methods = {"holm": holm, "benjamini_hochberg": benjamini_hochberg}
    cases = [case for case in reference if case["method"] in methods]
    assert len(cases) == 2
    for case in cases:
        adjusted = methods[case["method"]](case["inputs"]["p"])
        assert adjusted.tolist() == pytest.approx(case["expected"]["adjusted"], abs=case["abs_tol"])


def test_the_example_of_benjamini_and_hochberg_1995() -> None:
    # Their 15 p-values of the thrombolysis trial: BH rejects four, Bonferroni three, at 0.05.
    p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4
    assert (bonferroni(p) <= 0.05).sum() == (hochberg(p) <= 0.05).sum() == 3


families = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.mark.parametrize("name", METHODS)
@given(p=families)
def test_adjusted_p_values_are_those_of_statsmodels(name: str, p: list[float]) -> None:
    multipletests = importlib.import_module("statsmodels.stats.multitest").multipletests
    theirs = multipletests(p, method=name)[1]
    mine = METHODS[name](p)
    assert mine.tolist() == pytest.approx(theirs.tolist(), rel=1e-9, abs=1e-300)
    assert np.all(mine >= np.array(p) * (1 - 1e-12))
    assert np.all(mine <= 1)


@pytest.mark.parametrize("name", METHODS)
def test_families_are_adjusted_along_the_last_axis(name: str) -> None:
    p = np.random.default_rng(1).uniform(size=(3, 4, 6))
    adjusted = METHODS[name](p)
    assert adjusted.shape == p.shape
    for i in range(3):
        for j in range(4):
            assert adjusted[i, j].tolist() == METHODS[name](p[i, j]).tolist()
    assert METHODS[name](np.empty((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("name", METHODS)
def test_logarithms_do_not_underflow(name: str) -> None:
    p = [1e-200, 0.01, 1e-210, 0.5]
    assert np.exp(METHODS[name](np.log(p), log=True)).tolist() == pytest.approx(METHODS[name](p).tolist())
    log_p = [-900.0, -800.0, -2.0]
    adjusted = METHODS[name](log_p, log=True)
    assert -900 <= adjusted[0] <= -900 + math.log(6)
    assert np.all(adjusted <= 0)


def test_holm_is_the_closure_of_bonferroni() -> None:
    """By brute force over all intersections."""
    p = np.random.default_rng(2).uniform(size=5) ** 3
    for i in range(5):
        worst = max(
            min(1.0, len(subset) * min(p[list(subset)]))
            for size in range(1, 6)
            for subset in combinations(range(5), size)
            if i in subset
        )
        assert holm(p)[i] == pytest.approx(worst, rel=1e-12)


@pytest.mark.parametrize("method", [bonferroni, holm, hochberg, benjamini_hochberg, benjamini_yekutieli])
def test_impossible_p_values_are_refused(method: Any) -> None:
    for bad in ([-0.1], [1.1], [math.nan]):
        with pytest.raises(ValueError, match=r"p-values .* out of range"):
            method(bad)
    with pytest.raises(ValueError, match=r"Logarithms of p-values .* out of range"):
        method([0.5], log=True)
    with pytest.raises(ValueError, match="one number"):
        method(0.5)


def test_weights() -> None:
    assert bonferroni([0.02, 0.02], weights=[0.9, 0.1]).tolist() == pytest.approx([0.02 / 0.9, 0.2])
    assert bonferroni([0.02, 0.02], weights=[0.5, 0.5]).tolist() == bonferroni([0.02, 0.02]).tolist()
    with pytest.raises(ValueError, match=r"shape \(1,\) for 2 tests"):
        bonferroni([0.1, 0.2], weights=[1.0])
    for bad in ([0.6, 0.6], [0.0, 1.0], [math.nan, 0.5]):
        with pytest.raises(ValueError, match="sum to 1 at most"):
            bonferroni([0.1, 0.2], weights=bad)


def test_preferential_weights() -> None:
    weights = preferential_weights(["a", "b", "c", "d"], primary=["a", "b"], share=0.9)
    assert weights == pytest.approx({"a": 0.45, "b": 0.45, "c": 0.05, "d": 0.05})
    assert list(weights) == ["a", "b", "c", "d"]
    assert preferential_weights(["a", "b"], primary=["b", "a"]) == {"a": 0.5, "b": 0.5}
    assert preferential_weights(["a", "b"], primary=["b"]) == pytest.approx({"a": 0.2, "b": 0.8})
    for bad in (0.0, 1.0):
        with pytest.raises(ValueError, match="share is"):
            preferential_weights(["a", "b"], primary=["a"], share=bad)
    with pytest.raises(ValueError, match=r"not: \['x'\]"):
        preferential_weights(["a", "b"], primary=["x"])
    with pytest.raises(ValueError, match="one or more"):
        preferential_weights(["a", "b"], primary=[])
    for tests, primary in ((["a", "a"], ["a"]), (["a", "b"], ["a", "a"])):
        with pytest.raises(ValueError, match="named twice"):
            preferential_weights(tests, primary=primary)


# --- simultaneous intervals -------------------------------------------------------------------------


def family_of(differences: list[float]) -> dict[str, Compare]:
    return {
        str(i): partial(
            fixed_horizon, Estimate("any", ArmEstimate(9, 50 + d, 0.5), ArmEstimate(9, 50.0, 0.5), df=30)
        )
        for i, d in enumerate(differences)
    }


@settings(max_examples=200)
@given(
    st.lists(st.floats(-6, 6), min_size=1, max_size=6),
    st.sampled_from(["bonferroni", "weighted", "holm", "benjamini_hochberg", "benjamini_yekutieli"]),
    st.sampled_from([0.01, 0.05, 0.3]),
    st.sampled_from(ALTERNATIVES),
    st.sampled_from([("difference", 0.0), ("difference", -1.0), ("lift", 0.0), ("lift", 0.02)]),
)
def test_adjusted_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    differences: list[float],
    correction: Any,
    alpha: float,
    alternative: Alternative,
    question: tuple[Scale, float],
) -> None:
    scale, null = question
    assume(not (correction == "holm" and alternative == "two-sided"))
    family = family_of(differences)
    weights = None
    if correction == "weighted":
        correction, weights = "bonferroni", {name: (i + 1) / 30 for i, name in enumerate(family)}
    found = simultaneous(
        family,
        correction=correction,
        weights=weights,
        alpha=alpha,
        alternative=alternative,
        null=null,
        scale=scale,
    )
    assert list(found) == list(family)
    single = np.array(
        [c(alternative=alternative, null=null, scale=scale).test.p_value for c in family.values()],
        dtype=float,
    )
    adjust: dict[str, Any] = {
        "bonferroni": bonferroni,
        "holm": holm,
        "benjamini_hochberg": benjamini_hochberg,
    }
    shares = {} if weights is None else {"weights": list(weights.values())}
    expected = adjust.get(correction, benjamini_yekutieli)(single, **shares)
    assume(not np.any(np.isclose(expected, alpha, rtol=1e-9)))
    for one, p in zip(found.values(), expected, strict=True):
        json.dumps(one.to_dict(), allow_nan=False)
        assert one.p_value == pytest.approx(float(p), rel=1e-9)
        assert one.log_p_value == pytest.approx(math.log(p), rel=1e-9, abs=1e-12)
        assert one.rejected is bool(p <= alpha)
        assert one.effect.interval is not None
        assert one.effect.interval.excludes(null) is one.rejected


def test_levels_of_the_intervals() -> None:
    family = family_of([4.0, 3.5, 0.5])
    equal = simultaneous(family)
    assert [one.level for one in equal.values()] == pytest.approx([0.05 / 3] * 3)
    assert equal["2"].effect.interval == fixed(family["2"], 0.05 / 3)
    unequal = simultaneous(family, weights={"0": 0.5, "1": 0.3, "2": 0.2})
    assert [one.level for one in unequal.values()] == pytest.approx([0.025, 0.015, 0.01])
    assert unequal["0"].effect.interval == fixed(family["0"], 0.025)
    discoveries = simultaneous(family, correction="benjamini_hochberg")
    assert [one.level for one in discoveries.values()] == pytest.approx([0.1 / 3] * 3)
    assert discoveries["1"].effect.interval == fixed(family["1"], 0.1 / 3)
    dependent = simultaneous(family, correction="benjamini_yekutieli")
    assert [one.level for one in dependent.values()] == pytest.approx([0.1 / 3 / (11 / 6)] * 3)
    none = simultaneous(family_of([0.1, 0.2]), correction="benjamini_hochberg")
    assert [one.level for one in none.values()] == [0.025, 0.025]
    assert simultaneous({}) == {}


def fixed(compare: Compare, alpha: float) -> object:
    return compare(alpha=alpha).difference.interval


def test_holms_bounds() -> None:
    found = simultaneous(family_of([4.0, 3.5, 0.5]), correction="holm", alternative="greater")
    assert [one.level for one in found.values()] == [None, None, 0.05]
    bound = found["0"].effect.interval
    assert bound is not None
    assert (bound.lower, bound.upper) == (math.nextafter(0, 1), math.inf)
    assert found["2"].effect.interval is not None
    assert found["2"].effect.interval.lower == pytest.approx(0.5 - stats.t.isf(0.05, 30))
    all_of_them = simultaneous(family_of([4.0, 2.1]), correction="holm", alternative="greater")
    lower = [one.effect.interval.lower for one in all_of_them.values() if one.effect.interval]
    c = stats.t.isf(0.025, 30)
    assert lower == pytest.approx([4.0 - c, 2.1 - c])
    # Rejected at its step, though not at α/m: the bound is at the null value.
    narrow = simultaneous(family_of([4.0, 1.9]), correction="holm", alternative="greater")
    assert narrow["1"].rejected is True
    assert narrow["1"].effect.interval is not None
    assert narrow["1"].effect.interval.lower == math.nextafter(0, 1)
    down = simultaneous(family_of([-4.0, -1.9, 1.0]), correction="holm", alternative="less")
    assert down["0"].effect.interval is not None
    assert down["0"].effect.interval.upper == math.nextafter(0, -1)
    assert down["0"].effect.estimate == -4.0
    mixed = simultaneous(family_of([-4.0, -2.1]), correction="holm", alternative="less")
    assert mixed["0"].effect.interval is not None
    assert mixed["0"].effect.interval.upper == pytest.approx(c - 4.0)


def test_a_comparison_without_a_test_counts() -> None:
    family = family_of([2.3])
    nothing = mean_difference(treatment=Moments.scalar(1, 1.0, 0.0), control=Moments.scalar(5, 1.0, 1.0))
    family["none"] = partial(fixed_horizon, nothing)
    found = simultaneous(family)
    assert found["0"].p_value == pytest.approx(2 * 2 * stats.t.sf(2.3, 30))
    assert found["none"].p_value is found["none"].log_p_value is found["none"].rejected is None
    assert found["none"].effect.status == Status.TOO_FEW_UNITS
    negative = Estimate("any", ArmEstimate(9, 5.0, 0.5), ArmEstimate(9, 1.0, 0.5))
    unbounded = simultaneous(
        {"a": partial(fixed_horizon, negative)}, correction="holm", alternative="greater", scale="lift"
    )
    assert unbounded["a"].rejected is True
    assert unbounded["a"].effect.status == Status.UNBOUNDED
    assert unbounded["a"].effect.interval is None


def test_any_inference_can_be_corrected() -> None:
    arms: dict[str, Any] = {"treatment": Counts(500, 90), "control": Counts(500, 60)}
    found = simultaneous({"a": partial(miettinen_nurminen, **arms), "b": family_of([1.0])["0"]})
    expected = miettinen_nurminen(**arms, alpha=0.025).difference
    assert found["a"].effect == expected


def test_impossible_families_are_refused() -> None:
    family = family_of([1.0, 2.0])
    with pytest.raises(ValueError, match="correction is 'sidak'"):
        simultaneous(family, correction="sidak")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no two-sided intervals"):
        simultaneous(family, correction="holm")
    with pytest.raises(ValueError, match="not with benjamini_hochberg"):
        simultaneous(family, correction="benjamini_hochberg", weights={"0": 0.5, "1": 0.5})
    with pytest.raises(ValueError, match=r"are of \['0'\]"):
        simultaneous(family, weights={"0": 0.5})
    with pytest.raises(ValueError, match="sum to 1"):
        simultaneous(family, weights={"0": 0.5, "1": 0.6})
    with pytest.raises(ValueError, match="alpha is"):
        simultaneous(family, alpha=0.6)
    with pytest.raises(ValueError, match="alternative is"):
        simultaneous(family, alternative="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scale is"):
        simultaneous(family, scale="ratio")  # type: ignore[arg-type]


# --- Dunnett ----------------------------------------------------------------------------------------

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
