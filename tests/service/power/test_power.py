"""The power of plans over HTTP: units and smallest effects, against the formulas."""

import math
import uuid
from datetime import timedelta
from statistics import correlation
from typing import Any

import pytest
from fastapi.testclient import TestClient
from scipy.stats import norm
from tests.service.power.asking import BOOKINGS, NOW, SPEND, power, refused

from equipoise_service.texts.saying import say


def test_a_single_share_needs_what_the_formula_says(client: TestClient) -> None:
    found = power(
        client,
        metrics=[BOOKINGS],
        plan={
            "horizon": {"days": 14},
            "method": "fixed-horizon",
            "targets": {"bookings": {"mde": 0.1}},
            "deterioration_alpha": 1e-9,
        },
        baselines={"bookings": {"value": 0.1}},
        traffic_of={"daily_units": 1000},
        days=[14],
    )
    # β less the two tests of the sample ratio, which can stop a good change, too.
    drift = norm.isf(0.025) + norm.ppf(0.8 + 0.002)
    expected = 2 * (0.1 * 0.9 + 0.11 * 0.89) * (drift / 0.01) ** 2
    assert found["units"] == pytest.approx(expected, rel=1e-4)
    assert found["days"] == 7 * math.ceil(expected / 7000) + 1
    reach = found["horizons"][0]["metrics"][0]
    assert reach["units"] == 13_000
    treated = 0.1 + reach["difference"]
    error = math.sqrt((0.1 * 0.9 + treated * (1 - treated)) / 6500)
    assert reach["difference"] == pytest.approx(drift * error, rel=1e-4)
    assert reach["lift"] == pytest.approx(reach["difference"] / 0.1)
    assert reach["power"] == found["horizons"][0]["power"] < 0.5
    assert (found["traffic"]["units"], found["traffic"]["daily_units"]) == (None, 1000)


def test_the_whole_rule_shares_alpha_and_beta_and_the_smallest_treatment_binds(client: TestClient) -> None:
    guardrail = {
        "key": "latency",
        "type": "mean",
        "event": "load",
        "role": "guardrail",
        "direction": "decrease",
    }
    found = power(
        client,
        metrics=[BOOKINGS, SPEND, guardrail, {**guardrail, "key": "errors", "role": "deterioration"}],
        plan={
            "method": "fixed-horizon",
            "deterioration_alpha": 0.01,
            "targets": {"bookings": {"mde": 0.05}, "spend": {"mde": 1.0, "scale": "difference"},
                        "latency": {"margin": 0.02}},
        },
        weights=[2, 1, 1],
        baselines={"bookings": {"value": 0.2}, "spend": {"value": 20, "standard_deviation": 30},
                   "latency": {"value": 400, "standard_deviation": 300},
                   "errors": {"value": 1, "standard_deviation": 1}},
        traffic_of={"daily_units": 5000},
    )  # fmt: skip
    # Two success metrics times two treatments; one guardrail; half of the level for harm is each treatment's.
    levels = found["levels"]
    assert levels["success_alpha"] == pytest.approx(0.05 / 4)
    assert levels["guardrail_alpha"] == pytest.approx(0.05)
    assert levels["power"] == pytest.approx(1 - (0.2 - 0.005 - 0.002) / 2)
    needs = {each["metric"]: each["units"] for each in found["metrics"]}
    z = norm.ppf(levels["power"])
    # A treatment has a quarter of all units, the control a half.
    spend = 900 * (4 + 2) * ((norm.isf(0.0125 / 2) + z) / 1.0) ** 2
    assert needs["spend"] == pytest.approx(spend, rel=1e-3)
    latency = 300**2 * (4 + 1.02**2 * 2) * ((norm.isf(0.025) + z) / 8) ** 2
    assert needs["latency"] == pytest.approx(latency, rel=1e-3)
    assert needs["errors"] is None
    assert found["binding"] == max(("bookings", "spend", "latency"), key=lambda key: needs[key])
    assert found["units"] == max(need for need in needs.values() if need is not None)
    # The smallest margin of a horizon is one that is shown with just the power of the levels.
    for horizon in found["horizons"]:
        lift = next(each["lift"] for each in horizon["metrics"] if each["metric"] == "latency")
        error = 300 * math.sqrt((4 + (1 + lift) ** 2 * 2) / horizon["units"])
        assert 400 * lift == pytest.approx(error * (norm.isf(0.025) + z), rel=1e-3)
    powers = [horizon["power"] for horizon in found["horizons"]]
    assert powers == sorted(powers)
    assert powers[0] < powers[-1]


