"""The power of plans over HTTP: units, days and smallest effects, against the formulas and the facts."""

import math
import uuid
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import correlation, fmean, stdev
from typing import Any

import pytest
from fastapi.testclient import TestClient
from scipy.stats import norm
from sqlmodel import Session, col, select, update

from equipoise_service.database import Database
from equipoise_service.experiments.models import Pause, Ramp
from equipoise_service.texts.saying import say

NOW = datetime.now(UTC)
BOOKINGS = {"key": "bookings", "type": "proportion", "event": "booked", "window_hours": 24}
SPEND = {"key": "spend", "type": "mean", "event": "purchase", "window_hours": 24}


def power(client: TestClient, **asked: Any) -> dict[str, Any]:
    answer = client.post("/v1/plans/power", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(client: TestClient, **asked: Any) -> str:
    answer = client.post("/v1/plans/power", json=asked)
    assert answer.status_code == 422, answer.text
    pointer: str = answer.json()["errors"][0]["pointer"]
    return pointer


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


def test_history_gives_baselines_variances_and_traffic(client: TestClient) -> None:
    random = Random(3)
    events: list[dict[str, Any]] = []
    spent, booked = [], 0
    for i in range(400):
        came = NOW - timedelta(days=13.9 - 10 * i / 400)
        visit = {"name": "visit", "unit": f"u{i}"}
        events += [{**visit, "time": came}, {**visit, "time": came + timedelta(days=3)}]
        value = random.choice([0, 0, 5, 20, 80])
        if value:
            events.append(
                {"name": "purchase", "unit": f"u{i}", "time": came + timedelta(hours=2), "value": value}
            )
        # Out of the window of a day.
        events.append(
            {"name": "purchase", "unit": f"u{i}", "time": came + timedelta(hours=25), "value": 1000}
        )
        spent.append(value)
        if random.random() < 0.3:
            booked += 1
            events.append({"name": "booked", "unit": f"u{i}", "time": came + timedelta(hours=1)})
    events.append({"name": "booked", "unit": "no visitor", "time": NOW - timedelta(days=2)})
    batch = [{**each, "id": str(uuid.uuid4()), "time": each["time"].isoformat()} for each in events]
    assert client.post("/v1/events", json={"events": batch}).json()["accepted"] == len(events)
    asked = {
        "metrics": [SPEND, BOOKINGS],
        "plan": {"targets": {"spend": {"mde": 0.2}, "bookings": {"mde": 0.2}}, "method": "fixed-horizon"},
        "traffic_of": {"event": "visit"},
    }
    found = power(client, **asked, traffic=5000)
    spend, bookings = found["metrics"]
    assert spend["value"] == pytest.approx(fmean(spent))
    assert spend["standard_deviation"] == pytest.approx(stdev(spent))
    assert bookings["value"] == pytest.approx(booked / 400)
    assert (spend["history_units"], bookings["history_units"]) == (400, 400)
    # 400 units came over ten days and none in the last four: three of the last seven days have 40 a day.
    assert (found["traffic"]["units"], found["traffic"]["days"]) == (400, 14)
    assert found["traffic"]["daily_units"] == pytest.approx(40 * 3 / 7, rel=0.05)
    by = {horizon["days"]: horizon["units"] for horizon in found["horizons"]}
    assert by[7] == pytest.approx(7 * 40 / 2, abs=3)
    assert by[14] == 200
    assert by[28] == pytest.approx(200 + 14 * found["traffic"]["daily_units"] / 2, abs=1)
    days = found["days"] - 1
    assert days % 7 == 0
    arrived = 200 + (days - 14) * found["traffic"]["daily_units"] / 2
    assert arrived >= found["units"] > arrived - 7 * found["traffic"]["daily_units"] / 2
    # Whoever did anything counts where nobody is named, and nothing is known of those who never came.
    assert power(client, **{**asked, "traffic_of": None})["traffic"]["units"] == 401
    nobody = power(client, **{**asked, "traffic_of": {"event": "none"}})
    assert (nobody["units"], nobody["horizons"]) == (None, [])
    assert "no such units" in nobody["reason"]


def test_an_experiment_is_planned_with_what_it_is_registered_with(client: TestClient, payload: Any) -> None:
    plan = {"horizon": {"units": 20_000}, "targets": {"converted": {"mde": 0.1}}, "looks": {"count": 4}}
    assert client.post("/v1/experiments", json=payload(traffic=2500, plan=plan)).status_code == 201
    assert client.post("/v1/experiments/new-landing-page/start").status_code == 200
    units, exposures, events = 300, [], []
    for i in range(units):
        time = (NOW - timedelta(minutes=30)).isoformat()
        exposures.append({"id": str(uuid.uuid4()), "time": time, "unit": f"u{i}", "variant": "control",
                          "experiment": "new-landing-page"})  # fmt: skip
        if i % 4 == 0:
            events.append({"id": str(uuid.uuid4()), "time": time, "unit": f"u{i}", "name": "converted"})
    events.append(
        {"id": str(uuid.uuid4()), "time": exposures[0]["time"], "unit": "other", "name": "converted"}
    )
    assert client.post("/v1/events", json={"exposures": exposures, "events": events}).json()["refused"] == 0
    # The units are those that were exposed to its own flag.
    for of in (None, {"flag": "new-landing-page"}, {"experiment": "new-landing-page"}):
        found = power(client, experiment="new-landing-page", traffic_of=of)
        assert found["metrics"][0]["value"] == 0.25
        # They are a quarter of all, as it was planned with: so many come again.
        assert (found["traffic"]["units"], found["traffic"]["daily_units"]) == (units, 4 * units)
        assert found["horizons"][0]["units"] == units * 7
        assert found["looks"] == 4


def test_exposed_units_stand_for_those_that_the_traffic_of_their_day_left_out(
    client: TestClient, payload: Any
) -> None:
    assert client.post("/v1/layers", json={"key": "page", "name": "Page"}).status_code == 201
    for key, of in (("one", {}), ("other", {"flag": "one"})):
        body = payload(key, traffic=2000, layer="page", **of)
        assert client.post("/v1/experiments", json=body).status_code == 201
        assert client.post(f"/v1/experiments/{key}/start").status_code == 200
    now = datetime.now(UTC)
    # One began four days ago with a tenth and was ramped up after two; the other began half a day ago.
    ramped = client.patch("/v1/experiments/one", json={"traffic": 4000}, headers={"If-Match": "*"})
    assert ramped.status_code == 200
    database: Database = client.app.state.database  # type: ignore[attr-defined]
    with Session(database.engine) as session:
        ramps = session.exec(select(Ramp).order_by(col(Ramp.revision_id), col(Ramp.number))).all()
        for ramp, days, slots in zip(ramps, (4, 2, 0.5), (1000, 4000, 2000), strict=True):
            ramp.since, ramp.slots = now - timedelta(days=days), slots
            session.add(ramp)
        session.commit()
    exposures = [
        {
            "id": str(uuid.uuid4()),
            "time": (now - timedelta(days=day + 0.4)).isoformat(),
            "unit": f"{day}-{i}",
            "variant": "control",
            "experiment": "one",
        }
        for day, units in ((3, 10), (2, 10), (1, 40), (0, 60))
        for i in range(units)
    ]
    assert client.post("/v1/events", json={"exposures": exposures}).json()["refused"] == 0
    asked = {"baselines": {"converted": {"value": 0.1}}, "plan": {"targets": {"converted": {"mde": 0.1}}}}
    found = power(client, experiment="one", traffic=10_000, **asked)
    assert (found["traffic"]["units"], found["traffic"]["days"]) == (120, 4)
    # Each day had 100 people, of whom a tenth, then 0.4, then 0.6 were enrolled.
    assert found["traffic"]["daily_units"] == pytest.approx(100, rel=1e-3)
    assert found["horizons"][0]["units"] == pytest.approx(700, abs=1)


def pause(client: TestClient, begin: datetime, end: datetime) -> None:
    """Let the pause that there was have been at that time."""
    database: Database = client.app.state.database  # type: ignore[attr-defined]
    with Session(database.engine) as session:
        session.connection().execute(update(Pause).values(started_at=begin, ended_at=end))
        session.commit()


def test_days_of_a_pause_tell_nothing_of_the_days_to_come(client: TestClient, payload: Any) -> None:
    assert client.post("/v1/experiments", json=payload()).status_code == 201
    for move in ("start", "pause", "resume"):
        assert client.post(f"/v1/experiments/new-landing-page/{move}").status_code == 200
    begin = NOW - timedelta(days=10)
    exposures = [
        {"id": str(uuid.uuid4()), "time": (begin + timedelta(days=number, hours=1)).isoformat(),
         "unit": f"u{number}-{i}", "variant": "control", "experiment": "new-landing-page"}
        for number in range(10) for i in range(40 if number not in (5, 6) else 0)
    ]  # fmt: skip
    assert client.post("/v1/events", json={"exposures": exposures, "events": []}).json()["refused"] == 0
    asked = {"experiment": "new-landing-page", "baselines": {"converted": {"value": 0.2}}}
    for end, counted in ((begin, (320, 10, 40 * 5 / 7)), (begin + timedelta(days=6, hours=18), (320, 8, 40))):
        pause(client, end - timedelta(days=1, hours=12), end)
        for of in ({"experiment": "new-landing-page"}, {"flag": "new-landing-page"}):
            found = power(client, **asked, traffic_of=of)["traffic"]
            assert (found["units"], found["days"], found["daily_units"]) == pytest.approx(counted)


def test_an_audience_that_the_traffic_does_not_know_is_noted(client: TestClient, payload: Any) -> None:
    audience = {"attribute": "country", "operator": "equals", "value": "NL"}
    assert client.post("/v1/experiments", json=payload(audience=audience)).status_code == 201
    asked = {"experiment": "new-landing-page", "baselines": {"converted": {"value": 0.2}}}
    assert any("audience" in note for note in power(client, **asked)["notes"])
    for of in ({"daily_units": 100}, {"experiment": "new-landing-page"}):
        assert not any("audience" in note for note in power(client, **asked, traffic_of=of)["notes"])


def test_units_of_holdouts_are_not_planned_with(client: TestClient, payload: Any) -> None:
    for key, share in (("never", 2000), ("quarter", 1000)):
        body = {"key": key, "name": key, "share": share}
        assert client.post("/v1/holdouts", json=body).status_code == 201
    events = [
        {
            "id": str(uuid.uuid4()),
            "time": (NOW - timedelta(days=i / 40)).isoformat(),
            "unit": f"u{i}",
            "name": "visit",
        }
        for i in range(40 * 14)
    ]
    assert client.post("/v1/events", json={"events": events}).json()["accepted"] == len(events)
    for key, more in (("free", {}), ("held", {"holdouts": ["never", "quarter"]})):
        assert client.post("/v1/experiments", json=payload(key, **more)).status_code == 201
    asked = {"baselines": {"converted": {"value": 0.1}}, "plan": {"targets": {"converted": {"mde": 0.1}}}}
    free, held = (power(client, experiment=key, **asked) for key in ("free", "held"))
    assert free["traffic"] == held["traffic"]
    for without, given in zip(free["horizons"], held["horizons"], strict=True):
        assert given["units"] == pytest.approx(without["units"] * 0.8 * 0.9, abs=1)
    assert held["days"] == pytest.approx(free["days"] / 0.72, rel=0.02)
    assert [note for note in held["notes"] if "never, quarter" in note]
    assert not [note for note in free["notes"] if "keeps out" in note]
    # Units that are given are those that it gets.
    counted = power(client, experiment="held", traffic_of={"daily_units": 100}, **asked)
    assert counted["horizons"][0]["units"] == 700


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
