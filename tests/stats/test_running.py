"""All looks of an anytime-valid inference together: one p-value, one interval."""

import json
import math
from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.stats.anytime import (
    ALTERNATIVES,
    INFERENCES,
    Inference,
    inferences,
    is_a_tie,
    log_p,
)

from equipoise_stats import (
    Alternative,
    ArmEstimate,
    Comparison,
    Estimate,
    Interval,
    Moments,
    Status,
    confidence_sequence,
    fixed_horizon,
    mean_difference,
    running_comparison,
)


def looks(
    differences: list[float], inference: Inference = INFERENCES["confidence_sequence"]
) -> list[Comparison]:
    return [
        inference(Estimate("any", ArmEstimate(n, 10 + d, 2 / n), ArmEstimate(n, 10.0, 2 / n)))
        for n, d in zip(range(200, 200 * (len(differences) + 1), 200), differences, strict=True)
    ]


@given(inferences, st.lists(st.floats(-0.6, 0.6), min_size=1, max_size=6), st.sampled_from(ALTERNATIVES))
def test_the_running_result_agrees_with_itself(
    name: str, differences: list[float], alternative: Alternative
) -> None:
    each = looks(differences, partial(INFERENCES[name], alternative=alternative))
    assume(not any(is_a_tie(look) for look in each))
    running = running_comparison(each)
    assert log_p(running) == min(map(log_p, each))
    assert running.test.rejected is (log_p(running) <= math.log(0.05))
    assert running.test.rejected is any(look.test.rejected for look in each)
    assert (running.difference.estimate, running.treatment) == (
        each[-1].difference.estimate,
        each[-1].treatment,
    )
    assert (running.test.statistic, running.test.critical) == (None, None)
    for scale in ("difference", "lift"):
        effect = getattr(running, scale)
        lower = max(getattr(look, scale).interval.lower for look in each)
        upper = min(getattr(look, scale).interval.upper for look in each)
        if lower > upper:
            assert (effect.status, effect.interval) == (Status.EMPTY, None)
            assert running.test.rejected is True
        else:
            assert (effect.status, effect.interval) == (Status.OK, Interval(lower, upper))
            assert effect.interval.excludes(0.0) is running.test.rejected
    assert json.dumps(running.to_dict(), allow_nan=False)


def test_an_effect_that_turns_round_empties_the_intersection() -> None:
    running = running_comparison(looks([0.9, 0.9, -0.9]))
    assert running.difference.status == running.lift.status == Status.EMPTY
    assert "no value in common" in (running.difference.reason or "")
    assert running.difference.interval is None
    assert running.test.rejected is True
    assert running.method.name == "running_confidence_sequence"


def test_looks_without_an_answer_are_passed_over() -> None:
    constant = Moments.from_arrays({"y": [3.0, 3.0]})
    nothing = confidence_sequence(mean_difference(treatment=constant, control=constant), tuning_units=500)
    assert running_comparison([nothing]) is nothing
    early = confidence_sequence(
        Estimate("any", ArmEstimate(50, 9.0, 1.0), ArmEstimate(50, 1.0, 1.0)), tuning_units=500
    )
    assert running_comparison([nothing, early]).difference.status == Status.UNBOUNDED
    answered = looks([0.9])
    running = running_comparison([nothing, early, *answered])
    assert running.difference == answered[0].difference
    assert log_p(running) == log_p(answered[0])


def test_what_is_not_one_anytime_valid_inference_is_not_put_together() -> None:
    e = Estimate("any", ArmEstimate(200, 2.0, 0.5), ArmEstimate(200, 1.0, 0.5))
    with pytest.raises(ValueError, match="no looks"):
        running_comparison([])
    with pytest.raises(ValueError, match="'fixed_horizon' is valid at one look"):
        running_comparison([fixed_horizon(e)])
    with pytest.raises(ValueError, match="differ in method or parameters"):
        running_comparison([confidence_sequence(e, tuning_units=t) for t in (500, 600)])
