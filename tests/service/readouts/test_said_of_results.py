"""What is said beside a result where its own interval is not the whole answer: corrections, and beliefs."""

from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import norm
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    START,
    moments,
    plan,
    statistics,
)

from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import Horizon, Method, Multiplicity, Prior
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts

BOTH = (CONVERTED, CONVERTED.model_copy(update={"key": "came-back"}))


def two_metrics(successes: int, **more: Any) -> dict[str, Any]:
    control, treatment = Counts(10_000, 1_000), Counts(10_000, successes)
    found = statistics(
        control=dict.fromkeys(("converted", "came-back"), control),
        treatment={"converted": treatment, "came-back": control},
    )
    return build_readout(plan(*BOTH, **more), found, PROVENANCE)


def test_that_a_correction_decides_is_said_with_its_p() -> None:
    readout = two_metrics(1_090)
    (comparison,) = readout["metrics"][0]["comparisons"]
    assert comparison["difference"]["interval"][0] > 0
    assert (comparison["detected"], comparison["difference"]["p_value"] < 0.05) == (False, True)
    # Holm's smaller one of two.
    assert abs(comparison["corrected"]["p_value"] - 2 * comparison["difference"]["p_value"]) < 1e-12
    assert "corrected for all tests of the plan (p = 0.0749), no effect is detected." in readout["summary"]


def test_a_correction_that_decides_nothing_is_not_told() -> None:
    for readout in (
        two_metrics(1_040),
        two_metrics(1_200),
        two_metrics(1_090, multiplicity=Multiplicity.NONE),
    ):
        assert "corrected for all tests" not in readout["summary"]


def believed(metric: PlannedMetric, provenance: Provenance = PROVENANCE, **more: Any) -> dict[str, Any]:
    prior = Prior(mean=0.0, standard_deviation=0.1)
    planned = plan(metric, method=Method.BAYESIAN, prior=prior, **more)
    arms = (
        statistics(
            control={"converted": Counts(10_000, 1_000)}, treatment={"converted": Counts(10_000, 1_150)}
        )
        if metric.type.is_share
        else statistics(
            control={"load-time": moments(400, 800.0, 90_000.0)},
            treatment={"load-time": moments(400, 780.0, 90_000.0)},
        )
    )
    readout = build_readout(planned, arms, provenance)
    assert verify_readout(readout) == []
    return readout


def test_beliefs_are_said_with_their_losses_and_their_prior() -> None:
    readout = believed(CONVERTED, horizon=Horizon(units=20_000))
    (note,) = readout["metrics"][0]["notes"]
    # The prior's standard deviation is 0.1 × 10 % = 1 point, the data's is 0.4387 points.
    variance = (0.1 * 0.9 + 0.115 * 0.885) / 10_000
    mean, deviation = 0.015 * 1e-4 / (1e-4 + variance), (1e-4 * variance / (1e-4 + variance)) ** 0.5
    assert f"with a probability of {100 * norm.cdf(mean / deviation):.1f} %" in note
    assert f"not choosing it {100 * mean:.2f} percentage points" in note
    assert "Choosing it loses 0.00 percentage points on average" in note
    assert "The prior (a lift of 0 % with a standard deviation of 10 %)" in note


def test_what_is_better_goes_by_the_metrics_direction() -> None:
    success = LOAD_TIME.model_copy(update={"role": Role.SUCCESS})
    readout = believed(success, horizon=Horizon(units=800))
    (comparison,) = readout["metrics"][0]["comparisons"]
    posterior = comparison["posterior"]
    assert posterior["probability_below"] > 0.5
    (note,) = readout["metrics"][0]["notes"]
    assert f"with a probability of {100 * posterior['probability_below']:.1f} %" in note
    assert f"Choosing it loses {posterior['loss_if_higher']:.1f} on average" in note
    assert f"not choosing it {posterior['loss_if_lower']:.1f}" in note


def test_a_file_is_the_end_of_a_bayesian_plan_without_a_horizon_and_what_goes_on_is_not() -> None:
    for provenance in (PROVENANCE, replace(PROVENANCE, started_at=START)):
        file = believed(CONVERTED, replace(provenance, revision=None))
        assert file["progress"]["complete"]
        assert file["metrics"][0]["comparisons"][0]["posterior"]["probability_above"] > 0.99
        assert "Keep running" not in file["summary"]
        experiment = believed(CONVERTED, provenance)
        assert not experiment["progress"]["complete"]
        assert experiment["metrics"][0]["comparisons"][0]["posterior"] is None
        assert experiment["recommendation"]["would_change"] == ["The result of converted at the end."]


def test_a_file_that_an_earlier_release_held_for_unfinished_is_refused_with_advice() -> None:
    file = believed(CONVERTED, replace(PROVENANCE, revision=None, started_at=START))
    file["progress"]["complete"] = False
    assert "/progress/complete" in {each.pointer for each in verify_readout(file)}
    file["wording"] = "sha256:" + "0" * 64
    with pytest.raises(NotAReadout, match="earlier release"):
        verify_readout(file)
