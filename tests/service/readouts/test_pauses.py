"""A readout knows when its experiment was paused: nothing is missing then, and no unit could come."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, update
from tests.service.conftest import experiment
from tests.service.readouts.test_endpoint import URL, send

from equipoise_service.database import Database
from equipoise_service.experiments.models import Pause, Revision
from equipoise_service.readouts.verification import verify_readout

DAYS = 12
A_DAY = 80
BEGIN = (datetime.now(UTC) - timedelta(days=DAYS)).replace(hour=12, minute=0, second=0, microsecond=0)
PAUSED = (5, 6)


def item(unit: str, time: datetime, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "time": time.isoformat(), "unit": unit, **more}


@pytest.fixture
def running(client: TestClient) -> TestClient:
    """Twelve days of units, all of whom do something, and no exposures on two of the days."""
    plan = {"method": "confidence-sequence"}
    assert client.post("/v1/experiments", json=experiment(plan=plan)).status_code == 201
    for move in ("start", "pause", "resume"):
        assert client.post(f"{URL}/{move}").status_code == 200
    for number in range(DAYS):
        noon = BEGIN + timedelta(days=number, minutes=5)
        units = [f"u{number}-{i}" for i in range(A_DAY)]
        shown = [
            item(each, noon, experiment="new-landing-page", variant=("control", "treatment")[i % 2])
            for i, each in enumerate(units)
        ]
        happened = [item(each, noon + timedelta(minutes=1), name="converted") for each in units[: A_DAY // 2]]
        send(client, [] if number in PAUSED else shown, happened)
    return client


def changed(client: TestClient, table: Any, **values: Any) -> None:
    database: Database = client.app.state.database  # type: ignore[attr-defined]
    with Session(database.engine) as session:
        session.connection().execute(update(table).values(**values))
        session.commit()


def test_what_was_paused_is_missing_nothing_and_slows_nobody(running: TestClient) -> None:
    changed(running, Revision, started_at=BEGIN)
    days = [(BEGIN + timedelta(days=each)).date().isoformat() for each in PAUSED]
    before = running.get(f"{URL}/readout?wait=30").json()
    assert before["health"]["missing_exposures"]["missing"] == days
    assert before["health"]["missing_exposures"]["paused"] == []

    midnight = (BEGIN + timedelta(days=PAUSED[0])).replace(hour=0)
    changed(running, Pause, started_at=midnight, ended_at=midnight + timedelta(days=2))
    after = running.get(f"{URL}/readout?wait=30").json()
    check = after["health"]["missing_exposures"]
    assert (check["status"], check["missing"], check["paused"]) == ("ok", [], days)
    assert after["paused_seconds"] == 2 * 86_400
    assert after["statistics_digest"] == before["statistics_digest"], "the numbers of the arms are the same"

    units = A_DAY * (DAYS - len(PAUSED))
    assert sum(arm["units"] for arm in after["arms"]) == units
    for readout, paused in ((before, 0), (after, 2)):
        generated_at = datetime.fromisoformat(readout["generated_at"])
        shown = readout["metrics"][0]["comparisons"][0]["impact"]["daily_units"]
        assert shown == pytest.approx(units / ((generated_at - BEGIN) / timedelta(days=1) - paused))
        # Of the pause of a moment, which the first readout has.
        assert verify_readout(readout) == []


def test_what_is_said_of_pauses_follows_from_the_readout_alone(running: TestClient) -> None:
    changed(running, Revision, started_at=BEGIN)
    midnight = (BEGIN + timedelta(days=PAUSED[0])).replace(hour=0)
    changed(running, Pause, started_at=midnight, ended_at=None)
    readout = running.get(f"{URL}/readout?wait=30").json()
    generated_at = datetime.fromisoformat(readout["generated_at"])
    assert readout["paused_seconds"] == pytest.approx((generated_at - midnight).total_seconds(), abs=60)
    assert verify_readout(readout) == []
    # Newer ones have the length of each pause in the steps of their traffic, too.
    later = ("paused_seconds", "traffic_steps", "digest")
    of_before = {name: value for name, value in readout.items() if name not in later}
    pointers = {each.pointer for each in verify_readout({**of_before, "digest": readout["digest"]})}
    assert any(each.endswith("/impact/daily_units") for each in pointers)
    readout["health"]["missing_exposures"]["paused"] = []
    pointers = {each.pointer for each in verify_readout(readout)}
    assert "/health/missing_exposures/missing" in pointers


def test_a_readout_from_before_pauses_were_on_record_is_as_it_was(running: TestClient) -> None:
    changed(running, Revision, started_at=BEGIN)
    changed(running, Pause, started_at=BEGIN, ended_at=BEGIN)
    readout = running.get(f"{URL}/readout?wait=30").json()
    assert readout.pop("paused_seconds") == 0
    assert readout["health"]["missing_exposures"].pop("paused") == []
    del readout["digests"]
    assert {each.pointer for each in verify_readout(readout)} == {"/digest"}
