"""Readouts of quantiles and funnels: the figures of the statistics, and what a changed one does."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from equipoise_service.analysis.statistics import ArmStatistics, QuantileValues, Statistics, StepCounts
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import (
    Counts,
    arm_quantile,
    fixed_horizon,
    proportion_difference,
    quantile_difference,
)

GENERATOR = np.random.default_rng(5)
LATENCY = {
    variant: arm_quantile(GENERATOR.exponential(scale, 3000), q=0.9, units=GENERATOR.integers(0, 1000, 3000))
    for variant, scale in (("control", 1.0), ("a", 1.3))
}
STEPS = {"control": (600, 300, 90), "a": (610, 340, 140)}
COMMON = {"role": "success", "direction": "increase", "event": "see"}
PLAN = {
    "unit_type": "user",
    "variants": [
        {"key": "control", "weight": 1, "control": True},
        {"key": "a", "weight": 1, "control": False},
    ],
    "metrics": [
        COMMON | {"key": "bought", "type": "funnel", "steps": [{"event": "cart"}, {"event": "buy"}]},
        COMMON | {"key": "latency", "type": "quantile", "quantile": 0.9, "level": "event"},
    ],
}


def readout(latency: dict[str, Any] = LATENCY) -> dict[str, Any]:
    arms = {
        variant: ArmStatistics(
            1000,
            {
                "bought": StepCounts(1000, STEPS[variant]),
                "latency": QuantileValues(1000, 0.9, latency.get(variant)),
            },
        )
        for variant in STEPS
    }
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return build_readout(Plan.model_validate(PLAN), Statistics(arms, 0, now), Provenance("exp", 1, now))


def test_the_figures_are_those_of_the_statistics() -> None:
    found = {each["metric"]: each["comparisons"][0]["difference"] for each in readout()["metrics"]}
    counts = {variant: Counts(1000, steps[-1]) for variant, steps in STEPS.items()}
    expected = {
        "bought": proportion_difference(treatment=counts["a"], control=counts["control"]),
        "latency": quantile_difference(treatment=LATENCY["a"], control=LATENCY["control"]),
    }
    for key, estimate in expected.items():
        result = fixed_horizon(estimate)
        assert result.difference.interval is not None
        assert found[key]["estimate"] == result.difference.estimate
        assert found[key]["p_value"] == pytest.approx(result.test.p_value, rel=1e-12)


def test_it_verifies_and_a_changed_number_does_not() -> None:
    document = readout()
    assert verify_readout(document) == []
    changed = deepcopy(document)
    changed["metrics"][1]["comparisons"][0]["statistics"]["variant"]["upper"] += 0.1
    assert any("/metrics/1/comparisons/0" in each.pointer for each in verify_readout(changed))
    changed = deepcopy(document)
    changed["metrics"][0]["comparisons"][0]["statistics"]["variant"]["steps"][-1] += 1
    with pytest.raises(NotAReadout):
        verify_readout(changed)


def test_an_arm_without_values_has_no_quantile() -> None:
    document = readout({"control": LATENCY["control"]})
    difference = document["metrics"][1]["comparisons"][0]["difference"]
    assert (difference["status"], difference["estimate"]) == ("too_few_units", None)
    assert verify_readout(document) == []
