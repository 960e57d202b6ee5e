"""Routes with nothing between the request and the endpoint: what goes wrong in one is still a problem."""

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.testclient import TestClient

from equipoise_service.app import create_app
from equipoise_service.errors import NotFound
from equipoise_service.http.routes import PlainRoute, add_first
from equipoise_service.settings import Settings

router = APIRouter(prefix="/plain", route_class=PlainRoute)


@router.get("/{what}", summary="A plain route")
async def plain(request: Request) -> Response:
    """Documented."""
    what = request.path_params["what"]
    if what == "nothing":
        raise NotFound("There is nothing.")
    if what == "broken":
        raise RuntimeError("the password is hunter2")
    return Response(what.encode(), media_type="text/plain")


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    add_first(app, router)
    return app


@pytest.mark.parametrize(
    ("method", "what", "status"),
    [("GET", "nothing", 404), ("GET", "broken", 500), ("PUT", "something", 405)],
)
def test_what_goes_wrong_in_a_plain_route_is_a_problem(
    app: FastAPI, method: str, what: str, status: int
) -> None:
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.request(method, f"/plain/{what}")
        assert client.get("/plain/well").text == "well"
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert "hunter2" not in answer.text


def test_a_plain_route_is_documented_as_any_other(app: FastAPI) -> None:
    found = app.openapi()["paths"]["/plain/{what}"]["get"]
    assert (found["summary"], found["description"]) == ("A plain route", "Documented.")
