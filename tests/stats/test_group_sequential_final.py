"""After stopping: stage-wise p-values, intervals and median-unbiased estimates."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from tests.stats.intervals import interval_of
from tests.stats.looks import ask, with_z

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Counts,
    Estimate,
    Look,
    LookHistory,
    Spending,
    Status,
    exit_probabilities,
    group_sequential,
    plan_looks,
    proportion_difference,
    stage_wise,
)


def test_rpact_two_means_after_four_looks() -> None:
    # rpact, test-f_analysis_base_means.R: two groups, four stages, critical values C t^(−0.1), one-sided
    # 0.025; after the last stage 91 and 87 units, difference 77.467475, pooled deviation 180.80733.
    times = [0.25, 0.5, 0.75, 1.0]

    def excess(c: float) -> float:
        return float(exit_probabilities(times, [c * t**-0.1 for t in times]).power) - 0.025

    c = float(optimize.brentq(excess, 1.9, 3, xtol=1e-13))
    critical = [c * t**-0.1 for t in times]
    spent = np.minimum(np.cumsum(exit_probabilities(times, critical).upper), 0.025)
    looks = tuple(Look(t, t, float(s), k) for t, s, k in zip(times, spent, critical, strict=True))
    history = LookHistory(alpha=0.025, alternative="greater", looks=looks)
    se = 180.80733 * math.sqrt(1 / 91 + 1 / 87)

    def arms(difference: float, df: float) -> Estimate:
        half = se**2 / 2
        return Estimate("any", ArmEstimate(91, difference, half), ArmEstimate(87, 0.0, half), df=df)

    e = arms(77.467475, 176.0)
    assert interval_of(ask(group_sequential, e, history).difference.interval).lower == pytest.approx(
        16.408896, abs=1e-5
    )
    assert ask(stage_wise, e, history).test.p_value == pytest.approx(0.019111276, abs=1e-9)
    # Its interval after stopping treats the standard error as known once the statistic is a normal one.
    normal = arms(se * float(stats.norm.isf(stats.t.sf(77.467475 / se, 176))), math.inf)
    final = ask(stage_wise, normal, history).difference
    assert final.estimate == pytest.approx(65.8091, abs=1e-4)
    assert interval_of(final.interval).lower == pytest.approx(3.8518991, abs=1e-4)


@pytest.mark.parametrize("z", [2.9, 1.2, -2.6])
def test_stage_wise_p_of_two_looks_by_quadrature(z: float) -> None:
    history = plan_looks([0.4, 1.0], spending=Spending("pocock"))
    c, r = history.critical_values[0], math.sqrt(0.4)

    def above(theta: float) -> float:
        # Z₁ ~ N(θ√0.4, 1); Z₂ given Z₁ has correlation √0.4.
        inside = integrate.quad(
            lambda u: stats.norm.pdf(u - theta * r)
            * stats.norm.sf((z - theta - r * (u - theta * r)) / math.sqrt(0.6)),
            -c, c, epsabs=1e-13, epsrel=1e-12,
        )[0]  # fmt: skip
        return float(stats.norm.sf(c - theta * r) + inside)

    result = ask(stage_wise, with_z(z), history)
    p = above(0.0)
    assert result.test.p_value == pytest.approx(2 * min(p, 1 - p), rel=1e-9)
    ends = [
        optimize.brentq(lambda x, q=q: above(x) - q, z - 6, z + 6, xtol=1e-12) for q in (0.025, 0.5, 0.975)
    ]
    interval = interval_of(result.difference.interval)
    assert (interval.lower, result.difference.estimate, interval.upper) == pytest.approx(ends, abs=1e-8)
    assert result.difference.standard_error is None
    assert result.test.critical is None
    sides: tuple[tuple[Alternative, int], ...] = (("greater", 1), ("less", -1))
    for side, sign in sides:
        one = plan_looks([0.4, 1.0], spending=Spending("pocock"), alternative=side)
        c1 = one.critical_values[0]
        low = integrate.quad(
            lambda u, s=sign: stats.norm.pdf(u) * stats.norm.sf((s * z - r * u) / math.sqrt(0.6)),
            -12,
            c1,
            epsabs=1e-13,
            epsrel=1e-12,
        )[0]
        assert ask(stage_wise, with_z(z), one).test.p_value == pytest.approx(
            float(stats.norm.sf(c1)) + low, rel=1e-8
        )


def test_stopping_at_a_bound_spends_what_the_look_had() -> None:
    history = plan_looks([0.3, 0.6, 1.0], spending=Spending("pocock"))
    for k in (1, 2, 3):
        so_far = LookHistory(history.spending, 0.05, "two-sided", history.looks[:k])
        result = ask(stage_wise, with_z(so_far.current.critical), so_far)
        assert result.test.p_value == pytest.approx(so_far.current.spent, rel=1e-9)


def test_the_lift_of_the_stage_wise_ends() -> None:
    e = proportion_difference(treatment=Counts(7500, 690), control=Counts(7500, 600))
    assert isinstance(e, Estimate)
    result = stage_wise(e, history=plan_looks([0.25, 0.5, 0.75]))
    interval, lift = interval_of(result.difference.interval), interval_of(result.lift.interval)
    p_t, p_c = e.treatment, e.control
    for end, relative in ((interval.lower, lift.lower), (interval.upper, lift.upper)):
        m = (e.difference - end) / e.standard_error
        ratio = 1 + relative
        form = (p_t.value - ratio * p_c.value) / math.sqrt(p_t.variance + ratio**2 * p_c.variance)
        assert form == pytest.approx(m, abs=1e-9)
    noisy = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(9, 0.5, 0.5))
    assert stage_wise(noisy, history=plan_looks([1.0])).lift.status == Status.UNBOUNDED


def test_stage_wise_intervals_cover_and_the_estimate_is_median_unbiased() -> None:
    generator = np.random.default_rng(11)
    replications, theta = 2000, 2.0
    plan = plan_looks([0.4, 1.0], spending=Spending("pocock"))
    covered = above = naive_above = 0
    for _ in range(replications):
        b, t = 0.0, 0.0
        for k, look in enumerate(plan.looks, 1):
            b += generator.normal(theta * (look.fraction - t), math.sqrt(look.fraction - t))
            t = look.fraction
            if abs(b) / math.sqrt(t) > look.critical or k == 2:
                break
        e = Estimate("any", ArmEstimate(9, b / t, 0.5 / t), ArmEstimate(9, 0.0, 0.5 / t))
        result = stage_wise(e, history=LookHistory(plan.spending, 0.05, "two-sided", plan.looks[:k]))
        covered += not interval_of(result.difference.interval).excludes(theta)
        above += (result.difference.estimate or 0) > theta
        naive_above += e.difference > theta
    assert abs(covered / replications - 0.95) < 3 * math.sqrt(0.95 * 0.05 / replications)
    assert abs(above / replications - 0.5) < 3 * math.sqrt(0.25 / replications)
    assert naive_above / replications > 0.53
