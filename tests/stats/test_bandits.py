"""Bandits: the best arm by other routes, shares, and inference that adaptive allocation does not bias."""

import json
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import log_ndtr

from equipoise_stats import (
    AllocationPeriod,
    Alternative,
    ArmBelief,
    BanditAllocation,
    Estimate,
    Moments,
    NoEstimate,
    Status,
    adaptive_confidence_sequence,
    arm_belief,
    best_arm_log_probabilities,
    best_arm_probabilities,
    inverse_weighted_difference,
    normal_mixture_critical,
    optimal_mixture_ratio,
    thompson_allocation,
    top_two_allocation,
)

ALTERNATIVES: tuple[Alternative, ...] = get_args(Alternative)

beliefs_of_arms = st.lists(
    st.builds(ArmBelief, st.floats(-5, 5), st.sampled_from([1e-6, 0.01, 0.3, 1.0, 7.0])),
    min_size=2,
    max_size=6,
).map(lambda arms: {f"arm{i}": arm for i, arm in enumerate(arms)})


@given(st.floats(-300, 300), st.floats(1e-4, 50), st.floats(1e-4, 50))
def test_of_two_arms_the_best_has_a_closed_form(d: float, s: float, t: float) -> None:
    log_best = best_arm_log_probabilities({"a": ArmBelief(d, s), "b": ArmBelief(0.0, t)})
    assert log_best[0] == pytest.approx(float(log_ndtr(d / math.hypot(s, t))), rel=1e-10, abs=1e-13)
    assert log_best[1] == pytest.approx(float(log_ndtr(-d / math.hypot(s, t))), rel=1e-10, abs=1e-13)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.3, 3)), min_size=3, max_size=3))
def test_of_three_arms_the_best_is_an_orthant(arms: list[tuple[float, float]]) -> None:
    """P(a − b > 0, a − c > 0), by the bivariate normal distribution."""
    mine = best_arm_probabilities({str(i): ArmBelief(*arm) for i, arm in enumerate(arms)})
    for i in range(3):
        (m, s), (m1, s1), (m2, s2) = arms[i], arms[i - 1], arms[i - 2]
        covariance = [[s * s + s1 * s1, s * s], [s * s, s * s + s2 * s2]]
        orthant = stats.multivariate_normal([m1 - m, m2 - m], covariance).cdf([0, 0])
        assert mine[str(i)] == pytest.approx(float(orthant), abs=2e-5)


def test_the_best_of_four_arms_by_adaptive_quadrature() -> None:
    arms = {"a": (0.0, 1.0), "b": (0.3, 0.2), "c": (-1.0, 2.0), "d": (0.4, 0.05)}
    mine = best_arm_probabilities({name: ArmBelief(*arm) for name, arm in arms.items()})
    for name, (m, s) in arms.items():

        def density(x: float, name: str = name, m: float = m, s: float = s) -> float:
            below = math.prod(float(stats.norm.cdf(x, *arm)) for other, arm in arms.items() if other != name)
            return below * float(stats.norm.pdf(x, m, s))

        total = integrate.quad(density, m - 9 * s, m + 9 * s, points=[0.3, 0.4], epsabs=1e-12, limit=200)[0]
        assert mine[name] == pytest.approx(total, abs=1e-10)


