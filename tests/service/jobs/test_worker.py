"""The worker's thread, beside what the other tests show of it: it computes for seconds while others wait."""

import os
import sys
import threading

import pytest
from duckdb.sqltypes import BIGINT
from tests.service.conftest import experiment
from tests.service.jobs.scenes import HOUR, scene, work_off, works

from equipoise_service.database import Database
from equipoise_service.jobs import leases, worker
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Status
from equipoise_service.jobs.worker import Finish, Tell
from equipoise_service.readouts.scheduling import Scheduler
from equipoise_service.settings import Settings


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are a thing of Linux")
def test_a_job_is_done_by_a_thread_that_gives_way(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    found: list[int] = []
    with scene(settings, monkeypatch, 4, experiment()) as (database, store):

        def work(job: Job, tell: Tell, finish: Finish) -> None:
            found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            works(database, store)(job, tell, finish)

        assert Scheduler(database, store, HOUR).tick() == 1
        jobs = work_off(database, work)
    assert [job.status for job in jobs] == [Status.DONE]
    # There is no lower priority than 19.
    assert [each > min(own, 18) for each in found] == [True]


def test_a_job_tells_how_far_the_statement_is_that_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The statement stands still in the middle until somebody has seen that it is there."""
    seen = threading.Event()
    percents: list[int] = []
    beat = leases.beat

    def watched(database: Database, job: Job, percent: int, stage: str) -> bool:
        if stage == "reading":
            percents.append(percent)
            if percent > 10:
                seen.set()
        return beat(database, job, percent, stage)

    monkeypatch.setattr(leases, "beat", watched)
    monkeypatch.setattr(worker, "BEAT_SECONDS", 0.02)
    with scene(settings, monkeypatch, 4, experiment()) as (database, store):

        def hold(row: int) -> int:
            if row == 700_000:
                assert seen.wait(60)
            return row

        def work(job: Job, tell: Tell, finish: Finish) -> None:
            tell("reading", 10, 60)
            with store.workspace() as workspace:
                con = workspace.backend.con
                con.create_function("hold", hold, [BIGINT], BIGINT)
                con.execute(
                    "CREATE TEMPORARY TABLE many AS SELECT range AS i FROM range(1_000_000)"
                ).fetchall()
                query = "SELECT sum(CASE WHEN i = 700_000 THEN hold(i) ELSE i END) AS total FROM many"
                assert workspace.rows(query) == [{"total": 999_999 * 500_000}]
            tell("storing", 90)
            works(database, store)(job, tell, finish)

        assert Scheduler(database, store, HOUR).tick() == 1
        jobs = work_off(database, work)
    assert [job.status for job in jobs] == [Status.DONE]
    assert seen.is_set()
    assert percents == sorted(percents)
    assert 10 < max(percents) <= 60
    assert capfd.readouterr().out == ""
