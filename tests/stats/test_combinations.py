"""Every estimate under every inference: the rules that hold for each pair of them."""

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from equipoise_stats import (
    Alternative,
    Comparison,
    Cut,
    Estimate,
    Moments,
    NoEstimate,
    Scale,
    adjusted_difference,
    anytime_t,
    arm_quantile,
    cluster_difference,
    confidence_sequence,
    fixed_horizon,
    fixed_horizon_lift,
    group_sequential,
    mean_difference,
    mixture_sprt,
    plan_looks,
    quantile_difference,
    rate_difference,
    ratio_difference,
    stratified_difference,
    winsorized,
)

Estimator = Callable[[int, int], Estimate | NoEstimate]


class Inference(Protocol):
    def __call__(
        self,
        estimate: Estimate | NoEstimate,
        *,
        alpha: float,
        alternative: Alternative,
        null: float,
        scale: Scale,
    ) -> Comparison: ...


def columns(seed: int, n: int = 120) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Units with an effect that depends on the seed, so that some seeds are significant and others not."""
    generator = np.random.default_rng(seed)
    x = generator.gamma(3, 1, n)
    y = (2 + x) * (1 + 0.15 * (seed % 5)) + generator.normal(0, 1, n)
    return {"y": y, "x": x, "d": generator.integers(1, 6, n).astype(float)}


def arm(seed: int) -> Moments:
    return Moments.from_arrays(columns(seed))


def strata(seed: int) -> dict[str, Moments]:
    data = columns(seed)
    return {str(k): Moments.from_arrays({"y": data["y"][data["d"] % 2 == k]}) for k in (0, 1)}


def counted(seed: int) -> Moments:
    data = columns(seed)
    return Moments.from_arrays({"events": np.floor(data["y"]), "hours": data["d"]})


ESTIMATORS: dict[str, Estimator] = {
    "mean": lambda t, c: mean_difference(treatment=arm(t), control=arm(c), column="y"),
    "ratio": lambda t, c: ratio_difference(treatment=arm(t), control=arm(c), numerator="y", denominator="d"),
    "adjusted mean": lambda t, c: adjusted_difference(
        treatment=arm(t), control=arm(c), column="y", covariates=["x"]
    ),
    "adjusted ratio": lambda t, c: adjusted_difference(
        treatment=arm(t), control=arm(c), column="y", denominator="d", covariates=["x"]
    ),
    "stratified": lambda t, c: stratified_difference(treatment=strata(t), control=strata(c)),
    "cluster": lambda t, c: cluster_difference(treatment=arm(t), control=arm(c), total="y", size="d"),
    "rate": lambda t, c: rate_difference(treatment=counted(t), control=counted(c), exposure="hours"),
    "poisson rate": lambda t, c: rate_difference(
        treatment=counted(t), control=counted(c), exposure="hours", variance="poisson"
    ),
    "quantile": lambda t, c: quantile_difference(
        treatment=arm_quantile(columns(t, 240)["y"], q=0.5, units=np.arange(240) // 2),
        control=arm_quantile(columns(c, 240)["y"], q=0.5, units=np.arange(240) // 2),
    ),
    "winsorized": lambda t, c: winsorized(
        mean_difference(
            treatment=Moments.from_arrays({"y": Cut(upper=7.0).apply(columns(t)["y"])}),
            control=Moments.from_arrays({"y": Cut(upper=7.0).apply(columns(c)["y"])}),
        ),
        Cut(upper=7.0),
    ),
}


def sequential(
    estimate: Estimate | NoEstimate, *, alpha: float, alternative: Alternative, null: float, scale: Scale
) -> Comparison:
    history = plan_looks([0.4, 0.7], alpha=alpha, alternative=alternative)
    return group_sequential(
        estimate, history=history, alpha=alpha, alternative=alternative, null=null, scale=scale
    )


INFERENCES: dict[str, Inference] = {
    "fixed horizon": fixed_horizon,
    "group sequential": sequential,
    "confidence sequence": partial(confidence_sequence, tuning_units=200),
    "mixture SPRT": partial(mixture_sprt, effect_sd=0.5),
    "anytime t": partial(anytime_t, tuning_units=200),
}

alternatives: st.SearchStrategy[Alternative] = st.sampled_from(("two-sided", "greater", "less"))
scales: st.SearchStrategy[Scale] = st.sampled_from(("difference", "lift"))
seeds = st.integers(0, 60)


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
@given(t=seeds, c=seeds, alternative=alternatives, scale=scales, null=st.sampled_from([0.0, -0.1, 0.3]))
def test_p_is_at_most_alpha_exactly_when_the_interval_excludes_the_null(
    estimator: str, inference: str, t: int, c: int, alternative: Alternative, scale: Scale, null: float
) -> None:
    estimate = ESTIMATORS[estimator](t, c)
    assert isinstance(estimate, Estimate)
    infer = INFERENCES[inference]
    result = infer(estimate, alpha=0.05, alternative=alternative, null=null, scale=scale)
    assert result.test.p_value is not None
    assume(not math.isclose(result.test.p_value, 0.05, rel_tol=1e-6))
    significant = result.test.p_value <= 0.05
    assert result.test.rejected is significant
    on_scale = result.difference if scale == "difference" else result.lift
    if on_scale.interval is not None:
        assert on_scale.interval.excludes(null) is significant
    else:
        assert not significant or scale == "lift"
    if null == 0 and result.lift.interval is not None:
        assert result.lift.interval.excludes(0.0) is significant
    assert result.details == estimate.details
    assert set(estimate.warnings) <= set(result.warnings)
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_swapping_the_arms_negates(estimator: str, inference: str) -> None:
    infer = partial(INFERENCES[inference], alpha=0.05, alternative="two-sided", null=0.0, scale="difference")
    for t, c in ((4, 0), (7, 12), (3, 21)):
        a, b = infer(ESTIMATORS[estimator](t, c)), infer(ESTIMATORS[estimator](c, t))
        assert a.difference.estimate == pytest.approx(-(b.difference.estimate or 0.0), rel=1e-9)
        assert a.test.p_value == pytest.approx(b.test.p_value, rel=1e-6)
        assert a.difference.interval is not None
        assert b.difference.interval is not None
        assert a.difference.interval.lower == pytest.approx(-b.difference.interval.upper, rel=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_other_lift_intervals_take_every_estimate(estimator: str) -> None:
    estimate = ESTIMATORS[estimator](3, 0)
    for interval in ("delta", "log"):
        result = fixed_horizon_lift(estimate, interval="delta" if interval == "delta" else "log")
        assert result.lift.interval is not None
        fieller = fixed_horizon(estimate).lift.interval
        assert fieller is not None
        # Close to each other where the control's value is well known.
        assert result.lift.interval.lower == pytest.approx(fieller.lower, abs=0.05)
        assert result.lift.interval.upper == pytest.approx(fieller.upper, abs=0.05)