@given(beliefs_of_arms)
def test_probabilities_sum_to_one_and_ignore_order_units_and_origin(beliefs: dict[str, ArmBelief]) -> None:
    mine = best_arm_probabilities(beliefs)
    assert math.fsum(mine.values()) == pytest.approx(1.0, abs=1e-12)
    assert list(mine) == list(beliefs)
    turned = best_arm_probabilities(dict(reversed(beliefs.items())))
    scaled = best_arm_probabilities(
        {name: ArmBelief(1e6 * arm.mean, 1e6 * arm.standard_deviation) for name, arm in beliefs.items()}
    )
    for name in beliefs:
        assert turned[name] == pytest.approx(mine[name], rel=1e-9, abs=1e-13)
        assert scaled[name] == pytest.approx(mine[name], rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("arms", [2, 3, 10])
def test_ties_are_shared(arms: int) -> None:
    beliefs = {str(i): ArmBelief(1e9, 2.0) for i in range(arms)}
    for value in best_arm_probabilities(beliefs).values():
        assert value == pytest.approx(1 / arms, abs=1e-13)
    for allocation in (thompson_allocation(beliefs), top_two_allocation(beliefs)):
        for arm in allocation.arms:
            assert arm.weight == pytest.approx(1 / arms, abs=1e-13)


def check_weights(allocation: BanditAllocation, beliefs: dict[str, ArmBelief], floor: float) -> None:
    weights = [arm.weight for arm in allocation.arms]
    assert math.fsum(weights) == pytest.approx(1.0, abs=1e-13)
    assert min(weights) >= floor
    assert [arm.arm for arm in allocation.arms] == list(beliefs)
    assert [arm.best for arm in allocation.arms] == pytest.approx(
        list(best_arm_probabilities(beliefs).values()), rel=1e-12
    )
    assert allocation.floor == floor
    assert json.dumps(allocation.to_dict(), allow_nan=False)


@given(beliefs_of_arms, st.sampled_from([0.0, 0.01, 0.05, 1 / 6]))
def test_thompson_shares_are_the_probabilities_above_the_floor(
    beliefs: dict[str, ArmBelief], floor: float
) -> None:
    allocation = thompson_allocation(beliefs, floor=floor)
    check_weights(allocation, beliefs, floor)
    assert (allocation.method, allocation.leader_share) == ("thompson", None)
    for arm in allocation.arms:
        assert arm.weight == pytest.approx(floor + (1 - floor * len(beliefs)) * arm.best, abs=1e-12)


@given(beliefs_of_arms, st.sampled_from([0.0, 0.05]), st.sampled_from([0.0, 0.5, 0.8, 1.0]))
def test_top_two_shares_are_those_of_the_second_draw(
    beliefs: dict[str, ArmBelief], floor: float, leader_share: float
) -> None:
    allocation = top_two_allocation(beliefs, floor=floor, leader_share=leader_share)
    check_weights(allocation, beliefs, floor)
    assert (allocation.method, allocation.leader_share) == ("top_two", leader_share)
    best = [arm.best for arm in allocation.arms]
    if max(best) < 1 - 1e-6:
        for j, arm in enumerate(allocation.arms):
            second = sum(best[i] * best[j] / (1 - best[i]) for i in range(len(best)) if i != j)
            share = leader_share * best[j] + (1 - leader_share) * second
            assert arm.weight == pytest.approx(floor + (1 - floor * len(best)) * share, abs=1e-8)


def test_top_two_of_two_arms_and_of_a_certain_leader() -> None:
    two = top_two_allocation({"a": ArmBelief(3.0, 1.0), "b": ArmBelief(0.0, 1.0)}, floor=0.0)
    p = float(stats.norm.cdf(3 / math.sqrt(2)))
    assert [arm.weight for arm in two.arms] == pytest.approx([0.5 * p + 0.5 * (1 - p), 0.5], abs=1e-12)
    # Where the leader is certain to the last digit, the challengers still share by their own odds.
    certain = {"a": ArmBelief(100.0, 1.0), "b": ArmBelief(0.0, 1.0), "c": ArmBelief(0.0, 1.0)}
    assert [arm.weight for arm in top_two_allocation(certain, floor=0.0).arms] == pytest.approx(
        [0.5, 0.25, 0.25], abs=1e-9
    )


def test_the_belief_in_an_arm_is_normal_normal() -> None:
    prior = ArmBelief(10.0, 2.0)
    arm = Moments.scalar(50, 12.0, 100.0)
    precision = 1 / 4 + 50 / 100
    belief = arm_belief(arm, prior=prior)
    assert belief.mean == pytest.approx((10 / 4 + 12 * 50 / 100) / precision, rel=1e-12)
    assert belief.standard_deviation == pytest.approx(precision**-0.5, rel=1e-12)
    two_columns = Moments.from_arrays({"x": [1.0, 2.0], "y": [5.0, 7.0]})
    assert (
        arm_belief(two_columns, prior=prior, column="y").mean
        > arm_belief(two_columns, prior=prior, column="x").mean
    )
    for silent in (
        Moments.empty(("y",)),
        Moments.from_arrays({"y": [4.0]}),
        Moments.from_arrays({"y": [0.0] * 30}),
    ):
        assert arm_belief(silent, prior=prior) == prior


def test_impossible_bandits_are_refused() -> None:
    one = {"a": ArmBelief(0.0, 1.0)}
    two = {**one, "b": ArmBelief(0.0, 1.0)}
    with pytest.raises(ValueError, match="There are 1 arms"):
        best_arm_probabilities(one)
    for floor in (-0.1, 0.51):
        with pytest.raises(ValueError, match=r"2 arms can keep between 0 and 0\.5 each"):
            thompson_allocation(two, floor=floor)
    for leader_share in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="leader_share is"):
            top_two_allocation(two, leader_share=leader_share)
    for mean, sd in ((math.nan, 1.0), (0.0, 0.0), (0.0, math.inf), (0.0, -1.0)):
        with pytest.raises(ValueError, match="impossible"):
            ArmBelief(mean, sd)


