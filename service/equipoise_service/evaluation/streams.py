"""Server-sent events: a response that tells its reader of every change of a configuration, until one ends.

The wire format is that of the HTML standard, section 9.2 (server-sent events).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from fastapi import Request
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from equipoise_service.accounts.principals import Principal, Principals
from equipoise_service.accounts.principals import Scope as AccessScope
from equipoise_service.errors import Forbidden, Unauthenticated
from equipoise_service.evaluation.changes import Changes
from equipoise_service.evaluation.configurations import Configurations, Served

HEARTBEAT_SECONDS = 15.0
"""A comment is sent after so long without a change, so that proxies keep the connection, a reader that went
away is noticed, and so is a key that was revoked."""

_COMMENT = b":\n\n"

Message = Callable[[Served], tuple[str, bytes]]
"""Makes the event's name and its data of one line for a configuration."""


class ChangeStream(Response):
    """Sends one event for the present configuration, unless the reader has it, and one for each later change.

    The id of an event is the digest in the configuration's ETag, which a reader that comes back names in
    `Last-Event-ID`. Changes that come faster than they can be sent become one.

    Args:
        request: The request for the stream.
        principal: Who reads it; it ends when its key does.
        message: Makes an event of a configuration.
        seen: Digest of the configuration that the reader has.
    """

    media_type = "text/event-stream"

    def __init__(self, request: Request, principal: Principal, message: Message, seen: str | None) -> None:
        self.status_code = 200
        self.background: BackgroundTask | None = None
        # Proxies keep an answer back to gather it, nginx unless it is told by the last of these.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        state = request.app.state
        self._changes: Changes = state.changes
        self._configurations: Configurations = state.configurations
        self._principals: Principals = state.principals
        self._principal = principal
        self._message = message
        self._seen = seen

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the reader, the key or the service ends it."""
        principal = self._principal
        with self._changes.subscribe(principal.environment_id, principal.public_id) as changed:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            gone = asyncio.create_task(_disconnected(receive, changed))
            try:
                while not gone.done() and not self._changes.closed and self._is_admitted():
                    changed.clear()
                    await send({"type": "http.response.body", "body": await self._news(), "more_body": True})
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
            finally:
                gone.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _is_admitted(self) -> bool:
        try:
            self._principals.admit(self._principal.public_id, AccessScope.EVALUATE)
        except (Unauthenticated, Forbidden):
            return False
        return True

    async def _news(self) -> bytes:
        served = self._configurations.served(self._principal.environment_id)
        if served.digest == self._seen:
            return _COMMENT
        # What was read before the wait is told: what came meanwhile has its own.
        await asyncio.sleep(self._changes.delay)
        self._seen = served.digest
        name, data = self._message(served)
        return f"id: {served.digest}\nevent: {name}\ndata: ".encode() + data + b"\n\n"


async def _disconnected(receive: Receive, changed: asyncio.Event) -> None:
    """Wait until the reader has gone, and wake the stream."""
    while (await receive())["type"] != "http.disconnect":
        pass
    changed.set()
