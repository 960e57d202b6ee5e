"""What is computed without being asked for: first readouts and regular ones, each of them once."""

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session
from tests.service.conftest import experiment
from tests.service.jobs.queues import wanted
from tests.service.jobs.scenes import HOUR, at_once, change, rows, scene, work_off, works
from tests.service.readouts.test_endpoint import exposure, send

from equipoise_service.database import Database
from equipoise_service.errors import Conflict
from equipoise_service.experiments.models import Revision, Run
from equipoise_service.jobs import queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Kind, Status
from equipoise_service.plans.models import LockedPlan, PlanDeviation
from equipoise_service.readouts.models import ReadoutSchedule, StoredReadout
from equipoise_service.readouts.scheduling import Scheduler
from equipoise_service.settings import Settings

MOST_SECONDS = 60


def test_the_first_readout_is_there_within_a_minute_without_anyone_asking(client: TestClient) -> None:
    for key in ("met", "unmet"):
        assert client.post("/v1/experiments", json=experiment(key)).status_code == 201
        assert client.post(f"/v1/experiments/{key}/start").status_code == 200
    began = time.monotonic()
    send(client, [exposure("u1", "control", experiment="met")])
    database: Database = client.app.state.database  # type: ignore[attr-defined]
    while not rows(database, StoredReadout):
        assert time.monotonic() - began < MOST_SECONDS
        time.sleep(0.1)
    print(f"the first readout came after {time.monotonic() - began:.1f} s")
    (job,) = rows(database, Job)
    assert (job.experiment, job.requested_by, job.status) == ("met", "schedule", "done")
    found = client.get("/v1/experiments/met/readout")
    assert [arm["units"] for arm in found.json()["arms"]] == [1, 0]


def test_however_many_look_each_readout_is_due_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = [experiment(f"e{i}") for i in range(3)]
    with scene(settings, monkeypatch, 4, *definitions) as (database, store):
        schedulers = [Scheduler(database, store, HOUR) for _ in range(4)]
        assert at_once(*schedulers) == 3
        assert at_once(*schedulers) == 0
        jobs = work_off(database, works(database, store), works(database, store))
        assert [job.status for job in jobs] == [Status.DONE] * 3
        assert len(rows(database, StoredReadout)) == 3
        assert at_once(*schedulers) == 0, "an hour has not passed"
        change(database, ReadoutSchedule, next_at=datetime.now(UTC) - HOUR)
        assert at_once(*schedulers) == 3
        assert at_once(*schedulers) == 0
        assert Counter(job.kind for job in rows(database, Job)) == {Kind.SCHEDULED: 6}