def period(arms: dict[str, list[float]], probabilities: dict[str, float]) -> AllocationPeriod:
    return AllocationPeriod(
        {name: Moments.from_arrays({"y": values}) for name, values in arms.items()}, probabilities
    )


HISTORY: list[tuple[dict[str, list[float]], dict[str, float]]] = [
    ({"a": [1.0, 3.0, 2.0], "b": [4.0, 2.5], "c": [9.0]}, {"a": 0.4, "b": 0.4, "c": 0.2}),
    ({"b": [5.0, 3.0, 4.5, 4.0]}, {"a": 0.1, "b": 0.8, "c": 0.1}),
    ({"a": [2.0, 1.0], "b": [3.5, 6.0], "c": [1.0, 2.0]}, {"a": 0.3, "b": 0.5, "c": 0.2}),
]


def test_the_estimate_is_the_mean_of_the_scores_unit_by_unit() -> None:
    scores: list[tuple[float, float]] = []
    earlier: dict[str, list[float]] = {"a": [], "b": []}
    for arms, probabilities in HISTORY:
        guess = {arm: float(np.mean(values)) if values else 1.5 for arm, values in earlier.items()}
        for name, values in arms.items():
            scores += [
                (
                    guess["b"] + (y - guess["b"]) / probabilities["b"] * (name == "b"),
                    guess["a"] + (y - guess["a"]) / probabilities["a"] * (name == "a"),
                )
                for y in values
            ]
        for name in earlier:
            earlier[name] += arms.get(name, [])
    table = np.array(scores)
    e = inverse_weighted_difference([period(*p) for p in HISTORY], treatment="b", control="a", prior_mean=1.5)
    assert isinstance(e, Estimate)
    covariance = np.cov(table.T) / len(table)
    assert (e.treatment.n, e.control.n) == (8, 5)
    assert (e.treatment.value, e.control.value) == pytest.approx(tuple(table.mean(axis=0)), rel=1e-12)
    assert (e.treatment.variance, e.control.variance) == pytest.approx(tuple(np.diag(covariance)), rel=1e-12)
    assert e.covariance == pytest.approx(float(covariance[0, 1]), rel=1e-12)
    assert e.variance == pytest.approx(float((table[:, 0] - table[:, 1]).var(ddof=1)) / len(table), rel=1e-12)
    assert (e.estimator, e.warnings) == ("inverse_weighted", ())


