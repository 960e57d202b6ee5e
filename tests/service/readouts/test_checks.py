"""What checks say at the moment at which they are asked, and what is projected."""

from dataclasses import replace
from typing import Any

import pytest
from tests.service.readouts.documents import (
    CONVERTED,
    PROVENANCE,
    START,
    converted,
    moments,
    plan,
    statistics,
)

from equipoise_service.analysis.statistics import ArmValues
from equipoise_service.metrics.schemas import Aggregation, MetricType, Role
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.sealing import sealed
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, Moments


def test_units_of_an_arm_that_was_not_planned_fail_at_once() -> None:
    arms: dict[str, dict[str, ArmValues]] = {
        arm: {"converted": Counts(500, 50)} for arm in ("control", "treatment", "ghost")
    }
    asked = plan(CONVERTED, method=Method.FIXED_HORIZON, horizon=Horizon(units=100_000))
    check = build_readout(asked, statistics(0, **arms), PROVENANCE)["health"]["sample_ratio"]
    assert (check["status"], check["p_value"]) == ("failed", None)


def test_a_readout_by_rules_of_an_earlier_release_is_refused_with_advice() -> None:
    horizon = Horizon(units=100_000)
    early = converted((1_000, 10_000), (1_050, 10_500), method=Method.FIXED_HORIZON, horizon=horizon)
    early["health"]["sample_ratio"]["p_value"] = 0.000479
    early["wording"] = "sha256:" + "0" * 64

    assert "/health/sample_ratio/p_value" in {each.pointer for each in verify_readout(sealed(early))}
    del early["health"]["recomputed_assignments"]
    with pytest.raises(NotAReadout, match="earlier release"):
        verify_readout(sealed(early))
    early["health"]["sample_ratio"]["p_value"] = None
    assert verify_readout(sealed(early)) == []


def before(difference: float, **more: Any) -> dict[str, Any]:
    """The check of arms whose means differed by so much before they met a variant; its error is 0.02."""
    earlier = CONVERTED.model_copy(
        update={"key": "spent", "type": MetricType.MEAN, "pre_period_days": 14, "window_hours": 24}
    )
    arms: list[dict[str, ArmValues]] = [
        {"spent": Moments(10_000, ("y", "y_before"), (10.0, mean), ((2e4, 1e4), (1e4, 2e4)))}
        for mean in (8.0, 8.0 + difference)
    ]
    found = statistics(control=arms[0], treatment=arms[1])
    readout = build_readout(plan(earlier, **more), found, PROVENANCE)
    assert verify_readout(readout) == []
    check: dict[str, Any] = readout["health"]["pre_exposure_balance"]
    return check


def test_balance_is_asked_by_one_test_at_the_end_and_before_by_one_for_any_moment() -> None:
    horizon = {"method": Method.FIXED_HORIZON, "horizon": Horizon(units=100_000)}
    # 3.5 standard errors: one in two thousand at the end, nothing for one who looks every day.
    assert before(0.07)["p_value"] == pytest.approx(0.000465, abs=5e-6)
    assert before(0.07)["status"] == "failed"
    assert before(0.07, method=Method.CONFIDENCE_SEQUENCE)["p_value"] > 0.002
    for more in (horizon, {"method": Method.CONFIDENCE_SEQUENCE}):
        assert [before(each, **more)["status"] for each in (0.07, 0.2)] == ["ok", "failed"]


@pytest.mark.parametrize(
    ("changes", "adds_up"),
    [
        ({"type": MetricType.PROPORTION}, True),
        ({"type": MetricType.MEAN}, True),
        ({"type": MetricType.MEAN, "aggregation": Aggregation.COUNT}, True),
        ({"type": MetricType.COUNT_DISTINCT, "property": "page"}, True),
        # Seconds, or a largest basket, of many people are not so many seconds.
        ({"type": MetricType.MEAN, "aggregation": Aggregation.LAST}, False),
        ({"type": MetricType.MEAN, "aggregation": Aggregation.MAXIMUM}, False),
        ({"type": MetricType.MEAN, "role": Role.QUALITY}, False),
        ({"type": MetricType.PROPORTION, "role": Role.QUALITY}, False),
    ],
)
def test_only_what_adds_up_is_projected(changes: dict[str, Any], adds_up: bool) -> None:
    metric = CONVERTED.model_copy(update={"key": "asked", **changes})
    value = Counts(1_000, 100) if metric.type is MetricType.PROPORTION else moments(1_000, 5.0, 2.0)
    arms: dict[str, dict[str, ArmValues]] = {arm: {"asked": value} for arm in ("control", "treatment")}
    started = replace(PROVENANCE, started_at=START, traffic=1.0)
    readout = build_readout(plan(metric), statistics(0, **arms), started)
    (comparison,) = readout["metrics"][0]["comparisons"]
    assert (comparison["impact"] is not None) is adds_up
    assert any("in 30 days" in note for note in readout["metrics"][0]["notes"]) is adds_up
