"""Ratios, rates and clusters: the delta method against other libraries, simulation and plain algebra."""

import importlib
import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.stats.estimates import codes, known

from equipoise_stats import (
    Estimate,
    Moments,
    NoEstimate,
    Status,
    cluster_difference,
    fixed_horizon,
    mean_difference,
    rate_difference,
    ratio_difference,
)

Rows = list[tuple[int, int]]
rows = st.lists(st.tuples(st.integers(-100, 100), st.integers(0, 20)), min_size=2, max_size=20).filter(
    lambda pairs: sum(d for _, d in pairs) > 0
)


def moments(pairs: Rows, unit: float = 1.0, per: float = 1.0) -> Moments:
    return Moments.from_arrays({"d": [d * per for _, d in pairs], "y": [y * unit for y, _ in pairs]})


def ratio(treatment: Moments, control: Moments) -> Estimate | NoEstimate:
    return ratio_difference(treatment=treatment, control=control, numerator="y", denominator="d")


def scores(pairs: Rows) -> NDArray[np.float64]:
    y, d = np.array(pairs, dtype=float).T
    score: NDArray[np.float64] = (y - y.sum() / d.sum() * d) / d.mean()
    return score


@given(rows, rows)
def test_the_variance_is_that_of_the_mean_of_the_scores(treatment: Rows, control: Rows) -> None:
    parts = [float(np.var(scores(pairs), ddof=1)) / len(pairs) for pairs in (treatment, control)]
    assume(sum(parts) > 1e-9)
    e = known(ratio(moments(treatment), moments(control)))
    assert e.estimator == "ratio"
    for arm, pairs, part in zip((e.treatment, e.control), (treatment, control), parts, strict=True):
        y, d = np.array(pairs, dtype=float).T
        assert arm.n == len(pairs)
        assert arm.value == pytest.approx(y.sum() / d.sum(), rel=1e-12, abs=1e-12)
        assert arm.variance == pytest.approx(part, rel=1e-9, abs=1e-12)
    df = sum(parts) ** 2 / (parts[0] ** 2 / (len(treatment) - 1) + parts[1] ** 2 / (len(control) - 1))
    assert e.df == pytest.approx(df, rel=1e-6)
    assert e.covariance == 0.0
    assert e.skewness is not None


@given(st.lists(st.integers(-1000, 1000), min_size=2), st.lists(st.integers(-1000, 1000), min_size=2))
def test_with_a_denominator_of_one_it_is_the_mean(treatment: list[int], control: list[int]) -> None:
    assume(len(set(treatment)) > 1)
    arms = [moments([(y, 1) for y in values]) for values in (treatment, control)]
    a, b = known(ratio(*arms)), known(mean_difference(treatment=arms[0], control=arms[1], column="y"))
    assert a.difference == pytest.approx(b.difference, rel=1e-12, abs=1e-12)
    assert a.variance == pytest.approx(b.variance, rel=1e-12)
    assert a.df == pytest.approx(b.df, rel=1e-9)


@given(rows, rows, st.sampled_from([1e-6, 1e9]), st.sampled_from([1e-6, 1e9]))
def test_units_of_measurement_and_the_order_of_arms(
    treatment: Rows, control: Rows, unit: float, per: float
) -> None:
    plain = ratio(moments(treatment), moments(control))
    scaled = ratio(moments(treatment, unit, per), moments(control, unit, per))
    swapped = ratio(moments(control), moments(treatment))
    if isinstance(plain, NoEstimate):
        assert isinstance(scaled, NoEstimate)
        assert scaled.status == plain.status == Status.NO_VARIANCE
        return
    scaled, swapped = known(scaled), known(swapped)
    size = unit / per
    assert scaled.difference == pytest.approx(plain.difference * size, rel=1e-9, abs=size * 1e-9)
    assert scaled.standard_error == pytest.approx(plain.standard_error * size, rel=1e-6)
    assert scaled.df == pytest.approx(plain.df, rel=1e-6)
    assert (swapped.difference, swapped.variance) == (-plain.difference, plain.variance)


@pytest.mark.parametrize("level", [2.5, 0.1, 1 / 3])
def test_a_ratio_that_never_varies_has_no_variance(level: float) -> None:
    d = np.random.default_rng(1).integers(1, 1000, 500).astype(float)
    arm = Moments.from_arrays({"y": level * d, "d": d})
    answer = ratio(arm, arm)
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.NO_VARIANCE
    assert answer.treatment.value == pytest.approx(level)


