"""Adjusted p-values and weights: published values, statsmodels, brute force."""

import importlib
import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise_stats import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    hochberg,
    holm,
    preferential_weights,
)

METHODS: dict[str, Any] = {
    "bonferroni": bonferroni,
    "holm": holm,
    "simes-hochberg": hochberg,
    "fdr_bh": benjamini_hochberg,
    "fdr_by": benjamini_yekutieli,
}


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
