"""Looks that are due: each is taken once, whoever works, and its alpha is spent once."""

from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

import pytest
from scipy.stats import norm
from sqlmodel import Session
from tests.service.conftest import experiment
from tests.service.jobs.queues import wanted
from tests.service.jobs.scenes import HOUR, at_once, change, rows, scene, work_off, works

from equipoise_service.errors import Conflict
from equipoise_service.experiments.models import Revision, Run
from equipoise_service.jobs import leases, queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Kind, Status
from equipoise_service.plans.models import TakenLook
from equipoise_service.readouts.models import ReadoutSchedule, StoredReadout
from equipoise_service.readouts.scheduling import Scheduler
from equipoise_service.settings import Settings

BY_UNITS = {"method": "group-sequential", "horizon": {"units": 400}, "looks": {"count": 4}}
BY_HOURS = {"method": "group-sequential", "horizon": {"units": 400}}
ONCE = {"method": "fixed-horizon", "horizon": {"days": 1}}


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