@pytest.mark.parametrize("estimator", [ratio_difference, rate_difference])
def test_where_there_is_no_ratio(estimator: object) -> None:
    def ask(treatment: Rows, control: Rows) -> Estimate | NoEstimate:
        if estimator is ratio_difference:
            return ratio(moments(treatment), moments(control))
        arms = [moments(pairs) for pairs in (treatment, control)]
        return rate_difference(
            treatment=arms[0], control=arms[1], events="y", exposure="d", variance="poisson"
        )

    good = [(1, 2), (3, 5), (2, 2)]
    for arms, status, words in (
        ((good[:1], good), Status.TOO_FEW_UNITS, "treatment has 1, control has 3"),
        ((good, good[:1]), Status.TOO_FEW_UNITS, "treatment has 3, control has 1"),
        (([(1, 0), (0, 0)], good), Status.DENOMINATOR_NOT_POSITIVE, "treatment has 0, control has 3"),
        ((good, [(1, -4), (0, 0)]), Status.DENOMINATOR_NOT_POSITIVE, "treatment has 3, control has -2"),
    ):
        answer = ask(*arms)
        assert isinstance(answer, NoEstimate)
        assert answer.status == status
        assert words in answer.reason
        assert (answer.treatment.n, answer.control.n) == (len(arms[0]), len(arms[1]))
        assert fixed_horizon(answer).test.status == status


def test_a_noisy_denominator_is_said() -> None:
    steady = Moments.from_aggregates(100, {"y": 1.0, "d": 1.0}, {"y": 1.0, "d": 0.99}, {("y", "d"): 0.0})
    noisy = Moments.from_aggregates(100, {"y": 1.0, "d": 1.0}, {"y": 1.0, "d": 1.21}, {("y", "d"): 0.0})
    assert codes(ratio(steady, steady)) == []
    assert codes(ratio(noisy, steady)) == codes(ratio(steady, noisy)) == ["noisy_denominator"]
    assert "±11%" in known(ratio(noisy, steady)).warnings[0].message


def test_events_are_no_units() -> None:
    """A/A on units with several correlated events: the ratio holds its level, counting events does not."""
    generator = np.random.default_rng(5)
    replications, n = 1500, 300
    by_unit = by_event = 0
    for _ in range(replications):
        arms, naive = [], []
        for _ in range(2):
            views = generator.poisson(generator.lognormal(1.3, 0.8, n)) + 1
            clicks = generator.binomial(views, generator.beta(1, 4, n))
            arms.append(Moments.from_arrays({"y": clicks, "d": views}, third=False))
            p, total = clicks.sum() / views.sum(), int(views.sum())
            naive.append(Moments.scalar(total, float(p), float(p * (1 - p))))
        by_unit += bool(fixed_horizon(ratio(*arms)).test.rejected)
        naive_estimate = mean_difference(treatment=naive[0], control=naive[1])
        by_event += bool(fixed_horizon(naive_estimate).test.rejected)
    assert abs(by_unit / replications - 0.05) < 3 * math.sqrt(0.05 * 0.95 / replications)
    assert by_event / replications > 0.15


# Clusters.


def test_clusters_are_those_of_statsmodels() -> None:
    """OLS with cluster-robust errors in each arm, which have the factor G/(G − 1)."""
    api = importlib.import_module("statsmodels.api")
    generator = np.random.default_rng(3)
    arms, theirs = [], []
    for level in (1.0, 0.4):
        sizes = generator.integers(30, 60, 25)
        y = np.concatenate([generator.normal(level + generator.normal(0, 1), 2, m) for m in sizes])
        groups = np.repeat(np.arange(25), sizes)
        fit = api.OLS(y, np.ones(len(y))).fit(cov_type="cluster", cov_kwds={"groups": groups})
        theirs.append((fit.params[0], fit.bse[0] ** 2))
        arms.append(
            Moments.from_arrays({"total": np.bincount(groups, weights=y), "size": np.bincount(groups)})
        )
    e = known(cluster_difference(treatment=arms[0], control=arms[1]))
    assert e.estimator == "cluster"
    assert (e.treatment.n, e.control.n) == (25, 25)
    assert e.treatment.value == pytest.approx(theirs[0][0], rel=1e-9)
    assert e.control.variance == pytest.approx(theirs[1][1], rel=1e-9)
    assert e.treatment.variance == pytest.approx(theirs[0][1], rel=1e-9)
    assert e.df <= 48
    assert codes(e) == []