def test_the_sequence_runs_in_the_time_of_the_variance() -> None:
    periods = [period(*p) for p in HISTORY]
    e = inverse_weighted_difference(periods, treatment="b", control="a")
    assert isinstance(e, Estimate)
    options = {"tuning_units": 100.0, "tuning_variance": 6.0, "alpha": 0.1}
    result = adaptive_confidence_sequence(periods, treatment="b", control="a", burn_in=5, **options)  # type: ignore[arg-type]
    summed = 16**2 * e.variance
    ratio = optimal_mixture_ratio(0.1) * summed / 600
    assert result.test.critical == pytest.approx(float(normal_mixture_critical(ratio, alpha=0.1)), rel=1e-12)
    assert result.test.statistic == pytest.approx(e.difference / e.standard_error, rel=1e-12)
    # Waudby-Smith and others, with ρ² = ratio / summed: √(2 (V ρ² + 1)/ρ² · ln(√(V ρ² + 1)/α)) / N.
    rho2 = ratio / summed
    radius = math.sqrt(2 * (summed * rho2 + 1) / rho2 * math.log(math.sqrt(summed * rho2 + 1) / 0.1)) / 16
    assert result.difference.interval is not None
    assert result.difference.interval.upper - e.difference == pytest.approx(radius, rel=1e-12)
    early = adaptive_confidence_sequence(periods, treatment="b", control="a", burn_in=6, **options)  # type: ignore[arg-type]
    assert (early.test.critical, early.test.p_value, early.test.rejected) == (math.inf, 1.0, False)
    assert result.to_dict()["method"] == {
        "name": "adaptive_confidence_sequence",
        "version": 1,
        "parameters": {
            "alpha": 0.1,
            "alternative": "two-sided",
            "null": 0.0,
            "scale": "difference",
            "tuning_units": 100.0,
            "tuning_variance": 6.0,
            "tuning_alpha": 0.1,
            "prior_mean": 0.0,
            "burn_in": 5,
        },
    }


@given(st.floats(-3, 3), st.sampled_from(ALTERNATIVES), st.sampled_from([1e-3, 0.05, 0.4]))
def test_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    null: float, alternative: Alternative, alpha: float
) -> None:
    periods = [period({k: v * 9 for k, v in arms.items()}, probabilities) for arms, probabilities in HISTORY]
    for scale in ("difference", "lift"):
        result = adaptive_confidence_sequence(
            periods,
            treatment="b",
            control="a",
            burn_in=0,
            tuning_units=150,
            tuning_variance=6.0,
            tuning_alpha=0.05,
            prior_mean=2.0,
            alternative=alternative,
            null=max(null, -0.9),
            alpha=alpha,
            scale=scale,
        )
        assert result.test.log_p_value is not None
        significant = result.test.log_p_value <= math.log(alpha)
        assert result.test.rejected is significant
        effect = result.difference if scale == "difference" else result.lift
        assert effect.interval is not None
        assert effect.interval.excludes(max(null, -0.9)) is significant


def test_where_bandits_have_no_answer() -> None:
    options = {"tuning_units": 100.0, "tuning_variance": 6.0}
    even = {"a": 0.5, "b": 0.5}
    one_sided = [period({"a": [1.0], "b": [1.0, 2.0, 5.0]}, even)]
    few = inverse_weighted_difference(one_sided, treatment="b", control="a")
    assert isinstance(few, NoEstimate)
    assert (few.status, few.treatment.n, few.control.n) == (Status.TOO_FEW_UNITS, 3, 1)
    result = adaptive_confidence_sequence(one_sided, treatment="b", control="a", **options)  # type: ignore[arg-type]
    assert result.test.status == result.difference.status == Status.TOO_FEW_UNITS
    negative = [period({"a": [-1.0, -2.0], "b": [1.0, 2.0, 5.0]}, even)]
    lift = adaptive_confidence_sequence(
        negative,
        treatment="b",
        control="a",
        scale="lift",
        burn_in=0,
        **options,  # type: ignore[arg-type]
    )
    assert lift.test.status == Status.CONTROL_NOT_POSITIVE
    assert lift.test.p_value is None


