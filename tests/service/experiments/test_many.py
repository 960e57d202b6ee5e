"""However many experiments there are, listing them and changing one takes the same few queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from equipoise_service.settings import Settings

# Requests inherit it from the test; the worker and the scheduler, which ask on their own account, do not.
IS_COUNTED = ContextVar("is_counted", default=False)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a watcher that asks nothing meanwhile."""
    return settings.model_copy(update={"refresh_seconds": 3600})


@contextmanager
def counted(client: TestClient) -> Iterator[list[str]]:
    engine = client.app.state.database.engine  # type: ignore[attr-defined]
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if IS_COUNTED.get():
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    token = IS_COUNTED.set(True)
    try:
        yield statements
    finally:
        IS_COUNTED.reset(token)
        event.remove(engine, "before_cursor_execute", note)


def register(client: TestClient, payload: Any, keys: list[str]) -> None:
    for key in keys:
        more = {"holdouts": ["year"], "overrides": {"u": "control"}, "audience": {"all": []}}
        assert client.post("/v1/experiments", json=payload(key, **more)).status_code == 201
        assert client.post(f"/v1/experiments/{key}/start").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/experiments"), ("GET", "/v1/layers"), ("GET", "/v1/holdouts")]
    + [("POST", f"/v1/experiments/first/{move}") for move in ("pause", "stop")],
)
def test_the_number_of_queries_does_not_grow(
    client: TestClient, payload: Any, method: str, path: str
) -> None:
    client.post("/v1/holdouts", json={"key": "year", "name": "y", "share": 100})
    asked = []
    for keys in (["first", "second"], [f"e-{index}" for index in range(20)]):
        register(client, payload, keys)
        if method == "POST" and keys[0] != "first":
            client.post("/v1/experiments/first/start" if "stop" in path else "/v1/experiments/first/resume")
        with counted(client) as statements:
            assert client.request(method, path).status_code == 200
        asked.append(len(statements))
    assert asked[0] == asked[1] > 1
