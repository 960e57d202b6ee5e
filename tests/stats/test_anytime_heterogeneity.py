"""Heterogeneity over segments at any moment."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from equipoise_stats import (
    ArmEstimate,
    Estimate,
    anytime_heterogeneity,
    confidence_sequence,
    heterogeneity,
    mixture_units,
)


def segment(effect: float, error: float, units: int = 1_000) -> Estimate:
    return Estimate("any", ArmEstimate(units // 2, 10 + effect, error**2), ArmEstimate(units // 2, 10.0, 0.0))


def segments_of(*each: tuple[float, float, int]) -> dict[str, Estimate]:
    return {f"s{i}": segment(*one) for i, one in enumerate(each)}


def e_value(effect: float, error: float, units: int, common: float, precision: float) -> float:
    """The likelihood of an estimate, mixed over effects about the common one, over that at the common one."""
    spread = error * math.sqrt(units / precision)
    mixed, _ = quad(
        lambda true: norm.pdf(effect, true, error) * norm.pdf(true, common, spread),
        effect - 12 * error,
        effect + 12 * error,
        epsabs=0,
    )
    return float(mixed / norm.pdf(effect, common, error))


def test_it_is_the_product_of_mixed_likelihoods_at_the_best_common_effect() -> None:
    cells = [(0.2, 0.1, 800), (0.5, 0.12, 1_200), (-0.1, 0.08, 2_000)]
    precision = mixture_units(3_000, 0.02)

    def log_product(common: float) -> float:
        return sum(math.log(e_value(*cell, common, precision)) for cell in cells)

    least = minimize_scalar(log_product, bounds=(-0.5, 1.0), method="bounded", options={"xatol": 1e-9})
    outcome = anytime_heterogeneity(segments_of(*cells), tuning_units=3_000, tuning_alpha=0.02)
    assert outcome.log_p_value == pytest.approx(-least.fun, rel=1e-6)
    assert outcome.p_value == pytest.approx(math.exp(-least.fun), rel=1e-6)
    assert outcome.detected is True


@given(
    st.lists(
        st.tuples(st.floats(-2, 2), st.floats(0.05, 1), st.sampled_from([50, 300, 5_000, 80_000])),
        min_size=2,
        max_size=6,
    )
)
def test_no_common_effect_is_more_likely_than_it_says(cells: list[tuple[float, float, int]]) -> None:
    """At any common effect the e-values of the segments' own sequences give a p-value that is no larger."""
    segments = segments_of(*cells)
    outcome = anytime_heterogeneity(segments, tuning_units=10_000, alpha=0.05)
    effects = np.array([cell[0] for cell in cells])
    for common in (*effects.tolist(), float(effects.mean())):
        logs = []
        for each in segments.values():
            look = confidence_sequence(each, tuning_units=10_000, null=common, alpha=0.05)
            # The p-value of a sequence is at most 1; its e-value may be less.
            ratio = each.n / mixture_units(10_000) if each.treatment.n >= 100 else 0.0
            least = -0.5 * math.log1p(ratio)
            log_p = look.test.log_p_value
            assert log_p is not None
            logs.append(-log_p if log_p < 0 else least + _gain(each, common, ratio))
        assert outcome.log_p_value is not None
        assert outcome.log_p_value >= -sum(logs) - 1e-9 or outcome.log_p_value == 0.0


def _gain(each: Estimate, common: float, ratio: float) -> float:
    z = (each.difference - common) / each.standard_error
    return 0.5 * ratio / (1 + ratio) * z * z


