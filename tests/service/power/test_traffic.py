"""How many units there will be, from what the store has seen: days, ramps, pauses, audiences, holdouts."""

import uuid
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import fmean, stdev
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, col, select, update
from tests.service.power.asking import BOOKINGS, NOW, SPEND, power

from equipoise_service.database import Database
from equipoise_service.experiments.models import Pause, Ramp


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
