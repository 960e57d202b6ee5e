"""Heterogeneity over segments."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from tests.stats.intervals import interval_of

from equipoise_stats import (
    ArmEstimate,
    Estimate,
    Heterogeneity,
    Moments,
    NoEstimate,
    Status,
    heterogeneity,
    mean_difference,
)


def segment(effect: float, error: float) -> Estimate:
    return Estimate("any", ArmEstimate(100, 10 + effect, error**2), ArmEstimate(100, 10.0, 0.0))


def nothing() -> NoEstimate:
    answer = mean_difference(treatment=Moments.scalar(1, 1.0, None), control=Moments.scalar(1, 1.0, None))
    assert isinstance(answer, NoEstimate)
    return answer


@given(
    st.integers(2, 8).flatmap(
        lambda k: st.tuples(
            st.lists(st.floats(-2, 2), min_size=k, max_size=k),
            st.lists(st.floats(0.05, 1), min_size=k, max_size=k),
        )
    )
)
def test_agrees_with_statsmodels(studies: tuple[list[float], list[float]]) -> None:
    segments = {f"s{i}": segment(*each) for i, each in enumerate(zip(*studies, strict=True))}
    effects = np.array([each.difference for each in segments.values()])
    errors = np.array([each.standard_error for each in segments.values()])
    outcome = heterogeneity(segments)
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = combine_effects(effects, errors**2, method_re="dl")
    assert outcome.q == pytest.approx(theirs.q, rel=1e-9, abs=1e-9)
    assert outcome.effect == pytest.approx(theirs.mean_effect_fe, rel=1e-9, abs=1e-9)
    assert outcome.standard_error == pytest.approx(float(theirs.sd_eff_w_fe), rel=1e-9)
    assert outcome.p_value == pytest.approx(
        float(stats.chi2.sf(float(outcome.q or 0), effects.size - 1)), rel=1e-9
    )
    assert outcome.df == effects.size - 1
    assert outcome.detected is (float(outcome.p_value or 0) <= 0.05)
    p_values = []
    for i, each in enumerate(outcome.segments):
        weights = np.delete(1 / errors**2, i)
        others = float((weights * np.delete(effects, i)).sum() / weights.sum())
        error = math.sqrt(errors[i] ** 2 + 1 / weights.sum())
        assert each.deviation == pytest.approx(effects[i] - others, rel=1e-9, abs=1e-9)
        assert each.deviation_standard_error == pytest.approx(error, rel=1e-9)
        p_values.append(2 * float(stats.norm.sf(abs(effects[i] - others) / error)))
        assert each.p_value == pytest.approx(p_values[-1], rel=1e-6)
    adjusted = multipletests(p_values, method="fdr_bh")[1]
    for each, value in zip(outcome.segments, adjusted, strict=True):
        assert each.adjusted_p_value == pytest.approx(float(value), rel=1e-6)
        assert each.differs is (bool(outcome.detected) and float(each.adjusted_p_value or 0) <= 0.05)
    if len(segments) == 2:
        # With two segments, Q is the square of the one deviation.
        z = float(outcome.segments[0].deviation or 0) / float(
            outcome.segments[0].deviation_standard_error or 1
        )
        assert outcome.q == pytest.approx(z * z, rel=1e-9, abs=1e-12)


def test_nothing_differs_unless_q_says_so() -> None:
    """One segment alone looks different (p = 0.01), but among twenty-one that is chance."""
    segments = {f"s{i}": segment(0.0, 1.0) for i in range(20)} | {"odd": segment(2.6, 1.0)}
    outcome = heterogeneity(segments)
    odd = outcome.segments[-1]
    assert odd.p_value is not None
    assert odd.p_value < 0.05
    assert outcome.detected is False
    assert not any(each.differs for each in outcome.segments)
    # Even where the adjusted p-value alone would call it different.
    gated = heterogeneity({f"s{i}": segment(0.0, 1.0) for i in range(4)} | {"odd": segment(3.0, 1.0)})
    assert float(gated.segments[-1].adjusted_p_value or 1) < 0.05
    assert gated.q == pytest.approx(7.2)
    assert gated.detected is False
    assert gated.segments[-1].differs is False
    # Without spread, the best guess is the combined effect, for everyone.
    assert outcome.tau == 0
    assert odd.shrunken == pytest.approx(outcome.effect)
    half = (interval_of(odd.shrunken_interval).upper - float(odd.shrunken or 0)) / 1.959964
    assert half == pytest.approx(outcome.standard_error, rel=1e-6)


def test_shrinkage_is_empirical_bayes() -> None:
    effects, errors = [0.1, 0.2, 1.5, -0.9], [0.2, 0.3, 0.25, 0.1]
    outcome = heterogeneity(
        {str(i): segment(*each) for i, each in enumerate(zip(effects, errors, strict=True))}
    )
    assert outcome.tau is not None
    assert outcome.tau > 0
    weights = 1 / (np.array(errors) ** 2 + outcome.tau**2)
    # Paule and Mandel: with this τ², Q is its degrees of freedom.
    centre = float((weights * effects).sum() / weights.sum())
    assert float((weights * (np.array(effects) - centre) ** 2).sum()) == pytest.approx(3, rel=1e-9)
    for each, effect, error in zip(outcome.segments, effects, errors, strict=True):
        keep = outcome.tau**2 / (outcome.tau**2 + error**2)
        assert each.shrunken == pytest.approx(centre + keep * (effect - centre), rel=1e-9)
        variance = keep * error**2 + (1 - keep) ** 2 / weights.sum()
        radius = interval_of(each.shrunken_interval).upper - float(each.shrunken or 0)
        assert radius == pytest.approx(1.959963985 * math.sqrt(variance), rel=1e-8)
    assert outcome.i_squared == pytest.approx(1 - 3 / float(outcome.q or 1))


def test_segments_without_an_estimate_are_listed() -> None:
    outcome = heterogeneity({"a": segment(1.0, 0.1), "b": nothing(), "c": segment(1.0, 0.1)})
    assert [each.segment for each in outcome.segments] == ["a", "b", "c"]
    assert outcome.segments[1].status == Status.TOO_FEW_UNITS
    assert outcome.segments[1].reason is not None
    assert outcome.segments[1].p_value is outcome.segments[1].differs is None
    assert (outcome.q, outcome.i_squared, outcome.df) == (0.0, 0.0, 1)
    few: Heterogeneity = heterogeneity({"a": segment(1.0, 0.1), "b": nothing()})
    assert few.status == Status.TOO_FEW_STUDIES
    assert "1 segments" in str(few.reason)
    assert few.segments[0].effect == pytest.approx(1.0)
    assert few.segments[1].status == Status.TOO_FEW_UNITS
    json.dumps([outcome.to_dict(), few.to_dict()], allow_nan=False)
    with pytest.raises(ValueError, match="alpha is"):
        heterogeneity({}, alpha=0.0)


def test_size_and_false_discoveries() -> None:
    generator = np.random.default_rng(6)
    detected = false = 0
    for _ in range(1500):
        errors = generator.uniform(0.1, 0.4, 6)
        effects = 0.3 + errors * generator.standard_normal(6)
        outcome = heterogeneity({str(i): segment(effects[i], errors[i]) for i in range(6)})
        detected += bool(outcome.detected)
        false += any(each.differs for each in outcome.segments)
    assert abs(detected / 1500 - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 1500)
    assert false <= detected
