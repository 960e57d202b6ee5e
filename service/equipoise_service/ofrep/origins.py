"""CORS: which web pages may ask, and what their browsers let them see."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# Of the rest of the API a browser needs only the route that exposures and events are sent to.
_PATHS = ("/ofrep/", "/v1/events")


class PageOrigins:
    """ASGI middleware that lets pages of some origins use the routes that browsers need.

    Args:
        app: The application.
        origins: The origins as browsers send them; `*` for all. Keys are sent in headers and never by the
            browser on its own, so no page can use a key that it does not have.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self.app = app
        self.shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Encoding", "Content-Type", "If-None-Match", "X-API-Key"],
            expose_headers=["ETag", "Retry-After"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        shared = scope["type"] == "http" and scope["path"].startswith(_PATHS)
        await (self.shared if shared else self.app)(scope, receive, send)
