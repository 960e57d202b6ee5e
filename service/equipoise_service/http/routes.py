"""Routes that are asked most: the endpoint gets the request and gives the response, with nothing between."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, APIRouter
from starlette.types import Receive, Scope, Send


class PlainRoute(APIRoute):
    """A route whose endpoint is a coroutine that takes the `Request` and returns the `Response`.

    The framework documents it and finds it. What it does for other endpoints, which is to keep a stack of
    resources and to resolve, validate and close what they ask for, takes longer than these take to answer.

    Args:
        path: As any route's.
        endpoint: The coroutine. It authenticates by itself.
        options: As any route's, all of them for the documentation.
    """

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            # What is raised is answered further out, like anything that middleware raises.
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app


def add_first(app: FastAPI, router: APIRouter) -> None:
    """Make a router's routes the application's own: those of an included router are looked for twice.

    Call it before anything is included, as routes are tried in turn.
    """
    app.router.routes.extend(router.routes)
