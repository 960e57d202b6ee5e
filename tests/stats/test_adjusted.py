"""Regression adjustment of means: against least squares on units, algebra, simulation, and its promises."""

import importlib
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.stats.estimates import codes, details, known
from tests.stats.units import Columns, adjust, units

from equipoise_stats import (
    Covariate,
    Estimate,
    Moments,
    NoEstimate,
    Status,
    adjusted_difference,
    fill_missing,
    fixed_horizon,
    mean_difference,
)


def by_hand(
    treatment: Columns, control: Columns, names: list[str]
) -> tuple[NDArray[np.float64], float, float]:
    """θ, τ and V_yy − θ'V_xy from matrices of numpy, without the price of estimating θ."""
    t, c = (
        np.cov(np.array([arm["y"], *(arm[name] for name in names)])) / len(arm["y"])
        for arm in (treatment, control)
    )
    v = t + c
    theta = np.linalg.solve(v[1:, 1:], v[1:, 0])
    shift = np.array([treatment[name].mean() - control[name].mean() for name in names])
    tau = treatment["y"].mean() - control["y"].mean() - theta @ shift
    return np.asarray(theta, dtype=np.float64), float(tau), float(v[0, 0] - theta @ v[1:, 0])


@pytest.mark.parametrize(("n_t", "n_c"), [(400, 400), (60, 540), (2000, 37)])
@pytest.mark.parametrize("k", [1, 3])
def test_it_is_the_optimal_control_variate(n_t: int, n_c: int, k: int) -> None:
    treatment, control = units(1, n_t, 0.5, 1.3, 3), units(2, n_c, covariates=3)
    names = [f"x{i}" for i in range(k)]
    e = known(adjust(treatment, control, names))
    theta, tau, variance = by_hand(treatment, control, names)
    assert e.estimator == "adjusted_mean"
    assert e.difference == pytest.approx(tau, rel=1e-9)
    found = details(e)
    assert [found[f"coefficient.{name}"] for name in names] == pytest.approx(theta.tolist(), rel=1e-9)
    assert found["covariates_used"] == k
    plain = known(
        mean_difference(
            treatment=Moments.from_arrays({"y": treatment["y"]}),
            control=Moments.from_arrays({"y": control["y"]}),
        )
    )
    nu = plain.df
    price = nu * (nu - 1) / (nu - k) / (nu - k - 1)
    assert e.variance == pytest.approx(variance * price, rel=1e-9)
    assert found["variance_removed"] == pytest.approx(1 - e.variance / plain.variance, rel=1e-9)
    residuals = [arm["y"] - theta @ np.array([arm[name] for name in names]) for arm in (treatment, control)]
    parts = [float(r.var(ddof=1)) / len(r) for r in residuals]
    df = sum(parts) ** 2 / (parts[0] ** 2 / (n_t - 1 - k) + parts[1] ** 2 / (n_c - 1 - k))
    assert e.df == pytest.approx(df, rel=1e-9)


def test_it_is_the_regression_of_lin() -> None:
    """Interacted least squares with heteroskedastic errors (statsmodels): the same, up to 1/n."""
    api = importlib.import_module("statsmodels.api")
    treatment, control = units(3, 3000, 0.3, 1.4), units(4, 1000, 0.0, 0.8)
    e = known(adjust(treatment, control, ["x0", "x1"]))
    pooled = {name: np.concatenate([treatment[name], control[name]]) for name in treatment}
    z = np.repeat([1.0, 0.0], [3000, 1000])
    x = np.column_stack([pooled[name] - pooled[name].mean() for name in ("x0", "x1")])
    design = np.column_stack([np.ones(4000), z, x, x * z[:, None]])
    fit = api.OLS(pooled["y"], design).fit(cov_type="HC2")
    assert e.difference == pytest.approx(fit.params[1], abs=0.1 * fit.bse[1])
    # Lin's error takes the covariates as given; ours counts that slopes differ: (θ_t − θ_c)² s_x² / n.
    slopes = fit.params[4:]
    extra = float(slopes @ np.cov(x.T) @ slopes) / 4000
    assert e.variance == pytest.approx(fit.bse[1] ** 2 + extra, rel=0.01)


