"""Every ramp of an experiment is on record: how many slots a revision had, and since when."""

from datetime import UTC, datetime
from typing import Any

from fastapi.testclient import TestClient
from sqlmodel import Session, col, select
from tests.service.experiments.test_lifecycle import do
from tests.service.shipping import ship

from equipoise_service.experiments.models import Ramp, Revision

KEY = "new-landing-page"
PATH = f"/v1/experiments/{KEY}"


def ramps(client: TestClient) -> list[tuple[int, int, int]]:
    """All ramps: the number of the revision, their own, and the slots from then on."""
    found = [(number, ramp.number, ramp.slots) for number, ramp in rows(client)]
    return sorted(found)


def rows(client: TestClient) -> list[tuple[int, Ramp]]:
    database = client.app.state.database  # type: ignore[attr-defined]
    with Session(database.engine, expire_on_commit=False) as session:
        statement = select(Revision.number, Ramp).join(Ramp, col(Ramp.revision_id) == col(Revision.id))
        return list(session.exec(statement).all())


def patch(client: TestClient, **change: Any) -> int:
    etag = client.get(PATH).headers["ETag"]
    return int(client.patch(PATH, json=change, headers={"If-Match": etag}).status_code)


def test_the_start_and_every_change_of_the_traffic_are_noted_with_their_time(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload(traffic=1000))
    assert patch(client, traffic=2000) == 200
    assert ramps(client) == [], "nobody takes part in a draft"
    before = datetime.now(UTC)
    do(client, "start")
    assert ramps(client) == [(1, 1, 2000)]
    for traffic in (5000, 5000, 3000):
        assert patch(client, traffic=traffic) == 200
    assert patch(client, hypothesis="Another.") == 200
    assert ramps(client) == [(1, 1, 2000), (1, 2, 5000), (1, 3, 3000)]
    since = [ramp.since for _, ramp in sorted(rows(client), key=lambda row: row[1].number)]
    assert before <= since[0] < since[1] < since[2] <= datetime.now(UTC)
    started = client.get(PATH).json()["started_at"]
    assert abs((since[0] - datetime.fromisoformat(started)).total_seconds()) < 1


def test_another_revision_begins_anew_and_an_ended_one_stays_as_it_was(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload(traffic=1000))
    do(client, "start", "pause")
    assert patch(client, traffic=2000) == 200
    do(client, "resume", "stop")
    assert patch(client, traffic=4000) == 200
    assert ramps(client) == [(1, 1, 1000), (1, 2, 2000)]
    do(client, "start")
    assert ramps(client) == [(1, 1, 1000), (1, 2, 2000), (2, 1, 4000)]


def test_traffic_that_the_layer_has_not_free_is_no_ramp(client: TestClient, payload: Any) -> None:
    assert client.post("/v1/layers", json={"key": "page", "name": "Page"}).status_code == 201
    for key in (KEY, "banner"):
        assert (
            client.post("/v1/experiments", json=payload(key, layer="page", traffic=5000)).status_code == 201
        )
        assert client.post(f"/v1/experiments/{key}/start").status_code == 200
    assert patch(client, traffic=6000) == 409
    assert ramps(client) == [(1, 1, 5000), (1, 1, 5000)]


def test_a_holdback_has_the_slots_of_what_it_holds_back(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload(traffic=5000))
    do(client, "start")
    assert ship(client, KEY, "treatment", holdback=500).status_code == 200
    assert patch(client, traffic=1000) == 200
    assert ramps(client) == [(1, 1, 5000), (2, 1, 5000)]
