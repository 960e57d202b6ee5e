"""Streams that tell their readers of every change of a configuration."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from fastapi import Request
from starlette.responses import Response

from equipoise_service.accounts.principals import Principal, Principals, Scope
from equipoise_service.errors import Forbidden, Unauthenticated
from equipoise_service.evaluation.changes import Changes
from equipoise_service.evaluation.configurations import Configurations, Served
from equipoise_service.http.streams import COMMENT, HEARTBEAT_SECONDS, Gone, ServerSentEvents, event

Told = Callable[[Served], tuple[str, bytes]]
"""Makes the event's name and its data of one line for a configuration."""


def stream_of_changes(request: Request, principal: Principal, told: Told, seen: str | None) -> Response:
    """One event for the present configuration, unless the reader has it, and one for each later change.

    The id of an event is the digest in the configuration's ETag, which a reader that comes back names in
    `Last-Event-ID`. Changes that come faster than they can be sent become one. It ends when the reader goes,
    the key is revoked or the service ends.

    Args:
        request: The request for the stream.
        principal: Who reads it.
        told: Makes an event of a configuration.
        seen: Digest of the configuration that the reader has.
    """
    state = request.app.state
    changes: Changes = state.changes
    configurations: Configurations = state.configurations
    principals: Principals = state.principals

    async def bodies(gone: Gone) -> AsyncGenerator[bytes]:
        has = seen
        with changes.subscribe(principal.environment_id, principal.public_id) as changed:
            gone.add_done_callback(lambda _: changed.set())
            while not gone.done() and not changes.closed and _is_admitted(principals, principal):
                changed.clear()
                served = configurations.served(principal.environment_id)
                if served.digest == has:
                    yield COMMENT
                else:
                    # What was read before the wait is told: what came meanwhile has its own.
                    await asyncio.sleep(changes.delay)
                    has = served.digest
                    yield event(*told(served), has)
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)

    return ServerSentEvents(bodies)


def _is_admitted(principals: Principals, principal: Principal) -> bool:
    try:
        principals.admit(principal.public_id, Scope.EVALUATE)
    except (Unauthenticated, Forbidden):
        return False
    return True
