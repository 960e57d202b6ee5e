"""Sample size and the smallest effect: published values, formulas, what looking costs."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stats.planning import NORMAL, POWERS, SHARES, Z, planned

import equipoise_stats as es


def test_reference_values(reference: list[dict[str, Any]]) -> None:
    found = {}
    for case in reference:
        given_, method = case["inputs"], case["method"]
        if method == "power_t_test":
            test = planned(es.mean_outcome(mean=0.0, sd=given_["sd"]), given_["delta"])
            found[method] = es.planned_power(test, units=2 * given_["n_per_arm"])
            assert found[method] == pytest.approx(case["expected"]["power"], abs=case["abs_tol"])
        elif method == "sample_size_t_test":
            test = planned(es.mean_outcome(mean=0.0, sd=given_["sd"]), given_["delta"])
        elif method == "sample_size_proportions":
            test = planned(es.proportion_outcome(given_["p1"], test="score"), given_["p2"] - given_["p1"])
        elif method == "sample_size_proportions_evan_miller":
            test = planned(
                es.proportion_outcome(given_["baseline"], test="baseline"), given_["absolute_effect"]
            )
        else:
            continue
        if method.startswith("sample_size"):
            found[method] = es.sample_size(test, power=given_["power"]).units / 2
            assert found[method] == pytest.approx(case["expected"]["n_per_arm"], abs=case["abs_tol"])
    assert len(found) == 4


def test_sample_size_of_evan_miller() -> None:
    # His calculator (evanmiller.org/ab-testing/sample-size.html) says 1,030 units an arm for 20 % ± 5 points:
    # the test's variance is twice the baseline's.
    outcome = es.proportion_outcome(0.2, test="baseline")
    top = Z(0.025) * math.sqrt(2 * 0.2 * 0.8) + Z(0.2) * math.sqrt(0.2 * 0.8 + 0.25 * 0.75)
    size = es.sample_size(planned(outcome, 0.05))
    assert size.units / 2 == pytest.approx((top / 0.05) ** 2, rel=1e-9)
    assert round(size.units / 2) == 1030


def test_fleiss_table_of_unequal_arms() -> None:
    # Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, formula 4.19 without the
    # continuity correction, by hand: two treated for each untreated unit.
    p1, p2, share = 0.3, 0.2, 2 / 3
    pooled = share * p2 + (1 - share) * p1
    top = Z(0.025) * math.sqrt(pooled * (1 - pooled) * 1.5) + Z(0.1) * math.sqrt(0.21 + 0.16 / 2)
    size = es.sample_size(
        planned(es.proportion_outcome(p1, test="score"), p2 - p1, treatment_share=share), power=0.9
    )
    assert size.units == pytest.approx(3 * top**2 / 0.01, rel=1e-9)
    assert (size.treatment, size.control) == (
        math.ceil(2 * top**2 / 0.01),
        math.ceil(top**2 / 0.01),
    )


@given(POWERS, st.floats(0.05, 3.0), SHARES, st.sampled_from(["two-sided", "greater"]))
def test_normal_sizes_follow_the_formula(power: float, effect: float, share: float, side: Any) -> None:
    tail = 0.025 if side == "two-sided" else 0.05
    outcome = es.Outcome("x", 1.0, 4.0, variance_ratio=2.0)
    test = planned(outcome, effect, treatment_share=share, design=es.fixed_design(alternative=side))
    size = es.sample_size(test, power=power)
    expected = (Z(tail) + Z(1 - power)) ** 2 * (8 / share + 4 / (1 - share)) / effect**2
    assert size.units == pytest.approx(expected, rel=1e-10)
    assert size.fixed_units == size.units == size.expected_units == size.expected_units_null
    assert size.inflation == 1
    assert es.planned_power(test, units=size.units) == pytest.approx(power, abs=1e-12)


def test_published_allocation_factors() -> None:
    # (1 + r)² / (4 r): 80/20 costs 1.5625 times the units, 90/10 2.778 times.
    even = es.sample_size(planned(NORMAL, 0.1)).units
    for share, factor in ((0.2, 1.5625), (0.9, 25 / 9)):
        assert es.sample_size(planned(NORMAL, 0.1, treatment_share=share)).units == pytest.approx(
            factor * even
        )
    assert even == pytest.approx(4 * 4 * 7.848880 / 0.01, rel=1e-6)


@pytest.mark.parametrize(
    ("looks", "at_end", "expected"),
    [(1, 1.915, 1.915), (5, 1.826, None), (14, 1.759, 1.161), (28, 1.722, 1.106)],
)
def test_price_of_a_confidence_sequence(looks: int, at_end: float, expected: float | None) -> None:
    size = es.sample_size(
        planned(NORMAL, 0.1, design=es.confidence_sequence_design(looks, tuning_fraction=1.0))
    )
    assert size.inflation == pytest.approx(at_end, abs=5e-4)
    if expected is not None:
        assert size.expected_units / size.fixed_units == pytest.approx(expected, abs=5e-4)


def test_price_of_looking_agrees_with_published_tables() -> None:
    # Jennison and Turnbull 2000, table 2.2 (Pocock) and 2.4 (O'Brien–Fleming), α = 0.05, power 0.9, K = 5.
    for constant, exponent, published in (
        (es.pocock_constant(5, alpha=0.05), 0.0, 1.207),
        (es.obrien_fleming_constant(5, alpha=0.05), -0.5, 1.026),
    ):
        times = (0.2, 0.4, 0.6, 0.8, 1.0)
        bounds = tuple(constant * time**exponent for time in times)
        design = es.Design("classical", 0.05, "two-sided", times, bounds)
        assert es.sample_size(planned(NORMAL, 0.1, design=design), power=0.9).inflation == pytest.approx(
            published, abs=6e-4
        )
    looks = es.plan_looks([0.25, 0.5, 0.75, 1.0])
    size = es.sample_size(planned(NORMAL, -0.1, design=es.group_sequential_design(4)))
    assert size.inflation == pytest.approx(es.inflation_factor(looks), rel=1e-9)
    assert size.expected_units < size.fixed_units < size.expected_units_null < size.units


def test_non_inferiority_formula() -> None:
    # N per arm = (z_α + z_β)² (s_t² + s_c²) / (δ + θ)²
    design = es.fixed_design(alpha=0.025, alternative="greater")
    size = es.sample_size(planned(NORMAL, 0.1, null=-0.3, design=design), power=0.9)
    assert size.units / 2 == pytest.approx(10.507423 * 8 / 0.16, rel=1e-7)
    worse = es.fixed_design(alpha=0.025, alternative="less")
    lower = es.sample_size(planned(NORMAL, -0.1, null=0.3, design=worse), power=0.9)
    assert lower.units == pytest.approx(size.units, rel=1e-12)


@given(
    st.sampled_from(["mean", "multiply", "proportion", "score", "rate"]),
    POWERS,
    SHARES,
    st.booleans(),
    st.sampled_from([1, 3]),
)
def test_smallest_effect_is_the_inverse_of_the_size(
    kind: str, power: float, share: float, up: bool, looks: int
) -> None:
    outcome = {
        "mean": es.mean_outcome(mean=2.0, sd=3.0),
        "multiply": es.mean_outcome(mean=2.0, sd=3.0, effect="multiply"),
        "proportion": es.proportion_outcome(0.3),
        "score": es.proportion_outcome(0.3, test="score"),
        "rate": es.rate_outcome(2.0, dispersion=1.5),
    }[kind]
    design = es.group_sequential_design(looks) if looks > 1 else es.fixed_design()
    effect = 0.15 if up else -0.15
    plan = planned(outcome, effect, scale="lift", design=design, treatment_share=share)
    size = es.sample_size(plan, power=power)
    found = es.minimum_effect(
        outcome,
        units=size.units,
        power=power,
        design=design,
        direction="increase" if up else "decrease",
        scale="lift",
        treatment_share=share,
    )
    assert found.status is es.Status.OK
    assert found.lift == pytest.approx(effect, rel=1e-7)
    assert found.difference == pytest.approx(effect * outcome.baseline, rel=1e-7)


def test_smallest_effect_beyond_a_margin_and_one_sided() -> None:
    for side, sign in (("greater", 1), ("less", -1)):
        design = es.fixed_design(alternative=side)  # type: ignore[arg-type]
        found = es.minimum_effect(NORMAL, units=1600, design=design, null=-0.2)
        assert found.difference == pytest.approx(-0.2 + sign * (Z(0.05) + Z(0.2)) * 0.1)
    below = es.minimum_effect(es.Outcome("x", -1.0, 4.0), units=1600)
    assert below.lift is None
    assert below.difference == pytest.approx((Z(0.025) + Z(0.2)) * 0.1)


@pytest.mark.parametrize(
    ("outcome", "direction"),
    [
        (es.proportion_outcome(0.99), "increase"),
        (es.proportion_outcome(0.01), "decrease"),
        (es.rate_outcome(0.01), "decrease"),
        (es.mean_outcome(mean=1.0, sd=5.0, effect="multiply"), "increase"),
        (es.mean_outcome(mean=1.0, sd=5.0, effect="multiply"), "decrease"),
    ],
)
def test_no_effect_is_large_enough(outcome: es.Outcome, direction: Any) -> None:
    found = es.minimum_effect(outcome, units=60, direction=direction)
    assert found.status is es.Status.OUT_OF_REACH
    assert (found.difference, found.lift) == (None, None)
    assert direction in (found.reason or "")
