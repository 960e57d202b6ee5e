"""Readouts as jobs over HTTP: asked for, followed, cancelled, stored, and served as bytes."""

import hashlib
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, select
from tests.service.readouts.test_endpoint import URL, event, exposure, send
from tests.service.sources.conftest import settings, warehouse  # noqa: F401 - fixtures
from tests.service.sources.test_sources import ENDLESS
from tests.service.sources.warehouses import Warehouse, source

from equipoise_service.accounts.principals import Scope
from equipoise_service.canonical import canonical_json
from equipoise_service.database import Database
from equipoise_service.jobs import queue
from equipoise_service.jobs.models import Job


@pytest.fixture
def running(client: TestClient, payload: Any) -> TestClient:
    assert client.post("/v1/experiments", json=payload()).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    return client


def followed(client: TestClient, job: str) -> list[dict[str, Any]]:
    """What the stream of a job tells, until it ended."""
    answer = client.get(f"/v1/jobs/{job}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [each for each in answer.text.split("\n\n") if each.startswith("event: job\n")]
    return [json.loads(each.partition("data: ")[2]) for each in events]


def test_a_page_waits_for_no_query(running: TestClient) -> None:
    send(running, [exposure("c", "control"), exposure("t", "treatment")], [event("t")])
    first = running.get(f"{URL}/readout")
    assert (first.status_code, first.headers["Retry-After"]) == (202, "1")
    job = first.json()
    assert first.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["experiment"], job["revision"]) == ("refresh", "new-landing-page", 1)
    told = followed(running, job["id"])
    assert (told[-1]["status"], told[-1]["percent"], told[-1]["attempts"]) == ("done", 100, 1)
    assert running.get(f"/v1/jobs/{job['id']}").json() == told[-1]
    stored = running.get(told[-1]["readout"])
    assert stored.status_code == 200
    readout = stored.json()
    assert stored.content == canonical_json(readout).encode()
    members = {name: value for name, value in readout.items() if name != "digest"}
    assert stored.headers["ETag"] == f'"{hashlib.sha256(canonical_json(members).encode()).hexdigest()}"'
    # What comes later is not in it until it is computed anew, and reading does not make it so.
    send(running, [exposure("c2", "control")])
    assert running.get(f"{URL}/readout").content == stored.content
    same = running.get(f"{URL}/readout", headers={"If-None-Match": stored.headers["ETag"]})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", stored.headers["ETag"])
    refreshed = running.post(f"{URL}/readout/refresh")
    assert refreshed.status_code == 202
    assert followed(running, refreshed.json()["id"])[-1]["status"] == "done"
    newer = running.get(f"{URL}/readout", headers={"If-None-Match": stored.headers["ETag"]})
    assert newer.status_code == 200
    assert newer.json()["arms"][0]["units"] == 2


def test_each_revision_and_each_environment_has_its_own(service: Any, running: TestClient) -> None:
    send(running, [exposure("c", "control")])
    first = running.get(f"{URL}/readout?wait=60").json()
    running.post(f"{URL}/stop")
    running.post(f"{URL}/start")
    assert running.get(f"{URL}/readout").status_code == 202, "nothing of the new revision was computed"
    assert running.get(f"{URL}/readout?revision=1").json() == first
    staging = service.key(environment="staging")
    assert running.get(f"{URL}/readout", headers=staging).status_code == 409


def test_jobs_are_of_their_environment_and_need_their_scopes(service: Any, running: TestClient) -> None:
    job = running.post(f"{URL}/readout/refresh").json()["id"]
    assert running.get(f"/v1/jobs/{job}", headers=service.key(Scope.READ)).status_code == 200
    assert running.delete(f"/v1/jobs/{job}", headers=service.key(Scope.READ)).status_code == 403
    for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/events"):
        assert running.get(path, headers=service.key(environment="staging")).status_code == 404
        assert running.get(path, headers=service.key(Scope.INGEST)).status_code == 403
    elsewhere = service.key(environment="staging")
    assert running.delete(f"/v1/jobs/{job}", headers=elsewhere).status_code == 404
    assert followed(running, job)[-1]["status"] == "done"
    assert running.delete(f"/v1/jobs/{job}").json()["status"] == "done", "what ended stays as it is"


def test_a_cancelled_job_interrupts_its_query_and_stores_nothing(
    client: TestClient,
    warehouse: Warehouse,  # noqa: F811
    payload: Any,
) -> None:
    rows = {
        "query": ENDLESS[warehouse.engine],
        "columns": {"unit": "user_id", "time": "at_zone", "value": "amount"},
        "name": "order",
    }
    assert client.post("/v1/sources", json=source(events=rows)).status_code == 201
    metric = {"key": "m", "type": "mean", "event": "order", "source": "warehouse"}
    client.post("/v1/experiments", json=payload(metrics=[metric]))
    client.post(f"{URL}/start")
    # Without any exposure an engine may see that nothing is to be joined, and not read the facts at all.
    send(client, [exposure("1", "control"), exposure("2", "treatment")])
    waited = client.get(f"{URL}/readout?wait=0.5")
    assert waited.status_code == 202
    job = waited.json()["id"]
    deadline = time.monotonic() + 30
    while client.get(f"/v1/jobs/{job}").json()["stage"] != "reading the facts":
        assert time.monotonic() < deadline
    time.sleep(1)  # until the query runs
    began = time.monotonic()
    assert client.delete(f"/v1/jobs/{job}").status_code == 202
    last = followed(client, job)[-1]
    assert time.monotonic() - began < 30, "the query has no end of its own"
    assert last["status"] == "cancelled"
    assert last["error"]["type"] == "urn:equipoise:problem:job-cancelled"
    # The worker goes on with what comes next.
    behind = client.get(f"{URL}/readout").json()
    assert behind["id"] != job
    assert client.delete(f"/v1/jobs/{behind['id']}").status_code == 202
    assert followed(client, behind["id"])[-1]["status"] == "cancelled"


@pytest.mark.parametrize("settings", [{"stream_subscribers": 0}], indirect=True)
def test_those_who_wait_and_follow_are_limited(running: TestClient) -> None:
    assert running.get(f"{URL}/readout?wait=1").status_code == 429
    job = running.post(f"{URL}/readout/refresh").json()["id"]
    assert running.get(f"/v1/jobs/{job}/events").status_code == 429
    look = running.post(f"{URL}/looks")
    assert (look.status_code, look.json()["kind"]) == (202, "look"), "it is taken, so it is not refused"


def jobs(database: Database) -> int:
    with Session(database.engine) as session:
        return len(session.exec(select(Job.id)).all())


def test_why_a_job_failed_is_kept_and_shown(
    service: Any, running: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("equipoise_service.readouts.working.analyse", broken)
    answer = running.get(f"{URL}/readout?wait=60")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text
    # Who only asks again is told the same, and has nothing tried that would fail again, until a while later.
    database = running.app.state.database  # type: ignore[attr-defined]
    assert running.post(f"{URL}/looks").json()["type"] == "urn:equipoise:problem:internal"
    for _ in range(2):
        again = running.get(f"{URL}/readout")
        assert (again.status_code, again.json()) == (500, answer.json())
    assert jobs(database) == 2
    monkeypatch.undo()
    monkeypatch.setattr(queue, "TOLD_FOR", timedelta(0))
    first = running.get(f"{URL}/readout")
    assert (first.status_code, jobs(database)) == (202, 3)
    assert followed(running, first.json()["id"])[-1]["status"] == "done"
    assert running.get(f"{URL}/readout").status_code == 200
