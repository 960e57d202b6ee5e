"""The worker: takes jobs from the queue and does them in a thread, one at a time."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread
from sqlmodel import Session
from starlette.datastructures import State

from equipoise_service.database import Database
from equipoise_service.errors import ServiceError, problem_type
from equipoise_service.interruption import Interrupted, Interruption
from equipoise_service.jobs import leases
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Kind
from equipoise_service.priorities import give_way
from equipoise_service.texts.saying import say

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""How often a worker looks for jobs that other processes added."""

BEAT_SECONDS = 0.25
"""How often it says that it lives, and asks whether it is to stop."""

T = TypeVar("T")


class Tell(Protocol):
    """Takes what is being done, and how much is done."""

    def __call__(self, stage: str, percent: int, until: int | None = None) -> None:
        """Say it.

        Args:
            stage: What is being done from now on.
            percent: How much is done.
            until: How much will be at the end of this stage: it is counted up to there, as far as statements
                say how far they are. None: the stage is not counted.
        """


Finish = Callable[[Session], None]
"""Ends the job, in the transaction that stores what it made."""

Work = Callable[[Job, Tell, Finish], None]
"""Does a job."""


def one_at_a_time(state: State) -> anyio.CapacityLimiter:
    """Lets one analysis of this process run at a time; the others wait without holding a thread."""
    limiter = getattr(state, "readout_limiter", None)
    if limiter is None:
        limiter = state.readout_limiter = anyio.CapacityLimiter(1)
    return limiter


class Worker:
    """A worker of this process. All state belongs to its event loop.

    Args:
        database: Where the queue is.
        work: Does a job.
        limiter: Held while a job is done: other analyses of this process wait.
    """

    def __init__(self, database: Database, work: Work, limiter: anyio.CapacityLimiter) -> None:
        self.name = secrets.token_hex(8)
        self._database = database
        self._work = work
        self._limiter = limiter
        # Of its own, so that it says that it lives however busy the others are.
        self._threads = anyio.CapacityLimiter(2)
        # No thread that answers requests later on: it keeps its low priority.
        self._bench = ThreadPoolExecutor(1, "equipoise-worker", give_way)

    async def run(self, wake: asyncio.Event, ended: asyncio.Event) -> None:
        """Do jobs until it ends; what runs then is given back.

        Args:
            wake: Set when there may be a job.
            ended: Set when the process stops; so is `wake`.
        """
        is_cut_off = False
        while not ended.is_set():
            try:
                found = await self._next(ended)
            except Exception:
                if not is_cut_off:
                    _log.exception("cannot look for jobs; trying again every %g seconds", POLL_SECONDS)
                is_cut_off, found = True, False
            else:
                is_cut_off = False
            if not found:
                with suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), POLL_SECONDS)
                wake.clear()
        self._bench.shutdown()

    async def _next(self, ended: asyncio.Event) -> bool:
        """Do the next job, if there is one."""
        if not await self._in_thread(leases.is_any_waiting, self._database):
            return False
        async with self._limiter:
            if ended.is_set():
                return False
            job = await self._in_thread(leases.claim, self._database, self.name)
            if job is not None:
                await self._do(job, ended)
        return job is not None

    async def _do(self, job: Job, ended: asyncio.Event) -> None:
        run = _Run(job, self._database, self._work)
        work = asyncio.get_running_loop().run_in_executor(self._bench, run.do)
        while not work.done():
            await asyncio.wait({work}, timeout=BEAT_SECONDS)
            if work.done():
                break
            if ended.is_set():
                run.interrupt(leases.give_back)
            try:
                await self._in_thread(run.beat)
            except Exception:
                # When it goes on for longer than the lease, another worker takes the job.
                _log.exception("cannot say that the job %s is worked at", job.public_id)
        await work

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await anyio.to_thread.run_sync(partial(function, *arguments), limiter=self._threads)


class _Stage:
    """What is being done, see `Tell`; how far it is belongs to the thread that asks."""

    def __init__(self, name: str, percent: int, until: int | None = None) -> None:
        self._name, self._percent, self._until = name, percent, until
        self._last: float | None = None
        self._farthest = 0.0

    def reached(self, done: float | None) -> tuple[int, str]:
        """How much is done, in per cent, and what is being done.

        Of several statements the one counts that came farthest, and of each what it had done when it was
        asked the time before: what is over within a moment is not what one waits for.

        Args:
            done: How much of the statement is done that runs, if that is known.
        """
        if done is not None and self._last is not None and done >= self._last:
            self._farthest = max(self._farthest, self._last)
        self._last = done
        span = 0 if self._until is None else self._until - self._percent
        return self._percent + int(span * self._farthest), self._name


class _Run:
    """One job being done: by one thread, while another says how far it is."""

    def __init__(self, job: Job, database: Database, work: Work) -> None:
        self._job, self._database, self._work = job, database, work
        self._interruption = Interruption()
        self._instead: Callable[[Database, Job], None] | None = None
        self._said = (0, say("job.starting"))
        self._progress = _Stage(say("job.starting"), 0)
        self._silent = 0

    def do(self) -> None:
        """Do the job, whatever comes of it."""
        job = self._job
        try:
            with self._interruption.watches():
                self._work(job, self._tell, partial(leases.finish, job=job))
        except leases.Lost:
            _log.warning("the job %s was taken up by another worker meanwhile", job.public_id)
        except Exception as error:
            with suppress(leases.Lost):
                self._give_up(error)

    def beat(self) -> None:
        """Say how far it is, when that is news or nothing was said for long; and stop it where it is to."""
        self._silent += 1
        reached = self._progress.reached(self._interruption.done())
        try:
            if self._said != reached or self._silent * BEAT_SECONDS > leases.LEASE.total_seconds() / 4:
                self._said, self._silent = reached, 0
                cancelling = leases.beat(self._database, self._job, *self._said)
            else:
                cancelling = leases.is_cancelling(self._database, self._job)
        except leases.Lost:
            self.interrupt(_nothing)
            return
        if cancelling:
            self.interrupt(leases.stop)

    def interrupt(self, instead: Callable[[Database, Job], None]) -> None:
        """Stop it; what is done with the job then is what was said first."""
        self._instead = self._instead or instead
        self._interruption.ask()

    def _tell(self, stage: str, percent: int, until: int | None = None) -> None:
        if self._interruption.asked:
            raise Interrupted
        self._progress = _Stage(stage, percent, until)

    def _give_up(self, error: Exception) -> None:
        job = self._job
        if self._instead is not None:
            self._instead(self._database, job)
        elif isinstance(error, ServiceError):
            if job.kind != Kind.LOOK:
                # Nobody may have asked for it, and the readout before it is served on.
                _log.warning(
                    "the readout of %s (revision %d) could not be computed, job %s: %s",
                    job.experiment,
                    job.revision,
                    job.public_id,
                    error.detail,
                )
            leases.fail(self._database, job, error.document())
        else:
            _log.error("the job %s failed", job.public_id, exc_info=error)
            document = {
                "type": problem_type("internal"),
                "title": ServiceError.title,
                "status": ServiceError.status,
                "detail": f"The worker failed at the job {job.public_id}; its log says why.",
            }
            leases.fail(self._database, job, document)


def _nothing(_database: Database, _job: Job) -> None:
    """The job is another worker's."""
