"""An environment whose configuration no client could read: who notices it, and who must not."""

import logging
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from tests.service.conftest import Service
from tests.service.flags.flags import flag, patch

from equipoise.configuration import load
from equipoise_service.app import create_app

FLAG = "/v1/flags/search-engine"


def break_behind_its_back(service: Service, statement: str, **values: Any) -> None:
    """Change the metadata database as no route would: as a defect or another release left it."""
    with service.client.app.state.database.engine.begin() as connection:  # type: ignore[attr-defined]
        assert connection.execute(text(statement), values).rowcount == 1


@pytest.fixture
def staging(service: Service) -> dict[str, str]:
    """The key of an environment whose configuration became unreadable after it was published."""
    key = service.key(environment="staging")
    client = service.client
    assert client.post("/v1/flags", json=flag(rules=[{"key": "r", "variant": "new"}]), headers=key).is_success
    break_behind_its_back(
        service,
        "UPDATE flag_state SET rules = :rules WHERE environment_id = "
        "(SELECT id FROM environment WHERE key = 'staging')",
        rules='[{"key": "r", "variant": "none"}]',
    )
    return key


def test_it_keeps_its_last_configuration_and_holds_nobody_up(
    service: Service, client: TestClient, staging: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    before = client.get("/v1/config", headers=staging)
    assert patch(client, enabled=False).status_code == 200
    assert client.get("/v1/config").json()["flags"]["search-engine"]["enabled"] is False
    assert client.get("/v1/config", headers=staging).content == before.content
    assert client.get("/readyz").json() == {"status": "degraded", "unpublished": ["default/staging"]}
    (logged,) = [each for each in caplog.records if "cannot publish" in each.message]
    assert logged.levelno == logging.ERROR
    assert "default/staging" in logged.message
    assert "none" in logged.message
    assert patch(client, enabled=True).status_code == 200
    assert sum("cannot publish" in each.message for each in caplog.records) == 1
    etag = client.get(FLAG, headers=staging).headers["ETag"]
    mended = client.patch(
        FLAG, json={"rules": [{"key": "r", "variant": "old"}]}, headers=staging | {"If-Match": etag}
    )
    assert mended.status_code == 200, mended.text
    rules = client.get("/v1/config", headers=staging).json()["flags"]["search-engine"]["rules"]
    assert [each["variant"] for each in rules] == ["old"]
    assert client.get("/readyz").json() == {"status": "ok"}


def test_the_service_starts_with_it(service: Service, staging: dict[str, str]) -> None:
    served = service.client.get("/v1/config", headers=staging).content
    service.client.__exit__()
    with TestClient(create_app(service.settings)) as again:
        assert again.get("/v1/config", headers=staging).content == served
        assert again.get("/v1/config", headers=service_key(again, service)).status_code == 200


def test_a_published_document_of_another_release_stops_nobody_else(
    service: Service, staging: dict[str, str]
) -> None:
    break_behind_its_back(
        service,
        "UPDATE published_configuration SET document = :document WHERE id = (SELECT max(id) FROM "
        "published_configuration WHERE environment_id = (SELECT id FROM environment WHERE key = 'staging'))",
        document=b'{"schema": "equipoise.config/999"}',
    )
    service.client.__exit__()
    with TestClient(create_app(service.settings)) as again:
        refused = again.get("/v1/config", headers=staging)
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:equipoise:problem:busy"
        assert again.get("/v1/config", headers=service_key(again, service)).status_code == 200
        assert again.get("/readyz").json()["unpublished"] == ["default/staging"]


def test_the_write_that_would_break_an_environment_is_refused(
    service: Service, client: TestClient, payload: Any
) -> None:
    holdout = {"key": "hold", "name": "Hold", "share": 500}
    assert client.post("/v1/holdouts", json=holdout).status_code == 201
    assert client.post("/v1/experiments", json=payload()).status_code == 201
    # Nothing shows the holdout yet, so that nothing is broken until the experiment names it.
    break_behind_its_back(service, "UPDATE holdout SET salt = '' WHERE key = 'hold'")
    path = "/v1/experiments/new-landing-page"
    shown = client.get(path)
    changed = client.patch(path, json={"holdouts": ["hold"]}, headers={"If-Match": shown.headers["ETag"]})
    assert changed.status_code == 409
    assert changed.json()["type"] == "urn:equipoise:problem:unpublishable"
    assert "default/production" in changed.json()["detail"]
    assert "salt" in changed.json()["detail"]
    assert client.get(path).json() == shown.json()
    assert client.get("/readyz").json() == {"status": "ok"}
    assert load(client.get("/v1/config").content).flags["new-landing-page"]


def service_key(client: TestClient, service: Service) -> dict[str, str]:
    """A key of the environment that is well."""
    return Service(client, service.settings).key()
