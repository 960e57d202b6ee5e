"""Post-stratification: against matrices, least squares with stratum dummies, and simulation."""

import importlib
import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.stats.estimates import known

from equipoise_stats import (
    Moments,
    NoEstimate,
    Status,
    fixed_horizon,
    mean_difference,
    merge_moments,
    stratified_difference,
)

Strata = dict[str, list[int]]
cell = st.lists(st.integers(-100, 100), min_size=2, max_size=12)
strata = st.dictionaries(st.sampled_from("abcd"), cell, min_size=1, max_size=4)


def moments(arm: Strata, unit: float = 1.0, shift: float = 0.0) -> dict[str, Moments]:
    return {name: Moments.from_arrays({"y": [unit * v + shift for v in row]}) for name, row in arm.items()}


@given(st.lists(st.tuples(cell, cell), min_size=1, max_size=4))
def test_the_formula_of_the_sample(cells: list[tuple[list[int], list[int]]]) -> None:
    n = sum(len(t) + len(c) for t, c in cells)
    shares = [(len(t) + len(c)) / n for t, c in cells]
    difference = sum(w * (np.mean(t) - np.mean(c)) for w, (t, c) in zip(shares, cells, strict=True))
    parts = [
        (w * w * np.var(values, ddof=1) / len(values), len(values) - 1)
        for w, pair in zip(shares, cells, strict=True)
        for values in pair
    ]
    variance = float(sum(part for part, _ in parts))
    assume(variance > 0)
    arms = [moments({str(k): pair[a] for k, pair in enumerate(cells)}) for a in (0, 1)]
    e = known(stratified_difference(treatment=arms[0], control=arms[1], target="sample"))
    assert e.estimator == "stratified"
    assert e.difference == pytest.approx(difference, abs=1e-10)
    assert e.variance == pytest.approx(variance, rel=1e-9)
    assert e.covariance == 0.0
    assert e.df == pytest.approx(variance**2 / sum(part**2 / df for part, df in parts), rel=1e-9)
    assert e.details[0].value == len(cells)
    # The population's variance counts the chance in the shares: of effects, and of each arm's levels.
    p = known(stratified_difference(treatment=arms[0], control=arms[1]))
    effects = np.array([np.mean(t) - np.mean(c) for t, c in cells])
    between = float(np.cov(effects, ddof=0, aweights=shares)) if len(cells) > 1 else 0.0
    assert p.difference == e.difference
    assert p.variance == pytest.approx(variance + between / n, rel=1e-9)
    levels = np.array([np.mean(t) for t, _ in cells])
    spread = float(np.cov(levels, ddof=0, aweights=shares)) if len(cells) > 1 else 0.0
    assert p.treatment.variance == pytest.approx(e.treatment.variance + spread / n, rel=1e-9)
    assert p.df == e.df


def test_it_is_interacted_least_squares_with_dummies() -> None:
    """statsmodels with centred dummies, their interactions and HC2 errors: the variance of `sample`."""
    api = importlib.import_module("statsmodels.api")
    generator = np.random.default_rng(1)
    stratum = np.repeat([0, 1, 2], [50, 80, 170])
    z = generator.permutation(np.arange(300) % 2)
    y = generator.normal(stratum * 2.0 + z * (0.5 + 0.2 * stratum), 1 + stratum)
    dummies = np.column_stack([(stratum == k) - (stratum == k).mean() for k in (1, 2)])
    fit = api.OLS(y, np.column_stack([np.ones(300), z, dummies, dummies * z[:, None]])).fit(cov_type="HC2")
    arms = [
        {str(k): Moments.from_arrays({"y": y[(stratum == k) & (z == arm)]}) for k in range(3)}
        for arm in (1, 0)
    ]
    e = known(stratified_difference(treatment=arms[0], control=arms[1], target="sample"))
    assert e.difference == pytest.approx(fit.params[1], rel=1e-9)
    assert e.standard_error == pytest.approx(fit.bse[1], rel=1e-9)


# Strata of one size, of which one has to join the stratum that the treatment lacks.
@example({"b": [0, 1], "a": [0, 0]}, {"a": [0, 0], "b": [0, 0], "c": [0, 0]}, 1e-6, 0.0)
@given(strata, strata, st.sampled_from([1e-6, 1e6]), st.sampled_from([0.0, 1e9]))
def test_invariants(treatment: Strata, control: Strata, unit: float, shift: float) -> None:
    plain = stratified_difference(treatment=moments(treatment), control=moments(control))
    swapped = stratified_difference(treatment=moments(control), control=moments(treatment))
    scaled = stratified_difference(treatment=moments(treatment, unit), control=moments(control, unit))
    shifted = stratified_difference(
        treatment=moments(treatment, 1, shift), control=moments(control, 1, shift)
    )
    if isinstance(plain, NoEstimate):
        assert plain.status == Status.NO_VARIANCE
        return
    assert known(swapped).difference == pytest.approx(-plain.difference, abs=1e-9)
    assert known(swapped).variance == pytest.approx(plain.variance, rel=1e-9)
    assert known(scaled).difference == pytest.approx(unit * plain.difference, rel=1e-9, abs=unit * 1e-9)
    assert known(scaled).variance == pytest.approx(unit**2 * plain.variance, rel=1e-9)
    assert known(shifted).difference == pytest.approx(plain.difference, abs=1e-5)
    # The difference's variance comes from those of the arms, in which the levels of strata have a part.
    assert known(shifted).variance == pytest.approx(plain.variance, rel=1e-5)


