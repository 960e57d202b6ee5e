"""Erasure: nothing of the unit is left anywhere, everything else stays, and the record proves it."""

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, select
from tests.service.conftest import Service, experiment

from equipoise.identifiers import uuid7
from equipoise_service.accounts.principals import Scope
from equipoise_service.aggregates.names import PREFIX
from equipoise_service.errors import Conflict
from equipoise_service.events.batches import MOST_ITEM_CHARACTERS
from equipoise_service.experiments.models import Revision, Run
from equipoise_service.housekeeping import erasing
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Kind, Status
from equipoise_service.privacy.unit_ids import unit_as_stored
from equipoise_service.settings import Settings

PLAIN, HASHED, SERVERS = "embedded", "hashed", "servers"


@pytest.fixture(params=[PLAIN])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Embedded databases, those with hashed ids, or both in PostgreSQL."""
    url = request.getfixturevalue("postgres_url") if request.param == SERVERS else ""
    return Settings(
        data_dir=tmp_path,
        database_url=url,
        event_store_url=url,
        unit_key="k" * 32 if request.param == HASHED else "",
        refresh_seconds=0.05,
    )


UNIT = "zoë/O'Hara 7713"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_SETTLING_SECONDS", 0.05)


def item(unit: str, time: datetime | None = None, **more: Any) -> dict[str, Any]:
    return {"id": uuid7(), "time": (time or datetime.now(UTC)).isoformat(), "unit": unit, **more}


def send(
    client: TestClient,
    events: list[dict[str, Any]],
    exposures: list[dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    answer: httpx2.Response = client.post(
        "/v1/events", json={"events": events, "exposures": exposures or []}, **more
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def fill(service: Service, client: TestClient, unit: str) -> None:
    """Put a unit everywhere where one can be, beside another."""
    definition = experiment(overrides={unit: "treatment", "other": "control"})
    assert (
        client.post("/v1/experiments", json=definition, headers={"Idempotency-Key": "k"}).status_code == 201
    )
    assert client.post("/v1/experiments/new-landing-page/start").status_code == 200
    segment = {"key": "beta", "name": "Beta", "description": "", "ids": [unit, "other"]}
    assert client.post("/v1/segments", json=segment).status_code == 201
    mails = {"key": "mails", "name": "Mails", "description": "", "attribute": "mail", "ids": [unit]}
    assert client.post("/v1/segments", json=mails).status_code == 201
    shown: dict[str, Any] = {"experiment": "new-landing-page", "variant": "treatment", "revision": 1}
    staging = service.key(environment="staging")
    for each in (unit, "other"):
        send(
            client,
            [item(each, name="a"), item(each, name="b", unit_type="device"), {"unit": each, "name": "no id"}],
            [item(each, **shown)],
        )
        send(client, [item(each, name="a")], headers=staging)
    # Escaped otherwise, and cut.
    escaped = json.dumps({"units": {"user": unit}, "name": 7})
    answer = client.post(
        "/v1/events",
        content=b'{"events": [' + escaped.encode() + b"]}",
        headers={"Content-Type": "application/json"},
    )
    assert answer.json()["refused"] == 1
    for named in (unit, "other"):
        job = failed_over(service, named)
        assert named in client.get(f"/v1/jobs/{job}").json()["error"]["detail"]
    # Kept without its end, in the middle of the id.
    cut = {"name": "x" * (MOST_ITEM_CHARACTERS - 26), "unit": unit}
    assert send(client, [cut])["refused"] == 1


def failed_over(service: Service, unit: str) -> str:
    """The id of a job that failed with what an engine says of a value that it cannot read."""
    database = service.client.app.state.database  # type: ignore[attr-defined]
    with database.read() as session:
        (run,) = session.exec(select(Run)).all()
        (revision,) = session.exec(select(Revision)).all()
    refused = Conflict(f"the engine refused: Could not convert string '{unit}' to DOUBLE")
    job = Job(
        public_id=secrets.token_hex(8),
        environment_id=run.environment_id,
        revision_id=revision.id,
        experiment="new-landing-page",
        revision=revision.number,
        kind=Kind.REFRESH,
        status=Status.FAILED,
        stage="failed",
        requested_by="test",
        requested_at=datetime.now(UTC),
        ended_at=datetime.now(UTC),
        error=refused.document(),
    )
    with Session(database.engine, expire_on_commit=False) as session:
        session.add(job)
        session.commit()
    return job.public_id


def rejected(client: TestClient) -> list[str]:
    return [each["item"] for each in client.get("/v1/events/rejected?limit=500").json()["items"]]


@pytest.mark.parametrize("settings", [PLAIN, HASHED, SERVERS], indirect=True)
def test_a_unit_is_erased_everywhere(service: Service, client: TestClient) -> None:
    fill(service, client, UNIT)
    store = service.client.app.state.event_store  # type: ignore[attr-defined]
    with store.workspace() as workspace:
        workspace.keep(f"{PREFIX}kept", workspace.backend.table("exposures").select("unit"), lasting=True)
    answer = client.post("/v1/units/erase", json={"unit_type": "user", "unit": UNIT})
    assert answer.status_code == 200, answer.text
    proof = answer.json()
    assert proof["deleted"] == {
        "overrides": 1,
        "overridden_units": 1,
        "segment_ids": 1,
        "configurations": proof["deleted"]["configurations"],
        "answers": 1,
        "jobs": 1,
        "exposures": 1,
        "events": 2,
        "rejected": 2 if service.settings.unit_key else 3,
    }
    assert proof["deleted"]["configurations"] > 0
    assert set(proof["found"].values()) == {0}
    assert {"exposures", "events", "rejected", "aggregates", "audiences"} <= proof["found"].keys()
    assert proof["verified"]
    assert UNIT not in json.dumps(proof, ensure_ascii=False)
    assert client.get("/v1/experiments/new-landing-page").json()["overrides"] == {"other": "control"}
    assert client.get("/v1/segments/beta/ids").json()["ids"] == ["other"]
    # What is of another type, or another unit, stays.
    assert client.get("/v1/segments/mails/ids").json()["ids"] == [UNIT]
    left = [each for each in rejected(client) if each]
    assert len(left) == 1
    assert not any(UNIT[:4] in each for each in left)
    with store.ibis() as backend:
        events = backend.table("events").select("place", "unit", "unit_type").to_pyarrow().to_pylist()
    key = service.settings.unit_key
    assert sorted((each["unit"], each["unit_type"]) for each in events) == sorted(
        (unit_as_stored(unit, key), kind)
        for unit, kind in (("other", "device"), ("other", "user"), ("other", "user"), (UNIT, "device"))
    )
    listed = client.get("/v1/erasures").json()["items"]
    assert listed == [proof]
    # Again: the same hash, and nothing to delete.
    again = client.post("/v1/units/erase", json={"unit_type": "user", "unit": UNIT}).json()
    assert again["unit_hash"] == proof["unit_hash"]
    assert set(again["deleted"].values()) == {0}
    assert len(client.get("/v1/erasures?limit=1").json()["items"]) == 1


def test_what_arrives_late_is_refused_and_not_kept(client: TestClient) -> None:
    before = datetime.now(UTC) - timedelta(minutes=5)
    assert client.post("/v1/units/erase", json={"unit_type": "user", "unit": UNIT}).status_code == 200
    late = item(UNIT, before, name="late")
    both = {**item("x", before, name="both"), "units": {"account": "acme", "user": UNIT}, "unit": ""}
    del both["unit"]
    odd = {"unit": UNIT, "name": "never was an item"}
    answer = send(
        client,
        [late, both, odd, item("other", before, name="a"), item(UNIT, before, name="d", unit_type="device")],
    )
    assert [each["status"] for each in answer["events"]] == [
        "refused",
        "refused",
        "refused",
        "accepted",
        "accepted",
    ]
    assert "was erased" in answer["events"][0]["reason"]
    assert rejected(client) == ["", "", ""]
    # What happens from then on is new.
    assert send(client, [item(UNIT, name="back")])["accepted"] == 1


def test_an_audience_that_names_the_unit_is_told(client: TestClient) -> None:
    audience = {"any": [{"not": {"attribute": "$unit", "operator": "in", "value": ["a", UNIT]}}]}
    segment = {"key": "some", "name": "Some", "description": "", "condition": audience}
    assert client.post("/v1/segments", json=segment).status_code == 201
    proof = client.post("/v1/units/erase", json={"unit_type": "user", "unit": UNIT}).json()
    assert (proof["found"]["audiences"], proof["verified"]) == (1, False)
    assert client.delete("/v1/segments/some").status_code in (200, 204)
    assert client.post("/v1/units/erase", json={"unit_type": "user", "unit": UNIT}).json()["verified"]


def test_only_admins_erase_and_other_projects_are_left_alone(service: Service, client: TestClient) -> None:
    other = service.key(project="elsewhere")
    send(client, [item(UNIT, name="a")], headers=other)
    for scope in set(Scope) - {Scope.ADMIN}:
        for method, path in (("POST", "/v1/units/erase"), ("GET", "/v1/erasures"), ("POST", "/v1/backups")):
            asked = client.request(
                method, path, headers=service.key(scope), json={"unit_type": "user", "unit": "u"}
            )
            assert asked.status_code == 403
    assert client.post("/v1/units/erase", json={"unit_type": "user", "unit": UNIT}).json()["verified"]
    assert client.get("/v1/erasures", headers=other).json()["items"] == []
    # Late there as well, but nobody erased it there.
    before = datetime.now(UTC) - timedelta(minutes=5)
    assert send(client, [item(UNIT, before, name="a")], headers=other)["accepted"] == 1


def test_one_piece_of_housekeeping_at_a_time(client: TestClient) -> None:
    with client.app.state.turn.taken():  # type: ignore[attr-defined]
        for path, body in (("/v1/units/erase", {"unit_type": "user", "unit": "u"}), ("/v1/backups", None)):
            answer = client.post(path, json=body)
            assert answer.status_code == 409
            assert answer.json()["type"] == "urn:equipoise:problem:housekeeping"
    assert client.post("/v1/backups").status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b'{"unit_type": "user", "unit": "\\ud800"}',
        b'{"unit_type": "user", "unit": "a\\u0000"}',
        b'{"unit_type": "A B", "unit": "a"}',
        b'{"unit_type": "user", "unit": ""}',
        b'{"unit_type": "user", "unit": "a", "more": 1}',
    ],
)
def test_what_is_no_unit_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/units/erase", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert client.get("/v1/erasures").json()["items"] == []


@pytest.mark.parametrize("path", ["events/0001-01-01", "events/9999-12-31", "exposures/2026-01-01"])
def test_a_day_of_which_there_is_nothing_is_not_exported(client: TestClient, path: str) -> None:
    assert client.get(f"/v1/exports/{path}").status_code == 404
    assert client.get("/v1/exports/rejected").status_code == 422
    assert client.get("/v1/exports/events").json() == {"place": "default/production", "days": []}
