"""Conversion counts: brute force of both e-values, inversion, exact level, days that are not alike."""

import json
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from equipoise_stats import Alternative, ConversionComparison, Interval, Status, conversion_process

ALTERNATIVES: tuple[Alternative, ...] = get_args(Alternative)
counts = st.one_of(st.integers(0, 30), st.integers(0, 5000), st.integers(0, 10**9))
shares = st.sampled_from([0.5, 0.1, 0.9, 0.37])
weights = st.sampled_from([1.0, 30.0, 1000.0, 1e5])


def interval(result: ConversionComparison) -> Interval:
    assert result.log_rate_ratio.interval is not None
    return result.log_rate_ratio.interval


def log_p(result: ConversionComparison) -> float:
    assert result.test.log_p_value is not None
    return result.test.log_p_value


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize(
    ("treatment", "control", "weight", "share", "null"),
    [
        (60, 40, 100, 0.5, 0.0),
        (60, 40, 100, 0.5, 0.4),
        (3, 14, 20, 0.5, -0.3),
        (25, 80, 10, 0.2, 0.1),
        (0, 9, 30, 0.5, 0.0),
        (9, 0, 2, 0.7, 0.5),
    ],
)
def test_the_e_value_is_an_average_of_likelihood_ratios(
    treatment: int, control: int, weight: float, share: float, null: float, alternative: Alternative
) -> None:
    """Over the beta mixture, or the part of it on the side, by adaptive quadrature."""
    odds = share / (1 - share) * (1 + null)
    p0 = odds / (1 + odds)
    prior = stats.beta(weight * share, weight * (1 - share))
    low, high = {"two-sided": (0, 1), "greater": (p0, 1), "less": (0, p0)}[alternative]

    def ratio(p: float) -> float:
        return float(prior.pdf(p) * (p / p0) ** treatment * ((1 - p) / (1 - p0)) ** control)

    mass = float(prior.cdf(high) - prior.cdf(low))
    e = integrate.quad(ratio, low, high, epsabs=0, epsrel=1e-10, limit=400)[0] / mass
    result = conversion_process(
        treatment=treatment,
        control=control,
        concentration=weight,
        share=share,
        null=null,
        alternative=alternative,
    )
    assert result.log_e_value == pytest.approx(math.log(e), rel=1e-7, abs=1e-7)
    assert log_p(result) == min(0.0, -result.log_e_value)


@given(
    counts,
    counts,
    weights,
    shares,
    st.sampled_from(ALTERNATIVES),
    st.floats(-0.95, 5),
    st.sampled_from([1e-6, 0.05, 0.4]),
)
def test_p_is_at_most_alpha_exactly_when_the_intervals_exclude_the_null(
    treatment: int,
    control: int,
    weight: float,
    share: float,
    alternative: Alternative,
    null: float,
    alpha: float,
) -> None:
    result = conversion_process(
        treatment=treatment,
        control=control,
        concentration=weight,
        share=share,
        alternative=alternative,
        null=null,
        alpha=alpha,
    )
    assume(abs(log_p(result) - math.log(alpha)) > 1e-6)
    assert result.test.rejected is (log_p(result) <= math.log(alpha))
    if treatment + control == 0:
        assert result.test.rejected is False
        return
    assert result.lift.interval is not None
    assume(
        all(
            not math.isclose(end, null, rel_tol=1e-9)
            for end in (result.lift.interval.lower, result.lift.interval.upper)
        )
    )
    assert result.lift.interval.excludes(null) is result.test.rejected
    assert interval(result).lower < interval(result).upper


