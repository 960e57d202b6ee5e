"""Anytime-valid inference of an effect: what must hold for each, other derivations, levels under peeking."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.stats.anytime import (
    ALTERNATIVES,
    INFERENCES,
    estimates,
    inferences,
    interval,
    is_a_tie,
    levels,
    log_p,
)

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Comparison,
    Estimate,
    Moments,
    Notice,
    Status,
    anytime_t,
    confidence_sequence,
    fixed_horizon,
    mean_difference,
    mixture_sprt,
    mixture_units,
    sequence_critical,
)


@given(inferences, estimates(), levels, st.sampled_from(ALTERNATIVES), st.sampled_from([0.0, 0.0, -3.0, 0.7]))
def test_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    name: str, estimate: Estimate, alpha: float, alternative: Alternative, null: float
) -> None:
    result = INFERENCES[name](estimate, alpha=alpha, alternative=alternative, null=null)
    assume(not is_a_tie(result))
    significant = log_p(result) <= math.log(alpha)
    assert result.test.rejected is significant
    if result.difference.interval is None:
        assert (significant, result.test.critical) == (False, math.inf)
        assert result.difference.status == result.lift.status == Status.UNBOUNDED or (
            result.lift.status == Status.CONTROL_NOT_POSITIVE
        )
    else:
        assert result.difference.interval.excludes(null) is significant
    if null == 0 and result.lift.interval is not None:
        assert result.lift.interval.excludes(0.0) is significant


@given(inferences, estimates(positive=True), levels, st.sampled_from(ALTERNATIVES), st.floats(-0.9, 3))
def test_a_relative_null_is_excluded_exactly_when_it_is_rejected(
    name: str, estimate: Estimate, alpha: float, alternative: Alternative, null: float
) -> None:
    result = INFERENCES[name](estimate, alpha=alpha, alternative=alternative, null=null, scale="lift")
    assume(not is_a_tie(result) and result.lift.interval is not None)
    assert result.lift.interval is not None
    ends = (result.lift.interval.lower, result.lift.interval.upper)
    assume(all(not math.isclose(end, null, rel_tol=1e-7, abs_tol=1e-9) for end in ends if math.isfinite(end)))
    assert result.lift.interval.excludes(null) is (log_p(result) <= math.log(alpha)) is result.test.rejected


@given(inferences, estimates(), levels, st.sampled_from(ALTERNATIVES))
def test_swapping_the_arms_negates(name: str, e: Estimate, alpha: float, alternative: Alternative) -> None:
    mirrored: dict[Alternative, Alternative] = {
        "greater": "less",
        "less": "greater",
        "two-sided": "two-sided",
    }
    swapped = Estimate(e.estimator, e.control, e.treatment, e.covariance, e.df)
    a = INFERENCES[name](e, alpha=alpha, alternative=alternative)
    b = INFERENCES[name](swapped, alpha=alpha, alternative=mirrored[alternative])
    assert log_p(a) == pytest.approx(log_p(b), rel=1e-12)
    assert a.test.rejected is b.test.rejected
    assert a.difference.status == b.difference.status
    if a.difference.interval is not None:
        ends = (-interval(b).upper, -interval(b).lower)
        assert (interval(a).lower, interval(a).upper) == pytest.approx(ends, rel=1e-12)


@given(inferences, estimates(), st.sampled_from([1e-9, 1e9]))
def test_units_of_measurement_do_not_matter(name: str, e: Estimate, unit: float) -> None:
    def scaled(arm: ArmEstimate) -> ArmEstimate:
        return ArmEstimate(arm.n, arm.value * unit, arm.variance * unit * unit)

    inference = INFERENCES[name]
    other = Estimate(e.estimator, scaled(e.treatment), scaled(e.control), e.covariance * unit * unit, e.df)
    if name == "mixture_sprt":
        a, b = mixture_sprt(e, effect_sd=0.7), mixture_sprt(other, effect_sd=0.7 * unit)
    else:
        a, b = inference(e), inference(other)
    assert log_p(a) == pytest.approx(log_p(b), rel=1e-9, abs=1e-12)
    if a.difference.interval is not None:
        assert interval(b).lower / unit == pytest.approx(interval(a).lower, rel=1e-9, abs=1e-9)


@given(inferences, estimates(), levels, st.sampled_from(ALTERNATIVES))
def test_the_price_of_peeking_is_a_wider_interval(
    name: str, e: Estimate, alpha: float, alternative: Alternative
) -> None:
    e = e if name == "anytime_t" else replace(e, df=math.inf)
    once = fixed_horizon(e, alpha=alpha, alternative=alternative)
    always = INFERENCES[name](e, alpha=alpha, alternative=alternative)
    assert (always.test.critical or 0.0) >= (once.test.critical or 0.0) * (1 - 1e-9)
    assert log_p(always) >= min(0.0, log_p(once)) * (1 + 1e-9)


@given(inferences, estimates(), st.sampled_from(ALTERNATIVES))
def test_results_survive_json(name: str, estimate: Estimate, alternative: Alternative) -> None:
    result = INFERENCES[name](estimate, alternative=alternative)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


@given(estimates(), st.floats(1e-3, 1e3), st.sampled_from(ALTERNATIVES))
def test_the_sprt_and_the_sequence_are_one_mixture(
    e: Estimate, effect_sd: float, alternative: Alternative
) -> None:
    """n/ρ = τ²/se²: both describe the same boundary."""
    ratio = (effect_sd / e.standard_error) ** 2
    kappa = 500 / mixture_units(500, 0.05, alternative)
    sequence = confidence_sequence(e, tuning_units=e.n * kappa / ratio, alternative=alternative)
    sprt = mixture_sprt(e, effect_sd=effect_sd, alternative=alternative)
    assert log_p(sprt) == pytest.approx(log_p(sequence), rel=1e-9, abs=1e-9)
    assert sprt.test.critical == pytest.approx(sequence.test.critical, rel=1e-9)


@given(estimates(), st.floats(0.05, 5))
def test_the_sprt_as_johari_and_others_write_it(e: Estimate, tau: float) -> None:
    v, t2, d = e.variance, tau**2, e.difference
    result = mixture_sprt(e, effect_sd=tau)
    log_lambda = 0.5 * math.log(v / (v + t2)) + t2 * d * d / (2 * v * (v + t2))
    radius = math.sqrt(v * (v + t2) / t2 * (2 * math.log(20) + math.log((v + t2) / v)))
    assert log_p(result) == pytest.approx(min(0.0, -log_lambda), rel=1e-9, abs=1e-9)
    assert interval(result).upper - d == pytest.approx(radius, rel=1e-9, abs=1e-9)


def test_log_p_at_forty_standard_errors() -> None:
    e = Estimate("any", ArmEstimate(500, 40.0, 0.5), ArmEstimate(500, 0.0, 0.5))
    r = 1000 / mixture_units(1000)
    expected = 0.5 * math.log1p(r) - 0.5 * 1600 * r / (1 + r)
    for result in (confidence_sequence(e, tuning_units=1000), anytime_t(e, tuning_units=1000)):
        assert log_p(result) == pytest.approx(expected, rel=1e-13)
        assert result.test.p_value is not None
        assert result.test.p_value > 0
    further = replace(e, treatment=ArmEstimate(500, 41.0, 0.5), df=100.0)
    assert log_p(anytime_t(further, tuning_units=1000)) < log_p(
        anytime_t(replace(e, df=100.0), tuning_units=1000)
    )


def test_data_shifted_by_a_billion_lose_nothing() -> None:
    generator = np.random.default_rng(3)
    # Multiples of 1/64, so that the shift itself is exact.
    t, c = (np.round(generator.normal(shift, 1, 150) * 64) / 64 for shift in (0.4, 0.0))
    for inference in INFERENCES.values():
        near, far = (
            inference(
                mean_difference(
                    treatment=Moments.from_arrays({"y": t + shift}),
                    control=Moments.from_arrays({"y": c + shift}),
                )
            )
            for shift in (0.0, 1e9)
        )
        assert log_p(far) == pytest.approx(log_p(near), rel=1e-5)
        assert interval(far).lower == pytest.approx(interval(near).lower, rel=1e-5, abs=1e-6)


def test_nothing_is_rejected_before_the_burn_in_ends() -> None:
    def at(n_t: int, n_c: int, burn_in: int = 100) -> Comparison:
        e = Estimate("any", ArmEstimate(n_t, 90.0, 0.5), ArmEstimate(n_c, 1.0, 0.5))
        return confidence_sequence(e, tuning_units=1000, burn_in=burn_in)

    for early in (at(99, 5000), at(5000, 99), at(100, 100, burn_in=101)):
        assert (early.test.p_value, early.test.critical, early.test.rejected) == (1.0, math.inf, False)
        assert early.difference.status == early.lift.status == Status.UNBOUNDED
        assert early.difference.interval is None
    for late in (at(100, 100), at(99, 5000, burn_in=99), at(1, 1, burn_in=0)):
        assert late.test.rejected is True
    refused = Estimate("any", ArmEstimate(99, 90.0, 0.5), ArmEstimate(99, -1.0, 0.5))
    relative = confidence_sequence(refused, tuning_units=1000, null=0.1, scale="lift")
    assert relative.test.status == Status.CONTROL_NOT_POSITIVE
    assert relative.test.p_value is None


@pytest.mark.parametrize("name", sorted(INFERENCES))
def test_a_lift_of_a_control_that_is_not_positive_is_refused(name: str) -> None:
    e = Estimate("any", ArmEstimate(200, 90.0, 0.5), ArmEstimate(200, -1.0, 0.5))
    relative = INFERENCES[name](e, null=0.1, scale="lift")
    assert relative.test.status == relative.lift.status == Status.CONTROL_NOT_POSITIVE
    assert relative.test.p_value is relative.test.rejected is None
    assert relative.difference.status == Status.OK


@pytest.mark.parametrize("name", sorted(INFERENCES))
def test_where_there_is_no_estimate_there_is_no_number(name: str) -> None:
    constant = Moments.from_arrays({"y": [3.0, 3.0]})
    result = INFERENCES[name](mean_difference(treatment=constant, control=constant), alpha=0.01)
    for answer in (result.difference, result.lift, result.test):
        assert answer.status == Status.NO_VARIANCE
    assert result.test.p_value is None
    assert result.difference.interval is None
    assert result.test.alpha == 0.01


def test_what_was_chosen_is_recorded() -> None:
    e = Estimate("any", ArmEstimate(200, 2.0, 0.5), ArmEstimate(200, 1.0, 0.5), warnings=(Notice("a", "A."),))
    chosen = {"alpha": 0.01, "alternative": "less", "null": 0.25, "scale": "lift"}
    sequence = confidence_sequence(e, tuning_units=900.0, **chosen)  # type: ignore[arg-type]
    assert sequence.to_dict()["method"] == {
        "name": "confidence_sequence",
        "version": 1,
        "parameters": {**chosen, "tuning_units": 900.0, "tuning_alpha": 0.01, "burn_in": 100},
    }
    t = anytime_t(e, tuning_units=900.0, tuning_alpha=0.05, **chosen)  # type: ignore[arg-type]
    assert t.to_dict()["method"] == {
        "name": "anytime_t",
        "version": 1,
        "parameters": {**chosen, "tuning_units": 900.0, "tuning_alpha": 0.05},
    }
    sprt = mixture_sprt(e, effect_sd=0.3, **chosen)  # type: ignore[arg-type]
    assert sprt.to_dict()["method"] == {
        "name": "mixture_sprt",
        "version": 1,
        "parameters": {**chosen, "effect_sd": 0.3},
    }
    for result in (sequence, t, sprt):
        assert result.warnings == (Notice("a", "A."),)
        assert (result.test.scale, result.test.null, result.test.alternative) == ("lift", 0.25, "less")
        # (2 − 1.25 · 1)/√(0.5 + 1.25² · 0.5)
        assert result.test.statistic == pytest.approx(0.75 / math.sqrt(0.5 + 0.78125), rel=1e-12)


def test_the_p_value_depends_on_the_tuning_level_and_on_no_other() -> None:
    e = Estimate("any", ArmEstimate(200, 2.0, 0.02), ArmEstimate(200, 1.0, 0.02))
    for inference in (confidence_sequence, anytime_t):
        pinned = [log_p(inference(e, tuning_units=900, tuning_alpha=0.05, alpha=a)) for a in (0.001, 0.05)]
        assert pinned[0] == pinned[1] == log_p(inference(e, tuning_units=900, alpha=0.05))
        assert log_p(inference(e, tuning_units=900, alpha=0.001)) != pinned[0]


@pytest.mark.parametrize("name", sorted(INFERENCES))
def test_impossible_questions_are_refused(name: str) -> None:
    e = Estimate("any", ArmEstimate(200, 2.0, 0.5), ArmEstimate(200, 1.0, 0.5))
    with pytest.raises(ValueError, match="alpha is"):
        INFERENCES[name](e, alpha=0.5)
    with pytest.raises(ValueError, match="alternative is 'both'"):
        INFERENCES[name](e, alternative="both")
    with pytest.raises(ValueError, match="must lie above -1"):
        INFERENCES[name](e, null=-1.0, scale="lift")
    for value in (0.0, -1.0, math.inf, math.nan):
        constant = "effect_sd" if name == "mixture_sprt" else "tuning_units"
        with pytest.raises(ValueError, match=f"{constant} is"):
            INFERENCES[name](e, **{constant: value})
    with pytest.raises(ValueError, match="burn_in is -1"):
        confidence_sequence(e, tuning_units=500, burn_in=-1)
    with pytest.raises(ValueError, match="check the tuning constant's unit"):
        mixture_sprt(e, effect_sd=1e-300)


def walk(generator: np.random.Generator, paths: int, every: int, looks: int, sample: str) -> np.ndarray:
    """z of balanced arms after each `every` units an arm from the fifth on, shape (paths, looks − 4)."""
    shape = (paths, looks, every)

    def arm() -> np.ndarray:
        if sample == "normal":
            return generator.normal(size=shape)
        if sample == "bernoulli":
            return (generator.random(shape) < 0.05).astype(float)
        return np.where(generator.random(shape) < 0.05, generator.lognormal(0, 1, shape), 0.0)

    n = every * np.arange(1, looks + 1)
    sums = [(x.sum(axis=2).cumsum(axis=1), (x * x).sum(axis=2).cumsum(axis=1)) for x in (arm(), arm())]
    n, sums = n[4:], [(s[:, 4:], q[:, 4:]) for s, q in sums]
    means = [s / n for s, _ in sums]
    variances = [(q - s * s / n) / (n - 1) for s, q in sums]
    result: np.ndarray = (means[0] - means[1]) / np.sqrt((variances[0] + variances[1]) / n)
    return result


@pytest.mark.parametrize("sample", ["normal", "bernoulli", "revenue"])
def test_the_level_holds_under_continuous_peeking(sample: str) -> None:
    """A look after every 20 units an arm, 100 to 5000 of them; fixed-horizon tests fail on these data."""
    generator = np.random.default_rng(41)
    n = 2 * 20 * np.arange(5, 251)
    two_sided = sequence_critical(n, tuning_units=5000)
    one_sided = sequence_critical(n, tuning_units=5000, alternative="greater")
    peeked = both = above = 0
    for _ in range(5):
        z = walk(generator, 200, 20, 250, sample)
        peeked += int((np.abs(z) > 1.959964).any(axis=1).sum())
        both += int((np.abs(z) > two_sided).any(axis=1).sum())
        above += int((z > one_sided).any(axis=1).sum())
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)
    assert both / 1000 < limit
    assert above / 1000 < limit
    assert peeked / 1000 > 0.25


def test_doubts_about_normality_are_told() -> None:
    skewed = Estimate(
        "any", ArmEstimate(500, 1.0, 0.5), ArmEstimate(500, 0.0, 0.5), df=98.9, skewness=-0.0601
    )
    calm = replace(skewed, df=99.0, skewness=0.06)
    for inference in (INFERENCES["confidence_sequence"], INFERENCES["mixture_sprt"]):
        codes = [notice.code for notice in inference(skewed).warnings]
        assert codes == ["few_degrees_of_freedom", "skewness"]
        assert "98.9 degrees" in inference(skewed).warnings[0].message
        assert "-0.0601" in inference(skewed).warnings[1].message
        assert inference(calm).warnings == ()
        known = skewed.with_warning(Notice("skewness", "Known."))
        assert [notice.message for notice in inference(known).warnings if notice.code == "skewness"] == [
            "Known."
        ]
    assert INFERENCES["anytime_t"](skewed).warnings == ()
