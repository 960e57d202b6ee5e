"""What is computed without being asked for: first readouts, regular ones, and looks, each of them once."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from scipy.stats import norm
from sqlmodel import Session, select, update
from tests.service.conftest import Service, experiment
from tests.service.jobs.queues import wanted
from tests.service.readouts.test_endpoint import event, exposure, send

from equipoise_service.analysis.sources import Limits
from equipoise_service.app import create_app
from equipoise_service.database import Database
from equipoise_service.errors import Conflict
from equipoise_service.events.stores.store import EventStore, open_event_store
from equipoise_service.experiments.models import Revision, Run
from equipoise_service.jobs import leases, queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import ENDED, Kind, Status
from equipoise_service.jobs.worker import Work, Worker
from equipoise_service.plans.models import LockedPlan, PlanDeviation, TakenLook
from equipoise_service.readouts.models import ReadoutSchedule, StoredReadout
from equipoise_service.readouts.scheduling import Scheduler
from equipoise_service.readouts.working import Workplace
from equipoise_service.resources import open_database
from equipoise_service.settings import Settings

HOUR = timedelta(hours=1)
MOST_SECONDS = 60
BY_UNITS = {"method": "group-sequential", "horizon": {"units": 400}, "looks": {"count": 4}}
BY_HOURS = {"method": "group-sequential", "horizon": {"units": 400}}
ONCE = {"method": "fixed-horizon", "horizon": {"days": 1}}


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


@contextmanager
def scene(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    units: int,
    *definitions: dict[str, Any],
    minute: int = 0,
) -> Iterator[tuple[Database, EventStore]]:
    """What a service leaves behind that computed nothing: experiments that run, with units in both arms."""

    async def nothing(*_: object) -> None:
        """No worker."""

    monkeypatch.setattr("equipoise_service.app.compute_readouts", nothing)
    with TestClient(create_app(settings)) as client:
        client.headers.update(Service(client, settings).key())
        for definition in definitions:
            assert client.post("/v1/experiments", json=definition).status_code == 201
            assert client.post(f"/v1/experiments/{definition['key']}/start").status_code == 200
            come(client, definition["key"], units, minute)
    with open_event_store(settings) as store, open_database(settings) as database:
        yield database, store


def come(client: TestClient, key: str, units: int, minute: int) -> None:
    arms = ("control", "treatment")
    shown = [exposure(f"u{i}", arms[i % 2], minute, experiment=key) for i in range(units)]
    send(client, shown, [event(f"u{i}", minute=minute + 1) for i in range(0, units, 3)])


def rows(database: Database, table: Any) -> list[Any]:
    with Session(database.engine, expire_on_commit=False) as session:
        return list(session.exec(select(table)).all())


def change(database: Database, table: Any, **values: Any) -> None:
    with Session(database.engine) as session:
        session.connection().execute(update(table).values(**values))
        session.commit()


def at_once(*schedulers: Scheduler) -> int:
    """How many jobs some schedulers add that look at the same time."""
    with ThreadPoolExecutor(len(schedulers)) as pool:
        return sum(pool.map(Scheduler.tick, schedulers))


def work_off(database: Database, *works: Work) -> list[Job]:
    """Let workers do all that waits; the jobs, oldest first."""

    async def main() -> None:
        wake, ended = asyncio.Event(), asyncio.Event()
        workers = [Worker(database, work, anyio.CapacityLimiter(1)) for work in works]
        tasks = [asyncio.create_task(each.run(wake, ended)) for each in workers]
        deadline = time.monotonic() + 60
        while any(job.status not in ENDED for job in rows(database, Job)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        ended.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    return sorted(rows(database, Job), key=lambda job: job.id)


def works(database: Database, store: EventStore, every: timedelta = HOUR) -> Work:
    return Workplace(database, store, Limits(60, 1000), every).work


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


def test_two_workers_take_a_look_once_and_alpha_is_spent_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(settings, monkeypatch, 120, experiment("looked", plan=BY_UNITS)) as (database, store):
        queue.add(database, wanted(database, Kind.REFRESH))
        work_off(database, works(database, store))
        assert rows(database, TakenLook) == [], "who reads spends nothing"
        queue.add(database, wanted(database, Kind.SCHEDULED))
        queue.add(database, wanted(database, Kind.LOOK))
        *_, scheduled, asked = work_off(database, works(database, store), works(database, store))
        (look,) = rows(database, TakenLook)
        assert (look.number, look.look["fractions"]) == (1, {"converted": 0.3})
        assert 0 < look.look["spent"] < 0.001
        assert sorted([scheduled.status, asked.status]) in (["done", "done"], ["done", "failed"])
        if asked.error is not None:
            assert asked.error["type"] == "urn:equipoise:problem:no-look-due"
        queue.add(database, wanted(database, Kind.SCHEDULED))
        assert work_off(database, works(database, store))[-1].status == Status.DONE
        assert len(rows(database, TakenLook)) == 1


def test_a_look_at_the_same_time_elsewhere_leaves_no_trace_of_the_second(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(settings, monkeypatch, 120, experiment("looked", plan=BY_UNITS)) as (database, store):
        queue.add(database, wanted(database, Kind.LOOK))
        job = leases.claim(database, "slow")
        assert job is not None

        def meanwhile(stage: str, percent: int, until: int | None = None) -> None:
            """Another worker takes the job up, and is done, when the first one is about to store the look."""
            if stage == "storing the readout":
                change(database, Job, lease_until=datetime.now(UTC) - HOUR)
                work_off(database, works(database, store))

        def finish(session: Session) -> None:
            leases.finish(session, job)

        with pytest.raises(Conflict, match="Look 1 was taken"):
            works(database, store)(job, meanwhile, finish)
        (look,) = rows(database, TakenLook)
        (stored,) = rows(database, StoredReadout)
        assert look.readout["digest"] == stored.digest
        assert [(each.status, each.attempts) for each in rows(database, Job)] == [(Status.DONE, 2)]


@pytest.mark.parametrize("plan", [BY_HOURS, ONCE], ids=["daily", "once"])
def test_looks_by_the_clock_are_taken_when_their_time_has_come(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, plan: dict[str, Any]
) -> None:
    with scene(settings, monkeypatch, 120, experiment("looked", plan=plan)) as (database, store):
        start = datetime.now(UTC)
        queue.add(database, wanted(database, Kind.SCHEDULED))
        work_off(database, works(database, store, 48 * HOUR))
        assert rows(database, TakenLook) == []
        (revision,) = rows(database, Revision)
        (schedule,) = rows(database, ReadoutSchedule)
        assert schedule.next_at == revision.started_at + 24 * HOUR, "the look is sooner than the next readout"
        change(database, Revision, started_at=start - 25 * HOUR)
        queue.add(database, wanted(database, Kind.SCHEDULED))
        work_off(database, works(database, store, 48 * HOUR))
        (look,) = rows(database, TakenLook)
        (schedule,) = rows(database, ReadoutSchedule)
        wait = 48 * HOUR if plan is ONCE else 24 * HOUR
        taken_at = datetime.fromisoformat(look.look["taken_at"])
        assert taken_at + wait - timedelta(seconds=1) < schedule.next_at <= taken_at + wait
        assert look.look["spent"] == pytest.approx(0.05) if plan is ONCE else look.look["spent"] < 0.01


@pytest.mark.parametrize("plan", [BY_UNITS, BY_HOURS, ONCE])
def test_a_look_that_became_due_while_nobody_worked_is_in_the_first_readout(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, plan: dict[str, Any]
) -> None:
    with scene(settings, monkeypatch, 120, experiment("left-alone", plan=plan)) as (database, store):
        change(database, Revision, started_at=datetime.now(UTC) - 25 * HOUR)
        assert at_once(*(Scheduler(database, store, HOUR) for _ in range(4))) == 1
        work_off(database, works(database, store), works(database, store))
        (look,) = rows(database, TakenLook)
        (stored,) = rows(database, StoredReadout)
        assert (look.number, look.readout["digest"]) == (1, stored.digest)
        change(database, ReadoutSchedule, next_at=datetime.now(UTC) - HOUR)
        assert at_once(*(Scheduler(database, store, HOUR) for _ in range(4))) == 1
        work_off(database, works(database, store), works(database, store))
        assert len(rows(database, TakenLook)) == 1, "its alpha is spent once"


def test_what_ended_while_nobody_worked_has_its_final_look(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = experiment("left-alone", plan=BY_HOURS)
    # Exposed 11 hours ago: what is exposed after the end does not count.
    with scene(settings, monkeypatch, 120, definition, minute=-10 * 60) as (database, store):
        now = datetime.now(UTC)
        change(database, Revision, started_at=now - 30 * HOUR, ended_at=now - 5 * HOUR)
        change(database, Run, status="stopped")
        scheduler = Scheduler(database, store, HOUR)
        assert (scheduler.tick(), scheduler.tick()) == (1, 0)
        work_off(database, works(database, store))
        (look,) = rows(database, TakenLook)
        assert (look.number, look.look["final"]) == (1, True)


@pytest.mark.parametrize("method", ["group-sequential", "fixed-horizon"])
def test_the_final_look_waits_until_the_last_unit_is_mature(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    metric = {"key": "converted", "type": "proportion", "event": "converted", "window_hours": 24}
    definition = experiment("over", plan={**BY_HOURS, "method": method}, metrics=[metric])
    # All are exposed 29 hours ago, so that their windows have passed.
    with scene(settings, monkeypatch, 120, definition, minute=-28 * 60) as (database, store):
        now = datetime.now(UTC)
        for hours, taken in ((2, 0), (24.5, 0), (26, 1)):
            change(database, Revision, started_at=now - 30 * HOUR, ended_at=now - hours * HOUR)
            queue.add(database, wanted(database, Kind.SCHEDULED))
            work_off(database, works(database, store))
            assert len(rows(database, TakenLook)) == taken
            (schedule,) = rows(database, ReadoutSchedule)
            if taken:
                assert schedule.next_at is None
            else:
                # Units become mature until a day and an hour after the end.
                next_at = now + min(HOUR, (25 - hours) * HOUR)
                assert next_at <= schedule.next_at < next_at + timedelta(minutes=5)
        (look,) = rows(database, TakenLook)
        assert (look.look["final"], look.look["stopped"]) == (True, True)
        # What O'Brien and Fleming's function has for 120 of the 400 units.
        spent = 4 * norm.sf(norm.isf(0.05 / 4) / sqrt(0.3))
        assert look.look["spent"] == pytest.approx(spent)