def test_segments_are_compared_with_all_others_and_adjusted() -> None:
    outcome = anytime_heterogeneity(
        segments_of((0.0, 0.1, 2_000), (0.05, 0.1, 2_000), (0.58, 0.1, 2_000)), tuning_units=6_000
    )
    plain = heterogeneity(segments_of((0.0, 0.1, 2_000), (0.05, 0.1, 2_000), (0.58, 0.1, 2_000)))
    p_values = []
    for i, each in enumerate(outcome.segments):
        rest = [one for j, one in enumerate((0.0, 0.05, 0.58)) if j != i]
        two = anytime_heterogeneity(
            segments_of(((0.0, 0.05, 0.58)[i], 0.1, 2_000), (sum(rest) / 2, 0.1 / math.sqrt(2), 4_000)),
            tuning_units=6_000,
        )
        assert each.p_value == pytest.approx(two.p_value, rel=1e-9)
        p_values.append(two.p_value)
    adjusted = multipletests(p_values, method="fdr_bh")[1]
    assert [each.adjusted_p_value for each in outcome.segments] == pytest.approx(adjusted.tolist())
    assert [each.differs for each in outcome.segments] == [False, False, True]
    assert (outcome.q, outcome.effect, outcome.tau) == (plain.q, plain.effect, plain.tau)
    assert [each.shrunken for each in outcome.segments] == [each.shrunken for each in plain.segments]


def test_a_segment_counts_from_its_burn_in_on() -> None:
    large = [(0.0, 0.05, 4_000), (0.02, 0.05, 4_000)]
    early = segments_of(*large, (3.0, 0.05, 198))
    outcome = anytime_heterogeneity(early, tuning_units=8_000)
    assert outcome.p_value == anytime_heterogeneity(segments_of(*large), tuning_units=8_000).p_value
    assert outcome.segments[-1].p_value == 1.0
    assert outcome.segments[-1].deviation == pytest.approx(2.99)
    assert anytime_heterogeneity(early, tuning_units=8_000, burn_in=99).detected is True
    alone = anytime_heterogeneity(segments_of(large[0], (3.0, 0.05, 198)), tuning_units=8_000)
    assert (alone.p_value, alone.detected) == (1.0, False)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="burn_in is -1"):
        anytime_heterogeneity({}, tuning_units=10, burn_in=-1)
    with pytest.raises(ValueError, match="tuning_units is 0"):
        anytime_heterogeneity({}, tuning_units=0)
    with pytest.raises(ValueError, match="alpha is 1"):
        anytime_heterogeneity({}, tuning_units=10, tuning_alpha=0.05, alpha=1)


RUNS, LOOKS, ALPHA = 200, 25, 0.05
UNITS = {"DE": 400, "FR": 200, "IT": 100, "other": 60}
"""Units of both arms that each segment gains between two looks."""


def courses(generator: np.random.Generator, effects: dict[str, float]) -> dict[str, np.ndarray]:
    """For each segment the estimated effect at each look of each run, where units have variance 1."""
    found = {}
    for name, units in UNITS.items():
        # The difference of two means of units / 2 each has the variance 4 / units.
        steps = generator.normal(effects.get(name, 0.2), math.sqrt(4 / units), size=(RUNS, LOOKS))
        found[name] = steps.cumsum(axis=1) / np.arange(1, LOOKS + 1)
    return found


def watched(of: dict[str, np.ndarray], run: int, *, anytime: bool) -> tuple[bool, set[str]]:
    """Whether effects were ever called different over all looks of a run, and which segments were."""
    detected, named = False, set()
    for look in range(LOOKS):
        segments = {
            name: segment(float(of[name][run, look]), math.sqrt(4 / (units * (look + 1))), units * (look + 1))
            for name, units in UNITS.items()
        }
        outcome = (
            anytime_heterogeneity(segments, tuning_units=10_000, burn_in=0, alpha=ALPHA)
            if anytime
            else heterogeneity(segments, alpha=ALPHA)
        )
        detected |= bool(outcome.detected)
        named |= {each.segment for each in outcome.segments if each.differs}
    return detected, named


def test_who_watches_all_the_time_is_misled_at_most_at_alpha() -> None:
    same = courses(np.random.default_rng(19), {})
    margin = 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
    false = sum(watched(same, run, anytime=True)[0] for run in range(RUNS))
    assert false / RUNS <= ALPHA + margin
    # Cochran's Q, asked at each look, is what this is instead of.
    naive = sum(watched(same, run, anytime=False)[0] for run in range(60))
    assert naive / 60 > ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 60)


def test_who_watches_finds_what_differs() -> None:
    differing = courses(np.random.default_rng(20), {"FR": 0.5})
    found = [watched(differing, run, anytime=True) for run in range(40)]
    assert sum(detected for detected, _ in found) > 36
    assert sum("FR" in named for _, named in found) > 36
