"""Failures that nobody expected: logged under an id, and answered with it and nothing else."""

import logging
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from equipoise_service.errors import ServiceError
from equipoise_service.http.problems import error_response

_log = logging.getLogger(__name__)


class AnsweredFailures:
    """ASGI middleware that answers what the application raises with 500.

    The framework's own handler stands outside of every middleware, so that its answer would lack what those
    add: a page could not read it.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. What fails after its answer began is raised: the server ends the connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = False

        async def noted(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            if began:
                raise
            instance = f"urn:uuid:{uuid.uuid4()}"
            _log.error("request failed, %s", instance, exc_info=error)
            failed = ServiceError(
                f"The service failed. Its log has the details: {instance}.", instance=instance
            )
            await error_response(failed, scope)(scope, receive, send)
