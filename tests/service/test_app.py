import sqlite3
from contextlib import closing
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service

from equipoise_service import connections
from equipoise_service.app import create_app
from equipoise_service.errors import PROBLEM_TYPES
from equipoise_service.settings import Settings


def test_alive_and_ready(service: Any) -> None:
    assert service.client.get("/healthz").json() == {"status": "ok"}
    assert service.client.get("/readyz").json() == {"status": "ok"}
    assert service.client.get("/").json()["openapi"] == "/openapi.json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/v1/config", 405), ("PUT", "/v1/experiments", 405)],
)
def test_wrong_routes_are_problems_too(service: Any, method: str, path: str, status: int) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["type"].removeprefix("urn:equipoise:problem:") in PROBLEM_TYPES


def test_a_wrong_method_is_told_all_that_the_path_has(service: Any) -> None:
    answer = service.client.delete("/v1/experiments")
    assert answer.headers["Allow"] == "GET, POST"
    assert service.client.post("/v1/experiments/x").headers["Allow"] == "GET, PATCH"
    # Not the methods of /v1/metrics/{key}, whose key it might be.
    assert service.client.delete("/v1/metrics/preview").headers["Allow"] == "POST"


def test_a_fault_of_the_service_is_a_500_that_tells_nothing_but_where_to_look(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the password is hunter2")

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["instance"] in caplog.text


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_openapi_document_describes_every_route(service: Any) -> None:
    document = service.client.get("/openapi.json").json()
    for method, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        ofrep = path.startswith("/ofrep/")
        if path.startswith("/v1/"):
            assert operation["security"], path
        if ofrep or path.startswith("/v1/"):
            assert {"401", "403"} <= operation["responses"].keys(), path
        if method in ("POST", "PATCH") and "requestBody" in operation:
            refusals = {"400", "413", "415"} if ofrep else {"400", "413", "415", "422"}
            assert refusals <= operation["responses"].keys(), path
        for status, response in operation["responses"].items():
            if status >= "400":
                (media_type,) = response["content"]
                expected = "application/json" if ofrep else "application/problem+json"
                assert media_type == expected, (path, status)


def test_the_openapi_document_has_no_dangling_reference(service: Any) -> None:
    document = service.client.get("/openapi.json").json()
    names = set(document["components"]["schemas"])

    def references(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for each in node.values():
                yield from references(each)
        elif isinstance(node, list):
            for each in node:
                yield from references(each)

    found = set(references(document))
    assert found
    assert {each.removeprefix("#/components/schemas/") for each in found} <= names


def test_a_metadata_database_that_others_hold_is_a_503_to_try_again(
    settings: Settings, payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.05)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.headers.update(Service(client, settings).key())
        with closing(sqlite3.connect(settings.data_dir / "metadata.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = client.post("/v1/experiments", json=payload())
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["type"] == "urn:equipoise:problem:busy"
        assert client.post("/v1/experiments", json=payload()).status_code == 201
