"""The power of Bayesian plans over HTTP: against posteriors of drawn estimates, and plans without a prior."""

import math
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.stats import norm
from tests.service.power.asking import power

from equipoise_service.texts.saying import say

SPEND = {"key": "spend", "type": "mean", "event": "purchase", "window_hours": 24}
LATENCY = {"key": "latency", "type": "mean", "event": "load", "role": "guardrail", "direction": "decrease"}
BASELINES = {
    "spend": {"value": 20, "standard_deviation": 30},
    "latency": {"value": 400, "standard_deviation": 300},
}
TARGETS = {"spend": {"mde": 0.05}, "latency": {"margin": 0.04}}
DRAWS = 20_000


def planned(client: TestClient, prior: dict[str, float] | None, **more: Any) -> dict[str, Any]:
    plan = {"method": "bayesian", "prior": prior} if prior else {"method": "fixed-horizon"}
    return power(
        client,
        **{
            "metrics": [SPEND, LATENCY],
            "plan": {**plan, "horizon": {"days": 14}, "targets": TARGETS},
            "baselines": BASELINES,
            "traffic_of": {"daily_units": 2000},
            **more,
        },
    )


def share_shown(
    prior: dict[str, float], metric: str, lift: float, null: float, units: float, alpha: float
) -> float:
    """How often the posterior of a lift's linear form leaves too little on the worse side of a null value.

    Written for all draws at once, in another way than the posterior that readouts show: by the precisions of
    the difference, and the control's value given it.
    """
    value, deviation = (float(BASELINES[metric][each]) for each in ("value", "standard_deviation"))
    random, error = np.random.default_rng(7), deviation / math.sqrt(units / 2)
    control = random.normal(value, error, DRAWS)
    difference = random.normal(value * (1 + lift), error, DRAWS) - control
    spread, variance = (prior["standard_deviation"] * control) ** 2, 2 * error**2
    left = 1 / (1 / variance + 1 / spread)
    mean = left * (difference / variance + prior["mean"] * control / spread)
    # Half of what the difference moves by is the control's.
    believed = control - (mean - difference) / 2
    form_variance = (1 + null / 2) ** 2 * left + null**2 * error**2 / 2
    beyond = (mean - null * believed) / np.sqrt(form_variance)
    return float(np.mean((beyond if metric == "spend" else -beyond) > norm.isf(alpha)))


PRIORS = [
    {"mean": 0.0, "standard_deviation": 0.03},
    {"mean": -0.01, "standard_deviation": 0.05},
    {"mean": 0.015, "standard_deviation": 0.04},
]


@pytest.mark.parametrize("prior", PRIORS)
def test_posteriors_show_as_often_as_planned(client: TestClient, prior: dict[str, float]) -> None:
    found = planned(client, prior)
    level = found["levels"]["power"]
    tolerance = 4 * math.sqrt(level * (1 - level) / DRAWS)
    targets = {"spend": (0.05, 0.0), "latency": (0.0, 0.04)}
    for each in found["metrics"]:
        shown = share_shown(prior, each["metric"], *targets[each["metric"]], each["units"], 0.025)
        assert shown == pytest.approx(level, abs=tolerance)
        assert each["prior_units"] == pytest.approx(
            4 * (each["standard_deviation"] / each["value"] / prior["standard_deviation"]) ** 2, rel=2e-3
        )
    # By a horizon: the smallest effect and the smallest margin have just this power, the targets their own.
    horizon = found["horizons"][1]
    for each in horizon["metrics"]:
        lift, null = (each["lift"], 0.0) if each["metric"] == "spend" else (0.0, each["lift"])
        assert share_shown(prior, each["metric"], lift, null, each["units"], 0.025) == pytest.approx(
            level, abs=tolerance
        )
        own = share_shown(prior, each["metric"], *targets[each["metric"]], each["units"], 0.025)
        assert each["power"] == pytest.approx(own, abs=4 * math.sqrt(0.25 / DRAWS))


def test_a_sceptical_prior_costs_units_and_a_flat_one_none(client: TestClient) -> None:
    fixed = planned(client, None)
    flat = planned(client, {"standard_deviation": 100})
    sceptical = planned(client, {"standard_deviation": 0.03})
    assert flat["units"] == pytest.approx(fixed["units"], abs=1)
    for one, other in zip(fixed["metrics"], flat["metrics"], strict=True):
        assert other["units"] == pytest.approx(one["units"], abs=1)
    for one, other in zip(fixed["horizons"], flat["horizons"], strict=True):
        for before, after in zip(one["metrics"], other["metrics"], strict=True):
            numbers = ("difference", "lift", "power")
            assert [after[name] for name in numbers] == pytest.approx(
                [before[name] for name in numbers], rel=1e-4
            )
    assert sceptical["metrics"][0]["units"] > 1.1 * fixed["metrics"][0]["units"]
    assert [each["prior_units"] for each in fixed["metrics"]] == [None, None]
    assert sceptical["notes"] == fixed["notes"]


def test_what_the_prior_shows_by_itself_needs_no_units(client: TestClient) -> None:
    reason = say("planning.shown_by_prior")
    # That nothing loses 4 % is believed before: the guardrail asks for nothing more, and the plan has a size.
    sure = planned(client, {"standard_deviation": 0.01})
    spend, latency = sure["metrics"]
    assert (latency["units"], latency["reason"]) == (None, reason)
    assert latency["prior_units"] == pytest.approx(4 * (300 / 400 / 0.01) ** 2, rel=5e-3)
    assert (sure["units"], sure["binding"], sure["reason"]) == (spend["units"], "spend", None)
    convinced = planned(client, {"mean": 0.5, "standard_deviation": 0.01})
    assert convinced["units"] is None
    assert convinced["reason"] == f"spend: {reason}"
    assert convinced["metrics"][1]["units"] > 3 * spend["units"]
    (first, _) = convinced["horizons"][0]["metrics"]
    assert (first["difference"], first["lift"], first["reason"]) == (None, None, reason)
    assert first["power"] == pytest.approx(1)


def test_a_prior_about_lifts_says_nothing_of_a_metric_that_is_not_positive(client: TestClient) -> None:
    targets = {"spend": {"mde": 1.0, "scale": "difference"}}
    found = planned(
        client,
        None,
        metrics=[SPEND],
        plan={"method": "bayesian", "prior": {"standard_deviation": 0.1}, "targets": targets},
        baselines={"spend": {"value": -3, "standard_deviation": 30}},
    )
    reason = say("planning.no_lift", value="-3")
    assert (found["units"], found["reason"]) == (None, f"spend: {reason}")
    (reach,) = found["horizons"][0]["metrics"]
    assert (reach["difference"], reach["power"], reach["reason"]) == (None, None, reason)


def test_posteriors_are_asked_at_the_level_of_the_decision_rule(client: TestClient) -> None:
    """It divides the level by the success metrics, and by nothing for several treatments."""
    clicks = {"key": "clicks", "type": "proportion", "event": "click", "window_hours": 24}
    found = planned(
        client,
        {"standard_deviation": 0.05},
        metrics=[SPEND, clicks],
        weights=[1, 1, 1],
        plan={
            "method": "bayesian",
            "prior": {"standard_deviation": 0.05},
            "targets": {"spend": {"mde": 0.1}},
        },
        baselines={"spend": BASELINES["spend"], "clicks": {"value": 0.1}},
    )
    assert found["levels"]["success_alpha"] == pytest.approx(0.05 / 2)
    assert found["notes"] == []
