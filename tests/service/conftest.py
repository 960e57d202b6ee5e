"""The service in this process, on databases of its own: for tests that need no real socket.

Its metadata are in SQLite. With `EQUIPOISE_TEST_METADATA=postgres` (`make test-postgres`) they are in
PostgreSQL; the files in `ON_BOTH` run on either in any case.
"""

import os
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

ON_BOTH = frozenset(
    {
        "accounts/test_keys.py",
        "experiments/test_lifecycle.py",
        "experiments/test_pauses.py",
        "flags/test_changing.py",
        "http/test_text.py",
        "jobs/test_queue.py",
        "layers/test_layers.py",
        "rollouts/test_rollouts.py",
        "segments/test_ids.py",
    }
)


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_url" not in metafunc.fixturenames:
        return
    if os.environ.get("EQUIPOISE_TEST_METADATA") == "postgres":
        metafunc.parametrize("database_url", ["postgres"], indirect=True)
    elif metafunc.module.__file__.removeprefix(f"{Path(__file__).parent}/") in ON_BOTH:
        metafunc.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of the metadata database; empty for SQLite in the data directory."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return ""
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", database_url=database_url, max_body_bytes=200_000, refresh_seconds=0.05
    )


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