def test_few_clusters_are_said_and_taken_into_account() -> None:
    def arm(clusters: int) -> Moments:
        return Moments.from_arrays(
            {"total": [10.0 * i % 7 for i in range(clusters)], "size": [10.0] * clusters}
        )

    assert codes(cluster_difference(treatment=arm(20), control=arm(20))) == []
    few = known(cluster_difference(treatment=arm(20), control=arm(19)))
    assert codes(few) == ["few_clusters"]
    assert "only 39 clusters" in few.warnings[0].message
    tiny = known(cluster_difference(treatment=arm(4), control=arm(4)))
    assert 3 <= tiny.df <= 6
    other = Moments.from_arrays({"sum": [1.0, 5.0], "people": [2.0, 3.0]})
    assert known(
        cluster_difference(treatment=other, control=other, total="sum", size="people")
    ).treatment.value == pytest.approx(6 / 5)


def test_few_clusters_hold_their_level() -> None:
    """Eight clusters an arm, correlated within: the individual-level test fails, this one does not."""
    generator = np.random.default_rng(11)
    replications, g, m = 3000, 8, 30
    rejected = naive = 0
    for _ in range(replications):
        effects = generator.normal(0, 0.5, (2, g))
        y = effects[:, :, None] + generator.normal(0, 1, (2, g, m))
        arms = [
            Moments.from_arrays({"total": y[a].sum(axis=1), "size": np.full(g, float(m))}) for a in (0, 1)
        ]
        rejected += bool(fixed_horizon(cluster_difference(treatment=arms[0], control=arms[1])).test.rejected)
        flat = [Moments.from_arrays({"y": y[a].ravel()}) for a in (0, 1)]
        naive += bool(fixed_horizon(mean_difference(treatment=flat[0], control=flat[1])).test.rejected)
    assert rejected / replications < 0.05 + 3 * math.sqrt(0.05 * 0.95 / replications)
    assert rejected / replications > 0.05 - 4 * math.sqrt(0.05 * 0.95 / replications)
    assert naive / replications > 0.3


# Rates.

events = st.lists(st.integers(0, 30), min_size=2, max_size=30)


def counted(values: list[int], exposure: list[float] | None = None) -> Moments:
    columns: dict[str, list[float]] = {"events": [float(v) for v in values]}
    if exposure is not None:
        columns["hours"] = exposure
    return Moments.from_arrays(columns)


@given(events, events)
def test_a_poisson_rate_knows_only_totals(treatment: list[int], control: list[int]) -> None:
    assume(sum(treatment) + sum(control) > 0)
    e = known(rate_difference(treatment=counted(treatment), control=counted(control), variance="poisson"))
    assert e.estimator == "rate_poisson"
    assert e.difference == pytest.approx(np.mean(treatment) - np.mean(control), abs=1e-12)
    assert e.variance == pytest.approx(
        sum(treatment) / len(treatment) ** 2 + sum(control) / len(control) ** 2
    )
    third = sum(treatment) / len(treatment) ** 3 - sum(control) / len(control) ** 3
    assert e.skewness == pytest.approx(third / e.variance**1.5, rel=1e-9, abs=1e-12)
    assert e.df == math.inf
    assert ("few_events" in codes(e)) is (min(sum(treatment), sum(control)) < 5)


def test_a_poisson_rate_is_that_of_statsmodels() -> None:
    rates = importlib.import_module("statsmodels.stats.rates")
    # Breast cancer and fluoroscopy: 41 cases in 28,010 and 15 in 19,017 person-years (Rothman and Greenland).
    arms = [
        Moments.from_aggregates(
            100, {"cases": cases / 100, "years": years / 100}, {"cases": 0.0, "years": 0.0},
            {("cases", "years"): 0.0},
        )
        for cases, years in ((41, 28010), (15, 19017))
    ]  # fmt: skip
    e = known(
        rate_difference(
            treatment=arms[0], control=arms[1], events="cases", exposure="years", variance="poisson"
        )
    )
    mine = fixed_horizon(e)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = rates.test_poisson_2indep(41, 28010, 15, 19017, compare="diff", method="wald")
        ends = rates.confint_poisson_2indep(41, 28010, 15, 19017, compare="diff", method="wald")
    assert e.treatment.value == pytest.approx(41 / 28010)
    assert mine.test.statistic == pytest.approx(float(theirs.statistic), rel=1e-9)
    assert mine.test.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)
    assert mine.difference.interval is not None
    found = mine.difference.interval
    assert (found.lower, found.upper) == pytest.approx(ends, rel=1e-9)
    assert codes(e) == []


