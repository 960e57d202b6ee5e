"""Every pause of an experiment is on record: from when, until when, and who began and ended it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, select
from tests.service.conftest import Service
from tests.service.experiments.test_lifecycle import ROUTES, change, do

from equipoise_service.experiments.models import Pause, Revision
from equipoise_service.experiments.presentation import MOST_PAUSES

KEY = "new-landing-page"
PATH = f"/v1/experiments/{KEY}"


def pauses(client: TestClient, headers: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(PATH, headers=headers).json()["pauses"]
    return found


def stored(client: TestClient) -> list[tuple[int, Pause]]:
    """All pauses with the number of their revision."""
    database = client.app.state.database  # type: ignore[attr-defined]
    with Session(database.engine, expire_on_commit=False) as session:
        found = select(Revision.number, Pause).where(Revision.id == Pause.revision_id)
        return sorted(session.exec(found).all(), key=lambda row: (row[0], row[1].number))


def test_who_paused_and_who_resumed_is_shown_with_when(service: Service, payload: Any) -> None:
    client, one, other = service.client, service.key(), service.key()
    ids = [each["Authorization"].split("_")[1] for each in (one, other)]
    client.post("/v1/experiments", json=payload(), headers=one)
    for move in ("start", "pause", "resume", "pause"):
        before = datetime.now(UTC)
        by = other if move == "resume" else one
        answer = client.post(f"{PATH}/{move}", headers=by)
        assert answer.status_code == 200
        assert answer.json()["pauses"] == pauses(client, one)
        if move == "resume":
            (shown,) = answer.json()["pauses"]
            assert before <= datetime.fromisoformat(shown["ended_at"]) <= datetime.now(UTC)
            assert (shown["started_by"], shown["ended_by"]) == (ids[0], ids[1])
    first, second = pauses(client, one)
    assert first["started_at"] < first["ended_at"] < second["started_at"]
    assert (second["ended_at"], second["ended_by"]) == (None, None)
    listed = client.get("/v1/experiments", headers=one).json()["items"]
    assert [each["pauses"] for each in listed] == [[first, second]]


def test_the_history_tells_pauses_and_what_ends_them(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, "start", "pause", "resume", "pause", "stop", "start", "pause")
    told = client.get(f"{PATH}/history").json()
    assert [(each["revision"], each["kind"]) for each in told] == [
        (1, "started"),
        (1, "paused"),
        (1, "resumed"),
        (1, "paused"),
        (1, "ended"),
        (2, "started"),
        (2, "paused"),
    ]
    (by,) = {each["by"] for each in told if each["kind"] in ("paused", "resumed")}
    assert by == pauses(client)[0]["started_by"]


@pytest.mark.parametrize("end", ["stop", "ship"])
def test_a_pause_ends_with_the_experiment(client: TestClient, payload: Any, end: str) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, "start", "pause", end)
    (shown,) = pauses(client)
    assert shown["ended_at"] == client.get(PATH).json()["stopped_at"]
    assert shown["ended_by"] is not None
    if end == "stop":
        do(client, "start")
        assert pauses(client) == [], "the new revision was never paused"


def test_a_revision_that_begins_while_it_is_paused_begins_with_a_pause(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, "start", "pause")
    variants = payload()["variants"]
    variants[0]["weight"], variants[1]["weight"] = 9000, 1000
    assert change(client, variants=variants).json()["revision"] == 2
    (_, first), (number, second) = stored(client)
    assert (number, first.ended_at, second.ended_at) == (2, second.started_at, None)
    assert [each["ended_at"] for each in pauses(client)] == [None]
    do(client, "resume", "pause", "resume")
    assert all(each["ended_at"] for each in pauses(client))
    assert len(pauses(client)) == 2


@pytest.mark.parametrize("status", ROUTES)
def test_a_pause_goes_on_only_while_it_is_paused(client: TestClient, payload: Any, status: str) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, *ROUTES[status])
    assert any(pause.ended_at is None for _, pause in stored(client)) == (status == "paused")


def test_of_many_pauses_the_last_ones_are_shown(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, "start")
    database = client.app.state.database  # type: ignore[attr-defined]
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with Session(database.engine) as session:
        revision_id = session.exec(select(Revision.id)).one()
        for i in range(MOST_PAUSES + 5):
            started = begin + timedelta(hours=i)
            session.add(
                Pause(
                    revision_id=revision_id or 0,
                    number=i + 1,
                    started_at=started,
                    ended_at=started + timedelta(minutes=1),
                )
            )
        session.commit()
    do(client, "pause")
    shown = pauses(client)
    assert len(shown) == MOST_PAUSES
    assert shown[-1]["ended_at"] is None
    assert datetime.fromisoformat(shown[0]["started_at"]) == begin + timedelta(hours=6)
