"""A warehouse beside the service."""

from pathlib import Path

import pytest
from tests.service.sources.warehouses import TABLES, Warehouse

from equipoise_service.settings import Settings


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse with empty tables, whose address the service has as SHOP."""
    if request.param == "duckdb":
        url = f"duckdb://{tmp_path}/warehouse.duckdb"
    else:
        url = request.getfixturevalue("postgres_url")
    made = Warehouse(url)
    for statement in TABLES:
        made.execute(statement)
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", url)
    return made


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Those of all tests, changed by a test's parameter."""
    return settings.model_copy(update=getattr(request, "param", {}))
