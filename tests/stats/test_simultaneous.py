"""Simultaneous intervals: they agree with the adjusted p-values, and at which levels."""

import json
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

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
    fixed_horizon,
    holm,
    mean_difference,
    miettinen_nurminen,
    simultaneous,
)

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


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