def test_robust_rates_are_means_and_ratios() -> None:
    generator = np.random.default_rng(2)
    counts = [generator.poisson(3, 200).tolist() for _ in range(2)]
    hours = [generator.uniform(1, 9, 200).tolist() for _ in range(2)]
    plain = [counted(c) for c in counts]
    a = known(rate_difference(treatment=plain[0], control=plain[1]))
    b = known(mean_difference(treatment=plain[0], control=plain[1]))
    assert (a.estimator, a.difference, a.variance, a.df) == ("rate_robust", b.difference, b.variance, b.df)
    with_hours = [counted(c, h) for c, h in zip(counts, hours, strict=True)]
    a = known(rate_difference(treatment=with_hours[0], control=with_hours[1], exposure="hours"))
    b = known(
        ratio_difference(
            treatment=with_hours[0], control=with_hours[1], numerator="events", denominator="hours"
        )
    )
    assert (a.estimator, a.difference, a.variance, a.df) == ("rate_robust", b.difference, b.variance, b.df)


def test_bursts_are_told_from_independent_events() -> None:
    generator = np.random.default_rng(4)
    hours = generator.uniform(0.5, 20, 2000)
    independent = counted(generator.poisson(0.7 * hours).tolist(), hours.tolist())
    bursts = counted(generator.poisson(0.7 * hours * generator.gamma(1, 1, 2000)).tolist(), hours.tolist())

    def warned(treatment: Moments, control: Moments, exposure: str | None) -> list[str]:
        return codes(
            rate_difference(treatment=treatment, control=control, exposure=exposure, variance="poisson")
        )

    # Exposures that differ are no bursts, where they are known.
    assert warned(independent, independent, "hours") == []
    assert warned(independent, independent, None) == ["overdispersed"]
    assert warned(bursts, independent, "hours") == warned(independent, bursts, "hours") == ["overdispersed"]
    rare = Moments.from_arrays({"events": generator.poisson(0.002, 5000)})
    assert "overdispersed" not in warned(rare, rare, None)


def test_a_false_alarm_of_bursts_is_rare() -> None:
    generator = np.random.default_rng(6)
    alarms = 0
    for rate in (0.01, 0.3, 5.0):
        for _ in range(200):
            arm = Moments.from_arrays({"events": generator.poisson(rate, 2000)})
            alarms += "overdispersed" in codes(
                rate_difference(treatment=arm, control=arm, variance="poisson")
            )
    assert alarms <= 3


def test_no_events_at_all_have_no_variance() -> None:
    none = counted([0, 0, 0])
    answer = rate_difference(treatment=none, control=none, variance="poisson")
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.NO_VARIANCE
    assert codes(answer) == ["few_events"]
    one_sided = known(rate_difference(treatment=none, control=counted([3, 4]), variance="poisson"))
    assert (one_sided.treatment.variance, one_sided.control.variance) == (0.0, 1.75)
    assert "only 0 events" in one_sided.warnings[0].message


def test_five_events_are_enough() -> None:
    five, four = counted([2, 3]), counted([2, 2])
    assert codes(rate_difference(treatment=five, control=five, variance="poisson")) == []
    assert codes(rate_difference(treatment=five, control=four, variance="poisson")) == ["few_events"]


def test_impossible_rates_are_refused() -> None:
    good, negative = counted([1, 2]), Moments.from_arrays({"events": [-1.0, -3.0]})
    with pytest.raises(ValueError, match="cannot be negative"):
        rate_difference(treatment=good, control=negative, variance="poisson")
    with pytest.raises(ValueError, match="robust, poisson"):
        rate_difference(treatment=good, control=good, variance="wald")  # type: ignore[arg-type]
