"""The service in this process, on databases of its own: for tests that need no real socket."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key
from equipoise_service.app import create_app
from equipoise_service.settings import Settings

ALL_SCOPES = tuple(Scope)


@dataclass
class Service:
    """A running application and how to talk to it."""

    client: TestClient
    settings: Settings

    def key(
        self, *scopes: Scope, project: str = "default", environment: str = "production", **more: Any
    ) -> dict[str, str]:
        """Request headers with a new key."""
        with self.client.app.state.database.write() as session:  # type: ignore[attr-defined]
            made = make_key(
                session,
                name="test",
                project=project,
                environment=environment,
                scopes=scopes or ALL_SCOPES,
                **more,
            )
        return {"Authorization": f"Bearer {made.key}"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", max_body_bytes=200_000, refresh_seconds=0.05)


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield Service(client, settings)


@pytest.fixture
def client(service: Service) -> TestClient:
    """A client whose key may do everything."""
    service.client.headers.update(service.key())
    return service.client


def experiment(key: str = "new-landing-page", **changes: Any) -> dict[str, Any]:
    """A payload that registers an experiment."""
    return {
        "key": key,
        "name": "New landing page",
        "hypothesis": "A shorter page converts more.",
        "variants": [
            {"key": "control", "weight": 5000, "value": "old", "control": True},
            {"key": "treatment", "weight": 5000, "value": "new"},
        ],
        "metrics": [{"key": "converted", "type": "proportion", "event": "converted"}],
        **changes,
    }


@pytest.fixture
def payload() -> Any:
    """Makes payloads that register an experiment."""
    return experiment