@settings(max_examples=50)
@given(counts, counts, weights, shares, st.sampled_from(ALTERNATIVES), st.sampled_from([1e-6, 0.05, 0.4]))
def test_at_the_ends_of_the_interval_p_is_alpha(
    treatment: int, control: int, weight: float, share: float, alternative: Alternative, alpha: float
) -> None:
    assume(treatment + control > 0)

    def at(null: float) -> ConversionComparison:
        return conversion_process(
            treatment=treatment,
            control=control,
            concentration=weight,
            share=share,
            alternative=alternative,
            alpha=alpha,
            null=null,
        )

    ends = interval(at(0.0))
    for end in (ends.lower, ends.upper):
        if abs(end) < 3:
            assert log_p(at(math.expm1(end))) == pytest.approx(math.log(alpha), abs=1e-4)
    if treatment == 0 or alternative == "less":
        assert ends.lower == -math.inf
    if control == 0 or alternative == "greater":
        assert ends.upper == math.inf


@given(counts, counts, weights, shares, st.sampled_from(ALTERNATIVES))
def test_swapping_the_arms_negates(
    treatment: int, control: int, weight: float, share: float, alternative: Alternative
) -> None:
    mirrored: dict[Alternative, Alternative] = {
        "greater": "less",
        "less": "greater",
        "two-sided": "two-sided",
    }
    a = conversion_process(
        treatment=treatment, control=control, concentration=weight, share=share, alternative=alternative
    )
    b = conversion_process(
        treatment=control,
        control=treatment,
        concentration=weight,
        share=1 - share,
        alternative=mirrored[alternative],
    )
    assert a.log_e_value == pytest.approx(b.log_e_value, rel=1e-6, abs=1e-6)
    if treatment + control:
        ends = (-interval(b).upper, -interval(b).lower)
        assert (interval(a).lower, interval(a).upper) == pytest.approx(ends, rel=1e-5, abs=1e-8)


@given(st.integers(0, 10**6), st.integers(0, 10**6), weights, shares)
def test_one_sided_bounds_lie_within_the_two_sided_interval(
    treatment: int, control: int, weight: float, share: float
) -> None:
    assume(treatment + control > 0)
    both, above, below = (
        interval(
            conversion_process(
                treatment=treatment, control=control, concentration=weight, share=share, alternative=side
            )
        )
        for side in ALTERNATIVES
    )
    slack = 1e-9
    assert above.lower >= both.lower - slack
    assert below.upper <= both.upper + slack


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_the_one_sided_e_value_falls_with_the_null_where_it_is_above_one(alternative: Alternative) -> None:
    """So that what is not rejected is a half line: over mixtures far from and near the data."""
    side = 1 if alternative == "greater" else -1
    for weight in (1.0, 20.0, 1000.0):
        for treatment, control in ((9, 1), (60, 40), (400, 300), (5, 30)):
            log_ratios = side * np.linspace(-3, 3, 41)
            log_e = np.array(
                [
                    conversion_process(
                        treatment=treatment,
                        control=control,
                        concentration=weight,
                        null=math.expm1(x),
                        alternative=alternative,
                    ).log_e_value
                    for x in log_ratios
                ]
            )
            above = log_e[:-1] > 0
            assert (np.diff(log_e)[above] < 1e-12).all()


def test_estimates_and_intervals_of_both_scales() -> None:
    result = conversion_process(treatment=300, control=100, concentration=500, share=0.6)
    assert result.log_rate_ratio.estimate == pytest.approx(math.log(300 / 100 / 1.5), rel=1e-12)
    assert result.lift.estimate == pytest.approx(1.0, rel=1e-12)
    error = math.sqrt(1 / 300 + 1 / 100)
    assert result.log_rate_ratio.standard_error == pytest.approx(error, rel=1e-12)
    assert result.lift.standard_error == pytest.approx(2 * error, rel=1e-12)
    assert result.lift.interval is not None
    assert result.lift.interval.lower == pytest.approx(math.expm1(interval(result).lower), rel=1e-12)
    assert result.lift.interval.upper == pytest.approx(math.expm1(interval(result).upper), rel=1e-12)
    assert (result.treatment, result.control, result.test.scale) == (300, 100, "lift")
    assert result.to_dict()["method"] == {
        "name": "conversion_process",
        "version": 1,
        "parameters": {
            "alpha": 0.05,
            "alternative": "two-sided",
            "null": 0.0,
            "share": 0.6,
            "concentration": 500,
        },
    }


