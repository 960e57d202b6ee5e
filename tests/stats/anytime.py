"""The anytime-valid inferences, and estimates for them, that their tests share."""

import math
from collections.abc import Callable
from functools import partial
from typing import get_args

from hypothesis import strategies as st

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Comparison,
    Estimate,
    Interval,
    anytime_t,
    confidence_sequence,
    mixture_sprt,
)

ALTERNATIVES: tuple[Alternative, ...] = get_args(Alternative)
Inference = Callable[..., Comparison]
INFERENCES: dict[str, Inference] = {
    "confidence_sequence": partial(confidence_sequence, tuning_units=500),
    "pinned_sequence": partial(confidence_sequence, tuning_units=500, tuning_alpha=0.02),
    "mixture_sprt": partial(mixture_sprt, effect_sd=2.0),
    "anytime_t": partial(anytime_t, tuning_units=500),
}
inferences = st.sampled_from(sorted(INFERENCES))
levels = st.sampled_from([1e-6, 0.001, 0.01, 0.05, 0.2, 0.45])


def estimates(positive: bool = False) -> st.SearchStrategy[Estimate]:
    def build(m_t: float, m_c: float, se_t: float, se_c: float, rho: float, df: float, n: int) -> Estimate:
        return Estimate(
            "any", ArmEstimate(n, m_t, se_t**2), ArmEstimate(n + 9, m_c, se_c**2), rho * se_t * se_c, df
        )

    return st.builds(
        build,
        st.floats(0.001 if positive else -50, 50),
        st.floats(0.001 if positive else -50, 50),
        st.floats(0.001, 20),
        st.floats(0.001, 20),
        st.floats(-0.95, 0.95),
        st.one_of(st.floats(1, 1e6), st.just(math.inf)),
        st.integers(100, 10**6),
    )


def log_p(result: Comparison) -> float:
    assert result.test.log_p_value is not None
    return result.test.log_p_value


def interval(result: Comparison) -> Interval:
    assert result.difference.interval is not None
    return result.difference.interval


def is_a_tie(result: Comparison) -> bool:
    return math.isclose(log_p(result), math.log(result.test.alpha), rel_tol=1e-9, abs_tol=1e-9)
