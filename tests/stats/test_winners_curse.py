"""Exaggeration, conditional estimates, totals of what was shipped, false-positive risk."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from tests.stats.intervals import interval_of

from equipoise_stats import (
    Status,
    conditional_estimate,
    design_errors,
    false_positive_risk,
    shipped_total,
    success_rate_from_wins,
)


@pytest.mark.parametrize(
    ("power", "exaggeration"), [(0.80, 1.125), (0.52, 1.386), (0.32, 1.741), (0.17, 2.491)]
)
def test_exaggeration_by_power(power: float, exaggeration: float) -> None:
    effect = optimize.brentq(lambda z: design_errors(z, 1.0).power - power, 0.1, 5)
    assert design_errors(effect, 1.0).exaggeration == pytest.approx(exaggeration, abs=1e-2)


def test_published_examples_of_gelman_and_carlin() -> None:
    # Gelman and Carlin 2014, "Beauty and sex ratio": true 0.1 and 0.3, standard error 3.28.
    small = design_errors(0.1, 3.28)
    assert (round(small.power, 2), round(small.wrong_sign, 2)) == (0.05, 0.46)
    assert small.exaggeration == pytest.approx(77, abs=1)
    # "Menstrual cycles": true 2, standard error 8.1: power 0.06, type S 0.24, exaggeration 9.7.
    menstrual = design_errors(2.0, 8.1)
    assert (round(menstrual.power, 2), round(menstrual.wrong_sign, 2)) == (0.06, 0.24)
    assert menstrual.exaggeration == pytest.approx(9.6, abs=0.15)


@given(st.floats(0.05, 6), st.sampled_from([0.001, 0.05, 0.3]))
def test_design_errors_are_integrals(z: float, alpha: float) -> None:
    critical = float(stats.norm.isf(alpha / 2))
    errors = design_errors(-3 * z, 3.0, alpha=alpha)
    power = float(stats.norm.sf(critical - z) + stats.norm.cdf(-critical - z))
    assert errors.power == pytest.approx(power, rel=1e-10)
    assert errors.wrong_sign == pytest.approx(float(stats.norm.cdf(-critical - z)) / power, rel=1e-9)
    size = sum(
        integrate.quad(lambda x: abs(x) * stats.norm.pdf(x - z), *ends, epsabs=1e-14)[0]
        for ends in ((critical, critical + 20), (-critical - 20, -critical))
    )
    assert errors.exaggeration == pytest.approx(size / power / z, rel=1e-7)


@given(st.floats(1.97, 30), st.floats(0.01, 100))
def test_conditional_estimates_solve_their_equations(z: float, error: float) -> None:
    critical = float(stats.norm.isf(0.025))
    result = conditional_estimate(z * error, error)
    assert result.corrected is not None
    interval = interval_of(result.interval)
    mirrored = conditional_estimate(-z * error, error)
    assert mirrored.corrected == -result.corrected
    assert (interval_of(mirrored.interval).lower, interval_of(mirrored.interval).upper) == (
        -interval.upper,
        -interval.lower,
    )
    assert 0 <= result.corrected <= z * error * (1 + 1e-12)

    def log_likelihood(mean: float) -> float:
        selected = float(stats.norm.sf(critical - mean) + stats.norm.cdf(-critical - mean))
        return float(stats.norm.logpdf(z - mean)) - math.log(selected)

    best = log_likelihood(result.corrected / error)
    grid = np.linspace(0, z, 400)
    assert best >= max(log_likelihood(float(mean)) for mean in grid) - 1e-10

    for end, tail in ((interval.lower, 0.025), (interval.upper, 0.975)):
        mean = end / error
        selected = float(stats.norm.sf(critical - mean) + stats.norm.cdf(-critical - mean))
        assert float(stats.norm.sf(z - mean)) / selected == pytest.approx(tail, rel=1e-6)


def test_what_was_not_selected_is_not_corrected() -> None:
    result = conditional_estimate(0.0195, 0.01)
    assert result.status == Status.NOT_SELECTED
    assert result.corrected is None
    assert result.interval is None
    assert "not significant" in str(result.reason)
    with pytest.raises(ValueError, match="not positive"):
        conditional_estimate(1.0, 0.0)
    with pytest.raises(ValueError, match="alpha is"):
        conditional_estimate(1.0, 0.1, alpha=1.0)


def test_conditional_intervals_cover_what_was_selected() -> None:
    generator = np.random.default_rng(9)
    for truth in (0.0, 1.0, 3.0):
        z = truth + generator.standard_normal(60_000)
        chosen = z[np.abs(z) > stats.norm.isf(0.025)][:1200]
        missed = sum(
            interval_of(conditional_estimate(float(each), 1.0).interval).excludes(truth) for each in chosen
        )
        naive = float((np.abs(chosen - truth) > stats.norm.isf(0.025)).mean())
        assert abs(missed / chosen.size - 0.05) < 3 * math.sqrt(0.05 * 0.95 / chosen.size)
        assert truth == 3.0 or naive > 0.08


def test_shipped_total_is_the_published_formula() -> None:
    effects, errors = [0.03, 0.01, -0.02, 0.02], [0.01, 0.02, 0.01, 0.01]
    total = shipped_total(effects, errors, critical=[1.645, 1.96, 1.645, 1.645])
    bias = sum(
        s * float(stats.norm.pdf((s * b - x) / s))
        for x, s, b in zip(effects, errors, [1.645, 1.96, 1.645, 1.645], strict=True)
    )
    assert total.bias == pytest.approx(bias, rel=1e-12)
    assert (total.shipped, total.experiments) == (2, 4)
    assert total.naive == pytest.approx(0.05, rel=1e-12)
    assert total.corrected == pytest.approx(0.05 - bias, rel=1e-12)
    assert total == shipped_total(effects, errors, critical=[1.645, 1.96, 1.645, 1.645], seed=0)
    assert (
        total.interval
        != shipped_total(effects, errors, critical=[1.645, 1.96, 1.645, 1.645], seed=1).interval
    )


def test_shipped_total_interval_is_the_basic_bootstrap() -> None:
    effects, errors = np.array([0.03, 0.01, -0.02, 0.02]), np.array([0.01, 0.02, 0.01, 0.01])
    total = shipped_total(effects, errors, critical=1.645, alpha=0.1, replications=500, seed=4)
    noise = np.random.default_rng(4).standard_normal((500, 4))
    mistakes = []
    for each in effects + errors * noise:
        chosen = each > 1.645 * errors
        bias = float((errors * stats.norm.pdf(1.645 - each / errors)).sum())
        mistakes.append(float(each[chosen].sum()) - bias - float(effects[chosen].sum()))
    low, high = np.quantile(mistakes, (0.05, 0.95))
    assert total.interval.lower == pytest.approx(total.corrected - high, rel=1e-9)
    assert total.interval.upper == pytest.approx(total.corrected - low, rel=1e-9)


def test_shipped_total_removes_most_of_the_bias() -> None:
    generator = np.random.default_rng(10)
    naive, corrected, covered = [], [], 0
    for seed in range(300):
        truth = generator.normal(0, 0.01, 40)
        effects = truth + 0.01 * generator.standard_normal(40)
        total = shipped_total(effects, [0.01] * 40, critical=1.645, seed=seed, replications=300)
        target = float(truth[effects > 0.01645].sum())
        naive.append(total.naive - target)
        corrected.append(total.corrected - target)
        covered += not total.interval.excludes(target)
    assert np.mean(naive) > 0.02
    assert abs(np.mean(corrected)) < 0.3 * np.mean(naive)
    assert covered / 300 > 0.88


def test_impossible_programs_are_refused() -> None:
    with pytest.raises(ValueError, match="critical must be"):
        shipped_total([1.0, 2.0], [1.0, 1.0], critical=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="critical must be"):
        shipped_total([1.0], [1.0], critical=math.nan)
    with pytest.raises(ValueError, match="replications is 10"):
        shipped_total([1.0], [1.0], critical=1.0, replications=10)
    for effect, error in ((0.0, 1.0), (math.nan, 1.0), (1.0, 0.0), (1.0, math.inf)):
        with pytest.raises(ValueError, match="has no design errors"):
            design_errors(effect, error)


@pytest.mark.parametrize(
    ("rate", "risk"), [(1 / 3, 0.059), (0.2, 0.111), (0.15, 0.150), (0.1, 0.220), (0.08, 0.264)]
)
def test_published_false_positive_risks(rate: float, risk: float) -> None:
    # Kohavi, Deng and Vermeer 2022, table 2.
    assert false_positive_risk(rate) == pytest.approx(risk, abs=5e-4)


def test_false_positive_risk_is_bayes_theorem_by_simulation() -> None:
    generator = np.random.default_rng(12)
    helps = generator.random(400_000) < 0.1
    z = generator.standard_normal(400_000) + np.where(helps, 1.959964 + 0.841621, 0.0)
    wins = z > 1.959964
    assert false_positive_risk(0.1) == pytest.approx(float((~helps[wins]).mean()), abs=0.008)
    assert success_rate_from_wins(float(wins.mean())) == pytest.approx(0.1, abs=0.003)


@given(st.floats(0, 1), st.floats(0.1, 1), st.sampled_from(["two-sided", "greater"]))
def test_success_rate_inverts_the_win_rate(rate: float, power: float, alternative: str) -> None:
    tail = 0.05 if alternative == "greater" else 0.025
    wins = tail * (1 - rate) + power * rate
    back = success_rate_from_wins(min(wins, 1.0), power=power, alternative=alternative)  # type: ignore[arg-type]
    assert back == pytest.approx(rate, abs=1e-9)
    risk = false_positive_risk(rate, power=power, alternative=alternative)  # type: ignore[arg-type]
    assert risk == pytest.approx(tail * (1 - rate) / wins, rel=1e-9)


def test_limits_of_risk() -> None:
    assert false_positive_risk(0.0) == 1.0
    assert false_positive_risk(1.0) == 0.0
    assert success_rate_from_wins(0.01) == 0.0
    assert success_rate_from_wins(0.9) == 1.0
    for rate in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="success_rate is"):
            false_positive_risk(rate)
        with pytest.raises(ValueError, match="win_rate is"):
            success_rate_from_wins(rate)
    for power in (0.02, 1.2, math.nan):
        with pytest.raises(ValueError, match="power is"):
            false_positive_risk(0.1, power=power)
