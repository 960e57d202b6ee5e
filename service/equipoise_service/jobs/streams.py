"""Server-sent events that tell how far a job is, until it ended."""

import asyncio
from contextlib import suppress

import anyio.to_thread
from fastapi import Request
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from equipoise_service.accounts.principals import Principal
from equipoise_service.database import Database
from equipoise_service.evaluation.changes import Changes
from equipoise_service.jobs import queue
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import ENDED, job_out

LOOK_SECONDS = 0.3
HEARTBEAT_SECONDS = 15.0


class JobStream(Response):
    """Sends an event `job` at first and whenever the job has changed; the last one is of the job that ended.

    Args:
        request: The request for the stream.
        principal: Who follows it.
        job: The job as it is.
    """

    media_type = "text/event-stream"

    def __init__(self, request: Request, principal: Principal, job: Job) -> None:
        self.status_code = 200
        self.background: BackgroundTask | None = None
        # Proxies keep an answer back to gather it, nginx unless it is told by the last of these.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._database: Database = request.app.state.database
        self._changes: Changes = request.app.state.changes
        self._principal = principal
        self._job: Job | None = job

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the job, the reader or the service ends it."""
        with self._changes.subscribe(self._principal.environment_id, self._principal.public_id):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            gone = asyncio.create_task(_disconnected(receive))
            try:
                await self._tell(send, gone)
            finally:
                gone.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, send: Send, gone: "asyncio.Task[None]") -> None:
        told, silent = "", 0.0
        while self._job is not None:
            job, silent = self._job, silent + LOOK_SECONDS
            text = job_out(job).model_dump_json()
            if text != told or silent >= HEARTBEAT_SECONDS:
                body = f"event: job\ndata: {text}\n\n" if text != told else ":\n\n"
                await send({"type": "http.response.body", "body": body.encode(), "more_body": True})
                told, silent = text, 0.0
            if job.status in ENDED or gone.done() or self._changes.closed:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(gone), LOOK_SECONDS)
            self._job = await anyio.to_thread.run_sync(
                queue.find, self._database, job.environment_id, job.public_id
            )


async def _disconnected(receive: Receive) -> None:
    """Wait until the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