def test_looking_often_costs_units(client: TestClient) -> None:
    asked = {"metrics": [BOOKINGS], "baselines": {"bookings": {"value": 0.2}},
             "traffic_of": {"daily_units": 1000}}  # fmt: skip
    targets = {"targets": {"bookings": {"mde": 0.05}}}
    horizon = {"horizon": {"units": 50_000}, **targets}
    fixed = power(client, plan={"method": "fixed-horizon", **targets}, **asked)
    once = power(client, plan={**horizon, "looks": {"count": 1}}, **asked)
    daily = power(client, plan=horizon, **asked)
    pocock = power(client, plan={**horizon, "spending": "pocock"}, **asked)
    always = power(client, plan=targets, **asked)
    assert once["units"] == fixed["units"]
    assert 1.02 < daily["units"] / fixed["units"] < 1.06
    assert daily["metrics"][0]["expected_units"] < fixed["units"] < always["units"]
    assert daily["units"] < pocock["units"] < always["units"]
    assert (once["looks"], daily["looks"]) == (1, 30)


def test_what_cannot_be_planned_for_is_said(client: TestClient) -> None:
    asked: dict[str, Any] = {"metrics": [BOOKINGS], "baselines": {"bookings": {"value": 0.2}},
                             "traffic_of": {"daily_units": 10}}  # fmt: skip
    open_ended = power(client, **asked, plan={"method": "fixed-horizon"})
    assert open_ended["units"] is None
    assert "mde" in open_ended["reason"]
    assert open_ended["horizons"][0]["metrics"][0]["lift"] > 0
    slow = power(client, **asked, plan={"targets": {"bookings": {"mde": 0.01}}})
    assert (slow["units"] > 10**5, slow["days"]) == (True, None)
    assert refused(client, **{**asked, "metrics": [{**BOOKINGS, "role": "quality"}]}) == "/plan"
    hopeless = client.post("/v1/plans/power", json={**asked, "plan": {"power": 0.99}}).json()["errors"][0]
    assert hopeless["pointer"] == "/plan"
    assert "ask for less than 0.988" in hopeless["message"]
    assert refused(client, **asked, plan={"targets": {"other": {"mde": 0.1}}}) == "/plan/targets/other"
    assert refused(client, **{**asked, "baselines": {"other": {"value": 0.2}}}) == "/baselines/other"
    assert (
        refused(client, **{**asked, "baselines": {"bookings": {"value": 1}}}) == "/baselines/bookings/value"
    )
    assert refused(client, **{**asked, "traffic_of": {}}) == "/traffic_of"
    assert refused(client) == "/metrics"
    assert client.post("/v1/plans/power", json={"experiment": "none"}).status_code == 404


def test_a_covariate_saves_the_units_that_it_explains(client: TestClient) -> None:
    events: list[dict[str, Any]] = []
    spent, looked = [], []
    for i in range(120):
        came, looks = NOW - timedelta(days=3, hours=i % 24), i % 4
        spent.append(10.0 * looks + i % 3)
        looked.append(float(looks))
        times = {"visit": [0.0], "buy": [1.0], "look": [-1.0 - hour for hour in range(looks)] + [2.0]}
        events += [
            {"id": str(uuid.uuid4()), "unit": f"u{i}", "name": name, "value": spent[-1],
             "time": (came + timedelta(hours=hour)).isoformat()}
            for name, hours in times.items() for hour in hours
        ]  # fmt: skip
    assert client.post("/v1/events", json={"events": events}).json()["accepted"] == len(events)
    looks_before = {"event": "look", "aggregation": "count", "pre_period_days": 2}
    plain = {**SPEND, "event": "buy"}
    asked = {
        "plan": {"targets": {"spend": {"mde": 0.05}}, "method": "fixed-horizon"},
        "traffic_of": {"event": "visit"},
    }
    without = power(client, metrics=[plain], **asked)
    adjusted = power(client, metrics=[{**plain, "covariate": looks_before}], **asked)
    left = 1 - correlation(spent, looked) ** 2
    assert adjusted["units"] / without["units"] == pytest.approx(left, rel=0.05)
    # The check of the balance before can stop a good change, too.
    assert adjusted["levels"]["power"] - without["levels"]["power"] == pytest.approx(0.001)


