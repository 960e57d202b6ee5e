"""Meta-analysis: published data, statsmodels, and what must always hold."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.meta_analysis import combine_effects
from tests.stats.intervals import interval_of

from equipoise_stats import Alternative, MetaAnalysis, Status, meta_analysis
from equipoise_stats.program.between_variance import between_variance, cochran_q, weighted_mean
from equipoise_stats.program.meta_analysis import MetaMethod

METHODS: tuple[MetaMethod, ...] = (
    "fixed",
    "paule_mandel",
    "dersimonian_laird",
    "maximum_likelihood",
    "restricted_maximum_likelihood",
)
ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")

# Colditz et al. 1994, thirteen trials of the BCG vaccine: cases and non-cases, vaccinated and control.
BCG = np.array(
    [
        [4, 119, 11, 128],
        [6, 300, 29, 274],
        [3, 228, 11, 209],
        [62, 13536, 248, 12619],
        [33, 5036, 47, 5761],
        [180, 1361, 372, 1079],
        [8, 2537, 10, 619],
        [505, 87886, 499, 87892],
        [29, 7470, 45, 7232],
        [17, 1699, 65, 1600],
        [186, 50448, 141, 27197],
        [5, 2493, 3, 2338],
        [27, 16886, 29, 17825],
    ],
    dtype=float,
)


def bcg() -> tuple[list[float], list[float]]:
    """Log relative risks and their standard errors."""
    a, b, c, d = BCG.T
    effects = np.log(a / (a + b)) - np.log(c / (c + d))
    return effects.tolist(), np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)).tolist()


def number(value: float | None) -> float:
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("method", "effect", "error", "tau_squared"),
    [
        # Viechtbauer 2010, J. Stat. Softw. 36(3), and the documentation of metafor's rma for dat.bcg.
        ("fixed", -0.4303, 0.0405, 0.0),
        ("dersimonian_laird", -0.7141, 0.1787, 0.3088),
        ("paule_mandel", -0.7150, 0.1809, 0.3181),
        ("maximum_likelihood", -0.7112, 0.1719, 0.2800),
        ("restricted_maximum_likelihood", -0.7145, 0.1798, 0.3132),
    ],
)
def test_published_vaccine_trials(
    method: MetaMethod, effect: float, error: float, tau_squared: float
) -> None:
    result = meta_analysis(*bcg(), method=method, hartung_knapp=False)
    assert result.effect == pytest.approx(effect, abs=6e-5)
    assert result.standard_error == pytest.approx(error, abs=6e-5)
    assert number(result.tau) ** 2 == pytest.approx(tau_squared, abs=6e-5)
    assert result.q == pytest.approx(152.2330, abs=5e-5)
    assert result.i_squared == pytest.approx(0.9212, abs=5e-5)


def test_published_eight_schools() -> None:
    # Rubin 1981; Gelman et al. 2013, section 5.5: pooled 7.7 with standard error 4.1; no excess spread.
    effects, errors = [28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18]
    result = meta_analysis(effects, errors, hartung_knapp=False)
    assert (round(number(result.effect), 1), round(number(result.standard_error), 1)) == (7.7, 4.1)
    assert (result.tau, result.i_squared) == (0.0, 0.0)


STUDIES = st.integers(2, 12).flatmap(
    lambda k: st.tuples(
        st.lists(st.floats(-3, 3), min_size=k, max_size=k),
        st.lists(st.floats(0.05, 2), min_size=k, max_size=k),
    )
)


@given(STUDIES, st.sampled_from([0.01, 0.05, 0.2]))
def test_agrees_with_statsmodels(studies: tuple[list[float], list[float]], alpha: float) -> None:
    effects, errors = (np.array(each) for each in studies)
    assume(np.ptp(effects) > 1e-3)
    df = effects.size - 1
    with np.errstate(invalid="ignore"):  # it takes roots of a negative variance
        theirs = combine_effects(effects, errors**2, method_re="dl", use_t=True)
        normal = theirs.conf_int(alpha=alpha, use_t=False)
        student = theirs.conf_int(alpha=alpha, use_t=True)
    fixed = meta_analysis(effects, errors, method="fixed", alpha=alpha)
    assert interval_of(fixed.interval).lower == pytest.approx(normal[0][0], rel=1e-9, abs=1e-9)
    assert fixed.effect == pytest.approx(theirs.mean_effect_fe, rel=1e-9, abs=1e-9)
    assert fixed.q == pytest.approx(theirs.q, rel=1e-9, abs=1e-9)
    assert fixed.q_p_value == pytest.approx(float(stats.chi2.sf(theirs.q, df)), rel=1e-9, abs=1e-300)
    own = meta_analysis(effects, errors, method="fixed", hartung_knapp=True, alpha=alpha)
    assert interval_of(own.interval).upper == pytest.approx(student[2][1], rel=1e-9, abs=1e-9)
    if theirs.tau2 < 0:
        # statsmodels goes on with the negative estimate; DerSimonian and Laird cut it at 0.
        assert meta_analysis(effects, errors, method="dersimonian_laird").tau == 0
        return
    random = meta_analysis(effects, errors, method="dersimonian_laird", alpha=alpha)
    plain = meta_analysis(effects, errors, method="dersimonian_laird", hartung_knapp=False, alpha=alpha)
    assert number(random.tau) ** 2 == pytest.approx(theirs.tau2, rel=1e-9, abs=1e-9)
    assert random.effect == pytest.approx(theirs.mean_effect_re, rel=1e-9, abs=1e-9)
    assert random.standard_error == pytest.approx(float(theirs.sd_eff_w_re_hksj), rel=1e-9)
    assert plain.standard_error == pytest.approx(float(theirs.sd_eff_w_re), rel=1e-9)
    assert interval_of(random.interval).upper == pytest.approx(student[3][1], rel=1e-9, abs=1e-9)
    assert interval_of(plain.interval).lower == pytest.approx(normal[1][0], rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(random.weights, theirs.weights_rel_re, rtol=1e-9)


def test_paule_mandel_agrees_with_statsmodels() -> None:
    generator = np.random.default_rng(2)
    compared = 0
    for _ in range(60):
        k = int(generator.integers(3, 12))
        effects, errors = generator.normal(0, 1, k), generator.uniform(0.1, 0.6, k)
        theirs = combine_effects(effects, errors**2, method_re="pm", use_t=True, atol=1e-11, maxiter=500)
        ours = meta_analysis(effects, errors)
        if theirs.tau2 == 0 and number(ours.tau) > 0:
            continue  # statsmodels falls back to 0 when its iteration overshoots by a rounding error
        compared += 1
        assert number(ours.tau) ** 2 == pytest.approx(theirs.tau2, rel=1e-9, abs=1e-9)
        assert ours.standard_error == pytest.approx(float(theirs.sd_eff_w_re_hksj), rel=1e-9)
    assert compared >= 20


@given(STUDIES)
def test_estimates_of_tau_solve_their_equations(studies: tuple[list[float], list[float]]) -> None:
    effects, errors = (np.array(each) for each in studies)
    df = effects.size - 1
    tau_squared = between_variance(effects, errors, "paule_mandel")
    if tau_squared > 0:
        assert cochran_q(effects, errors, tau_squared) == pytest.approx(df, rel=1e-9)
    else:
        assert cochran_q(effects, errors) <= df * (1 + 1e-12)

    def loss(tau: float) -> float:
        mean, _ = weighted_mean(effects, errors, tau * tau)
        return -float(stats.norm.logpdf(effects, mean, np.hypot(errors, tau)).sum())

    ours = math.sqrt(between_variance(effects, errors, "maximum_likelihood"))
    best = min(loss(tau) for tau in np.linspace(0, 6, 200))
    polished = float(optimize.minimize_scalar(loss, bounds=(0, 6), method="bounded").fun)
    assert loss(ours) <= min(best, polished) + 1e-9


@given(STUDIES)
def test_the_restricted_likelihood_is_that_of_the_differences(
    studies: tuple[list[float], list[float]],
) -> None:
    """Its definition: the density of k − 1 differences of effects, whatever their mean (Harville 1974)."""
    effects, errors = (np.array(each) for each in studies)
    contrasts = np.diff(np.eye(effects.size), axis=0)

    def loss(tau_squared: float) -> float:
        covariance = contrasts @ np.diag(errors**2 + tau_squared) @ contrasts.T
        return -float(stats.multivariate_normal.logpdf(contrasts @ effects, cov=covariance))

    ours = between_variance(effects, errors, "restricted_maximum_likelihood")
    assert loss(ours) <= min(loss(tau * tau) for tau in np.linspace(0, 6, 60)) + 1e-9
    for near in (ours * 1.01, ours * 0.99):
        assert loss(ours) <= loss(near) + 1e-12


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=12), st.floats(0.05, 2))
def test_restricted_likelihood_of_equal_errors_in_closed_form(effects: list[float], error: float) -> None:
    # The sample variance less that of chance; maximum likelihood divides by k instead of k − 1.
    values, errors = np.array(effects), np.full(len(effects), error)
    for method, lost in (("restricted_maximum_likelihood", 1), ("maximum_likelihood", 0)):
        expected = max(0.0, float(np.var(values, ddof=lost)) - error**2)
        ours = between_variance(values, errors, method)  # type: ignore[arg-type]
        assert ours == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_likelihood_with_two_peaks() -> None:
    # One very precise outlier: the slope at 0 points down, yet the best τ² is far away.
    effects, errors = np.array([0.0, 0.0, 3.0, -3.0, 2.9, -2.9]), np.array([1e-3, 5.0, 1.0, 1.0, 1.0, 1.0])
    ours = between_variance(effects, errors, "maximum_likelihood")

    def loss(tau_squared: float) -> float:
        mean, _ = weighted_mean(effects, errors, tau_squared)
        return -float(np.sum(stats.norm.logpdf(effects, mean, np.sqrt(errors**2 + tau_squared))))

    assert loss(ours) <= min(loss(float(t)) for t in np.geomspace(1e-9, 100, 3000)) + 1e-9


@given(
    STUDIES,
    st.sampled_from(METHODS),
    st.booleans(),
    st.sampled_from(ALTERNATIVES),
    st.sampled_from([0.001, 0.05, 0.3]),
    st.floats(-2, 2),
)
def test_p_is_below_alpha_exactly_when_the_interval_excludes_the_null(
    studies: tuple[list[float], list[float]],
    method: MetaMethod,
    own: bool,
    alternative: Alternative,
    alpha: float,
    null: float,
) -> None:
    result = meta_analysis(
        *studies, method=method, hartung_knapp=own, alternative=alternative, alpha=alpha, null=null
    )
    assume(result.status == Status.OK)
    p_value = number(result.p_value)
    assume(abs(p_value - alpha) > 1e-9)
    assert (p_value <= alpha) is interval_of(result.interval).excludes(null)
    assert (p_value <= alpha) is result.rejected
    assert math.exp(number(result.log_p_value)) == pytest.approx(p_value)
    assert sum(result.weights) == pytest.approx(1)


@given(STUDIES, st.sampled_from(METHODS), st.floats(1e-6, 1e6))
def test_negating_units_and_shifts(
    studies: tuple[list[float], list[float]], method: MetaMethod, unit: float
) -> None:
    effects, errors = (np.array(each) for each in studies)
    assume(np.ptp(effects) > 0.01)
    one = meta_analysis(effects, errors, method=method)
    other = meta_analysis(-effects * unit, errors * unit, method=method)
    assert number(other.effect) == pytest.approx(-number(one.effect) * unit, rel=1e-6, abs=1e-7 * unit)
    assert number(other.tau) == pytest.approx(number(one.tau) * unit, rel=1e-5, abs=1e-5 * unit)
    assert other.log_p_value == pytest.approx(one.log_p_value, rel=1e-5, abs=1e-6)
    # Multiples of 2^-20 survive a shift by 2^30 exactly.
    grid = np.round(effects * 2**20) / 2**20
    here, there = (meta_analysis(grid + shift, errors, method=method) for shift in (0.0, 2.0**30))
    assert there.standard_error == pytest.approx(here.standard_error, rel=1e-12)
    assert there.tau == here.tau
    assert there.q == here.q
    assert number(there.effect) - 2.0**30 == pytest.approx(number(here.effect), abs=1e-6)


def test_far_out_p_does_not_underflow() -> None:
    result = meta_analysis([40.0], [1.0], method="fixed")
    assert result.log_p_value == pytest.approx(-804.608442 + math.log(2), abs=1e-6)
    assert number(result.p_value) > 0
    assert result.q_p_value is None
    assert result.weights == (1.0,)


def test_prediction_is_for_a_further_experiment() -> None:
    effects, errors = bcg()
    result = meta_analysis(effects, errors, method="dersimonian_laird", hartung_knapp=False)
    # Higgins, Thompson and Spiegelhalter 2009: t with k − 2 degrees of freedom, √(τ² + se²).
    radius = float(stats.t.isf(0.025, 11)) * math.sqrt(0.3087629 + 0.1787421**2)
    prediction = interval_of(result.prediction)
    assert prediction.upper - number(result.effect) == pytest.approx(radius, rel=1e-5)
    assert prediction.lower + prediction.upper == pytest.approx(2 * number(result.effect))
    assert meta_analysis(effects, errors, method="fixed").prediction is None
    assert meta_analysis(effects[:2], errors[:2]).prediction is None
    assert meta_analysis(effects[:3], errors[:3]).prediction is not None


def test_what_has_no_answer() -> None:
    for result in (
        meta_analysis([], [], method="fixed"),
        meta_analysis([1.0], [1.0]),
        meta_analysis([1.0], [1.0], hartung_knapp=False),
        meta_analysis([1.0], [1.0], method="fixed", hartung_knapp=True),
    ):
        assert result.status == Status.TOO_FEW_STUDIES
        assert f"{result.experiments} experiments" in str(result.reason)
        assert result.effect is result.p_value is None
        assert result.interval is None
        assert result.rejected is None
    same = meta_analysis([1.0, 1.0], [1.0, 2.0])
    assert same.status == Status.NO_VARIANCE
    assert meta_analysis([1.0, 1.0], [1.0, 2.0], hartung_knapp=False).q == 0.0
    assert meta_analysis([1.0, 1.0], [1.0, 2.0], hartung_knapp=False).i_squared == 0.0
    json.dumps([same.to_dict(), meta_analysis(*bcg(), alternative="less").to_dict()], allow_nan=False)


def test_effects_that_agree_too_well_are_doubted() -> None:
    close: MetaAnalysis = meta_analysis([1.0, 1.01, 0.99], [0.5, 0.5, 0.5])
    assert [notice.code for notice in close.warnings] == ["narrower_than_normal"]
    assert meta_analysis(*bcg()).warnings == ()
    # Q is 1.62 on two degrees of freedom: a scale of 0.81.
    assert meta_analysis([0.0, 0.9, 1.8], [1.0] * 3).warnings == close.warnings
    assert meta_analysis([0.0, 1.1, 2.2], [1.0] * 3).warnings == ()
    assert meta_analysis([1.0, 1.01, 0.99], [0.5, 0.5, 0.5], hartung_knapp=False).warnings == ()


@pytest.mark.parametrize(
    ("effects", "errors", "message"),
    [
        ([1.0, 2.0], [1.0], "one of each"),
        ([[1.0]], [[1.0]], "one of each"),
        ([math.nan, 1.0], [1.0, 1.0], "not a finite number"),
        ([1.0, 1.0], [1.0, 0.0], "not positive"),
        ([1.0, 1.0], [1.0, math.inf], "not positive"),
    ],
)
def test_impossible_studies_are_refused(effects: list[float], errors: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        meta_analysis(effects, errors)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="method is 'reml'"):
        meta_analysis([1.0, 2.0], [1.0, 1.0], method="reml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="The method is 'reml'"):
        between_variance(np.array([1.0, 2.0]), np.array([1.0, 1.0]), "reml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alternative is"):
        meta_analysis([1.0], [1.0], alternative="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="null value is nan"):
        meta_analysis([1.0], [1.0], null=math.nan)


def test_few_experiments_are_covered() -> None:
    """Eight experiments of one size, varying effects: Hartung and Knapp cover, the normal does not."""
    generator = np.random.default_rng(8)
    replications, k = 2000, 8
    errors = generator.uniform(0.14, 0.16, (replications, k))
    effects = 0.1 + generator.normal(0, 0.2, (replications, k)) + errors * generator.normal(size=errors.shape)
    own = normal = 0
    for each, error in zip(effects, errors, strict=True):
        own += bool(meta_analysis(each, error, null=0.1).rejected)
        normal += bool(meta_analysis(each, error, null=0.1, hartung_knapp=False).rejected)
    assert abs(own / replications - 0.05) < 3 * math.sqrt(0.05 * 0.95 / replications)
    assert normal / replications > 0.065
