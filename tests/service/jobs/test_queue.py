"""The queue, on SQLite and on PostgreSQL: each job is one worker's, and a dead worker's is taken up once."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from tests.service.jobs.queues import database_with, definitions, silence, stored, wanted

from equipoise_service.database import Database
from equipoise_service.jobs import clock, leases, queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Kind, Status
from equipoise_service.jobs.slow import slow_in_a_row
from equipoise_service.settings import Settings

REVISIONS = 3


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with database_with(settings, *definitions(REVISIONS)) as database:
        yield database


def claim(database: Database, worker: str) -> Job:
    job = leases.claim(database, worker)
    assert job is not None
    return job


def finish(database: Database, job: Job, made: str | None = None) -> None:
    """Finish a job that made another row, if it is to, in the same transaction."""
    with database.write(publishes=False) as session:
        if made is not None:
            session.add(Job(**{**job.model_dump(exclude={"id"}), "public_id": made, "status": "done"}))
        leases.finish(session, job)


def test_workers_share_the_jobs_and_no_two_work_at_one_revision(database: Database) -> None:
    each_kind = [(kind, number) for kind in Kind for number in range(REVISIONS)]
    jobs = [queue.add(database, wanted(database, *each)) for each in each_kind]
    taken: list[str] = []
    at_work: Counter[int] = Counter()
    most: Counter[int] = Counter()
    lock = threading.Lock()

    def work(worker: int) -> None:
        while len(taken) < len(jobs):
            job = leases.claim(database, f"worker-{worker}")
            if job is None:
                continue
            with lock:
                taken.append(job.public_id)
                at_work[job.revision_id] += 1
                most[job.revision_id] = max(most[job.revision_id], at_work[job.revision_id])
            assert leases.beat(database, job, 50, "half-way") is False
            with lock:
                at_work[job.revision_id] -= 1
            finish(database, job)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, worker) for worker in range(4)]:
            done.result(60)
    assert sorted(taken) == sorted(job.public_id for job in jobs)
    assert set(most.values()) == {1}
    assert {stored(database, job).status for job in jobs} == {Status.DONE}


def test_a_dead_workers_job_is_taken_up_once_more_and_then_given_up(database: Database) -> None:
    job = queue.add(database, wanted(database))
    first = claim(database, "first")
    assert leases.claim(database, "second") is None, "while the first one lives"
    silence(database, first)
    second = claim(database, "second")
    assert (second.public_id, second.attempts) == (job.public_id, 2)
    silence(database, second)
    assert leases.claim(database, "third") is None
    found = stored(database, job)
    assert (found.status, found.attempts) == (Status.FAILED, 2)
    assert found.error is not None
    assert "died 2 times" in found.error["detail"]


def test_who_was_taken_for_dead_can_neither_store_nor_end_anything(database: Database) -> None:
    queue.add(database, wanted(database))
    first = claim(database, "first")
    silence(database, first)
    # It may be the same process that takes up again what it lost.
    second = claim(database, "first")
    for end in (
        lambda: finish(database, first, "stored"),
        lambda: leases.beat(database, first, 1, "x"),
        lambda: leases.is_cancelling(database, first),
        lambda: leases.fail(database, first, {}),
        lambda: leases.stop(database, first),
    ):
        with pytest.raises(leases.Lost):
            end()
    assert queue.find(database, first.environment_id, "stored") is None, "what was stored before is undone"
    leases.give_back(database, first)
    assert stored(database, second).status == Status.RUNNING
    finish(database, second)


def test_workers_whose_clocks_differ_leave_each_other_their_jobs(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return datetime.now(zone) + timedelta(hours=1)

    settings = Settings(data_dir=tmp_path, database_url=postgres_url)
    with database_with(settings, *definitions(1)) as database:
        queue.add(database, wanted(database))
        job = claim(database, "right")
        # From here on the clock of this process is an hour ahead.
        for module in (clock, leases, queue):
            monkeypatch.setattr(module, "datetime", Ahead, raising=False)
        assert not leases.is_any_waiting(database)
        assert leases.claim(database, "ahead") is None
        assert leases.beat(database, job, 50, "half-way") is False
        leases.fail(database, job, {"detail": "no"})
        assert queue.failed_lately(database, job.revision_id) is not None
        monkeypatch.undo()
        queue.add(database, wanted(database))
        until = claim(database, "right").lease_until
        assert until is not None
        assert until < datetime.now(UTC) + timedelta(minutes=1)


def test_what_waits_serves_all_who_ask(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [wanted(database)] * 8
        first = {job.public_id for job in pool.map(lambda each: queue.add(database, each), asked)}
    assert len(first) == 1
    look = queue.add(database, wanted(database, Kind.LOOK, 1))
    assert claim(database, "worker").public_id == first.pop()
    assert claim(database, "worker").public_id == look.public_id
    # A refresh that runs may have read already what came since; of a look there is one until it ended.
    behind = queue.add(database, wanted(database))
    assert behind.status == Status.QUEUED
    assert queue.add(database, wanted(database, Kind.LOOK, 1)).public_id == look.public_id
    assert leases.claim(database, "worker") is None, "one of its revision runs"


TOO_SLOW = {"type": "urn:equipoise:problem:source-too-slow", "detail": "no"}


def test_whose_source_was_too_slow_comes_after_all_others(database: Database) -> None:
    def fail(number: int, error: dict[str, str]) -> None:
        queue.add(database, wanted(database, Kind.REFRESH, number))
        leases.fail(database, claim(database, "worker"), error)

    fail(0, TOO_SLOW)
    fail(1, {"type": "urn:equipoise:problem:source-failed", "detail": "source-too-slow"})
    slow, other, good = (queue.add(database, wanted(database, number=number)) for number in range(3))
    # Nothing came of this one.
    queue.cancel(database, queue.add(database, wanted(database, Kind.LOOK, 0)))
    for expected in (other, good, slow):
        job = claim(database, "worker")
        assert job.public_id == expected.public_id
        finish(database, job)
    # It answered.
    slow, other = (queue.add(database, wanted(database, number=number)) for number in range(2))
    assert claim(database, "worker").public_id == slow.public_id
    with database.read() as session:
        assert slow_in_a_row(session, slow.revision_id) == 0


def test_a_job_is_cancelled_at_once_or_by_its_worker_and_stays_ended(database: Database) -> None:
    waits = queue.add(database, wanted(database))
    queue.cancel(database, waits)
    assert stored(database, waits).status == Status.CANCELLED
    assert leases.claim(database, "worker") is None
    queue.add(database, wanted(database))
    runs = claim(database, "worker")
    queue.cancel(database, runs)
    assert leases.beat(database, runs, 10, "reading") is True
    leases.stop(database, runs)
    finished = queue.add(database, wanted(database))
    finish(database, claim(database, "worker"))
    queue.cancel(database, finished)
    assert stored(database, finished).status == Status.DONE
    again = queue.add(database, wanted(database))
    leases.give_back(database, claim(database, "worker"))
    given_back = stored(database, again)
    assert (given_back.status, given_back.attempts) == (Status.QUEUED, 0)