def test_small_probabilities_are_told() -> None:
    def warnings(smallest: float) -> list[str]:
        e = inverse_weighted_difference(
            [period({"a": [1.0, 2.0], "b": [1.0, 5.0]}, {"a": smallest, "b": 1 - smallest})],
            treatment="b",
            control="a",
        )
        return [notice.code for notice in e.warnings]

    assert warnings(0.05) == []
    assert warnings(0.049) == ["small_probability"]


def test_impossible_histories_are_refused() -> None:
    for probabilities in ({"a": 0.5, "b": 0.4}, {"a": 1.2, "b": -0.2}, {}, {"a": math.nan, "b": 0.5}):
        with pytest.raises(ValueError, match="must be 0 or more and sum to 1"):
            AllocationPeriod({}, probabilities)
    for arm in ("a", "unknown"):
        with pytest.raises(ValueError, match=f"Arm '{arm}' has 1 units"):
            period({arm: [1.0]}, {"a": 0.0, "b": 1.0})
    off = period({"b": [1.0]}, {"a": 0.0, "b": 1.0})
    fine = period({"a": [1.0, 2.0], "b": [3.0, 5.0]}, {"a": 0.5, "b": 0.5})
    with pytest.raises(ValueError, match="'a' had probability 0 in period 2"):
        inverse_weighted_difference([fine, off], treatment="b", control="a")
    with pytest.raises(ValueError, match="with itself"):
        inverse_weighted_difference([fine], treatment="a", control="a")
    with pytest.raises(ValueError, match="prior_mean is nan"):
        inverse_weighted_difference([fine], treatment="b", control="a", prior_mean=math.nan)
    good = {"tuning_units": 100.0, "tuning_variance": 6.0, "burn_in": 0}
    for name in good:
        with pytest.raises(ValueError, match=f"{name} is -1"):
            adaptive_confidence_sequence([fine], treatment="b", control="a", **{**good, name: -1})  # type: ignore[arg-type]


def test_the_sequence_covers_where_naive_means_are_biased() -> None:
    """Equal arms under Thompson sampling with looks at every period."""
    generator = np.random.default_rng(17)
    replications, periods_each, units = 150, 10, 100
    names, prior = ("a", "b", "c"), ArmBelief(0.0, 1.0)
    missed, naive = 0, []
    for _ in range(replications):
        totals = {name: Moments.empty(("y",)) for name in names}
        periods: list[AllocationPeriod] = []
        wrong = False
        for _ in range(periods_each):
            allocation = thompson_allocation(
                {name: arm_belief(totals[name], prior=prior) for name in names}, floor=0.05
            )
            probabilities = {arm.arm: arm.weight for arm in allocation.arms}
            drawn = generator.multinomial(units, list(probabilities.values()))
            arms = {
                name: Moments.from_arrays({"y": generator.normal(size=int(n))})
                for name, n in zip(names, drawn, strict=True)
                if n
            }
            periods.append(AllocationPeriod(arms, probabilities))
            totals = {
                name: totals[name].merge(arms[name]) if name in arms else totals[name] for name in names
            }
            look = adaptive_confidence_sequence(
                periods, treatment="b", control="a", tuning_units=600, tuning_variance=8.0, burn_in=10
            )
            wrong |= bool(look.test.rejected)
        missed += wrong
        naive += [totals[name].mean[0] for name in names]
    assert missed / replications <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / replications)
    # Every arm's true mean is 0: an arm that starts low is left alone and stays low.
    assert np.mean(naive) < -3 * np.std(naive) / math.sqrt(len(naive))