def test_the_arms_and_their_covariances_are_those_of_the_linear_map() -> None:
    """m_t = ȳ_t − π_c θ'(x̄_t − x̄_c), m_c = ȳ_c + π_t θ'(x̄_t − x̄_c), as a matrix on (ȳ_t, x̄_t, ȳ_c, x̄_c)."""
    treatment, control = units(5, 300, 0.4, 1.2), units(6, 900)
    names = ["x0", "x1"]
    e = known(adjust(treatment, control, names))
    theta, _, variance = by_hand(treatment, control, names)
    share_t, share_c = 0.25, 0.75
    means = np.concatenate(
        [[arm["y"].mean(), *(arm[x].mean() for x in names)] for arm in (treatment, control)]
    )
    covariance = np.zeros((6, 6))
    for i, arm in enumerate((treatment, control)):
        block = np.cov(np.array([arm["y"], *(arm[x] for x in names)])) / len(arm["y"])
        covariance[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = block
    linear = np.array(
        [
            [1, *(-share_c * theta), 0, *(share_c * theta)],
            [0, *(share_t * theta), 1, *(-share_t * theta)],
        ]
    )
    assert [e.treatment.value, e.control.value] == pytest.approx((linear @ means).tolist(), rel=1e-9)
    matrix = linear @ covariance @ linear.T * (e.variance / variance)
    assert e.treatment.variance == pytest.approx(matrix[0, 0], rel=1e-9)
    assert e.control.variance == pytest.approx(matrix[1, 1], rel=1e-9)
    assert e.covariance == pytest.approx(matrix[0, 1], rel=1e-9)
    assert (e.treatment.n, e.control.n) == (300, 900)


values = st.integers(-50, 50)
arms = st.lists(st.tuples(values, values, values), min_size=6, max_size=30)


def columns(rows: list[tuple[int, int, int]], shift: float = 0.0, unit: float = 1.0) -> Columns:
    y, a, b = np.array(rows, dtype=float).T
    return {"y": y, "x0": a * unit + shift, "x1": b}


@given(arms, arms, st.sampled_from([1e9, -3.0]), st.sampled_from([1e-6, 1e6]))
def test_promises(
    treatment: list[tuple[int, int, int]], control: list[tuple[int, int, int]], shift: float, unit: float
) -> None:
    names = ["x0", "x1"]
    e = adjust(columns(treatment), columns(control), names)
    if isinstance(e, NoEstimate):
        assert e.status == Status.NO_VARIANCE
        return
    plain = known(mean_difference(treatment=moments_of(treatment), control=moments_of(control), column="y"))
    assert e.variance <= plain.variance * 1.02 * (1 + 1e-9)
    swapped = known(adjust(columns(control), columns(treatment), names))
    assert swapped.difference == pytest.approx(-e.difference, rel=1e-7, abs=1e-7)
    assert swapped.variance == pytest.approx(e.variance, rel=1e-7)
    assert swapped.df == pytest.approx(e.df, rel=1e-7)
    for other in (
        adjust(columns(treatment, shift), columns(control, shift), names),
        adjust(columns(treatment, 0, unit), columns(control, 0, unit), names),
    ):
        # What is collinear to nine digits is one side of a line or the other.
        assume(details(other)["covariates_used"] == details(e)["covariates_used"])
        assert known(other).difference == pytest.approx(e.difference, rel=1e-6, abs=1e-6)
        assert known(other).variance == pytest.approx(e.variance, rel=1e-6)


def moments_of(rows: list[tuple[int, int, int]]) -> Moments:
    return Moments.from_arrays(columns(rows))


def test_outcomes_a_billion_away_lose_nothing() -> None:
    treatment, control = units(7, 500, 0.5), units(8, 500)
    near = known(adjust(treatment, control, ["x0"]))
    far = known(adjust(treatment | {"y": treatment["y"] + 1e9}, control | {"y": control["y"] + 1e9}, ["x0"]))
    assert far.difference == pytest.approx(near.difference, abs=1e-6)
    assert far.variance == pytest.approx(near.variance, rel=1e-6)


def test_constant_and_collinear_covariates_change_nothing() -> None:
    treatment, control = units(9, 200), units(10, 300)
    for arm in (treatment, control):
        arm["twice"] = 2 * arm["x0"] - 7
        arm["constant"] = np.full(len(arm["y"]), 0.1)
    alone = known(adjust(treatment, control, ["x0", "x1"]))
    with_others = known(adjust(treatment, control, ["constant", "x0", "twice", "x1"]))
    assert with_others.difference == pytest.approx(alone.difference, rel=1e-9)
    assert with_others.variance == pytest.approx(alone.variance, rel=1e-9)
    assert with_others.df == pytest.approx(alone.df, rel=1e-9)
    found = details(with_others)
    assert (found["coefficient.twice"], found["coefficient.constant"]) == (0.0, 0.0)
    assert found["covariates_used"] == 2


def test_useless_covariates_are_not_paid_for() -> None:
    generator = np.random.default_rng(12)
    noise = [
        {"y": generator.normal(size=12), "x0": generator.normal(size=12), "x1": np.ones(12)} for _ in range(2)
    ]
    plain = known(
        mean_difference(
            treatment=Moments.from_arrays(noise[0]), control=Moments.from_arrays(noise[1]), column="y"
        )
    )
    for names in (["x0"], ["x1"]):
        e = known(adjust(noise[0], noise[1], names))
        assert codes(e) == ["not_adjusted"]
        assert (e.difference, e.covariance) == (plain.difference, 0.0)
        assert e.variance == pytest.approx(plain.variance, rel=1e-12)
        assert e.df == pytest.approx(plain.df, rel=1e-12)
        assert details(e) == {"variance_removed": 0.0, "covariates_used": 0, f"coefficient.{names[0]}": 0.0}


def test_a_covariate_that_is_the_outcome_leaves_nothing() -> None:
    treatment, control = units(13, 50, 0.5), units(14, 50)
    for arm in (treatment, control):
        arm["copy"] = 3 * arm["y"] + 1
    answer = adjust(treatment, control, ["copy"])
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.NO_VARIANCE
    assert "determine the outcome" in answer.reason
    assert answer.estimator == "adjusted_mean"
    assert answer.treatment.value == pytest.approx(treatment["y"].mean())
    assert answer.control.standard_error == pytest.approx(control["y"].std(ddof=1) / math.sqrt(50))


def test_constant_outcomes_have_no_variance() -> None:
    arm = units(15, 9)
    arm["y"] = np.full(9, 4.0)
    answer = adjust(arm, arm, ["x0"])
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.NO_VARIANCE
    assert codes(answer) == ["not_adjusted"]
    other = units(16, 9)
    one = known(adjust(arm, other, ["x0"]))
    assert one.variance > 0


@pytest.mark.parametrize(
    ("sizes", "needed"), [((1, 9), 2), ((9, 1), 2), ((2, 9), 5), ((9, 2), 5), ((4, 9), 5), ((9, 4), 5)]
)
def test_too_few_units(sizes: tuple[int, int], needed: int) -> None:
    treatment, control = units(17, sizes[0]), units(18, sizes[1])
    answer = adjust(treatment, control, ["x0", "x1"])
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.TOO_FEW_UNITS
    assert f"at least {needed} units" in answer.reason
    assert isinstance(adjust(units(17, 5), units(18, 5), ["x0", "x1"]), Estimate)


def test_warnings_of_covariates() -> None:
    treatment, control = units(19, 100), units(20, 100)
    assert codes(adjust(treatment, control, ["x0"])) == []
    shifted = treatment | {"x0": treatment["x0"] + 1.5}
    assert codes(adjust(shifted, control, ["x0"])) == ["unbalanced_covariates"]
    few = adjust(units(21, 10), units(22, 10), ["x0"])
    assert codes(few) == ["few_units_for_adjustment"]
    assert codes(adjust(units(21, 15), units(22, 15), ["x0"])) == []


@pytest.mark.parametrize(
    ("names", "column", "denominator", "message"),
    [
        ([], "y", None, "at least one column"),
        ("x0", "y", None, "at least one column"),
        (["x0", "x0"], "y", None, "each once"),
        (["x0"], None, None, r"Name one of the columns \('y', 'x1'\)"),
        (["y"], "y", None, "its own covariate"),
        ([("x0", "x1")], "y", "x1", "its own covariate"),
        ([("x0", "negative")], "y", None, "is not positive"),
        ([("x0", "zero")], "y", None, "is not positive"),
    ],
)
def test_unclear_questions_are_refused(
    names: list[Covariate], column: str | None, denominator: str | None, message: str
) -> None:
    arm = units(23, 20)
    arm |= {
        extra: sign * abs(arm["x1"]) for extra, sign in (("negative", -1), ("zero", 0)) if extra in str(names)
    }
    moments = Moments.from_arrays(arm)
    with pytest.raises(ValueError, match=message):
        adjusted_difference(
            treatment=moments, control=moments, covariates=names, column=column, denominator=denominator
        )


def test_the_outcome_is_what_is_left() -> None:
    treatment, control = units(24, 40), units(25, 40)
    pair = [Moments.from_arrays(arm) for arm in (treatment, control)]
    a = adjusted_difference(treatment=pair[0], control=pair[1], covariates=["x0", "x1"])
    assert a == adjust(treatment, control, ["x0", "x1"])


# Calibration.


@pytest.mark.parametrize(
    ("n_t", "n_c", "rho", "k", "missing"),
    [(500, 500, 0.0, 1, 0.0), (100, 900, 0.9, 1, 0.0), (200, 800, 0.5, 3, 0.0), (300, 300, 0.7, 1, 0.4)],
)
def test_level_and_variance_removed(n_t: int, n_c: int, rho: float, k: int, missing: float) -> None:
    """A/A with slopes that differ between the arms."""
    generator = np.random.default_rng(40)
    replications = 2500
    rejected, removed = 0, []
    names = ["x0", "has_x0"] if missing else [f"x{i}" for i in range(k)]
    for _ in range(replications):
        pair = []
        for n, slope in ((n_t, 1.3), (n_c, 0.9)):
            x = generator.normal(size=(k, n))
            y = rho * slope * x[0] + math.sqrt(1 - rho**2) * generator.normal(size=n)
            if missing:
                x[0, generator.random(n) < missing] = np.nan
                pair.append(Moments.from_arrays({"y": y} | fill_missing({"x0": x[0]}), third=False))
            else:
                pair.append(
                    Moments.from_arrays({"y": y} | {f"x{i}": row for i, row in enumerate(x)}, third=False)
                )
        e = adjusted_difference(treatment=pair[0], control=pair[1], covariates=names, column="y")
        rejected += bool(fixed_horizon(e).test.rejected)
        removed.append(details(e)["variance_removed"])
    assert abs(rejected / replications - 0.05) < 3 * math.sqrt(0.05 * 0.95 / replications)
    assert min(removed) >= -0.02
    v = [(n, (rho * s) ** 2, (rho * s) ** 2 + 1 - rho**2) for n, s in ((n_t, 1.3), (n_c, 0.9))]
    slope = sum(rho * s / n for n, s in ((n_t, 1.3), (n_c, 0.9))) / (1 / n_t + 1 / n_c)
    explained = slope**2 * (1 / n_t + 1 / n_c) / sum(total / n for n, _, total in v) * (1 - missing)
    assert np.mean(removed) == pytest.approx(explained, abs=0.03)


def test_the_lift_of_adjusted_arms_covers() -> None:
    """Fieller on adjusted values and their covariance: coverage of the true lift."""
    generator = np.random.default_rng(41)
    replications, covered = 2500, 0
    for _ in range(replications):
        pair = []
        for n, lift in ((300, 1.1), (900, 1.0)):
            x = generator.gamma(2, 2, n)
            pair.append(Moments.from_arrays({"y": lift * (2 + x + generator.normal(0, 1, n)), "x": x}))
        e = adjusted_difference(treatment=pair[0], control=pair[1], covariates=["x"])
        found = fixed_horizon(e).lift.interval
        assert found is not None
        covered += not found.excludes(0.1)
    assert abs(covered / replications - 0.95) < 3 * math.sqrt(0.05 * 0.95 / replications)
