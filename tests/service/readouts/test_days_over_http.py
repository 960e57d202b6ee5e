"""Days and epochs through the service: a ramp, other weights in the middle, and a day that is broken."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, update

from equipoise_service.database import Database
from equipoise_service.experiments.models import Revision
from equipoise_service.readouts.verification import verify_readout

URL = "/v1/experiments/new-landing-page"
NOW = datetime.now(UTC)
START = datetime.combine(NOW.date() - timedelta(days=12), time(6), UTC)
METRICS = [{"key": "converted", "type": "proportion", "event": "converted"}]


@pytest.fixture
def running(client: TestClient, payload: Any) -> TestClient:
    assert client.post("/v1/experiments", json=payload(metrics=METRICS, traffic=1000)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    return client


def began(client: TestClient, revision: int, moment: datetime, ended: datetime | None = None) -> None:
    database: Database = client.app.state.database  # type: ignore[attr-defined]
    with Session(database.engine) as session:
        statement = update(Revision).where(Revision.number == revision)  # type: ignore[arg-type]
        session.connection().execute(statement.values(started_at=moment, ended_at=ended))
        session.commit()


def change(client: TestClient, **changes: Any) -> None:
    answer = client.patch(URL, json=changes, headers={"If-Match": client.get(URL).headers["ETag"]})
    assert answer.status_code == 200, answer.text


def come(
    client: TestClient, day: int, units: Mapping[str, int], *, revision: int = 1, hour: int = 12
) -> None:
    """So many units of each arm, first exposed so many days after the start; a third of them convert."""
    moment = datetime.combine(START.date() + timedelta(days=day), time(hour), UTC)
    shown, happened = [], []
    for variant, number in units.items():
        for i in range(number):
            unit = f"{variant}-{revision}-{day}-{hour}-{i}"
            fact = {"time": moment.isoformat(), "unit": unit}
            more = {"experiment": "new-landing-page", "variant": variant, "revision": revision}
            shown.append({"id": str(uuid.uuid4()), **fact, **more})
            if i % 3 == 0:
                happened.append({"id": str(uuid.uuid4()), **fact, "name": "converted"})
    for begin in range(0, max(len(shown), len(happened)), 400):
        part = {"exposures": shown[begin : begin + 400], "events": happened[begin : begin + 400]}
        answer = client.post("/v1/events", json=part)
        assert answer.status_code == 200, answer.text


def readout(client: TestClient, revision: int) -> dict[str, Any]:
    answer = client.get(f"{URL}/readout?wait=60&revision={revision}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert verify_readout(found) == []
    return found


def test_neither_a_ramp_nor_other_weights_raise_an_alarm_and_a_broken_day_does(running: TestClient) -> None:
    began(running, 1, START)
    for day in range(3):
        come(running, day, {"control": 20 + day, "treatment": 22})
    change(running, traffic=10_000)
    for day in range(3, 6):
        come(running, day, {"control": 200 + day, "treatment": 205})
    found = readout(running, 1)
    assert found["health"]["daily_sample_ratio"]["status"] == "ok"
    assert found["health"]["sequential_sample_ratio"]["status"] == "ok"
    days = found["by_day"]["days"]
    assert [each["units"]["treatment"] for each in days] == [22, 22, 22, 205, 205, 205]
    assert days[0]["first"] == START.date().isoformat()
    last = found["by_day"]["metrics"][0]["effects"][0]["so_far"][-1]
    assert last["difference"] == pytest.approx(
        found["metrics"][0]["comparisons"][0]["difference"]["estimate"], rel=1e-12
    )

    variants = [
        {"key": "control", "weight": 8000, "value": "old", "control": True},
        {"key": "treatment", "weight": 2000, "value": "new"},
    ]
    change(running, variants=variants)
    second = START + timedelta(days=6)
    began(running, 1, START, second)
    began(running, 2, second)
    for day in range(6, 10):
        come(running, day, {"control": 400 + day, "treatment": 102}, revision=2)
    for revision in (1, 2):
        health = readout(running, revision)["health"]
        assert health["daily_sample_ratio"]["status"] == "ok"
        assert health["sample_ratio"]["status"] == "ok"

    # A day loses half of the treatment; another one has them twice, so that the whole looks well.
    come(running, 10, {"control": 400, "treatment": 30}, revision=2)
    come(running, 11, {"control": 400, "treatment": 175}, revision=2, hour=0)
    found = readout(running, 2)
    check = found["health"]["daily_sample_ratio"]
    assert found["health"]["sequential_sample_ratio"]["status"] == "ok"
    assert check["status"] == "failed"
    broken = [(START.date() + timedelta(days=day)).isoformat() for day in (10, 11)]
    assert check["days"] == broken
    assert found["recommendation"]["outcome"] == "investigate"
    assert broken[0] in found["summary"]
    assert readout(running, 1)["health"]["daily_sample_ratio"]["status"] == "ok"


def test_units_from_before_the_start_and_late_exposures_are_counted(running: TestClient) -> None:
    began(running, 1, START)
    come(running, 0, {"control": 3, "treatment": 2}, hour=5)
    come(running, 0, {"control": 10, "treatment": 11})
    health = readout(running, 1)["health"]
    early, late = health["early_exposures"], health["late_exposures"]
    assert (early["units"], early["share"], early["status"]) == (5, pytest.approx(5 / 26), "warning")
    assert (late["late"], late["exposures"], late["status"]) == (26, 26, "warning")
    assert health["daily_sample_ratio"]["status"] == "ok"
    now = [
        {
            "id": str(uuid.uuid4()),
            "time": datetime.now(UTC).isoformat(),
            "unit": f"n{i}",
            "experiment": "new-landing-page",
            "variant": "control",
        }
        for i in range(4)
    ]
    assert running.post("/v1/events", json={"exposures": now, "events": []}).status_code == 200
    found = readout(running, 1)
    assert (found["health"]["late_exposures"]["late"], found["health"]["late_exposures"]["exposures"]) == (
        26,
        30,
    )
    # Who was exposed before the start counts for its day.
    assert found["by_day"]["days"][0]["units"] == {"control": 13, "treatment": 13}
