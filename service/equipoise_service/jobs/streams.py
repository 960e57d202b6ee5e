"""Streams that tell how far a job is, until it ended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import anyio.to_thread
from fastapi import Request
from starlette.responses import Response

from equipoise_service.accounts.principals import Principal
from equipoise_service.database import Database
from equipoise_service.evaluation.changes import Changes
from equipoise_service.http.streams import COMMENT, HEARTBEAT_SECONDS, Gone, ServerSentEvents, event
from equipoise_service.jobs import queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import ENDED, job_out

_LOOK_SECONDS = 0.3


def stream_of_job(request: Request, principal: Principal, job: Job) -> Response:
    """An event `job` at first and whenever the job has changed; the last one is of the job that ended.

    Args:
        request: The request for the stream.
        principal: Who follows it.
        job: The job as it is.
    """
    database: Database = request.app.state.database
    changes: Changes = request.app.state.changes

    async def bodies(gone: Gone) -> AsyncGenerator[bytes]:
        now: Job | None = job
        told, silent = "", 0.0
        with changes.subscribe(principal.environment_id, principal.public_id):
            while now is not None:
                text, silent = job_out(now).model_dump_json(), silent + _LOOK_SECONDS
                if text != told:
                    yield event("job", text.encode())
                    told, silent = text, 0.0
                elif silent >= HEARTBEAT_SECONDS:
                    yield COMMENT
                    silent = 0.0
                if now.status in ENDED or gone.done() or changes.closed:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(gone), _LOOK_SECONDS)
                now = await anyio.to_thread.run_sync(queue.find, database, job.environment_id, job.public_id)

    return ServerSentEvents(bodies)
