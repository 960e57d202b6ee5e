"""Retention: whole days go when they are old; what a live experiment needs stays."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import experiment

from equipoise.identifiers import uuid7
from equipoise_service.aggregates.names import PREFIX
from equipoise_service.housekeeping import retention
from equipoise_service.resources import open_database
from equipoise_service.settings import Settings

OF_NOW = {"type": "mean", "event": "a"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", retention_days=30, rejected_retention_days=10, refresh_seconds=0.05
    )


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_STEP_ROWS", 7)
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0.0)


def days_pass(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    class Later:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return datetime.now(zone) + timedelta(days=days)

    monkeypatch.setattr(retention, "datetime", Later)


def items(days: range, **more: Any) -> list[dict[str, Any]]:
    noon = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=1)
    return [
        {"id": uuid7(), "time": (noon - timedelta(days=day - 1)).isoformat(), "unit": f"u{day}", **more}
        for day in days
    ]


def ages(client: TestClient, table: str) -> list[int]:
    today = datetime.now(UTC).date()
    with client.app.state.event_store.ibis() as backend:  # type: ignore[attr-defined]
        times = backend.table(table).time.to_pyarrow().to_pylist()
    return sorted((today - time.date()).days for time in times)


def started(client: TestClient, key: str) -> None:
    assert client.post("/v1/experiments", json=experiment(key)).status_code == 201
    assert client.post(f"/v1/experiments/{key}/start").status_code == 200


def test_whole_days_go_and_what_live_experiments_need_stays(client: TestClient, small_steps: None) -> None:
    started(client, "runs")
    started(client, "ended")
    shown = {"variant": "treatment", "revision": 1}
    exposures = [
        *items(range(1, 61), experiment="runs", **shown),
        *items(range(1, 61), experiment="ended", **shown),
    ]
    body = {"exposures": exposures, "events": items(range(1, 61), name="a")}
    assert client.post("/v1/events", json=body).json()["accepted"] == 180
    assert client.post("/v1/experiments/ended/stop").status_code == 200
    store = client.app.state.event_store  # type: ignore[attr-defined]
    with store.workspace() as workspace:
        workspace.keep(f"{PREFIX}kept", workspace.backend.table("exposures").select("unit"), lasting=True)
    answer = client.post("/v1/retention/run")
    assert answer.status_code == 200, answer.text
    # Thirty whole days and today are left.
    assert answer.json() == {"deleted": {"exposures": 30, "events": 30, "rejected": 0}, "finished": True}
    assert ages(client, "exposures") == sorted([*range(1, 61), *range(1, 31)])
    assert ages(client, "events") == list(range(1, 31))
    with store.workspace() as workspace:
        assert workspace.kept(PREFIX) == []
    assert client.post("/v1/experiments/runs/stop").status_code == 200
    assert client.post("/v1/retention/run").json()["deleted"] == {"exposures": 30, "events": 0, "rejected": 0}


@pytest.mark.parametrize(
    "before", [{"pre_period_days": 5}, {"covariate": {"event": "a", "pre_period_days": 5}}], ids=str
)
def test_events_since_the_start_of_what_runs_stay_with_the_days_before(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, before: dict[str, Any]
) -> None:
    metrics = [{**OF_NOW, **before, "key": "spent"}, {**OF_NOW, "key": "sent"}]
    assert client.post("/v1/experiments", json=experiment("runs", metrics=metrics)).status_code == 201
    assert client.post("/v1/experiments/runs/start").status_code == 200
    assert client.post("/v1/events", json={"events": items(range(1, 61), name="a")}).json()["accepted"] == 60

    days_pass(monkeypatch, 40)
    assert client.post("/v1/retention/run").json()["deleted"]["events"] == 55
    assert ages(client, "events") == [1, 2, 3, 4, 5]


def test_refused_items_have_an_age_of_their_own(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.post("/v1/events", json={"events": [{"name": "a"}]}).json()["refused"] == 1
    assert client.post("/v1/retention/run").json()["deleted"]["rejected"] == 0

    days_pass(monkeypatch, 11)
    assert client.post("/v1/retention/run").json()["deleted"]["rejected"] == 1
    assert client.get("/v1/events/rejected").json()["items"] == []


def test_without_settings_nothing_goes(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, rejected_retention_days=0)
    with open_database(settings) as database, database.read() as session:
        assert retention.what_is_old(session, settings, datetime.now(UTC)) == []