def test_one_stratum_is_welch() -> None:
    t, c = Moments.scalar(50, 2.0, 4.0), Moments.scalar(90, 1.0, 9.0)
    e = known(stratified_difference(treatment={"all": t}, control={"all": c}))
    w = known(mean_difference(treatment=t, control=c))
    assert (e.difference, e.variance) == (w.difference, w.variance)
    assert e.df == pytest.approx(w.df)


def test_strata_too_small_are_taken_together() -> None:
    generator = np.random.default_rng(2)

    def arm(**sizes: int) -> dict[str, Moments]:
        return {name: Moments.from_arrays({"y": generator.normal(size=n)}) for name, n in sizes.items()}

    t, c = arm(big=50, mid=20, tiny=1, only_t=5), arm(big=50, mid=30, tiny=9, only_c=1)
    e = known(stratified_difference(treatment=t, control=c))
    (warning,) = e.warnings
    assert warning.code == "strata_collapsed"
    assert warning.message.endswith("only_c, only_t, tiny.")
    together = known(
        stratified_difference(
            treatment={"big": t["big"], "mid": t["mid"], "rest": merge_moments([t["tiny"], t["only_t"]])},
            control={"big": c["big"], "mid": c["mid"], "rest": merge_moments([c["tiny"], c["only_c"]])},
        )
    )
    assert e.difference == pytest.approx(together.difference, rel=1e-9)
    assert e.variance == pytest.approx(together.variance, rel=1e-9)
    assert (e.details[0].value, together.warnings) == (3, ())
    assert (e.treatment.n, e.control.n) == (76, 90)
    # A single one that is too small joins the smallest of the others.
    e = known(stratified_difference(treatment=arm(a=9, b=5, c=1), control=arm(a=9, b=5, c=3)))
    assert e.warnings[0].message.endswith(": b, c.")
    assert e.details[0].value == 2


def test_where_there_is_no_answer() -> None:
    one, two = Moments.scalar(1, 3.0, None), Moments.scalar(2, 3.0, 0.0)
    answer = stratified_difference(treatment={"a": one}, control={"a": two, "b": two})
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.TOO_FEW_UNITS
    assert "treatment has 1, control has 4" in answer.reason
    nobody = stratified_difference(treatment={}, control={"a": two})
    assert isinstance(nobody, NoEstimate)
    assert nobody.status == Status.TOO_FEW_UNITS
    constant = stratified_difference(treatment={"a": two, "b": two}, control={"a": two, "b": two})
    assert isinstance(constant, NoEstimate)
    assert constant.status == Status.NO_VARIANCE
    with pytest.raises(ValueError, match="no strata"):
        stratified_difference(treatment={}, control={})
    with pytest.raises(ValueError, match="population, sample"):
        stratified_difference(treatment={"a": two}, control={"a": two}, target="all")  # type: ignore[arg-type]


def test_it_covers_the_average_effect_and_the_lift() -> None:
    """Effects that differ between strata, units drawn at random: coverage for the population."""
    generator = np.random.default_rng(3)
    replications, effects = 3000, np.array([-1.0, 2.0, 6.0])
    shares, levels = np.array([0.5, 0.3, 0.2]), np.array([10.0, 14.0, 20.0])
    average, base = float(shares @ effects), float(shares @ levels)
    covered = lifts = 0
    for _ in range(replications):
        z = generator.random(240) < 0.4
        k = generator.choice(3, 240, p=shares)
        y = levels[k] + effects[k] * z + generator.normal(0, 2, 240)
        arms = [
            {str(j): Moments.from_arrays({"y": y[(k == j) & (z == arm)]}, third=False) for j in range(3)}
            for arm in (True, False)
        ]
        result = fixed_horizon(stratified_difference(treatment=arms[0], control=arms[1]))
        assert result.difference.interval is not None
        assert result.lift.interval is not None
        covered += not result.difference.interval.excludes(average)
        lifts += not result.lift.interval.excludes(average / base)
    for count in (covered, lifts):
        assert abs(count / replications - 0.95) < 3 * math.sqrt(0.05 * 0.95 / replications)