def test_past_units_that_do_not_vary_are_told_from_those_that_their_pre_period_decides(
    client: TestClient,
) -> None:
    events: list[dict[str, Any]] = []
    for i in range(30):
        came = NOW - timedelta(days=2 if i < 15 else 3)
        for name, hours, value in (
            ("visit", 0, 1),
            ("same", 1, 5),
            ("as-before", 1, i),
            ("as-before", -1, i),
        ):
            time = (came + timedelta(hours=hours)).isoformat()
            events.append(
                {"id": str(uuid.uuid4()), "unit": f"u{i}", "name": name, "time": time, "value": value}
            )
    assert client.post("/v1/events", json={"events": events}).json()["accepted"] == len(events)
    same = {**SPEND, "key": "same", "event": "same"}
    found = power(
        client,
        metrics=[
            same,
            {**same, "key": "same-adjusted", "pre_period_days": 1},
            {**same, "key": "as-before", "event": "as-before", "pre_period_days": 1},
        ],
        traffic_of={"event": "visit"},
    )
    reasons = {each["metric"]: each["reason"] for each in found["metrics"]}
    assert reasons == {
        "same": say("past.no_variance"),
        "same-adjusted": say("past.no_variance"),
        "as-before": say("past.no_estimate", units="30", reason=say("no_result.no_variance")),
    }


def test_a_share_near_1_says_what_is_impossible_and_what_is_out_of_reach(client: TestClient) -> None:
    found = power(
        client,
        metrics=[BOOKINGS],
        plan={"method": "fixed-horizon", "targets": {"bookings": {"mde": 0.5}}},
        baselines={"bookings": {"value": 0.9}},
        traffic_of={"daily_units": 2},
    )
    assert found["metrics"][0]["reason"] == say("planning.impossible", value="0.9")
    assert found["reason"] == f"bookings: {found['metrics'][0]['reason']}"
    (first,) = found["horizons"][0]["metrics"]
    assert first["reason"] == say("planning.impossible", value="0.9")
    near = power(
        client,
        metrics=[BOOKINGS],
        plan={"method": "fixed-horizon"},
        baselines={"bookings": {"value": 0.9}},
        traffic_of={"daily_units": 2},
    )
    (first,) = near["horizons"][0]["metrics"]
    assert first["reason"] == say("planning.out_of_reach", units=f"{first['units']}", value="0.9")


@pytest.mark.parametrize(
    ("mde", "value", "deviation"),
    [(1e-300, 1.0, 1.0), (1e300, 1.0, 1e-12), (0.1, 1e-300, 1e15), (0.1, 1e15, 1.0)],
)
@pytest.mark.parametrize("method", ["fixed-horizon", "group-sequential", "confidence-sequence", "bayesian"])
def test_extremes_are_answered_in_words(
    client: TestClient, method: str, mde: float, value: float, deviation: float
) -> None:
    latency = {**SPEND, "key": "latency", "role": "guardrail", "direction": "decrease"}
    found = power(
        client,
        metrics=[SPEND, latency],
        plan={
            "method": method,
            "prior": {"standard_deviation": 0.02} if method == "bayesian" else None,
            "horizon": {"units": 1000},
            "targets": {"spend": {"mde": mde}, "latency": {"margin": mde}},
        },
        baselines={each: {"value": value, "standard_deviation": deviation} for each in ("spend", "latency")},
        traffic_of={"daily_units": 1000},
    )
    for each in found["metrics"]:
        assert (each["units"] is None) == (each["reason"] is not None)
