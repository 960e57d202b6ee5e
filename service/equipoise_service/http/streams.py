"""Server-sent events: a response that goes on until its reader, or what it tells of, ends.

The wire format is that of the HTML standard, section 9.2 (server-sent events).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

HEARTBEAT_SECONDS = 15.0
"""A comment is sent after so long without an event, so that proxies keep the connection, a reader that went
away is noticed, and so is a key that was revoked."""

COMMENT = b":\n\n"

Gone = asyncio.Task[None]
"""Done when the reader has gone."""


def event(name: str, data: bytes, id: str | None = None) -> bytes:
    """One event.

    Args:
        name: Of one line.
        data: Of one line.
        id: What a reader that comes back names in `Last-Event-ID`; of one line.
    """
    mark = f"id: {id}\n" if id is not None else ""
    return f"{mark}event: {name}\ndata: ".encode() + data + b"\n\n"


class ServerSentEvents(Response):
    """Sends what a generator gives, each as soon as the reader took what was before it.

    Args:
        bodies: Gives events and comments, the first of them at once, and ends soon after the reader has gone.
            An error before the first one is answered as that of any other route.
    """

    media_type = "text/event-stream"

    def __init__(self, bodies: Callable[[Gone], AsyncGenerator[bytes]]) -> None:
        self.status_code = 200
        self.background: BackgroundTask | None = None
        # Proxies keep an answer back to gather it, nginx unless it is told by the last of these.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._bodies = bodies

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send what there is until the generator ends."""
        start: Message = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        is_started = False
        gone = asyncio.create_task(_disconnected(receive))
        try:
            async with aclosing(self._bodies(gone)) as bodies:
                async for body in bodies:
                    if not is_started:
                        await send(start)
                        is_started = True
                    await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            gone.cancel()
        if not is_started:
            await send(start)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    """Wait until the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
