"""Winsorization: where the cut lies, that it is blind to the arms, and that it is recorded."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from equipoise_stats import (
    Cut,
    Estimate,
    Moments,
    NoEstimate,
    Status,
    adjusted_difference,
    fixed_horizon,
    mean_difference,
    pooled_cut,
    winsorized,
)

values = st.lists(st.integers(-500, 500), min_size=1, max_size=40)


@given(values, values, st.sampled_from([0.5, 0.9, 0.999]), st.booleans())
def test_the_cut_by_brute_force(a: list[int], b: list[int], q: float, zeros: bool) -> None:
    basis = sorted(v for v in a + b if zeros or v != 0)
    cut = pooled_cut({"a": a, "b": b}, upper=q, zeros=zeros)
    if not basis:
        assert cut == Cut(capped_share=0.0, capped_mass=0.0)
        return
    assert cut.upper == next(v for i, v in enumerate(basis, 1) if i >= q * len(basis) - 1e-9)
    assert cut.lower == -math.inf
    above = [v for v in a + b if v > cut.upper]
    assert cut.capped_share == pytest.approx(len(above) / len(a + b))
    mass = sum(map(abs, a + b))
    taken = sum(above) - cut.upper * len(above)
    assert cut.capped_mass == pytest.approx(taken / mass if mass else 0.0)
    assert cut.apply(a).tolist() == [min(v, cut.upper) for v in a]


@given(values, values)
def test_the_cut_does_not_know_the_arms(a: list[int], b: list[int]) -> None:
    everything = pooled_cut({"all": a + b}, upper=0.8)
    assert pooled_cut({"a": a, "b": b}, upper=0.8) == everything
    assert pooled_cut({"b": b, "a": a}, upper=0.8) == everything


@given(values, values)
def test_both_ends(a: list[int], b: list[int]) -> None:
    basis = np.array(a + b)
    low, high = (float(np.quantile(basis, q, method="inverted_cdf")) for q in (0.1, 0.9))
    assume(low < high)
    cut = pooled_cut({"a": a, "b": b}, lower=0.1, upper=0.9, zeros=True)
    assert (cut.lower, cut.upper) == (low, high)
    clipped = cut.apply(basis)
    assert clipped.min() >= low
    assert clipped.max() <= high
    assert cut.capped_share == pytest.approx(float((clipped != basis).mean()))
    mirrored = pooled_cut({"a": [-v for v in a], "b": [-v for v in b]}, lower=0.1, upper=None, zeros=True)
    assert mirrored.upper == math.inf
    assert mirrored.lower == float(np.quantile(-basis, 0.1, method="inverted_cdf"))


def test_the_cut_is_recorded_in_every_result() -> None:
    generator = np.random.default_rng(1)
    buyers = generator.random((2, 2000)) < 0.05
    revenue = buyers * generator.lognormal(3, 1.5, (2, 2000))
    before = revenue + generator.normal(0, 1, (2, 2000))
    cut = pooled_cut({"treatment": revenue[0], "control": revenue[1]}, upper=0.95)
    arms = [Moments.from_arrays({"y": cut.apply(y), "x": x}) for y, x in zip(revenue, before, strict=True)]
    mean = mean_difference(treatment=arms[0], control=arms[1], column="y")
    adjusted = adjusted_difference(treatment=arms[0], control=arms[1], covariates=["x"])
    for estimate in (mean, adjusted):
        recorded = winsorized(estimate, cut)
        assert isinstance(recorded, Estimate)
        assert isinstance(estimate, Estimate)
        assert recorded.estimator == f"winsorized_{estimate.estimator}"
        assert (recorded.difference, recorded.variance) == (estimate.difference, estimate.variance)
        found = {d.name: d.value for d in recorded.details}
        assert found["cut_upper"] == cut.upper
        assert found["capped_share"] == cut.capped_share
        assert found["capped_mass"] == cut.capped_mass
        assert recorded.details[: len(estimate.details)] == estimate.details
        result = fixed_horizon(recorded)
        assert result.details == recorded.details
        stored = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert {"name": "cut_lower", "value": None} in stored["details"]
        assert {"name": "cut_upper", "value": cut.upper} in stored["details"]
    plain = mean_difference(
        treatment=Moments.from_arrays({"y": revenue[0]}), control=Moments.from_arrays({"y": revenue[1]})
    )
    assert isinstance(plain, Estimate)
    assert isinstance(mean, Estimate)
    assert mean.variance < 0.7 * plain.variance


def test_zeros_alone_have_no_mass() -> None:
    cut = pooled_cut({"a": [0.0, 0.0], "b": [0.0]}, zeros=True)
    assert (cut.upper, cut.capped_share, cut.capped_mass) == (0.0, 0.0, 0.0)


def test_a_cut_by_hand_records_its_ends_only() -> None:
    nothing = Moments.from_arrays({"y": [1.0]})
    answer = winsorized(mean_difference(treatment=nothing, control=nothing), Cut(lower=0.0, upper=9.0))
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.TOO_FEW_UNITS
    assert [(d.name, d.value) for d in answer.details] == [("cut_lower", 0.0), ("cut_upper", 9.0)]
    assert fixed_horizon(answer).details == answer.details


def test_imbalanced_revenue_needs_the_cut() -> None:
    """A/A, 10/90, heavy tails: Welch's test fails on raw values and holds on cut ones."""
    generator = np.random.default_rng(2)
    replications, raw, cut_off = 2000, 0, 0
    for _ in range(replications):
        y = np.where(generator.random(5000) < 0.05, generator.lognormal(0, 2, 5000), 0.0)
        data = {"treatment": y[:500], "control": y[500:]}
        cut = pooled_cut(data, upper=0.8)
        for capped in (False, True):
            t, c = (Moments.from_arrays({"y": cut.apply(v) if capped else v}) for v in data.values())
            rejected = bool(fixed_horizon(mean_difference(treatment=t, control=c)).test.rejected)
            raw += rejected and not capped
            cut_off += rejected and capped
    assert raw / replications > 0.12
    # Buyers stay rare, 25 in the small arm: half of the error's excess is left to the skewness guard.
    assert cut_off / replications < 0.085


def test_impossible_cuts_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves no values"):
        Cut(lower=2.0, upper=2.0)
    with pytest.raises(ValueError, match="leaves no values"):
        Cut(lower=math.nan)
    with pytest.raises(ValueError, match="NaN"):
        Cut(upper=1.0).apply([math.nan])
    with pytest.raises(ValueError, match="no arms"):
        pooled_cut({})
    for upper, lower, message in (
        (1.0, None, "upper is 1.0"),
        (0.9, 0.0, "lower is 0.0"),
        (0.4, 0.6, "must be the smaller"),
        (0.5, 0.5, "must be the smaller"),
    ):
        with pytest.raises(ValueError, match=message):
            pooled_cut({"a": [1.0, 2.0]}, upper=upper, lower=lower)
    with pytest.raises(ValueError, match="too many values are equal"):
        pooled_cut({"a": [1.0] * 9}, lower=0.1)
    with pytest.raises(ValueError, match="one value a unit"):
        pooled_cut({"a": [[1.0]]})
    with pytest.raises(ValueError, match="Arm 'a' holds values that are not finite"):
        pooled_cut({"a": [math.inf]})
