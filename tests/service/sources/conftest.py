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
def settings(settings: Settings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of all tests, changed by a test's parameter."""
    # A DuckDB file has no reader while a test writes to it: what is computed unasked would meet that.
    monkeypatch.setattr("equipoise_service.readouts.scheduling.TICK_SECONDS", 3600)
    return settings.model_copy(update=getattr(request, "param", {}))