def test_what_is_too_slow_is_tried_ever_later_but_once_a_day(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(*_: object) -> None:
        raise Conflict("It did not finish.", type="source-too-slow")

    with scene(settings, monkeypatch, 4, experiment()) as (database, store):
        scheduler, waits = Scheduler(database, store, HOUR), []
        assert scheduler.tick() == 1
        work_off(database, works(database, store))
        for work in [*[too_slow] * 7, works(database, store), too_slow]:
            before = datetime.now(UTC)
            change(database, ReadoutSchedule, next_at=before - HOUR)
            assert scheduler.tick() == 1
            (row,) = rows(database, ReadoutSchedule)
            waits.append(round((row.next_at - before) / HOUR))
            work_off(database, work)
        assert waits == [1, 2, 4, 8, 16, 24, 24, 24, 1]


@pytest.mark.parametrize("when", ["first", "again"])
def test_a_process_that_dies_while_it_adds_a_job_loses_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    class Killed(BaseException):
        """The process ends here."""

    def killed(*_: object) -> None:
        raise Killed

    with scene(settings, monkeypatch, 4, experiment()) as (database, store):
        scheduler = Scheduler(database, store, HOUR)
        if when == "again":
            assert scheduler.tick() == 1
            work_off(database, works(database, store))
            change(database, ReadoutSchedule, next_at=datetime.now(UTC) - HOUR)
        with monkeypatch.context() as patched:
            patched.setattr(queue, "put", killed)
            with pytest.raises(Killed):
                scheduler.tick()
        assert Scheduler(database, store, HOUR).tick() == 1


def test_a_readout_replaces_the_one_before_it_whatever_the_clock_said_then(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(settings, monkeypatch, 4, experiment()) as (database, store):
        work = works(database, store)
        queue.add(database, wanted(database))
        work_off(database, work)
        (before,) = rows(database, StoredReadout)
        # The clock was a year ahead, and was set right.
        change(database, StoredReadout, generated_at=datetime.now(UTC) + timedelta(days=365))
        queue.add(database, wanted(database))
        assert [job.status for job in work_off(database, work)] == [Status.DONE] * 2
        (after,) = rows(database, StoredReadout)
        assert after.digest != before.digest
        assert after.generated_at < datetime.now(UTC)


def test_what_is_not_exposed_here_is_computed_after_a_while(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(settings, monkeypatch, 0, experiment("elsewhere")) as (database, store):
        scheduler = Scheduler(database, store, HOUR)
        assert scheduler.tick() == 0
        change(database, Revision, started_at=datetime.now(UTC) - 2 * HOUR)
        assert scheduler.tick() == 1


def test_what_ended_before_anybody_looked_has_its_readout(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(settings, monkeypatch, 4, experiment("met")) as (database, store):
        change(database, Revision, ended_at=datetime.now(UTC))
        change(database, Run, status="stopped")
        scheduler = Scheduler(database, store, HOUR)
        assert (scheduler.tick(), scheduler.tick()) == (1, 0)
        (job,) = work_off(database, works(database, store))
        assert (job.status, len(rows(database, StoredReadout))) == (Status.DONE, 1)


def test_what_ended_without_units_is_not_computed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(settings, monkeypatch, 0, experiment("unmet")) as (database, store):
        now = datetime.now(UTC)
        change(database, Revision, started_at=now - 3 * HOUR, ended_at=now)
        change(database, Run, status="stopped")
        assert Scheduler(database, store, HOUR).tick() == 0


def test_the_log_says_why_what_nobody_asked_for_could_not_be_computed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise Conflict("The source is away.")

    with scene(settings, monkeypatch, 1, experiment("unlucky")) as (database, store):
        assert Scheduler(database, store, HOUR).tick() == 1
        (job,) = work_off(database, broken)
        assert job.status == Status.FAILED
    assert (
        f"unlucky (revision 1) could not be computed, job {job.public_id}: The source is away." in caplog.text
    )


def test_what_ended_or_was_planned_otherwise_is_computed_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(settings, monkeypatch, 4, experiment("over")) as (database, store):
        scheduler = Scheduler(database, store, HOUR)
        assert scheduler.tick() == 1
        work_off(database, works(database, store))
        (locked,) = rows(database, LockedPlan)
        deviation: dict[str, Any] = {"number": 1, "changed": ["/alpha"], "reason": "So", "made_by": "test"}
        kept = locked.model_dump(include={"revision_id", "plan", "digest"})
        with Session(database.engine) as session:
            session.add(PlanDeviation(**deviation, **kept, made_at=datetime.now(UTC)))
            session.commit()
        assert (scheduler.tick(), scheduler.tick()) == (1, 0)
        work_off(database, works(database, store))
        (stored,) = rows(database, StoredReadout)
        assert len(json.loads(stored.body)["deviations"]) == 1
        change(database, Revision, ended_at=datetime.now(UTC))
        assert (scheduler.tick(), scheduler.tick()) == (1, 0)
        work_off(database, works(database, store))
        (stored,) = rows(database, StoredReadout)
        assert json.loads(stored.body)["ended_at"] is not None
        assert scheduler.tick() == 0, "once is enough"


@pytest.mark.parametrize("is_scheduled", [True, False], ids=["settled", "only asked for"])
def test_what_reads_something_else_long_after_its_end_is_computed_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, is_scheduled: bool
) -> None:
    with scene(settings, monkeypatch, 4, experiment("over")) as (database, store):
        scheduler = Scheduler(database, store, HOUR)
        long_ago = datetime.now(UTC) - timedelta(days=60)
        change(database, Revision, ended_at=long_ago, started_at=long_ago - HOUR)
        change(database, Run, status="stopped")
        if is_scheduled:
            (revision,) = rows(database, Revision)
            with Session(database.engine) as session:
                session.add(ReadoutSchedule(revision_id=revision.id, next_at=None))
                session.commit()
        queue.add(database, wanted(database, Kind.REFRESH))
        work_off(database, works(database, store))
        assert scheduler.tick() == 0
        (locked,) = rows(database, LockedPlan)
        changed = ["/sources/shop/events/query"]
        deviation: dict[str, Any] = {"number": 1, "changed": changed, "reason": "So", "made_by": "test"}
        kept = locked.model_dump(include={"revision_id", "plan", "digest"})
        with Session(database.engine) as session:
            session.add(PlanDeviation(**deviation, **kept, made_at=datetime.now(UTC)))
            session.commit()
        assert (scheduler.tick(), scheduler.tick()) == (1, 0)
        work_off(database, works(database, store))
        (stored,) = rows(database, StoredReadout)
        assert len(json.loads(stored.body)["deviations"]) == 1
        assert (scheduler.tick(), rows(database, ReadoutSchedule)[0].next_at) == (0, None)
