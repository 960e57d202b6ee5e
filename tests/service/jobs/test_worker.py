"""The worker's thread, beside what the other tests show of it: it computes for seconds while others wait."""

import os
import sys
import threading

import pytest
from tests.service.conftest import experiment
from tests.service.jobs.test_scheduling import HOUR, scene, work_off, works

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
