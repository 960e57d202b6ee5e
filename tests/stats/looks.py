"""Histories of looks, and estimates at a look, that the group-sequential tests share."""

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Comparison,
    Estimate,
    LookHistory,
    Spending,
    group_sequential,
    plan_looks,
    stage_wise,
)

OBF = Spending("obrien_fleming")
POCOCK = Spending("pocock")
FIXED = 1.959963984540054
ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")
SPENDINGS = (
    OBF,
    POCOCK,
    Spending("hwang_shih_decani", -4.0),
    Spending("power", 2.0),
)
# A few schedules: what depends on them is cached, and the tests stay quick.
SCHEDULES = ((1.0,), (0.3,), (0.5, 1.0), (0.1, 0.31, 0.78), (0.25, 0.5, 0.75, 1.2), (0.02, 0.4, 0.41, 1.0))
histories = st.builds(
    lambda fractions, spending, alpha, side: plan_looks(
        fractions, spending=spending, alpha=alpha, alternative=side
    ),
    st.sampled_from(SCHEDULES),
    st.sampled_from(SPENDINGS),
    st.sampled_from([0.001, 0.05, 0.2]),
    st.sampled_from(ALTERNATIVES),
)
INFERENCES = (group_sequential, stage_wise)
spendings = st.one_of(
    st.just(OBF),
    st.just(POCOCK),
    st.builds(lambda gamma: Spending("hwang_shih_decani", gamma), st.floats(-8, 4)),
    st.builds(lambda rho: Spending("power", rho), st.floats(0.5, 6)),
)
sides = st.sampled_from(["two-sided", "greater", "less"])
levels = st.sampled_from([0.001, 0.025, 0.05, 0.2, 0.45])


def schedules(most: int = 8) -> st.SearchStrategy[list[float]]:
    """Unplanned looks, some close together, that end at the planned information."""
    gaps = st.lists(st.floats(1e-3, 1), min_size=1, max_size=most)
    return gaps.map(lambda g: [*[float(t) for t in np.cumsum(g) / sum(g)][:-1], 1.0])


def estimates(positive: bool = False) -> st.SearchStrategy[Estimate]:
    def build(
        m_t: float, m_c: float, se_t: float, se_c: float, rho: float, df: float, unit: float
    ) -> Estimate:
        return Estimate(
            "any",
            ArmEstimate(100, m_t * unit, (se_t * unit) ** 2),
            ArmEstimate(100, m_c * unit, (se_c * unit) ** 2),
            rho * se_t * se_c * unit**2,
            df,
        )

    return st.builds(
        build,
        st.floats(0.001 if positive else -50, 50),
        st.floats(0.001 if positive else -50, 50),
        st.floats(0.05, 20),
        st.floats(0.05, 20),
        st.floats(-0.9, 0.9),
        st.one_of(st.floats(2, 1e6), st.just(math.inf)),
        st.sampled_from([1e-9, 1.0, 1e9]),
    )


def with_z(z: float, df: float = math.inf) -> Estimate:
    return Estimate("any", ArmEstimate(100, z, 0.5), ArmEstimate(100, 0.0, 0.5), df=df)


def is_a_tie(result: Comparison) -> bool:
    assert result.test.log_p_value is not None
    return math.isclose(result.test.log_p_value, math.log(result.test.alpha), rel_tol=1e-7, abs_tol=1e-7)


def ask(inference: Any, estimate: Any, history: LookHistory, **more: Any) -> Comparison:
    result: Comparison = inference(
        estimate, history=history, alpha=history.alpha, alternative=history.alternative, **more
    )
    return result