def test_arms_without_conversions() -> None:
    nothing = conversion_process(treatment=0, control=0, concentration=100)
    assert nothing.lift.status == nothing.log_rate_ratio.status == Status.NO_EVENTS
    assert nothing.lift.interval is None
    assert (nothing.test.p_value, nothing.test.rejected) == (1.0, False)
    none_treated = conversion_process(treatment=0, control=40, concentration=100)
    assert none_treated.lift.estimate == -1.0
    assert none_treated.lift.standard_error is None
    assert none_treated.lift.interval is not None
    assert none_treated.lift.interval.lower == -1.0
    assert none_treated.lift.interval.upper < 0
    assert none_treated.test.rejected is True
    none_in_control = conversion_process(treatment=40, control=0, concentration=100)
    assert none_in_control.lift.estimate == math.inf
    assert interval(none_in_control).upper == math.inf
    # A mixture that is certain of equal rates cannot say how small the ratio is.
    stubborn = conversion_process(treatment=1, control=10**6, concentration=1e5)
    assert interval(stubborn).lower == -math.inf
    assert -2 < interval(stubborn).upper < 2
    for result in (nothing, none_treated, none_in_control, stubborn):
        assert json.dumps(result.to_dict(), allow_nan=False)


def test_p_does_not_underflow() -> None:
    result = conversion_process(treatment=9_000, control=1_000, concentration=100)
    assert log_p(result) < -3000
    assert result.test.p_value is not None
    assert result.test.p_value > 0
    # Far beyond the mixture, where even the mixture's own tail underflows.
    far = [
        conversion_process(
            treatment=10_000_000, control=10, concentration=1e5, null=null, alternative="greater"
        )
        for null in (1.5, 3.0)
    ]
    assert log_p(far[0]) < log_p(far[1]) < -20


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_the_level_is_exact_whatever_the_rates_do(alternative: Alternative) -> None:
    """The exact probability of ever rejecting the truth at 20 looks, by recursion over the count."""
    alpha, share, null = 0.1, 0.4, 0.25
    odds = share / (1 - share) * (1 + null)
    p = odds / (1 + odds)
    alive, rejected = np.array([1.0]), 0.0
    for n in range(1, 321):
        alive = np.append(alive * (1 - p), 0.0) + np.append(0.0, alive * p)
        if n % 16:
            continue
        for x in np.flatnonzero(alive > 1e-7).tolist():
            result = conversion_process(
                treatment=x,
                control=n - x,
                concentration=40,
                share=share,
                alpha=alpha,
                alternative=alternative,
                null=null,
            )
            if log_p(result) <= math.log(alpha):
                rejected += float(alive[x])
                alive[x] = 0.0
    assert 0.02 < rejected <= alpha


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"treatment": -1}, "treatment has -1"),
        ({"control": -2}, "control has -2"),
        ({"concentration": 0.5}, "concentration is 0.5"),
        ({"concentration": math.nan}, "concentration is nan"),
        ({"concentration": 1e10}, "concentration is"),
        ({"share": 0.0}, "share is 0.0"),
        ({"share": 1.0}, "share is 1.0"),
        ({"null": -1.0}, "must lie above -1"),
        ({"null": 1e10}, "must be at most 1e\\+09"),
        ({"alpha": 0.5}, "alpha is"),
        ({"alternative": "both"}, "alternative is 'both'"),
    ],
)
def test_impossible_questions_are_refused(changes: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"treatment": 5, "control": 5, "concentration": 100.0, **changes}
    with pytest.raises(ValueError, match=message):
        conversion_process(**arguments)  # type: ignore[arg-type]
